"""What a publication keeps of the one before: other channels that it showed, and releases that may still be had.

A channel that moved on, was withdrawn or shows what was revoked takes its files with it, unless another one shows
them too.

    targets = carried(store, state, history, "prod", last, gathered, numbers, now)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from attest.digests import hex_of
from attest.statements.predicates.publication import Publication
from bundlers.publishing.layout import published_paths
from bundlers.publishing.layout.records import ChannelRecord
from bundlers.publishing.layout.tuf_repository import TargetInfo
from bundlers.publishing.proofs import channel_proof, gathering, proof_gathering, withdrawals
from bundlers.publishing.proofs.channel_proof import History
from bundlers.publishing.proofs.gathering import Gathered
from casstore.ledger.states.state import LedgerState


def carried(
    store: gathering.ReadStore,
    state: LedgerState,
    history: History,
    channel: str,
    last: Publication,
    into: Gathered,
    numbers: set[int],
    now: datetime,
    *,
    sigstore_root: bytes | None,
) -> dict[str, TargetInfo]:
    """Targets of the publication before that stay beside those of `channel`.

    What other channels need beside is gathered: entries into `numbers`, the rest into `into`.
    """
    rows = state.publications[last.destination]
    stays_there = {path: TargetInfo(info.digest, info.length) for path, info in last.targets.items()}
    record = rows[-1].statement
    stays_there[published_paths.publication_path(len(rows))] = TargetInfo(record, store.size(record))
    roots = {root.digest: root for root in state.trust_roots}
    versions = {state.releases[digest].version for digest in state.channel(channel).gives}
    held = {
        version for version, _ in ChannelRecord.parse(into.fresh[published_paths.channel_path(channel)]).named_builds
    }
    withdrawn = versions - held
    left: set[str] = set()
    kept: set[str] = set()
    for name in _channels_of(last):
        other = ChannelRecord.parse(store.read(last.targets[published_paths.channel_path(name)].digest))
        stays = name != channel and _holds(state, name, other)
        why = withdrawals.because(store, state, history, name, now, sigstore_root=sigstore_root) if stays else ()
        if stays and other.withdrawn and not why:  # a suspension has ended: told until the channel is published itself
            why = other.withdrawn
        if why or not stays:
            left |= set(other.files)
        else:
            kept |= set(other.files)
        if why:
            withdrawals.gather(into, store, state, history, name, why)
            withdrawn.add(other.version)
        elif stays:
            other = _canary_as_it_is(store, state, history, name, other, into, now, sigstore_root)
            held |= {version for version, _ in other.named_builds}
            withdrawn |= {other.canary.version} if other.canary is not None and other.canary.withdrawn else set()
            proof_gathering.gather_absence(into, store, state, history, name, other.move_number, state.count)
            chosen = channel_proof.select(history, name, other.move_number, roots.get, gathering.recorder(state))
            numbers |= chosen.numbers
    revoked = {info.version for info in state.releases.values() if state.is_withdrawn(info)}
    gone = tuple(_gone(state, revoked | (withdrawn - held)))
    return {
        path: info
        for path, info in stays_there.items()
        if path not in left - kept and not (gone and path.startswith(gone))
    }


def _canary_as_it_is(
    store: gathering.ReadStore,
    state: LedgerState,
    history: History,
    channel: str,
    record: ChannelRecord,
    into: Gathered,
    now: datetime,
    sigstore_root: bytes | None,
) -> ChannelRecord:
    """The record of another channel; that its canary was withdrawn since is said in it.

    One that was comes back when the channel is published itself.
    """
    if record.canary is None or record.canary.withdrawn:
        return record
    why = withdrawals.because_of_canary(store, state, history, channel, now, sigstore_root=sigstore_root)
    if not why:
        return record
    record = replace(record, canary=replace(record.canary, builds={}, withdrawn=why))
    into.add(published_paths.channel_path(channel), record.to_bytes())
    return record


def _channels_of(claim: Publication) -> tuple[str, ...]:
    """The channels that a publication shows."""
    names = (path.removeprefix("channels/").removesuffix(".json") for path in claim.targets)
    return tuple(sorted({name for name in names if published_paths.channel_path(name) in claim.targets}))


def _gone(state: LedgerState, versions: set[str]) -> Iterator[str]:
    """What paths of releases begin with that are shown no more; an archive that another release has as well stays."""
    infos = state.releases.values()
    stays = {digest for info in infos if info.version not in versions for digest in info.archives.values()}
    for info in infos:
        if info.version in versions:
            yield f"releases/{info.version}/"
            yield from (f"archives/{hex_of(digest)}." for digest in info.archives.values() if digest not in stays)


def _holds(state: LedgerState, channel: str, record: ChannelRecord) -> bool:
    """Whether the channel still names what its record shows; one that moved on is shown when it is published again."""
    return state.channels[channel].move == record.move
