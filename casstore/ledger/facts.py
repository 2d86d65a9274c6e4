"""What the bytes of an attestation are, whatever anybody thinks of it: how they parse, and which key signed them.

A worker process finds that out and the process that folds learns it (`ahead`), so that its own parsers and its own
check of the signature answer at once. Nothing is told of what fails: whoever needs it finds it missing, does the
work itself, and raises what it always raised. Roles, windows and revocations stand in none of it.

    row = told(raw, {hint: pem})        # in a worker; None: nothing to tell
    learn(raw, row)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attest.errors import CasstoreError
from attest.keys import keys
from attest.sigstore import sigstore_bundles
from attest.sigstore.sigstore_bundles import SigstoreBundle
from attest.statements import statements
from attest.statements.envelopes import Envelope, pae
from attest.statements.statements import Statement, Subject
from attest.trust import verify

Row = Sequence[Any]
"""As msgpack takes it."""


def told(raw: bytes, pems: Mapping[str, bytes]) -> Row | None:
    """What there is to tell of some bytes; `pems`: keys to try, by the hint that names them in a bundle."""
    try:
        bundle = SigstoreBundle.parse(raw)
        envelope = bundle.statement_envelope
    except CasstoreError:
        return None
    return [
        bundle.media_type,
        [envelope.payload_type, envelope.payload, envelope.signature, envelope.keyid],
        bundle.key_hint,
        bundle.certificate,
        bundle.log_entries,
        bundle.timestamps,
        bundle.material,
        _signed_by(pems.get(bundle.key_hint or ""), envelope),
        _statement(envelope.payload),
    ]


def learn(raw: bytes, row: Row) -> Statement | None:
    """Take what was told of these bytes; the statement in them, where they hold one."""
    media_type, parts, hint, certificate, logged, stamps, material, pem, said = row
    envelope = Envelope(*parts)
    sigstore_bundles.learn(SigstoreBundle(raw, media_type, envelope, None, hint, certificate, logged, stamps, material))
    if pem is not None:
        verify.learn(pem, envelope)
    if said is None:
        return None
    subjects, predicate_type, predicate = said
    statement = Statement(tuple(Subject(*subject) for subject in subjects), predicate_type, predicate)
    statements.learn(envelope.payload, statement)
    return statement


def _signed_by(pem: bytes | None, envelope: Envelope) -> bytes | None:
    """The key, if the signature is its own."""
    if pem is None or len(envelope.payload) > verify.KEPT:
        return None
    try:
        keys.verify_signature(
            keys.public_from_pem(pem), envelope.signature, pae(envelope.payload_type, envelope.payload)
        )
    except CasstoreError:
        return None
    return pem


def _statement(payload: bytes) -> Row | None:
    try:
        statement = statements.parse(payload)
    except CasstoreError:
        return None
    subjects = [[subject.name, subject.sha256, subject.other_digests] for subject in statement.subjects]
    return [subjects, statement.predicate_type, statement.predicate]
