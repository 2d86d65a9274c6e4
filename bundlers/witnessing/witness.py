"""One run of a witness: read, compare, compute, remember, sign (docs/formats/witness.md, "What a witness checks").

Promises: of one origin it signs one history only, each checkpoint a continuation of the last one; the memory is on
disk before the line leaves; whatever does not hold is refused and nothing is signed. Leaves to others: comparing
(`histories`), folding (`replica`), what is remembered (`memory`).

    report = run(settings, signer, now=clock.now(), network=guard)
    report.size, report.new
"""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import Any

from attest.core.values import dataclass
from attest.digests import Digest, from_raw, to_raw
from attest.errors import CasstoreError, FormatError, NotInstalled, PolicyDenied, TooNew, VerificationError
from attest.log import checkpoints, cosignatures
from attest.log.checkpoints import Checkpoint
from attest.signers import Signer
from attest.trust.trust_roots import TrustRoot
from attest.trust.witnesses import FOLD, Witness
from bundlers.consuming.ledger_proof import note_keys
from bundlers.consuming.readers import open_reader, read_all
from bundlers.publishing import cosigned
from bundlers.publishing.layout import published_paths
from bundlers.publishing.layout.destinations import Destination, open_destination
from bundlers.witnessing import histories, logs
from bundlers.witnessing.logs import PublishedLog
from bundlers.witnessing.memory import Memory, Remembered
from bundlers.witnessing.replica import Replica
from casstore.errors import NoSuchObject, NoSuchStore, StorageUnavailable
from casstore.network.network import NetworkGuard

_NOTHING_SHOWN = (NoSuchObject, NoSuchStore, StorageUnavailable, FormatError, VerificationError, TooNew, NotInstalled)
"""What one source may show in place of a checkpoint, without any key."""
_RETIRED = "a memory that was lost is not made anew: the owners name another key (keys ceremony draft --witness)"


@dataclass(frozen=True, slots=True)
class WitnessSettings:
    """Where a witness reads, remembers and writes."""

    sources: tuple[str, ...]
    """Publications of the ledger: all of them must be of one history."""
    memory: str
    out: str
    peers: tuple[str, ...] = ()
    """Where other witnesses of this ledger write."""
    first_trust_root: Digest | None = None
    """Needed once, by a new memory."""
    sigstore_root: bytes | None = None


@dataclass(frozen=True, slots=True)
class WitnessReport:
    """What was signed, and what was seen beside."""

    name: str
    kind: str
    size: int
    root_hash: Digest
    new: bool
    """False: it was signed before, and lies at its place."""
    agreeing: tuple[str, ...]
    """Peers whose newest line is of this history."""
    ahead: tuple[str, ...]
    """Peers that signed more than any source shows here."""
    away: tuple[str, ...]
    """Sources that could not be read, or showed nothing that is signed for this ledger, and why."""

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "name": self.name,
            "kind": self.kind,
            "size": self.size,
            "rootHash": self.root_hash,
            "new": self.new,
            "agreeing": list(self.agreeing),
            "ahead": list(self.ahead),
            "away": list(self.away),
        }


def run(
    settings: WitnessSettings, signer: Signer, *, now: datetime, network: NetworkGuard | None = None
) -> WitnessReport:
    """Raises VerificationError, SealDisputed, PolicyDenied, NoSuchObject, ...: then nothing is signed."""
    memory = Memory(settings.memory)
    with memory.locked():
        if found := memory.evidence():
            raise VerificationError(
                f"evidence lies at {found[0]}, so nothing is signed",
                hint="look at it with the owners; take the file away when it is settled",
            )
        return _run(settings, memory, signer, now, network)


