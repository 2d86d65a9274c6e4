"""Record a publication in the ledger: gather what it names, sign, append; from here on it can be finished by anybody.

Promises: all bytes that the record names are in the store before the entry is there, and nothing that consumers would
refuse is signed; when another writer changed what counts it is gathered anew. Leaves to others: writing it.

    state = record(run, state)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attest.core import limits
from attest.digests import Digest
from attest.errors import CasstoreError
from attest.statements import statements
from attest.statements.predicates import publication
from attest.statements.predicates.publication import Publication, PublishedTarget
from bundlers.publishing import file_lists, older_signing
from bundlers.publishing.layout import older_lists, target_lists, tuf_repository
from bundlers.publishing.layout.tuf_repository import TargetInfo
from bundlers.publishing.proofs import gathering, proof_gathering, withdrawals
from bundlers.publishing.proofs.carried import carried
from bundlers.publishing.proofs.channel_proof import History
from bundlers.publishing.proofs.gathering import Gathered
from bundlers.publishing.proofs.ledger_history import ledger_history
from bundlers.publishing.publishing_run import Run
from casstore.errors import Conflict
from casstore.ledger import checkpoints as ledger_checkpoints
from casstore.ledger.commit import commit
from casstore.ledger.entries import EntryKind
from casstore.ledger.folding import replay
from casstore.ledger.release_objects import Release
from casstore.ledger.states.state import LedgerState
from casstore.machine.spooled import SpooledBytes
from casstore.objects.kinds import NewObject
from casstore.promotion.services import keep, require_role

_LEDGER = frozenset({"ledger"})
_ATTEMPTS = 5
_AT_ONCE = 16 * 1024 * 1024


def record(run: Run, state: LedgerState) -> LedgerState:
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


def _gather(run: Run, state: LedgerState, checkpoint: bytes) -> tuple[Publication, Digest]:
    """What the next publication names; its bytes are in the store on return."""
    history = ledger_history(run.ledger, run.store, state)
    gathered = Gathered()
    why = withdrawals.because(run.store, state, history, run.channel, run.now, sigstore_root=run.sigstore_root)
    last = run.last(state)
    numbers, releases = _gather_channel(run, gathered, state, history, why, last)
    stays: dict[str, TargetInfo] = {}
    if last:
        stays = carried(
            run.store, state, history, run.channel, last, gathered, numbers, run.now, sigstore_root=run.sigstore_root
        )
    file_lists.gather(gathered, run.store, state, run.channel, releases, stays, last)
    proof_gathering.gather_ledger(gathered, run.store, state, history, numbers, checkpoint)
    with run.store.gathering():
        for paths in _batches(gathered.fresh):
            run.store.put_many([NewObject(gathered.fresh[path]) for path in paths])
    targets = {**stays, **gathered.targets}
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
    reads = run.claims(state)
    parts = older_lists.parts_with(reads, claim)
    shown = older_lists.shown_by(claim.targets, run.store.read)
    _check_limits(targets, older_lists.top_of(targets, claim.targets, parts, shown))
    if parts and last:
        before = older_signing.Before(last, older_lists.parts_of(reads, last.number))
        claim, roles = older_signing.signed(
            claim, parts, before, run.signers.publisher, run.store.read, run.settings.lifetimes
        )
        run.store.put_many([NewObject(data) for data in roles])
    return target_lists.told(reads, claim), found.release


def _batches(fresh: SpooledBytes[str]) -> Iterator[list[str]]:
    """Paths in order, about so many bytes of them together."""
    batch: list[str] = []
    size = 0
    for path in sorted(fresh):
        batch.append(path)
        size += fresh.size(path)
        if size >= _AT_ONCE:
            yield batch
            batch, size = [], 0
    yield batch


def _check_limits(targets: Mapping[str, TargetInfo], listed: Mapping[str, TargetInfo]) -> None:
    """Raises BadInput for what consumers would refuse, before anything is signed; archives are streamed."""
    tuf_repository.check_targets(listed)
    for path, info in targets.items():
        if not path.startswith("archives/"):
            limits.check(range(info.length), limits.OBJECT, path)


def _gather_channel(
    run: Run, into: Gathered, state: LedgerState, history: History, why: tuple[int, ...], before: Publication | None
) -> tuple[set[int], tuple[Release, ...]]:
    """The channel's own files, every archive read; of one that was withdrawn only that.

    Returns the entries to prove, and what consumers get.
    """
    if why:
        withdrawals.gather(into, run.store, state, history, run.channel, why)
        return set(), ()
    head = state.channel(run.channel).number
    out = withdrawals.because_of_canary(
        run.store, state, history, run.channel, run.now, sigstore_root=run.sigstore_root
    )
    files = gathering.gather_channel(
        into, run.store, state, history, run.channel, head, canary_withdrawn=out, sigstore_root=run.sigstore_root
    )
    known = frozenset(info.digest for info in before.targets.values()) if before else frozenset()
    for release in files.releases:
        gathering.check_archives(run.store, release, known)
        gathering.gather_pieces(into, run.store, release, before.targets if before else {})
    proof_gathering.gather_absence(into, run.store, state, history, run.channel, head, state.count)
    return set(files.chosen.numbers), files.releases


def _sign(run: Run, claim: Publication, release: Digest) -> bytes:
    statement = statements.of_digests({"release": release}, publication.TYPE, claim.to_json())
    return run.signers.publisher.sign_statement(statement.to_bytes())
