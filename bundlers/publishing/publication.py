"""Publish a channel to a destination: verify once more, record, write, pointer last.

Promises: the `publish` ledger entry comes first and reserves the number, everything it names is in
the store; so a run that was interrupted, anywhere, is finished by the next one, from the ledger and
the store alone. A bucket that stays away is replaced by the fallback folder, which is a destination
of its own (`<name>.fallback`) and is told in the report and by its exit code. Leaves to others:
what the files are (`gathering`), recording them (`recording`), how they are written (`writing`, `destinations`).

    report = publish(store, ledger, config, channel="prod", destination="cdn", signer=publisher, now=now)
    report.number, report.exit_code
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from attest.log import checkpoints
from attest.signers import Signer
from attest.statements.predicates.publication import Publication, PublishedRole
from bundlers.errors import Unreadable
from bundlers.publishing import awaited_lines, feed, file_lists, recording, standing, writing
from bundlers.publishing.asking import Asking
from bundlers.publishing.cosigned import NO_LINES, CosignatureLines
from bundlers.publishing.invalidation import invalidate
from bundlers.publishing.layout import published_paths, tuf_bond, tuf_repository
from bundlers.publishing.layout.destinations import (
    Destination,
    DestinationSettings,
    open_destination,
    settings_of,
)
from bundlers.publishing.layout.records import ChannelRecord
from bundlers.publishing.outlived import outlived
from bundlers.publishing.proofs import withdrawals
from bundlers.publishing.proofs.ledger_history import ledger_history
from bundlers.publishing.publishing_run import PublishStore, ReadBack, Run
from bundlers.publishing.reports import PublishReport, PublishSigners
from bundlers.publishing.writing import Job, Written
from casstore.errors import Conflict, NotWritable, StorageUnavailable
from casstore.ledger.book.log import Ledger
from casstore.ledger.entries import TRUST
from casstore.ledger.folding import replay_whole
from casstore.ledger.states.state import LedgerState
from casstore.machine.progress import Progress
from casstore.promotion.services import require_role

if TYPE_CHECKING:
    from casstore.config import Config
    from casstore.network.network import NetworkGuard

__all__ = ["PublishReport", "PublishSigners", "PublishStore", "publish", "publish_to"]

_PUBLISHER = frozenset({"publisher"})


def publish(
    store: PublishStore,
    ledger: Ledger,
    config: Config,
    *,
    channel: str,
    destination: str,
    signer: Signer,
    ledger_signer: Signer | None = None,
    root_signer: Signer | None = None,
    previous_root_signer: Signer | None = None,
    reset: bool = False,
    network: NetworkGuard | None = None,
    now: datetime,
    progress: Progress | None = None,
    sigstore_root: bytes | None = None,
    read_back: ReadBack | None = None,
    repair: bool = False,
    lines: CosignatureLines = NO_LINES,
    asking: Asking | None = None,
) -> PublishReport:
    """Publish what a channel holds to a destination of casstore.toml; see `publish_to`.

    `ledger_signer` signs the checkpoint: without one the publisher must have the role `ledger` and
    an Ed25519 key. `root_signer` is TUF's root (by default the publisher); `previous_root_signer`
    is needed once, to change it; `reset`: see `PublishSigners`.
    """
    if previous_root_signer is not None:
        roots: tuple[Signer, ...] = (root_signer or signer, previous_root_signer)
    else:
        roots = () if root_signer is None else (root_signer,)
    return publish_to(
        store,
        ledger,
        channel,
        settings_of(config, destination),
        PublishSigners(signer, ledger_signer or signer, roots, reset),
        now=now,
        network=network,
        sigstore_root=sigstore_root,
        progress=progress,
        folder=config.folder,
        read_back=read_back,
        repair=repair,
        lines=lines,
        asking=asking,
    )


def publish_to(
    store: PublishStore,
    ledger: Ledger,
    channel: str,
    settings: DestinationSettings,
    signers: PublishSigners,
    *,
    now: datetime,
    network: NetworkGuard | None = None,
    sigstore_root: bytes | None = None,
    progress: Progress | None = None,
    folder: str = ".",
    read_back: ReadBack | None = None,
    repair: bool = False,
    lines: CosignatureLines = NO_LINES,
    asking: Asking | None = None,
) -> PublishReport:
    """Publish what a channel holds; `folder` is where invalidation commands run.

    `repair`: metadata that is damaged is followed by another publication; files are `published_check.mend`'s.
    `read_back` (`consuming.readback.check`) reads what was written before the pointer moves. `lines`: where witnesses'
    lines are found beside the destination, `asking`: who is asked for them; without the quorum the report is
    `staged`, and the same call finishes it.
    Raises Unreadable, PolicyDenied, Conflict, ObjectDamaged, SignerError, StorageUnavailable.
    """
    asking = asking or Asking()
    run = Run(store, ledger, channel, settings, signers, now, sigstore_root, progress, read_back, repair, lines, asking)
    try:
        report = _publish_to(run, open_destination(settings.url, network=network))
    except StorageUnavailable as exc:
        if settings.fallback is None:
            raise
        away = replace(run, settings=replace(settings, name=f"{settings.name}.fallback", url=settings.fallback))
        report = _publish_to(away, open_destination(settings.fallback, network=network))
        return replace(report, fallback=exc.message)
    if report.staged is not None or (report.unchanged and not report.finished):
        return report
    return replace(report, hooks=tuple(invalidate(settings, folder)))


def _publish_to(run: Run, destination: Destination) -> PublishReport:
    state = replay_whole(run.ledger, run.store, sigstore_root=run.sigstore_root)
    rows = state.publications.get(run.settings.name, ())
    rooted = _rooted(run, destination, state)
    foreign = run.signers.reset and (rooted or not writing.is_ours(destination))
    shown = 0 if foreign else writing.published_number(destination)
    if shown > len(rows):
        raise Conflict(
            f"{destination.url}: shows publication {shown}, the ledger knows {len(rows)}",
            hint="this destination belongs to another ledger or store: publish to an empty one",
        )
    finished: tuple[int, ...] = ()
    written = Written()
    if shown < len(rows) and not rooted:
        with contextlib.suppress(Unreadable):  # then the next one takes its place
            written = _write(run, destination, state, len(rows), shown)
            finished = () if written.staged else (len(rows),)
    if rows and not rooted and (last := run.last(state)) and _is_current(run, destination, state, last, written):
        roles = run.older(state, last).live
        if not standing.is_whole(destination, run.targets_of(state, last), roles, run.store, run.ledger.all_entries()):
            written = _write(run, destination, state, len(rows), 0)
            return _report(run, destination, state, len(rows), written, unchanged=False, finished=finished)
        # nobody waited for the lines of a withdrawal; others may have been lost where they lay
        written.staged = written.staged or awaited_lines.lacking(run, destination, state, last)
        written.skipped = written.skipped or len(last.targets)
        return _report(run, destination, state, len(rows), written, unchanged=True, finished=finished)
    state = recording.record(run, state)
    number = len(state.publications[run.settings.name])
    written = _write(run, destination, state, number, max(shown, *finished, 0))
    return _report(run, destination, state, number, written, unchanged=False, finished=finished)


def _rooted(run: Run, destination: Destination, state: LedgerState) -> bool:
    """Whether TUF gets another root, under which what was signed before is not gone on with.

    Raises PolicyDenied, SignerError: whoever cannot make it records nothing.
    """
    for signer in (run.signers.publisher, *run.signers.root[:1]):
        require_role(state, signer, _PUBLISHER, run.now)
    newest, due = writing.next_root(
        destination,
        run.signers.tuf,
        tuf_bond.publishers(state.require_trust_root()),
        run.now,
        run.settings.lifetimes,
        run.signers.reset,
    )
    return due is not None and due != newest


def _is_current(run: Run, destination: Destination, state: LedgerState, last: Publication, written: Written) -> bool:
    """The channel's head is shown, trust, revocations and scans too, and enough of each role's life is left.

    Of one that is staged the timestamp is not there yet, and lives from when it was recorded.
    """
    rows = state.publications[run.settings.name]
    there = destination.read(f"metadata/{len(rows)}.targets.json")
    broken = run.repair and not written.staged and not standing.readable(destination, len(rows))
    if there is None or broken or (written.staged and run.asking.outrun):
        return False
    if tuf_repository.targets_of(there) != run.listed(state, last):
        raise Conflict(
            f"{destination.url}: publication {len(rows)} is not the one that the ledger names",
            hint="somebody else wrote there: publish to an empty destination",
        )
    record = last.targets.get(published_paths.channel_path(run.channel))
    if record is None:
        return False
    shown = ChannelRecord.parse(run.store.read(record.digest))
    size = checkpoints.parse(run.store.read(last.targets[published_paths.CHECKPOINT].digest))[0].size
    newer = [entry for entry in run.ledger.entries(size) if entry.kind in TRUST]
    if written.staged:
        fresh = run.now - last.time < timedelta(days=run.settings.lifetimes.timestamp) / 2
    else:
        roles = run.older(state, last).live
        fresh = standing.fresh(destination, len(rows), roles, run.settings.lifetimes, run.now)
    same = shown.move == state.channel(run.channel).move
    told = not file_lists.outdated(run.store, state, last)
    return fresh and not newer and same and told and not _withdrawn_otherwise(run, state, shown)


def _withdrawn_otherwise(run: Run, state: LedgerState, shown: ChannelRecord) -> bool:
    """Whether it says another thing of what was taken away: a suspension has ended, or its publisher left it out."""
    history = ledger_history(run.ledger, run.store, state)
    why = withdrawals.because(run.store, state, history, run.channel, run.now, sigstore_root=run.sigstore_root)
    canary = withdrawals.because_of_canary(
        run.store, state, history, run.channel, run.now, sigstore_root=run.sigstore_root
    )
    return (why, canary) != (shown.withdrawn, () if shown.canary is None else shown.canary.withdrawn)


def _write(run: Run, destination: Destination, state: LedgerState, number: int, shown: int) -> Written:
    """Write publication `number`; `shown` is the one whose files are known to be complete there."""
    claim = run.claim(state, number)
    targets = run.targets_of(state, claim)
    known: frozenset[str] = frozenset()
    kept: Mapping[str, PublishedRole] = {}
    if shown:
        last = run.claim(state, shown)
        before, kept = run.targets_of(state, last), last.roles
        known = frozenset(path for path, info in targets.items() if before.get(path) == info)
    job = Job(
        number=number,
        time=claim.time,
        targets=targets,
        listed=run.listed(state, claim),
        older=run.older(state, claim),
        signers=run.signers.tuf,
        lifetimes=run.settings.lifetimes,
        publishers=tuf_bond.publishers(state.require_trust_root()),
        reset=run.signers.reset,
        read_back=_reader(run, destination, state, claim),
        cosigned=lambda: awaited_lines.lacking(run, destination, state, claim),
        entries=run.ledger.all_entries,
        feed=lambda first, end: feed.parts(run.store, run.ledger.all_entries(), state, first, end),
        known=known,
        kept=kept,
    )
    written = writing.write(job, destination, run.store, run.progress)
    if not written.staged:
        _let_go(run, destination, state, number)
    if claim.withdrawn:
        awaited_lines.ask_later(run, destination, state, claim)
    return written


def _let_go(run: Run, destination: Destination, state: LedgerState, number: int) -> None:
    """What newer publications replaced; that it cannot be taken away harms nobody."""

    def size_of(place: int) -> int:
        target = run.claim(state, place).targets[published_paths.CHECKPOINT]
        return checkpoints.parse(run.store.read(target.digest))[0].size

    with contextlib.suppress(NotWritable, StorageUnavailable):
        destination.remove(outlived(run.claims(state), size_of, number))


def _reader(
    run: Run, destination: Destination, state: LedgerState, claim: Publication
) -> Callable[[bytes], None] | None:
    """What reads a publication back, for the time at which it was made."""
    if run.read_back is None:
        return None
    first, sigstore_root = state.trust_roots[0].digest, run.sigstore_root
    read = functools.partial(run.read_back, first=first, at=claim.time, sigstore_root=sigstore_root)
    return lambda timestamp: read(destination, timestamp, claim.channel)


def _report(
    run: Run,
    destination: Destination,
    state: LedgerState,
    number: int,
    written: Written,
    *,
    unchanged: bool,
    finished: tuple[int, ...],
) -> PublishReport:
    found = state.channel(run.channel)
    assert found.release is not None  # noqa: S101 - it was published
    shown = run.claim(state, number).targets
    record = ChannelRecord.parse(run.store.read(shown[published_paths.channel_path(run.channel)].digest))
    return PublishReport(
        destination=run.settings.name,
        url=destination.url,
        channel=run.channel,
        version=found.version,
        release=found.release,
        number=number,
        unchanged=unchanged,
        finished=finished,
        files=written.files,
        bytes=written.bytes,
        skipped=written.skipped,
        staged=written.staged,
        withdrawn=bool(record.withdrawn),
        canary=record.canary,
        witnesses=run.asking.told,
        disputed=run.asking.disputed,
    )
