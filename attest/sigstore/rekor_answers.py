"""Log entries that did not come with the signature: what Rekor v1 is asked, and what it answered or was saved of it.

SLSA generators publish a DSSE envelope with the certificate inside and no log entry; the log has it. Here the
entry is put beside the signature, where it is about that signature (`log_bodies`); whether the log made it is
judged with the bundle, by the log's own signatures (`keyless`).

    for question in questions(raw): ...      # asked one after the other, until one finds entries
    bundle = completed(raw, [answer])        # the bundle with the entry; FormatError, VerificationError

An entry is read in three forms: Rekor's answer, a bundle's `TransparencyLogEntry`, and the promise that cosign keeps
beside attestations of images (`SignedEntryTimestamp`, without a proof of inclusion: the bundle is of version 0.1 then).

Source: https://github.com/sigstore/rekor/blob/main/openapi.yaml (`/api/v1/log/entries/retrieve`)
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attest import canonical
from attest.core import limits
from attest.errors import CasstoreError, FormatError, VerificationError
from attest.log import log_bodies, log_entries, logged_texts
from attest.log.logged_texts import b64
from attest.sigstore import certificates, keyless, promises
from attest.sigstore.sigstore_bundles import MEDIA_TYPE, V01, SigstoreBundle
from attest.statements.envelopes import Envelope

RETRIEVE = "/api/v1/log/entries/retrieve"
MAX_ENTRIES = 4096


def lacks_entry(bundle: SigstoreBundle) -> bool:
    """Whether it is keyless and neither logged nor stamped: nothing proves when the certificate signed."""
    return bundle.certificate is not None and not bundle.logged and not bundle.timestamps


def may_be_completed(bundle: SigstoreBundle) -> bool:
    """Whether an entry that is handed in may belong beside it: also an envelope that names no certificate."""
    bare = bundle.envelope is not None and not bundle.key_hint and not bundle.logged and not bundle.timestamps
    return bare if bundle.certificate is None else lacks_entry(bundle)


def questions(raw: bytes) -> list[bytes]:
    """What is asked of the log about an envelope with a certificate: by each text that it may have been logged as.

    Entries are found by the hash of what would have been logged, to the byte. Raises FormatError.
    """
    bundle = SigstoreBundle.parse(raw)
    envelope = bundle.statement_envelope
    pem = b64(logged_texts.pem(bundle.certificate or b""))
    return [_question(envelope, pem, text) for text in logged_texts.written(envelope, bundle.certificate)]


def completed(raw: bytes, answers: Sequence[bytes]) -> bytes:
    """The bundle with that entry of the answers which is about it.

    Of several, the first that says a time at which the certificate was valid: anybody can log an old envelope again,
    in a newer shard. An envelope without a certificate gets the one that the entry names. Raises FormatError for what
    holds no entry, VerificationError where none is about this signature.
    """
    bundle = SigstoreBundle.parse(raw)
    found = [entry for answer in answers for entry in _entries(answer)]
    if not found:
        raise FormatError(
            "the log holds no entry about this signature",
            hint="it was logged elsewhere, or never: have it signed again",
        )
    fitting = [whole for entry in found if (whole := _with_entry(bundle, entry)) is not None]
    if fitting:
        return min(fitting, key=_out_of_time)
    raise VerificationError(
        f"none of the {len(found)} log entries is about this signature",
        hint="each entry is of one signature: ask the log for this one's (--rekor URL), or hand in its own",
    )


def entry_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Rekor v1's answer about one entry as a bundle's `TransparencyLogEntry`. Raises FormatError."""
    if len(answer) != 1:
        raise _no_entry()
    return _of_rekor(next(iter(answer.values())))


def _entries(answer: bytes) -> Iterator[dict[str, Any]]:
    """Every entry of an answer, in all forms. Raises FormatError."""
    value = canonical.loads(answer, what="Rekor's answer")
    rows = value if isinstance(value, list) else [value]
    if len(rows) > MAX_ENTRIES or any(isinstance(row, dict) and len(row) > MAX_ENTRIES for row in rows):
        raise FormatError(f"more log entries in one file than the limit of {MAX_ENTRIES}")
    for row in rows:
        if not isinstance(row, dict):
            raise _no_entry()
        if "canonicalizedBody" in row:
            yield row
        elif "SignedEntryTimestamp" in row:
            yield promises.entry_of(row)
        else:
            yield from (_of_rekor(entry) for entry in row.values())


