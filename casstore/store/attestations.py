"""Attestations as objects of the store: bytes in, found again by the digests that they speak of.

Keeping one is no judgement: what is stored may be signed by anybody. `attest.trust.verify` and
`attest.judging.decisions` judge.

    digest = put_attestation(store, raw)
    find(store, release, APPROVAL)      # -> [Found(digest, raw)]
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from attest.core import limits
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import FormatError
from attest.sigstore.signed_files import attestations_of
from attest.sigstore.sigstore_bundles import SigstoreBundle
from attest.statements import statements
from attest.statements.envelopes import attestation_id
from attest.statements.statements import Statement
from casstore.objects.kinds import Kind


class AttestationStore(Protocol):
    """What is needed of a store."""

    def put_bytes(self, data: bytes, *, subjects: Sequence[Digest] = (), kind: Kind = Kind.BLOB) -> Digest:
        """Keep bytes, findable by subjects."""

    def attestations(self, subject: Digest) -> list[Digest]:
        """Digests of the attestations about a subject."""

    def read(self, digest: Digest, *, max_bytes: int = ...) -> bytes:
        """The bytes of an object."""


@dataclass(frozen=True, slots=True)
class Found:
    """A stored attestation; nothing of it is verified."""

    digest: Digest
    raw: bytes
    statement: Statement


def parse_unverified(raw: bytes) -> Statement:
    """What an attestation says, for finding it and for showing it. Raises FormatError."""
    return statements.parse(SigstoreBundle.parse(attestations_of(raw)[0]).statement_envelope.payload)


def put_attestation(store: AttestationStore, raw: bytes) -> Digest:
    """Keep an attestation under all digests that it speaks of; durable on return. Raises FormatError."""
    subjects = sorted(parse_unverified(raw).digests)
    return store.put_bytes(raw, subjects=subjects, kind=Kind.ATTESTATION)


def find(
    store: AttestationStore,
    subject: Digest,
    predicate_type: str | None = None,
    *,
    without: Collection[Digest] = frozenset(),
) -> list[Found]:
    """The attestations about a subject, sorted by digest; those that cannot be parsed, or are not wanted, left out."""
    return _parsed(store, {digest for digest in store.attestations(subject) if digest not in without}, predicate_type)


def _parsed(store: AttestationStore, digests: Collection[Digest], predicate_type: str | None = None) -> list[Found]:
    """Each read once, however many subjects it has."""
    found = []
    for digest in sorted(digests):
        raw = store.read(digest, max_bytes=limits.ATTESTATION)
        try:
            statement = parse_unverified(raw)
        except FormatError:  # not ours to judge: a signed trust root, a foreign file
            continue
        if predicate_type in (None, statement.predicate_type):
            found.append(Found(digest, raw, statement))
    return found


def find_many(
    store: AttestationStore, subjects: Iterable[Digest], *, without: Collection[Digest] = frozenset()
) -> list[Found]:
    """The attestations about any of the subjects, each one once, sorted by digest; `without` is never read."""
    named = {digest for subject in subjects for digest in store.attestations(subject)}
    return _parsed(store, {digest for digest in named if digest not in without})


def id_of(raw: bytes) -> Digest:
    """What an attestation is, by what was signed; nothing is verified. Raises FormatError."""
    envelope = SigstoreBundle.parse(attestations_of(raw)[0]).statement_envelope
    return attestation_id(envelope.payload_type, envelope.payload)
