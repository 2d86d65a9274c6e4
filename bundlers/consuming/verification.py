"""Verify a channel from published bytes: the one function for a web server, a folder and a kit.

The rules are those of docs/formats/publication.md, "What a consumer checks", in that order.
Promises: pure over bytes (`Source`), time and pins come in as arguments; returns a verified
channel or raises; no archive is read. Leaves to others: getting the bytes (`sources`),
remembering (`state`), archives (`install`).

    found = verify_channel(source, "prod", at=now, pins_of=state.pins)
    found.builds["core"].archive.digest
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from attest.digests import Digest
from attest.errors import PolicyDenied, VerificationError
from bundlers.consuming import judged_channels, ledger_proof, withdrawn
from bundlers.consuming.ledger_proof import CheckKeys, Objects, ProvenLedger, Source
from bundlers.consuming.published_objects import PublishedObjects, tar
from bundlers.consuming.state import Pins
from bundlers.consuming.verified import Canary, VerifiedChannel
from bundlers.publishing.layout import published_paths
from bundlers.publishing.layout.records import ChannelRecord
from bundlers.publishing.proofs import absence, channel_proof
from bundlers.publishing.proofs.absence import Against
from bundlers.publishing.proofs.channel_proof import ChannelJudgement
from bundlers.publishing.proofs.ways import way
from casstore.errors import Conflict, NoSuchObject, StorageUnavailable, StoreDamaged
from casstore.ledger import release_objects
from casstore.ledger.rules import Reader
from casstore.ledger.rules.moves import check_not_revoked
from casstore.ledger.states import state as states
from casstore.ledger.states.rows import canary_row


def verify_channel(
    source: Source,
    channel: str,
    *,
    at: datetime,
    pins_of: Callable[[str, str], Pins | None],
    first_trust_root: Digest | None = None,
    sigstore_root: bytes | None = None,
    check_keys: CheckKeys | None = None,
) -> VerifiedChannel:
    """`check_keys` judges who published it, by the proven ledger and what is revoked in it.

    Raises Withdrawn, VerificationError, TrustError, FormatError, NoSuchObject, StorageUnavailable.
    """
    record = ChannelRecord.parse(source.read(published_paths.channel_path(channel)))
    if record.channel != channel:
        raise VerificationError(f"the channel record of {channel} says something else: it is that of {record.channel}")
    ledger = ledger_proof.prove(
        source, at=at, pins_of=pins_of, first_trust_root=first_trust_root, sigstore_root=sigstore_root
    )
    pins = pins_of(ledger.store, ledger.ledger)
    if record.withdrawn:
        raise withdrawn.read(source, ledger, record, channel, pins, check_keys, at)
    if ledger.cosigned.unread is not None:
        raise StorageUnavailable(f"channel {channel}: {ledger.cosigned.unread}", hint="try again later")
    if ledger.cosigned.lacking is not None:
        raise VerificationError(
            f"channel {channel}: {ledger.cosigned.lacking}", hint="wait for them; the version before stays good"
        )
    objects = PublishedObjects(ledger.objects, source, record)
    against = _sealed(source, ledger, objects, record, channel, at)
    if check_keys is not None:
        check_keys(ledger, against.names)
    judged = _judge(ledger, objects, record, channel, sigstore_root, against)
    ledger_proof.check_seen(channel, judged.head.number, judged.head.digest, pins)
    here = judged_channels.JudgedChannel(
        source, ledger, objects, judged, Reader(objects, sigstore_root), pins, pins is None and first_trust_root is None
    )
    named, shared = absence.by_release(way(ledger.history, channel, record.move_number))
    found = here.given(channel, named, record.builds)
    _check_record(record, found)
    if record.canary is None:
        return found
    if record.canary.withdrawn:
        here.check_taken(channel, shared[0], record.canary.withdrawn)
        return replace(found, canary_withdrawn=withdrawn.reasons(ledger, record.canary.withdrawn))
    beside = here.given(channel, shared, record.canary.builds)
    return replace(
        found, known=found.known | beside.known, canary=Canary(record.canary.share, record.canary.began, beside)
    )


def _sealed(
    source: Source, ledger: ProvenLedger, objects: PublishedObjects, record: ChannelRecord, channel: str, at: datetime
) -> Against:
    """What the sealed state says against the channel's head: raises, or returns what counts no more."""
    try:
        return _against(source, ledger, objects, record, channel, at)
    except NoSuchObject as exc:
        raise VerificationError(
            f"channel {channel}: it is not shown that nothing speaks against it: {exc.message}",
            hint="do not install from here; ask the publisher to publish again",
        ) from exc


def _against(
    source: Source, ledger: ProvenLedger, objects: PublishedObjects, record: ChannelRecord, channel: str, at: datetime
) -> Against:
    leaves = Objects(ledger.store, tar(source, published_paths.state_path(channel)))
    history, number = ledger.history, record.move_number
    given = absence.by_release(way(history, channel, number))
    taken = () if _canary_holds(record) else given[1]
    digests = [history.release_of(moves[0]) for moves in given if moves and moves is not taken]
    releases = [release_objects.parse(objects.read(digest)) for digest in digests]
    chosen = channel_proof.select(history, channel, number, ledger.policies, history.recorder)
    question = absence.ask(history, channel, number, releases, ledger.trust_roots, objects.read, chosen)
    against = absence.check(question, absence.answer(ledger.seal.state, leaves.read, question.names), at)
    ledger_proof.check_seal(ledger, against)
    _check_canary(record, question)
    return against


def _canary_holds(record: ChannelRecord) -> bool:
    return record.canary is not None and not record.canary.withdrawn


def _check_canary(record: ChannelRecord, question: absence.Question) -> None:
    """What the record says of a canary is what the sealed state says, which agrees with the moves."""
    one = record.canary
    said = None if one is None else canary_row(one.began, one.began_number, one.release, one.version, one.share)
    if said != question.canary:
        raise VerificationError(
            f"the channel record of {record.channel} says something else of a canary than the ledger",
            hint="do not install from here",
        )


def _judge(
    ledger: ProvenLedger,
    objects: PublishedObjects,
    record: ChannelRecord,
    channel: str,
    sigstore_root: bytes | None,
    against: Against,
) -> ChannelJudgement:
    start = states.start(ledger.store, ledger.ledger)
    head = record.move_number
    chosen = channel_proof.select(ledger.history, channel, head, ledger.policies, ledger.history.recorder)
    try:
        reader = Reader(objects, sigstore_root)
        judged = channel_proof.judge_channel(
            start,
            ledger.history,
            channel,
            head,
            chosen,
            reader,
            against.revoked,
            against.limited,
            canary=_canary_holds(record),
        )
        for move in (judged.brought, judged.canary if _canary_holds(record) else None):
            if move is not None:
                check_not_revoked(judged.state, judged.state.releases[ledger.history.release_of(move)])
    except (NoSuchObject, StoreDamaged) as exc:
        raise ledger_proof.as_verification(exc) from exc
    except (PolicyDenied, Conflict) as exc:
        raise VerificationError(
            f"channel {channel}: the move of ledger entry {head} does not hold: {exc.message}",
            hint="do not install it; ask the promoters",
        ) from exc
    return judged


def _check_record(record: ChannelRecord, found: VerifiedChannel) -> None:
    said = (record.store, record.ledger, record.version, record.release, record.move)
    if said != (found.store, found.ledger, found.version, found.release_digest, found.move.digest):
        raise VerificationError(f"the channel record of {record.channel} says something else than the ledger")