def _run(
    settings: WitnessSettings, memory: Memory, signer: Signer, now: datetime, network: NetworkGuard | None
) -> WitnessReport:
    before = memory.load()
    newest, others, away = _open(settings, before, now, network)
    own = _own(newest.root, signer)
    _check_same(before, newest, own, signer)
    destination = open_destination(settings.out, network=network)
    _check_not_lost(destination, own, before)
    for log in others:
        histories.check_continues(newest, log.checkpoint, log.note, memory, now)
    replica, root = None, newest.root
    with contextlib.ExitStack() as stack:
        if own.kind == FOLD:
            replica = stack.enter_context(Replica.open(memory, newest, settings.sigstore_root))
        _check_grown(newest, before, replica, memory, now)
        smaller = [log for log in others if log.size < newest.size]
        if replica is not None:
            state = replica.follow(now=now)
            root, smaller = state.require_trust_root(), [x for x in smaller if replica.ends_in_seal(x, state, now)]
            own = _own(root, signer)
            _check_same(before, newest, own, signer)
        agreeing, ahead = _ask_peers(settings, newest, own, memory, now, network)
        new = before is None or before.size < newest.size
        after = before if before is not None and not new else _signed(newest, root, own, signer, now)
        memory.save(after)
        if replica is not None:
            replica.keep()  # after the memory, without which a copy that has entries is a memory that was lost
    _show(destination, own, after)
    for log in smaller:
        _show_smaller(destination, own, log, signer, now)
    told = tuple(f"{url}: {why}" for url, why in away)
    return WitnessReport(own.name, own.kind, after.size, after.root_hash, new, agreeing, ahead, told)


def _open(
    settings: WitnessSettings, before: Remembered | None, now: datetime, network: NetworkGuard | None
) -> tuple[PublishedLog, list[PublishedLog], list[tuple[str, str]]]:
    """The source that shows most, the others, and those that stay away."""
    first = before.first_trust_root if before else settings.first_trust_root
    if first is None:
        raise PolicyDenied(
            "this witness has no memory yet, and no trust root to begin with",
            hint="give --trust-root DIGEST, the digest of trust root 1, as the owners tell it",
        )
    if settings.first_trust_root not in (None, first):
        raise VerificationError(f"trust root 1 is {first} in this memory, not {settings.first_trust_root}")
    found: list[PublishedLog] = []
    away: list[tuple[str, CasstoreError]] = []
    for url in settings.sources:
        try:
            log = logs.open_log(url, network=network, first=first, at=now, sigstore_root=settings.sigstore_root)
            found.append(_of_same_ledger(log, before.ledger if before else found[0].ledger if found else log.ledger))
        except _NOTHING_SHOWN as exc:
            away.append((url, exc))
    if not found or (before is None and away and away[0][0] == settings.sources[0]):
        raise away[0][1]  # a new memory is of the ledger that the first source shows
    newest = max(found, key=lambda log: log.size)
    return newest, [log for log in found if log is not newest], [(url, exc.message) for url, exc in away]


def _of_same_ledger(log: PublishedLog, ledger: str) -> PublishedLog:
    if log.ledger != ledger:
        raise VerificationError(f"{log.url}: publishes the ledger {log.ledger}, not {ledger}")
    return log


def _own(root: TrustRoot, signer: Signer) -> Witness:
    """The entry of this key in a trust root. Raises PolicyDenied."""
    known = root.witnesses.keys if root.witnesses else ()
    for one in known:
        if one.identity == signer.identity:
            return one
    raise PolicyDenied(
        f"this key is no witness of trust root {root.version}",
        hint=f"its witnesses: {', '.join(one.name for one in known) or 'none'}; the owners name one by keys ceremony",
    )


def _check_same(before: Remembered | None, log: PublishedLog, own: Witness, signer: Signer) -> None:
    """The memory is that of this ledger and key, and the trust roots only grew."""
    if before is None:
        return
    said = (before.store, before.ledger, before.key, before.kind)
    if said != (log.root.store, log.ledger, signer.identity, own.kind):
        raise VerificationError(
            f"this memory is of the ledger {before.ledger} of store {before.store}, the key {before.key} and the kind"
            f" {before.kind}",
            hint="each ledger, key and kind needs a memory of its own",
        )
    version = before.trust_root_version
    if len(log.roots) < version or log.roots[version - 1].digest != before.trust_root:
        raise VerificationError(
            f"{log.url}: its trust root {version} is not the one that was seen before", hint="nothing was signed"
        )


def _check_not_lost(destination: Destination, own: Witness, before: Remembered | None) -> None:
    """What this key signed by its own place is remembered. Raises VerificationError."""
    note = cosigned.small(destination)(published_paths.newest_cosignature_path(own.key_id))
    if note is None:
        return
    try:
        shown = checkpoints.parse(note)[0]
        cosignatures.time_of(note, own.key, shown)
    except CasstoreError:
        return  # somebody else's bytes, which `_show` replaces
    if before is None or before.size < shown.size:
        raise PolicyDenied(
            f"this key signed a checkpoint over {shown.size} entries, which its memory does not know", hint=_RETIRED
        )


