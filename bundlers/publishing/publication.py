"""Publish a channel to a destination: verify once more, record, write, pointer last.

Promises: the `publish` ledger entry comes first and reserves the number, everything it names is in
the store; so a run that was interrupted, anywhere, is finished by the next one, from the ledger and
the store alone. A bucket that stays away is replaced by the fallback folder, which is a destination
of its own (`<name>.fallback`) and is told in the report and by its exit code. Leaves to others:
what the files are (`gathering`), how they are written (`writing`, `destinations`).

    report = publish(store, ledger, config, channel="prod", destination="cdn", signer=publisher, now=now)
    report.number, report.exit_code
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from attest.core import limits
from attest.digests import Digest
from attest.errors import CasstoreError
from attest.log import checkpoints
from attest.signers import Signer
from attest.statements import statements
from attest.statements.predicates import publication
from attest.statements.predicates.publication import Publication, PublishedTarget
from bundlers.errors import Unreadable
from bundlers.publishing import (
    cosigned,
    feed,
    file_lists,
    gathering,
    records,
    standing,
    target_lists,
    tuf_bond,
    tuf_repository,
    withdrawals,
    writing,
)
from bundlers.publishing.carried import carried
from bundlers.publishing.channel_proof import History
from bundlers.publishing.cosigned import NO_LINES, CosignatureLines
from bundlers.publishing.destinations import (
    Destination,
    DestinationSettings,
    open_destination,
    settings_of,
)
from bundlers.publishing.gathering import Gathered
from bundlers.publishing.invalidation import invalidate
from bundlers.publishing.ledger_history import ledger_history
from bundlers.publishing.outlived import outlived
from bundlers.publishing.records import ChannelRecord
from bundlers.publishing.reports import PublishReport, PublishSigners
from bundlers.publishing.tuf_repository import TargetInfo
from bundlers.publishing.writing import Job, Written
from casstore.errors import Conflict, NotWritable, StorageUnavailable
from casstore.ledger import checkpoints as ledger_checkpoints
from casstore.ledger.commit import commit
from casstore.ledger.entries import TRUST, EntryKind
from casstore.ledger.folding import replay
from casstore.ledger.log import Ledger, LedgerStore
from casstore.ledger.state import LedgerState
from casstore.machine.progress import Progress
from casstore.objects.kinds import Kind, NewObject
from casstore.promotion.services import keep, require_role

if TYPE_CHECKING:
    from casstore.config import Config
    from casstore.network.network import NetworkGuard

__all__ = ["PublishReport", "PublishSigners", "PublishStore", "publish", "publish_to"]

_PUBLISHER, _LEDGER = frozenset({"publisher"}), frozenset({"ledger"})
_ATTEMPTS = 5


class ReadBack(Protocol):
    """Reads a publication as consumers do."""

    def __call__(
        self,
        destination: Destination,
        timestamp: bytes,
        channel: str,
        *,
        first: Digest,
        at: datetime,
        sigstore_root: bytes | None = None,
    ) -> None:
        """Raises Unreadable."""


class PublishStore(gathering.ReadStore, LedgerStore, Protocol):
    """What is needed of a store."""

    def put_many(self, items: Sequence[NewObject]) -> list[Digest]:
        """Keep several objects with one commit."""

    def put_bytes(self, data: bytes, *, subjects: Sequence[Digest] = (), kind: Kind = Kind.BLOB) -> Digest:
        """Keep bytes."""

    def attestations(self, subject: Digest) -> list[Digest]:
        """Digests of the attestations about a subject."""


@dataclass(frozen=True, slots=True)
class _Run:
    """What one publication works with."""

    store: PublishStore
    ledger: Ledger
    channel: str
    settings: DestinationSettings
    signers: PublishSigners
    now: datetime
    sigstore_root: bytes | None
    progress: Progress | None
    read_back: ReadBack | None
    repair: bool = False
    lines: CosignatureLines = NO_LINES


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
) -> PublishReport:
    """Publish what a channel holds; `folder` is where invalidation commands run.

    `repair`: metadata that is damaged is followed by another publication; files are `published_check.mend`'s.
    `read_back` (`consuming.readback.check`) reads what was written before the pointer moves. `lines`: where witnesses'
    lines are found beside the destination; without the quorum the report is `staged`, and the same call finishes it.
    Raises Unreadable, PolicyDenied, Conflict, ObjectDamaged, SignerError, StorageUnavailable.
    """
    run = _Run(store, ledger, channel, settings, signers, now, sigstore_root, progress, read_back, repair, lines)
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


def _publish_to(run: _Run, destination: Destination) -> PublishReport:
    state = replay(run.ledger, run.store, sigstore_root=run.sigstore_root)
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
    if rows and not rooted and (last := _last(run, state)) and _is_current(run, destination, state, last, written):
        if standing.lacking(destination, _targets(run, last, rows[-1].statement)):
            written = _write(run, destination, state, len(rows), 0)
            return _report(run, destination, state, len(rows), written, unchanged=False, finished=finished)
        # nobody waited for the lines of a withdrawal; others may have been lost where they lay
        written.staged = written.staged or _lacking(run, destination, state, last)
        written.skipped = written.skipped or len(last.targets)
        return _report(run, destination, state, len(rows), written, unchanged=True, finished=finished)
    state = _record(run, state)
    number = len(state.publications[run.settings.name])
    written = _write(run, destination, state, number, max(shown, *finished, 0))
    return _report(run, destination, state, number, written, unchanged=False, finished=finished)


def _rooted(run: _Run, destination: Destination, state: LedgerState) -> bool:
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


def _last(run: _Run, state: LedgerState) -> Publication | None:
    rows = state.publications.get(run.settings.name)
    return _claim(run, state, len(rows)) if rows else None


def _claim(run: _Run, state: LedgerState, number: int) -> Publication:
    """A publication with all of its targets."""
    return target_lists.whole(_reads(run, state), number)


def _reads(run: _Run, state: LedgerState) -> target_lists.ReadClaim:
    return target_lists.reader(run.store.read, state.publications[run.settings.name])


def _is_current(run: _Run, destination: Destination, state: LedgerState, last: Publication, written: Written) -> bool:
    """The channel's head is shown, trust and revocations too, and enough of each role's life is left.

    Of one that is staged the timestamp is not there yet, and lives from when it was recorded.
    """
    rows = state.publications[run.settings.name]
    there = destination.read(f"metadata/{len(rows)}.targets.json")
    broken = run.repair and not written.staged and not standing.readable(destination, len(rows))
    if there is None or broken:
        return False
    if tuf_repository.targets_of(there) != _targets(run, last, rows[-1].statement):
        raise Conflict(
            f"{destination.url}: publication {len(rows)} is not the one that the ledger names",
            hint="somebody else wrote there: publish to an empty destination",
        )
    record = last.targets.get(records.channel_path(run.channel))
    if record is None:
        return False
    shown = ChannelRecord.parse(run.store.read(record.digest))
    size = checkpoints.parse(run.store.read(last.targets[records.CHECKPOINT].digest))[0].size
    newer = [entry for entry in run.ledger.entries(size) if entry.kind in TRUST]
    if written.staged:
        fresh = run.now - last.time < timedelta(days=run.settings.lifetimes.timestamp) / 2
    else:
        fresh = standing.fresh(destination, len(rows), run.settings.lifetimes, run.now)
    same = shown.move == state.channel(run.channel).move
    return fresh and not newer and same and not _withdrawn_otherwise(run, state, shown)


def _withdrawn_otherwise(run: _Run, state: LedgerState, shown: ChannelRecord) -> bool:
    """Whether it says another thing of what was taken away: a suspension has ended, or its publisher left it out."""
    history = ledger_history(run.ledger, run.store, state)
    why = withdrawals.because(run.store, state, history, run.channel, run.now, sigstore_root=run.sigstore_root)
    return why != shown.withdrawn


def _record(run: _Run, state: LedgerState) -> LedgerState:
    """Gather, sign, append; again when another writer changed what counts. Returns the state after."""
    require_role(state, run.signers.ledger, _LEDGER, run.now)
    for attempt in range(_ATTEMPTS):
        checkpoint = ledger_checkpoints.make(
            run.store, run.ledger, signer=run.signers.ledger, now=run.now, sigstore_root=run.sigstore_root
        )
        state = replay(run.ledger, run.store, state, sigstore_root=run.sigstore_root)
        if checkpoint.size != state.count:
            continue
        claim, digest = _gather(run, state, checkpoint.note)
        (statement,) = keep(run.store, [_sign(run, claim, digest)])
        try:
            _, after = commit(
                run.ledger,
                run.store,
                state,
                EntryKind.PUBLISH,
                statement,
                channel=run.channel,
                now=run.now,
                sigstore_root=run.sigstore_root,
            )
            return after
        except CasstoreError:
            before, state = state, replay(run.ledger, run.store, state, sigstore_root=run.sigstore_root)
            if state.count == before.count or attempt == _ATTEMPTS - 1:
                raise
    raise Conflict("the ledger grows faster than a publication can be recorded", hint="publish again")


def _gather(run: _Run, state: LedgerState, checkpoint: bytes) -> tuple[Publication, Digest]:
    """What the next publication names; its bytes are in the store on return."""
    history = ledger_history(run.ledger, run.store, state)
    gathered = Gathered()
    why = withdrawals.because(run.store, state, history, run.channel, run.now, sigstore_root=run.sigstore_root)
    numbers = _gather_channel(run, gathered, state, history, why)
    last = _last(run, state)
    stays: dict[str, TargetInfo] = {}
    if last:
        stays = carried(
            run.store, state, history, run.channel, last, gathered, numbers, run.now, sigstore_root=run.sigstore_root
        )
    shown = None if why else file_lists.release_of(run.store, _release_of(state, run.channel))
    file_lists.gather(gathered, run.store, state, run.channel, shown, stays, last)
    gathering.gather_ledger(gathered, run.store, state, history, numbers, checkpoint)
    run.store.put_many([NewObject(data) for _, data in sorted(gathered.fresh.items())])
    targets = {**stays, **gathered.targets}
    _check_limits(targets)
    number = len(state.publications.get(run.settings.name, ())) + 1
    found = state.channel(run.channel)
    assert found.release is not None and found.move is not None  # noqa: S101 - it was gathered
    claim = Publication(
        store=state.store,
        ledger=state.ledger,
        destination=run.settings.name,
        channel=run.channel,
        release=found.version,
        number=number,
        move=found.move,
        time=run.now,
        targets={path: PublishedTarget(info.digest, info.length) for path, info in targets.items()},
        withdrawn=bool(why),
    )
    return target_lists.told(_reads(run, state), claim) if number > 1 else claim, found.release


def _release_of(state: LedgerState, channel: str) -> Digest:
    found = state.channel(channel).release
    assert found is not None  # noqa: S101 - it was gathered
    return found


def _check_limits(targets: Mapping[str, TargetInfo]) -> None:
    """Raises BadInput for what consumers would refuse, before anything is signed; archives are streamed."""
    tuf_repository.check_targets(targets)
    for path, info in targets.items():
        if not path.startswith("archives/"):
            limits.check(range(info.length), limits.OBJECT, path)


def _gather_channel(run: _Run, into: Gathered, state: LedgerState, history: History, why: tuple[int, ...]) -> set[int]:
    """The channel's own files, every archive read; of one that was withdrawn only that. Returns entries to prove."""
    if why:
        withdrawals.gather(into, run.store, state, history, run.channel, why)
        return set()
    head = state.channel(run.channel).number
    files = gathering.gather_channel(
        into, run.store, state, history, run.channel, head, sigstore_root=run.sigstore_root
    )
    before = _last(run, state)
    known = frozenset(info.digest for info in before.targets.values()) if before else frozenset()
    gathering.check_archives(run.store, files.release, known)
    gathering.gather_pieces(into, run.store, files.release, before.targets if before else {})
    gathering.gather_absence(into, run.store, state, history, run.channel, head, state.count)
    return set(files.chosen.numbers)


