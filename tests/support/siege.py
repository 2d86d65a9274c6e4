"""Honest people and an attacker on one real line: what the attacker holds is drawn, what must hold is the same.

The people put, release, approve, promote, roll back, revoke, rotate, publish, some of them with a wrong
clock. The attacker keeps all that was ever public and every bundle of the ledger, leaves out, mixes,
replays and writes anew, and signs with the keys that the run gave. The laws (docs/threat-model.md):

1. without the ledger key, a consumer accepts "C is at R" only if the honest fold at that checkpoint says it;
2. with it, nothing that lacks promoter or approvers, and nothing that this consumer saw revoked;
3. what the ledger itself takes is true by the clock on the wall, by who may, and by what was revoked;
   and a release that comes by a share comes by the policy's steps, each after its soak;
4. where a witness is asked for, whatever is accepted lies under a checkpoint that the honest witness signed.

The model knows the true time of each entry and what was revoked; it asks nothing of the code that is judged.
"""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from attest.digests import Digest, sha256
from attest.errors import CasstoreError
from attest.log import checkpoints, merkle, state_trie
from attest.log.checkpoints import Checkpoint
from attest.statements import statements
from attest.statements.predicates import promotion as promotions
from attest.statements.predicates import revocation
from attest.statements.predicates import seal as seals
from attest.trust.policies import ChannelPolicy, ShareStep
from attest.trust.witnesses import FOLD, Witness, Witnesses
from bundlers.consuming.service import TrustSettings, VerifyReport, verify
from bundlers.witnessing import witness as witnessing
from bundlers.witnessing.witness import WitnessSettings
from casstore import promotion
from casstore.ledger import checkpoints as ledger_checkpoints
from casstore.ledger import entries as formats
from casstore.ledger.entries import EntryKind
from casstore.ledger.folding import fold
from casstore.ledger.rules.trust import identity_digest
from casstore.ledger.states.channel_states import Move
from casstore.ledger.states.rows import state_rows
from casstore.ledger.states.state import LedgerState, start
from casstore.promotion.services import next_step
from tests.support.adversary import Public
from tests.support.published import PublishedWorld
from tests.support.worlds import NOW, signer

SOAK = timedelta(hours=48)
CHANNELS = {"dev": ChannelPolicy(None, 0), "prod": ChannelPolicy("dev", 1, soak=int(SOAK.total_seconds()))}
STEP = timedelta(hours=10)
BY_STEPS = {**CHANNELS, "prod": replace(CHANNELS["prod"], steps=(ShareStep(5, int(STEP.total_seconds())),))}
KEYS: tuple[tuple[str, ...], ...] = ((), ("pam",), ("pam", "ann"), ("aud",), ("pete",), ("log",), ("log", "pam"))
DROPS: tuple[frozenset[EntryKind], ...] = (
    frozenset(),
    frozenset({EntryKind.REVOKE}),
    frozenset({EntryKind.REVOKE, EntryKind.ROLLBACK}),
    frozenset({EntryKind.EVIDENCE, EntryKind.SUSPEND}),
)
SKEWS = st.sampled_from([timedelta(0), timedelta(minutes=-7), timedelta(days=-40), timedelta(days=3)])


class Broken(AssertionError):
    """A law does not hold."""