def _check_grown(
    log: PublishedLog, before: Remembered | None, replica: Replica | None, memory: Memory, now: datetime
) -> None:
    """The log goes on from what was signed last. Raises VerificationError."""
    if before is None:
        return
    signed = Checkpoint(log.checkpoint.origin, before.size, to_raw(before.root_hash))
    if log.size >= before.size:
        histories.check_continues(log, signed, before.note, memory, now)
        return
    raws = replica.first(before.size) if replica is not None else None
    if raws is not None and histories.root_of_entries(raws) == signed.root:
        histories.check_begins(raws, log.checkpoint, log.url, log.note, before.note, memory, now)
    raise VerificationError(
        f"{log.url}: shows {log.size} entries, {before.size} were signed before",
        hint="an older state is served: nothing was signed; give a source that is newer",
    )


def _ask_peers(
    settings: WitnessSettings,
    log: PublishedLog,
    own: Witness,
    memory: Memory,
    now: datetime,
    network: NetworkGuard | None,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(peers of this history, peers that are ahead). Raises VerificationError where one signed another history."""
    agreeing, ahead = set[str](), set[str]()
    others = [one for one in (log.root.witnesses.keys if log.root.witnesses else ()) if one.name != own.name]
    for url in settings.peers:
        for one in others:
            note = _peer_note(url, one, log, now, network)
            if note is None:
                continue
            shown = checkpoints.parse(note)[0]
            if shown.size > log.size:
                ahead.add(one.name)
                continue
            histories.check_continues(log, shown, note, memory, now)
            agreeing.add(one.name)
    return tuple(sorted(agreeing)), tuple(sorted(ahead))


def _peer_note(url: str, one: Witness, log: PublishedLog, now: datetime, network: NetworkGuard | None) -> bytes | None:
    """The newest note of a peer, signed by it and by the ledger; None where there is none."""
    path = published_paths.newest_cosignature_path(one.key_id)
    try:
        note = read_all(open_reader(url, network=network), path, max_bytes=checkpoints.MAX_NOTE)
        origin = log.checkpoint.origin
        known = [key for root in log.roots for key in note_keys(root, origin, now)]
        shown = checkpoints.verify(note, origin=origin, known=known).checkpoint
        cosignatures.time_of(note, one.key, shown)
    except CasstoreError:
        return None
    return note


def _signed(log: PublishedLog, root: TrustRoot, own: Witness, signer: Signer, now: datetime) -> Remembered:
    note = cosignatures.cosign(log.note, own.key, signer.sign_bytes, at=now)
    return Remembered(
        name=own.name,
        kind=own.kind,
        key=signer.identity,
        store=root.store,
        ledger=log.ledger,
        first_trust_root=log.roots[0].digest,
        trust_root_version=root.version,
        trust_root=root.digest,
        size=log.size,
        root_hash=from_raw(log.checkpoint.root),
        note=note,
    )


def _show_smaller(destination: Destination, own: Witness, log: PublishedLog, signer: Signer, now: datetime) -> None:
    """What another source shows is of the same history, and waits for lines of its own."""
    known = log.root.witnesses.keys if log.root.witnesses else ()
    if own in known and cosigned.line(cosigned.small(destination), own, log.checkpoint) is None:
        note = cosignatures.cosign(log.note, own.key, signer.sign_bytes, at=now)
        destination.point(published_paths.cosignature_path(log.size, own.key_id), note)


def _show(destination: Destination, own: Witness, signed: Remembered) -> None:
    """The line at its places; a line that lies there already is left, anything else is replaced."""
    checkpoint = checkpoints.parse(signed.note)[0]
    if cosigned.line(cosigned.small(destination), own, checkpoint) is None:
        destination.point(published_paths.cosignature_path(signed.size, own.key_id), signed.note)
    newest = published_paths.newest_cosignature_path(own.key_id)
    if cosigned.small(destination)(newest) != signed.note:
        destination.point(newest, signed.note)
