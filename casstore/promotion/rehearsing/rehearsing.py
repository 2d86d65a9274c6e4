"""What is played, and its signed record."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import field
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import Any

from attest import digests
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import CasstoreError
from attest.signers import Signer
from attest.statements import statements
from attest.statements.predicates import rehearsal
from attest.statements.predicates.rehearsal import FAILED, PASSED, Step
from casstore import promotion
from casstore.errors import NoSuchObject, StoreDamaged
from casstore.ledger import release_objects
from casstore.ledger.book.log import Ledger
from casstore.ledger.commit import commit
from casstore.ledger.entries import EntryKind
from casstore.ledger.folding import fold, replay, replay_all, replay_whole
from casstore.ledger.states.state import LedgerState
from casstore.ledger.states.views import ReleaseInfo
from casstore.promotion.moves import earlier_release
from casstore.promotion.rehearsing.clone import Clone, cloned
from casstore.promotion.services import require_role
from casstore.store.attestations import put_attestation
from casstore.store.store import Store

_PROMOTER = frozenset({"promoter"})
_REASON = "rehearsal"


@dataclass(frozen=True, slots=True)
class RehearsalReport:
    """How it went."""

    channel: str
    version: str
    """The release that was promoted, or rolled back from."""
    back: str
    """The version that the rollback came to; empty where there was nothing to go back to."""
    result: str
    seconds: float
    steps: tuple[Step, ...]
    attestation: Digest
    number: int
    """Its ledger entry."""
    error: CasstoreError | None = None
    """Why it failed."""

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "channel": self.channel,
            "version": self.version,
            "back": self.back or None,
            "result": self.result,
            "seconds": round(self.seconds, 3),
            "steps": [step.to_json() for step in self.steps],
            "attestation": self.attestation,
            "entry": self.number,
        }


@dataclass(slots=True)
class _Play:
    """Plays steps, timed; the first one that fails ends it."""

    steps: list[Step] = field(default_factory=list)

    def step(self, name: str, act: Callable[[], str]) -> None:
        began = time.monotonic()
        try:
            outcome = act()
        except CasstoreError as exc:
            self.steps.append(Step(name, exc.message, _since(began)))
            raise
        self.steps.append(Step(name, outcome, _since(began)))


def _since(began: float) -> int:
    return math.ceil((time.monotonic() - began) * 1000)


def rehearse(
    store: Store,
    ledger: Ledger,
    channel: str,
    *,
    signer: Signer,
    now: datetime,
    release: str | None = None,
    anew: bool = False,
    sigstore_root: bytes | None = None,
) -> RehearsalReport:
    """Play it, sign how it went, append that to the real ledger; a failure is recorded too.

    `anew` folds the ledger from its first entry, and believes nothing that this user folded before.

    Raises NoSuchObject (no such channel, nothing to play with), PolicyDenied (the signer is no promoter).
    """
    state = (replay_all if anew else replay_whole)(ledger, store, sigstore_root=sigstore_root)
    require_role(state, signer, _PROMOTER, now)
    played, back = _cast(state, channel, release)
    play, error, began = _Play(), None, time.monotonic()
    try:
        _perform(store, ledger, state, channel, played, back, now, play, anew, sigstore_root)
    except CasstoreError as exc:
        error = exc
    seconds = time.monotonic() - began
    claim = rehearsal.Rehearsal(
        state.store,
        state.ledger,
        channel,
        state.count - 1,
        back.digest if back else None,
        FAILED if error else PASSED,
        math.ceil(seconds),
        tuple(play.steps),
        now,
    )
    statement = statements.of_digests({"release": played.digest}, rehearsal.TYPE, claim.to_json())
    attestation = put_attestation(store, signer.sign_statement(statement.to_bytes()))
    entry, _ = commit(ledger, store, state, EntryKind.REHEARSAL, attestation, now=now, sigstore_root=sigstore_root)
    return RehearsalReport(
        channel,
        played.version,
        back.version if back else "",
        claim.result,
        seconds,
        claim.steps,
        attestation,
        entry.number,
        error,
    )


def _cast(state: LedgerState, channel: str, ref: str | None) -> tuple[ReleaseInfo, ReleaseInfo | None]:
    """(release to promote or to leave, release to come back to). Raises NoSuchObject."""
    at = state.channel(channel)
    head = state.releases[at.release] if at.release is not None else None
    if ref is not None:
        chosen = state.find_release(ref)
    elif (canary := at.canary) is not None:
        chosen = state.releases[canary.release]
    else:
        before = state.require_trust_root().channels[channel].from_channel
        newer = takewhile(lambda info: info.number > (head.number if head else -1), state.newest_releases())
        fit = (
            info
            for info in newer
            if (before is None or before in state.in_channels(info.digest)) and not state.is_withdrawn(info)
        )
        chosen = next(fit, head)  # type: ignore[assignment]
    if chosen is None or (chosen == head and len(at.been) < 2):
        raise NoSuchObject(
            f"channel {channel} has nothing to rehearse with: no release may come to it, and none to go back to",
            hint="name one with --release, or promote one to the channel before it",
        )
    return (chosen, head) if chosen != head else (chosen, state.releases[earlier_release(state, at.name)])


def _perform(
    store: Store,
    ledger: Ledger,
    state: LedgerState,
    channel: str,
    played: ReleaseInfo,
    back: ReleaseInfo | None,
    now: datetime,
    play: _Play,
    anew: bool,
    sigstore_root: bytes | None,
) -> None:
    began = time.monotonic()
    with cloned(store, ledger, state, channel, now=now, sigstore_root=sigstore_root) as clone:
        read = "read again from the first" if anew else "as they were folded here"
        play.steps.append(Step("clone", f"{clone.before.count} entries, {read}", _since(began)))
        tip = digests.short(clone.before.tip)
        play.step("snapshot", lambda: f"entry {clone.before.count - 1}, {tip}")
        stage = _Stage(clone, channel, now, sigstore_root)
        if clone.before.channel(channel).pinned:
            play.step("unpin", stage.unpin)
        if state.channel(channel).release != played.digest:
            play.step("promote", lambda: stage.promote(played))
        if back is not None:
            play.step("rollback", lambda: stage.rollback(back))
        play.step("read", lambda: stage.read(back or played))
        play.step("restore", lambda: stage.restore(back or played))


@dataclass(frozen=True, slots=True)
class _Stage:
    """The acts on the clone, by the same functions that serve the real ledger."""

    clone: Clone
    channel: str
    now: datetime
    sigstore_root: bytes | None

    def unpin(self) -> str:
        """So that it takes a promotion."""
        place = (self.clone.store, self.clone.ledger)
        return promotion.unpin(
            *place, channel=self.channel, signer=self.clone.promoter, now=self.now, reason=_REASON
        ).told

    def promote(self, release: ReleaseInfo) -> str:
        """With the approvals that the policy asks for."""
        self._approve(release, "promote")
        return promotion.promote(
            self.clone.store,
            self.clone.ledger,
            release.digest,
            channel=self.channel,
            signer=self.clone.promoter,
            now=self.now,
            sigstore_root=self.sigstore_root,
        ).told

    def rollback(self, release: ReleaseInfo) -> str:
        """To the release that was there before."""
        self._approve(release, "rollback")
        return promotion.rollback(
            self.clone.store,
            self.clone.ledger,
            release=release.digest,
            channel=self.channel,
            signer=self.clone.promoter,
            now=self.now,
            reason=_REASON,
            sigstore_root=self.sigstore_root,
        ).told

    def read(self, release: ReleaseInfo) -> str:
        """Everything that an install of it needs."""
        store, size = self.clone.store, 0
        made = release_objects.parse(store.read(release.digest))
        for row in made.builds.values():
            store.read(row.product_manifest)
            size += sum(len(piece) for piece in store.chunks(row.archive.digest))
        for digest in (made.checksums, *made.evidence):
            store.read(digest)
        return f"{len(made.builds)} archives, {size} bytes, are what release {release.version} names"

    def restore(self, release: ReleaseInfo) -> str:
        """The snapshot is whole: from the last seal on its entries give the very channels. Raises StoreDamaged."""
        before, ledger, store = self.clone.before, self.clone.ledger, self.clone.store
        after = replay(ledger, store, sigstore_root=self.sigstore_root).channel(self.channel)
        if after.release != release.digest:
            raise StoreDamaged(f"{self.channel} names {after.version} on the clone, not {release.version}")
        sealed = before if before.epoch is None else before.epoch.base()
        entries = islice(ledger.entries(sealed.count), before.count - sealed.count)
        again = fold(sealed, entries, store, sigstore_root=self.sigstore_root)
        if (again.tip, again.channels) != (before.tip, before.channels):
            raise StoreDamaged("the ledger up to the snapshot does not give the channels as they were")
        since = f"from entry {sealed.count} on, " if sealed.count else ""
        return f"the ledger up to the snapshot, {since}gives the channels as they were"

    def _approve(self, release: ReleaseInfo, action: str) -> None:
        policy = self.clone.before.require_trust_root().channels[self.channel]
        needed = max(policy.approvals, bool(release.explained)) if action == "promote" else policy.rollback_approvals
        for who in self.clone.approvers[:needed]:
            promotion.approve(
                self.clone.store,
                self.clone.ledger,
                release.digest,
                channel=self.channel,
                action=action,
                signer=who,
                now=self.now,
                expires=self.now + timedelta(minutes=30),
                sigstore_root=self.sigstore_root,
            )
