"""Who holds the key of the role `ledger`, and the mirror: can withhold, moves no channel, and is seen by every fold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attest.digests import Digest, sha256
from attest.errors import VerificationError
from attest.log import checkpoints, merkle, state_trie
from attest.log.checkpoints import Checkpoint
from attest.statements import statements
from attest.statements.predicates import promotion
from attest.statements.predicates import seal as seals
from bundlers.consuming.service import TrustSettings, verify
from casstore import promotion as services
from casstore.errors import SealDisputed
from casstore.ledger import checkpoints as ledger_checkpoints
from casstore.ledger import entries as formats
from casstore.ledger import sealed_states, sealing
from casstore.ledger.book.cache import EntryCache
from casstore.ledger.book.log import Ledger
from casstore.ledger.entries import Entry, EntryKind
from casstore.ledger.folding import replay, replay_whole
from casstore.ledger.states.rows import state_rows, tries_of
from casstore.ledger.states.state import start
from tests.support.adversary import Public
from tests.support.published import PublishedWorld
from tests.support.worlds import identity, signer

FULL = sha256(b"full")


@pytest.fixture
def world(tmp_path: Path) -> PublishedWorld:
    """1.0.0 is in prod and published; 1.1.0 is published in dev."""
    made = PublishedWorld.make(str(tmp_path / "store"))
    made.ship("1.0.0")
    made.to_prod("1.0.0")
    made.publish("prod", str(tmp_path / "public"))
    made.ship("1.1.0", content=b"x")
    made.promote("1.1.0", "dev")
    made.publish("dev", str(tmp_path / "public"))
    return made


def _seal(world: PublishedWorld, size: int, tip: Digest, state: Digest, full: Digest = FULL) -> bytes:
    now = world.state
    root = now.require_trust_root()
    before = now.sealed.number if now.sealed else None
    where = now.store, now.ledger, 2, size, tip, world.now, root.digest, root.version
    claim = seals.Seal(*where, state, full, before, world.now)
    payload = statements.of_digests(claim.subjects, seals.TYPE, claim.to_json()).to_bytes()
    return signer("log").sign_statement(payload)


class _Fork:
    """A ledger of one's own after the public one: entries, a seal over any rows, a checkpoint."""

    def __init__(self, world: PublishedWorld, public: Public) -> None:
        self.world, self.public = world, public

    def append(self, kind: EntryKind, statement: bytes, channel: str | None = None) -> Entry:
        number, last = len(self.public.raws), sha256(self.public.raws[-1])
        made = formats.make(number, last, "0" * 32, self.world.now, kind, sha256(statement), channel=channel)
        self.public.raws.append(made.raw)
        self.public.blobs[sha256(statement)] = statement
        return made

    def close(self, rows: Mapping[str, Any]) -> Mapping[Digest, bytes]:
        trie = state_trie.build(rows)
        raws = self.public.raws
        self.append(EntryKind.SEAL, _seal(self.world, len(raws), sha256(raws[-1]), trie.root))
        origin = ledger_checkpoints.origin(self.world.store.store_id, "main")
        note = Checkpoint(origin, len(raws), merkle.MemoryTree(raws).root())
        log = signer("log")
        self.public.checkpoint = checkpoints.sign(note, origin, log.public_pem, log.sign_bytes)
        return trie.blobs


def _trees(world: PublishedWorld) -> list[bytes]:
    """What anybody can make of the archives."""
    store = world.store
    trees = [tree for made in world.made.values() for tree in made.components.values()]
    below = [entry.content for tree in trees for _, entry in store.walk_all(tree) if entry.kind == "dir"]
    return [store.read(digest) for digest in (*trees, *below)]


@pytest.mark.parametrize("by", ["log", "pam"])
def test_a_seal_alone_moves_no_channel(world: PublishedWorld, tmp_path: Path, by: str) -> None:
    """A move of one's own, sealed as the head of prod; with the promoter's key too, the approvals are missing."""
    fork = _Fork(world, Public.of(tmp_path / "public"))
    state = world.state
    claim = promotion.Promotion(
        store=state.store,
        ledger="main",
        action="promote",
        channel="prod",
        from_move=state.channel("prod").move,
        release="1.1.0",
        time=world.now,
        trust_root=state.require_trust_root().digest,
        evidence=(),
    )
    release = world.made["1.1.0"].digest
    payload = statements.of_digests({"release": release}, promotion.TYPE, claim.to_json()).to_bytes()
    move = fork.append(EntryKind.PROMOTE, signer(by).sign_statement(payload), "prod")
    said = {"digest": move.digest, "number": move.number}
    row = {"brought": said, "move": {**said, "kind": "promote"}, "pinned": False}
    rows = {**state_rows(state), "channel/prod": {**row, "release": release, "version": "1.1.0"}}
    leaves = fork.close(rows)
    record = replace(fork.public.record("dev", "1.1.0"), channel="prod", move_number=move.number, move=move.digest)
    beside = {"leaves": leaves.values(), "objects": _trees(world)}
    kit = fork.public.kit(tmp_path / "forged.tar", "prod", "1.1.0", record=record, **beside)
    with pytest.raises(VerificationError, match=r"role 'promoter'|0 of 2 approvals") as caught:
        verify(str(kit), "prod", trust=TrustSettings(str(tmp_path / "st")), at=world.now, offline=True)
    assert caught.value.exit_code == 3