def _sign(run: _Run, claim: Publication, release: Digest) -> bytes:
    statement = statements.of_digests({"release": release}, publication.TYPE, claim.to_json())
    return run.signers.publisher.sign_statement(statement.to_bytes())


def _write(run: _Run, destination: Destination, state: LedgerState, number: int, shown: int) -> Written:
    """Write publication `number`; `shown` is the one whose files are known to be complete there."""
    rows = state.publications[run.settings.name]
    claim = _claim(run, state, number)
    targets = _targets(run, claim, rows[number - 1].statement)
    known: frozenset[str] = frozenset()
    if shown:
        before = _targets(run, _claim(run, state, shown), rows[shown - 1].statement)
        known = frozenset(path for path, info in targets.items() if before.get(path) == info)
    job = Job(
        number=number,
        time=claim.time,
        targets=targets,
        signers=run.signers.tuf,
        lifetimes=run.settings.lifetimes,
        publishers=tuf_bond.publishers(state.require_trust_root()),
        reset=run.signers.reset,
        read_back=_reader(run, destination, state, claim),
        cosigned=lambda: _lacking(run, destination, state, claim),
        entries=run.ledger.all_entries,
        feed=lambda first, end: feed.parts(run.store, run.ledger.all_entries(), state, first, end),
        known=known,
    )
    written = writing.write(job, destination, run.store, run.progress)
    if not written.staged:
        _let_go(run, destination, state, number)
    return written