class Siege(RuleBasedStateMachine):
    """One run."""

    @initialize(keys=st.sampled_from(KEYS), witnessed=st.booleans(), shared=st.booleans())
    def begin(self, keys: tuple[str, ...], witnessed: bool = False, shared: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="casstore-siege-"))
        asked = Witnesses(1, (Witness("w1", FOLD, signer("w1").public_pem or b""),)) if witnessed else None
        self.world = PublishedWorld.make(
            str(self.folder / "store"), channels=BY_STEPS if shared else CHANNELS, witnesses=asked
        )
        self.witnessed, self.shared = witnessed, shared
        self.signed: set[tuple[int, Digest]] = set()
        """Size and root hash of what the honest witness signed."""
        self.keys, self.true, self.count = keys, NOW, 0
        self.when: dict[int, datetime] = {0: NOW}
        self.ended: dict[str, datetime] = {}
        self.gone: dict[str, int] = {}
        """What was revoked: a version, or the sha256 of a payload -> the number of the entry."""
        self.copies: list[Path] = []
        self.seen = 0
        """How many entries the consumer who comes again has seen."""

    def teardown(self) -> None:
        if hasattr(self, "world"):
            try:
                self.besiege()
            finally:
                self.world.store.close()
                shutil.rmtree(self.folder, ignore_errors=True)

    # honest people

    @contextlib.contextmanager
    def act(self, skew: timedelta = timedelta(0)) -> Iterator[PublishedWorld]:
        """Something that may be refused; what it wrote was written at the true time."""
        self.world.now = self.true + skew
        with contextlib.suppress(CasstoreError):
            yield self.world
        self.note()

    def note(self) -> None:
        for number in range(len(self.when), self.world.state.count):
            self.when[number] = self.true

    @rule(skew=SKEWS)
    def bring(self, skew: timedelta) -> None:
        """A version into dev."""
        self.count += 1
        with self.act(skew) as world:
            world.ship(f"1.{self.count}.0", content=b"%d" % self.count)
            world.promote(f"1.{self.count}.0", "dev")

    @rule(hours=st.sampled_from([1, 30, 50]))
    def wait(self, hours: int) -> None:
        self.true += timedelta(hours=hours)

    @precondition(lambda self: self.count)
    @rule(back=st.integers(0, 1), skew=SKEWS)
    def ship_it(self, back: int, skew: timedelta) -> None:
        """Approve and promote to prod, by the step that comes next, as soon as the soak is over."""
        version = f"1.{max(1, self.count - back)}.0"
        with self.act() as world:
            world.approve(version, "prod", "ann")
        with self.act(skew) as world:
            world.promote(version, "prod", share=next_step(world.state, world.state.channel("prod")))

    @rule()
    def roll_back(self) -> None:
        with self.act() as world:
            world.rollback("prod")

    @precondition(lambda self: self.count)
    @rule(back=st.integers(0, 1))
    def revoke(self, back: int) -> None:
        version = f"1.{max(1, self.count - back)}.0"
        with self.act() as world:
            made = promotion.revoke(
                world.store, world.ledger, version, kind="artifact", reason="bad", signer=signer("aud"), now=world.now
            )
            self.gone.setdefault(version, made.number or 0)

    @rule()
    def revoke_approvals(self) -> None:
        """All that were handed in, by what was signed."""
        for raw in self.approvals():
            with self.act() as world:
                made = promotion.revoke(
                    world.store, world.ledger, sha256(raw), kind="attestation", reason="mistaken", signer=signer("aud"),
                    now=world.now,
                )  # fmt: skip
                self.gone.setdefault(_payload(raw), made.number or 0)

    @rule(hours=st.sampled_from([1, 60]))
    def let_pam_end(self, hours: int) -> None:
        """The owners let a promoter end; paul goes on."""
        ends = self.true + timedelta(hours=hours)
        with self.act() as world:
            people = world.state.require_trust_root().identities
            world.next_root(identities=tuple(replace(e, valid_until=ends) if e.name == "pam" else e for e in people))
            self.ended["pam"] = max(ends, self.ended.get("pam", ends))

    @rule(channel=st.sampled_from(["dev", "prod"]))
    def publish(self, channel: str) -> None:
        with self.act() as world:
            if world.publish(channel, str(self.folder / "public")).staged:
                self.witness()
                world.publish(channel, str(self.folder / "public"))
            copy = self.folder / f"copy-{len(self.copies)}"
            shutil.copytree(self.folder / "public", copy)
            self.copies.append(copy)
            self.honest_look(channel)

    def witness(self) -> None:
        """The honest one looks at what is published, and writes its line there."""
        public = str(self.folder / "public")
        first = self.world.state.trust_roots[0].digest
        settings = WitnessSettings((public,), str(self.folder / "w1"), public, first_trust_root=first)
        report = witnessing.run(settings, signer("w1"), now=self.true)
        self.signed.add((report.size, report.root_hash))

    @rule(skew=SKEWS)
    def season(self, skew: timedelta) -> None:
        """All the way, and out."""
        self.bring(skew)
        self.publish("dev")
        self.wait(50)
        self.ship_it(0, timedelta(0))
        self.publish("prod")

    def honest_look(self, channel: str) -> None:
        """The consumer who comes again takes what is published."""
        with contextlib.suppress(CasstoreError):
            self.check(self.look(str(self.folder / "public"), channel, again=True), channel)

    # the attacker

    def approvals(self) -> list[bytes]:
        """All that the ledger ever took in."""
        found = []
        for entry in self.world.ledger.entries():
            if entry.kind is EntryKind.EVIDENCE:
                raw = self.world.store.read(entry.statement)
                if b"approval" in base64.b64decode(json.loads(raw)["dsseEnvelope"]["payload"]):
                    found.append(raw)
        return found

    @precondition(lambda self: "pam" in self.keys and self.count)
    @rule(
        back=st.integers(0, 1),
        days=st.sampled_from([-40, -1.75, 0, 3]),
        anew=st.booleans(),
        share=st.sampled_from([None, 5, 50]),
    )
    def move_by_hand(self, back: int, days: float, anew: bool, share: int | None = None) -> None:
        """A move with a clock of one's choice, and approvals written anew; nobody judges it before it is appended."""
        self.world.now = self.true + timedelta(days=days)
        approvals = self.approvals()
        if anew:
            approvals = [json.dumps(json.loads(raw), indent=1).encode() for raw in approvals]
        digests = tuple(sorted(self.world.store.put_bytes(raw) for raw in approvals))
        raw = self._move(f"1.{max(1, self.count - back)}.0", self.world.state, digests, share=share)
        if raw is not None:
            self.world.force(EntryKind.PROMOTE, raw, "prod")
            self.note()

    def _move(
        self, version: str, state: LedgerState, evidence: tuple[Digest, ...], by: str = "pam", share: int | None = None
    ) -> bytes | None:
        if version not in state.versions:
            return None
        claim = promotions.Promotion(
            store=state.store, ledger="main", action="promote", channel="prod", from_move=state.channel("prod").move,
            release=version, time=self.world.now, trust_root=state.require_trust_root().digest, evidence=evidence,
            share=share,
        )  # fmt: skip
        subjects = {"release": state.versions[version]}
        return signer(by).sign_statement(statements.of_digests(subjects, promotions.TYPE, claim.to_json()).to_bytes())

    @precondition(lambda self: "aud" in self.keys)
    @rule(who=st.sampled_from(["ci", "pam", "log", "olga"]))
    def revoke_alone(self, who: str) -> None:
        self.world.now, identity = self.true, signer(who).identity
        claim = revocation.Revocation("identity", "x", self.world.now).to_json()
        said = statements.of_digests({identity: identity_digest(identity)}, revocation.TYPE, claim)
        self.world.force(EntryKind.REVOKE, signer("aud").sign_statement(said.to_bytes()))
        self.note()

    @rule()
    def besiege(self) -> None:
        """Everything that was ever public, put together in every way; and what the ledger took."""
        with self.act() as world:
            ledger_checkpoints.make(world.store, world.ledger, signer=signer("log"), now=world.now)
        self.check_ledger()
        for copy in self.copies[-3:]:
            for channel in CHANNELS:
                self.attempt(str(copy), channel)
        if not self.copies:
            return
        public = Public.of(self.copies[-1])
        for number in range(self.count, max(0, self.count - 2), -1):
            for place, drop in enumerate(DROPS):
                kit = self.folder / f"kit-{number}-{place}.tar"
                with contextlib.suppress(ValueError, KeyError, CasstoreError):
                    public.kit(kit, "prod", f"1.{number}.0", drop=drop, old_leaves=place == 3)
                    self.attempt(str(kit), "prod")
            if "log" in self.keys:
                self.fork(number)
        if "log" in self.keys:
            self.seal_anew()

    def fork(self, number: int) -> None:
        """A ledger of one's own after the public one: a move, sealed as the head of prod, nothing revoked in it."""
        public, version, state = Public.of(self.copies[-1]), f"1.{number}.0", self.world.state
        raw = self._move(version, state, (), "pam" if "pam" in self.keys else "log")
        if raw is None:
            return
        move = self._appended(public, EntryKind.PROMOTE, raw, "prod")
        said = {"digest": move.digest, "number": move.number}
        row = {"brought": said, "move": {**said, "kind": "promote"}, "pinned": False}
        rows = {name: value for name, value in state_rows(state).items() if not name.startswith(("revoked/", "void/"))}
        rows |= {"channel/prod": {**row, "release": state.versions[version], "version": version}}
        leaves = self._sealed(public, rows, state)
        with contextlib.suppress(ValueError, KeyError, CasstoreError):
            record = replace(public.record("dev", version), channel="prod", move_number=move.number, move=move.digest)
            kit = self.folder / f"fork-{number}.tar"
            public.kit(kit, "prod", version, record=record, leaves=leaves)
            self.attempt(str(kit), "prod", forged=True)

    def seal_anew(self) -> None:
        """The public entries, and a seal by the ledger's key that nobody else has seen: true, and unwitnessed."""
        public = Public.of(self.copies[-1])
        entries = [formats.parse(raw) for raw in public.raws]
        state = fold(start(self.world.store.store_id, "main"), entries, self.world.store)
        version = state.channel("prod").version
        leaves = self._sealed(public, state_rows(state), state)
        with contextlib.suppress(ValueError, KeyError, CasstoreError):
            kit = self.folder / f"anew-{len(public.raws)}.tar"
            public.kit(kit, "prod", version, record=public.record("prod", version), leaves=leaves)
            self.attempt(str(kit), "prod")

    def _sealed(self, public: Public, rows: Mapping[str, Any], state: LedgerState) -> Iterable[bytes]:
        """A seal over any rows at the end of the public entries, and a checkpoint; the leaves of the rows."""
        trie = state_trie.build(rows)
        root, before = state.require_trust_root(), state.sealed.number if state.sealed else None
        tip = sha256(public.raws[-1])
        where = state.store, "main", 2, len(public.raws), tip, self.true, root.digest, root.version
        claim = seals.Seal(*where, trie.root, trie.root, before, self.true)
        payload = statements.of_digests(claim.subjects, seals.TYPE, claim.to_json()).to_bytes()
        self._appended(public, EntryKind.SEAL, signer("log").sign_statement(payload), None)
        origin, log = ledger_checkpoints.origin(state.store, "main"), signer("log")
        note = Checkpoint(origin, len(public.raws), merkle.MemoryTree(public.raws).root())
        public.checkpoint = checkpoints.sign(note, origin, log.public_pem, log.sign_bytes)
        return trie.blobs.values()

    def _appended(self, public: Public, kind: EntryKind, statement: bytes, channel: str | None) -> formats.Entry:
        number, last = len(public.raws), sha256(public.raws[-1])
        made = formats.make(number, last, "0" * 32, self.true, kind, sha256(statement), channel=channel)
        public.raws.append(made.raw)
        public.blobs[sha256(statement)] = statement
        return made

    # the laws

    def look(self, source: str, channel: str, *, again: bool) -> VerifyReport:
        state = self.folder / ("again" if again else f"fresh-{len(list(self.folder.iterdir()))}")
        trust = TrustSettings(str(state), self.world.state.trust_roots[0].digest)
        return verify(source, channel, trust=trust, at=self.true, offline=source.endswith(".tar"))

    def attempt(self, source: str, channel: str, *, forged: bool = False) -> None:
        for again in (True, False):
            with contextlib.suppress(CasstoreError):
                self.check(self.look(source, channel, again=again), channel, forged=forged, again=again)

    def check(self, report: VerifyReport, channel: str, *, forged: bool = False, again: bool = False) -> None:
        found = report.verified.channel
        if forged:
            raise Broken(f"{channel} {found.version} was accepted without promoter or approver")
        if self.witnessed and (found.checkpoint_size, found.root_hash) not in self.signed:
            raise Broken(f"{channel} {found.version} was accepted under a checkpoint that no witness signed")
        entries = list(self.world.ledger.entries())[: found.checkpoint_size]
        told = fold(start(self.world.store.store_id, "main"), entries, self.world.store)
        if channel not in told.channels or told.channels[channel].version != found.version:
            raise Broken(f"{channel} {found.version} was accepted, the ledger says another one")
        runs, canary = told.channels[channel].canary_moves, found.canary
        comes = None if not runs else (runs[-1].version, runs[-1].share, runs[0].entry)
        given = None if canary is None else (canary.channel.version, canary.share, canary.began)
        if given != comes and not (found.canary_withdrawn and given is None):
            raise Broken(f"{channel} was accepted with {given} for a share, the ledger says {comes}")
        for version in (found.version, *([] if canary is None else [canary.channel.version])):
            revoked = self.gone.get(version)
            if revoked is not None and revoked < max(found.checkpoint_size, self.seen if again else 0):
                raise Broken(f"{channel} {version} was accepted, entry {revoked} revokes it")
        self.seen = max(self.seen, found.checkpoint_size if again else 0)

    def check_ledger(self) -> None:
        state = self.world.state
        people = {identity for root in state.trust_roots for identity in (e.identity for e in root.identities)}
        if state.revoked & people:
            raise Broken("an identity was revoked, by an auditor alone")
        marks = sorted(n for n, e in enumerate(self.world.ledger.entries()) if e.kind is EntryKind.SEAL)
        held = [number for number in marks if number not in state.codes]
        for move in state.channels["prod"].history if "prod" in state.channels else ():
            after = [number for number in held if number > move.number]
            if move.kind == "promote" and after:
                self._check_move(state, move, [0, *(n for n in held if n < move.number)], after[0])
        if self.shared and "prod" in state.channels:
            self._check_steps(state.channels["prod"].history, held)

    def _check_steps(self, history: Sequence[Move], held: list[int]) -> None:
        """After the first release each comes to 5 %, and after ten hours to all."""
        for before, move in pairwise(history):
            if move.kind != "promote":
                continue
            if (before.share, move.share) not in ((None, 5), (5, None)) or (
                before.share and before.release != move.release
            ):
                raise Broken(f"entry {move.number}: {move.version} for {move.share} after {before.share}")
            after = [number for number in held if number > move.number]
            began = max((number for number in held if number < before.number), default=0)
            if before.share and after and self.when[after[0]] - self.when[began] < STEP:
                raise Broken(f"entry {move.number}: the soak of a share was over too early")

    def _check_move(self, state: LedgerState, move: Move, before: list[int], after: int) -> None:
        dev = max(
            m.number for m in state.channels["dev"].history if m.release == move.release and m.number < move.number
        )
        began = max((n for n in before if n < dev), default=0)
        if self.when[after] - self.when[began] < SOAK:
            raise Broken(
                f"entry {move.number}: the soak of 48 hours was over after {self.when[after] - self.when[began]}"
            )
        ends = self.ended.get("pam")
        if ends is not None and move.by == signer("pam").identity and self.when[before[-1]] >= ends:
            raise Broken(f"entry {move.number}: moved by a promoter who had ended at the seal before")
        known = [_payload(raw) for raw in map(self.world.store.read, move.evidence) if b"sigstore" in raw]
        good = [one for one in known if move.number <= self.gone.get(one, move.number)]
        if not good:
            raise Broken(f"entry {move.number}: all that it leans on was revoked before")


def _payload(raw: bytes) -> str:
    """What was signed, by its own sha256."""
    return sha256(base64.b64decode(json.loads(raw)["dsseEnvelope"]["payload"]))