def test_a_lie_that_withholds_is_seen_by_every_fold(world: PublishedWorld, tmp_path: Path) -> None:
    """The revocation is left out of the rows. Nobody moves or publishes until the owners have settled it."""
    services.revoke(
        world.store, world.ledger, "1.1.0", kind="artifact", reason="leaked", signer=signer("aud"), now=world.now
    )
    state = world.state
    rows = {name: value for name, value in state_rows(state).items() if not name.startswith("revoked/")}
    lie = _seal(world, state.count, state.tip, state_trie.build(rows).root)
    assert "add up to" in world.force(EntryKind.SEAL, lie)
    found = world.state.disputed
    assert found is not None and found.number == state.count and world.state.codes[state.count] == "seal"
    for act in (
        lambda: world.promote("1.0.0", "dev"),
        lambda: world.publish("prod", str(tmp_path / "public")),
        lambda: ledger_checkpoints.make(world.store, world.ledger, signer=signer("log"), now=world.now),
    ):
        with pytest.raises(SealDisputed, match=f"entry {found.number} names the state") as caught:
            act()
        assert caught.value.exit_code == 7
    services.revoke(
        world.store, world.ledger, "1.0.0", kind="artifact", reason="that too", signer=signer("aud"), now=world.now
    )
    entries = world.state.require_trust_root().identities
    world.next_root(identities=tuple(identity("log", "log#2") if e.name == "log" else e for e in entries))
    assert world.state.disputed is None


def test_who_has_not_the_role_disputes_nothing(world: PublishedWorld) -> None:
    state = world.state
    stranger = seals.Seal(
        state.store,
        "main",
        2,
        state.count,
        state.tip,
        world.now,
        state.require_trust_root().digest,
        1,
        sha256(b""),
        sha256(b""),
        state.sealed.number if state.sealed else None,
        world.now,
    )
    payload = statements.of_digests(stranger.subjects, seals.TYPE, stranger.to_json()).to_bytes()
    world.force(EntryKind.SEAL, signer("pam").sign_statement(payload))
    assert world.state.disputed is None and world.state.codes[state.count] == "signer"


def _kept_lie(world: PublishedWorld, **changes: Any) -> int:
    """The ledger key and the store's folder: a seal over a state with these changes, and that state beside it."""
    state = world.state
    lie = replace(state, tries=None, epoch=None, **changes)
    made = tries_of(lie)
    world.force(EntryKind.SEAL, _seal(world, state.count, state.tip, made.state_root, made.full_root))
    sealed_states.keep(world.store.storage, replace(lie, tries=made))
    return state.count


def _new(world: PublishedWorld) -> Ledger:
    """That of a machine which has folded nothing."""
    return Ledger(world.store, cache=EntryCache())


def test_a_lie_that_a_new_machine_begins_at_is_signed_on_by_nobody(world: PublishedWorld, tmp_path: Path) -> None:
    """That nothing was handed in about 1.1.0: a machine that has folded nothing believes it.

    It may append what others call void. What is signed for others, proven or taken away is folded from the first entry.
    """
    release = world.made["1.1.0"].digest
    statement = statements.of_digests({"release": release}, "https://example.org/scan/v1", {"found": 1}).to_bytes()
    world.append(EntryKind.EVIDENCE, signer("aud").sign_statement(statement))
    assert release in world.state.evidence
    number = _kept_lie(world, evidence=start(world.store.store_id, "main").evidence)
    believed = replay(_new(world), world.store)
    assert believed.begun == number and release not in believed.evidence
    for act in (
        lambda: sealing.seal(world.store, _new(world), signer=signer("log"), now=world.now),
        lambda: ledger_checkpoints.make(world.store, _new(world), signer=signer("log"), now=world.now),
    ):
        with pytest.raises(SealDisputed, match=f"entry {number} names the state"):
            act()
    assert release in replay_whole(_new(world), world.store).evidence


@pytest.mark.parametrize("hidden", ["a release", "an identity, of which less is said", "who it is", "itself"])
def test_no_seal_hides_from_a_new_machine_what_counts_no_more(world: PublishedWorld, hidden: str) -> None:
    """Each entry that takes something back is looked for in the ledger itself, and said as it says."""
    about = {"reason": "leaked", "now": world.now}
    services.revoke(world.store, world.ledger, "1.1.0", kind="artifact", signer=signer("aud"), **about)  # type: ignore[arg-type]
    world.revoke_identity("log" if hidden == "itself" else "bob", reason="left")
    first, second = world.state.revocations
    lies: dict[str, dict[str, Any]] = {
        "a release": {"revocations": (second,), "revoked": frozenset({second.name})},
        "an identity, of which less is said": {
            "revocations": (first, replace(second, from_entry=1)),
            "revoked": frozenset({first.name}),
            "limited": {second.name: 1},
        },
        "who it is": {
            "revocations": (first, replace(second, name="key:sha256:00")),
            "revoked": frozenset({first.name, "key:sha256:00"}),
        },
        "itself": {"revocations": (first,), "revoked": frozenset({first.name})},
    }
    _kept_lie(world, **lies[hidden])
    found = replay(_new(world), world.store)
    assert found.begun is None and {first.name, second.name} <= found.revoked


def test_a_ledger_key_that_has_ended_hides_no_trust_root(world: PublishedWorld) -> None:
    before = world.state
    entries = before.require_trust_root().identities
    world.next_root(identities=tuple(identity("log", "log#2") if e.name == "log" else e for e in entries))
    roots = {name: getattr(before, name) for name in ("trust_roots", "trust_root_files", "trust_root_entries")}
    _kept_lie(world, **roots)
    found = replay(_new(world), world.store)
    assert found.begun is None and found.require_trust_root().version == 2
    assert list(found.codes.values()) == ["signer"]