def _let_go(run: _Run, destination: Destination, state: LedgerState, number: int) -> None:
    """What newer publications replaced; that it cannot be taken away harms nobody."""

    def size_of(place: int) -> int:
        target = _claim(run, state, place).targets[records.CHECKPOINT]
        return checkpoints.parse(run.store.read(target.digest))[0].size

    with contextlib.suppress(NotWritable, StorageUnavailable):
        destination.remove(outlived(_reads(run, state), size_of, number))


def _lacking(run: _Run, destination: Destination, state: LedgerState, claim: Publication) -> str | None:
    """The witnesses that have not signed the checkpoint, after waiting for them; a withdrawal waits for nobody."""
    checkpoint = checkpoints.parse(run.store.read(claim.targets[records.CHECKPOINT].digest))[0]
    asked = state.require_trust_root().witnesses

    def look() -> str | None:
        return cosigned.bring(destination, run.lines.places, asked, checkpoint).lacking

    if claim.withdrawn:
        with contextlib.suppress(CasstoreError):
            look()
        return None
    return run.lines.wait_until(look)


def _reader(
    run: _Run, destination: Destination, state: LedgerState, claim: Publication
) -> Callable[[bytes], None] | None:
    """What reads a publication back, for the time at which it was made."""
    if run.read_back is None:
        return None
    first, sigstore_root = state.trust_roots[0].digest, run.sigstore_root
    read = functools.partial(run.read_back, first=first, at=claim.time, sigstore_root=sigstore_root)
    return lambda timestamp: read(destination, timestamp, claim.channel)


def _targets(run: _Run, claim: Publication, statement: Digest) -> dict[str, TargetInfo]:
    """All targets of a publication: those that its record names, and the record."""
    targets = {path: TargetInfo(info.digest, info.length) for path, info in claim.targets.items()}
    targets[records.publication_path(claim.number)] = TargetInfo(statement, run.store.size(statement))
    return targets


def _report(
    run: _Run,
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
    shown = _claim(run, state, number).targets
    record = ChannelRecord.parse(run.store.read(shown[records.channel_path(run.channel)].digest))
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
    )