def _of_rekor(entry: Any) -> dict[str, Any]:
    try:
        proof = entry["verification"]["inclusionProof"]
        body = canonical.loads_object(base64.b64decode(entry["body"]), what="log entry: body")
        return {
            "logIndex": str(entry["logIndex"]),
            "logId": {"keyId": b64(bytes.fromhex(entry["logID"]))},
            "kindVersion": {"kind": body["kind"], "version": body["apiVersion"]},
            "integratedTime": str(entry["integratedTime"]),
            "inclusionPromise": {"signedEntryTimestamp": entry["verification"]["signedEntryTimestamp"]},
            "inclusionProof": {
                "logIndex": str(proof["logIndex"]),
                "rootHash": b64(bytes.fromhex(proof["rootHash"])),
                "treeSize": str(proof["treeSize"]),
                "hashes": [b64(bytes.fromhex(item)) for item in proof["hashes"]],
                "checkpoint": {"envelope": proof["checkpoint"]},
            },
            "canonicalizedBody": entry["body"],
        }
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise _no_entry() from exc


def _no_entry() -> FormatError:
    return FormatError("Rekor's answer is no log entry", hint="the JSON of /api/v1/log/entries/UUID is wanted")


def _with_entry(bundle: SigstoreBundle, value: dict[str, Any]) -> bytes | None:
    """The bundle with this entry; None where the entry is about something else."""
    try:
        entry = log_entries.parse(value, promise_is_enough=True)
        certificate = bundle.certificate or log_bodies.certificate_of(entry)
        if certificate is None:
            return None
        whole = _joined(bundle, value, certificate, proven=entry.proof is not None)
        log_bodies.check(entry, keyless.signed_statement(SigstoreBundle.parse(whole)))
        log_entries.promised_time(entry)
    except CasstoreError:
        return None
    return whole


def _out_of_time(whole: bytes) -> bool:
    """Whether the entry says a time at which its certificate was not valid; it is only said, and judged later."""
    bundle = SigstoreBundle.parse(whole)
    entry = log_entries.parse(bundle.logged[0], promise_is_enough=True)
    leaf = certificates.load(bundle.certificate or b"")
    return not leaf.not_valid_before_utc <= log_entries.promised_time(entry) <= leaf.not_valid_after_utc


def _joined(bundle: SigstoreBundle, entry: dict[str, Any], certificate: bytes, *, proven: bool) -> bytes:
    document = canonical.loads_object(bundle.raw, what="sigstore bundle", max_bytes=limits.ATTESTATION)
    shown: dict[str, Any] = {"certificate": {"rawBytes": b64(certificate)}}
    if not proven:
        shown = {"x509CertificateChain": {"certificates": [{"rawBytes": b64(certificate)}]}}
    document["mediaType"] = MEDIA_TYPE if proven else V01
    document["verificationMaterial"] = {**shown, "tlogEntries": [entry]}
    return canonical.dumps(document)


def _question(envelope: Envelope, pem: str, text: bytes) -> bytes:
    signature: dict[str, Any] = {"sig": _twice(envelope.signature), "publicKey": pem}
    if envelope.keyid:
        signature["keyid"] = envelope.keyid
    content = {
        "envelope": {
            "payload": _twice(envelope.payload),
            "payloadType": envelope.payload_type,
            "signatures": [signature],
        },
        "hash": {"algorithm": "sha256", "value": hashlib.sha256(text).hexdigest()},
    }
    written = text.decode()
    entries = [
        {"apiVersion": "0.0.1", "kind": "intoto", "spec": {"content": {"envelope": written}, "publicKey": pem}},
        {
            "apiVersion": "0.0.1",
            "kind": "dsse",
            "spec": {"proposedContent": {"envelope": written, "verifiers": [pem]}},
        },
        {"apiVersion": "0.0.2", "kind": "intoto", "spec": {"content": content}},
    ]
    return canonical.dumps({"entries": entries})


def _twice(data: bytes) -> str:
    """`intoto` 0.0.2 has payload and signature in base64 once more."""
    return b64(b64(data).encode())
