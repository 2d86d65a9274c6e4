"""Log entries that did not come with the signature: asked of Rekor v1, or handed in as its answer was saved.

SLSA generators publish a DSSE envelope with the certificate inside and no log entry; the log has it. Here the
entry is asked for by what would have been logged, and put beside the signature; whether it is true is judged
with the bundle, by the log's own signatures (`keyless`).

    bundle = completed(raw, answer)          # the bundle with the entry; FormatError

Source: https://github.com/sigstore/rekor/blob/main/openapi.yaml (`/api/v1/log/entries/retrieve`)
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from attest import canonical
from attest.errors import FormatError
from attest.sigstore.sigstore_bundles import SigstoreBundle
from attest.statements.envelopes import Envelope

RETRIEVE = "/api/v1/log/entries/retrieve"


def lacks_entry(bundle: SigstoreBundle) -> bool:
    """Whether it is keyless and neither logged nor stamped: nothing proves when the certificate signed."""
    return bundle.certificate is not None and not bundle.logged and not bundle.timestamps


def question(raw: bytes) -> bytes:
    """What is asked of the log about an envelope. Raises FormatError."""
    bundle = SigstoreBundle.parse(raw)
    envelope, pem = bundle.statement_envelope, _pem(bundle.certificate or b"")
    return canonical.dumps({"entries": [_intoto(envelope, pem), _dsse(envelope, pem)]})


def completed(raw: bytes, answer: bytes) -> bytes:
    """The bundle with the entry of Rekor's answer, an object or a list of them. Raises FormatError."""
    bundle = SigstoreBundle.parse(raw)
    value = canonical.loads(answer, what="Rekor's answer")
    found = value if isinstance(value, list) else [value]
    if not found or not isinstance(found[0], dict) or not found[0]:
        raise FormatError(
            "the log holds no entry about this signature",
            hint="it was logged elsewhere, or never: have it signed again",
        )
    document = canonical.loads_object(bundle.raw, what="sigstore bundle")
    document["verificationMaterial"] = {**document["verificationMaterial"], "tlogEntries": [entry_of(found[0])]}
    return canonical.dumps(document)


def entry_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Rekor v1's answer as a bundle's `TransparencyLogEntry`. Raises FormatError."""
    try:
        (entry,) = answer.values()
        proof = entry["verification"]["inclusionProof"]
        body = canonical.loads_object(base64.b64decode(entry["body"]), what="log entry: body")
        return {
            "logIndex": str(entry["logIndex"]),
            "logId": {"keyId": _b64(bytes.fromhex(entry["logID"]))},
            "kindVersion": {"kind": body["kind"], "version": body["apiVersion"]},
            "integratedTime": str(entry["integratedTime"]),
            "inclusionPromise": {"signedEntryTimestamp": entry["verification"]["signedEntryTimestamp"]},
            "inclusionProof": {
                "logIndex": str(proof["logIndex"]),
                "rootHash": _b64(bytes.fromhex(proof["rootHash"])),
                "treeSize": str(proof["treeSize"]),
                "hashes": [_b64(bytes.fromhex(item)) for item in proof["hashes"]],
                "checkpoint": {"envelope": proof["checkpoint"]},
            },
            "canonicalizedBody": entry["body"],
        }
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise FormatError(
            "Rekor's answer is no log entry", hint="the JSON of /api/v1/log/entries/UUID is wanted"
        ) from exc


def _intoto(envelope: Envelope, pem: bytes) -> dict[str, Any]:
    """As `intoto` 0.0.2 is proposed: payload and signature in base64 once more."""
    signature = {"sig": _twice(envelope.signature), "publicKey": _b64(pem)}
    content = {
        "payload": _twice(envelope.payload),
        "payloadType": envelope.payload_type,
        "signatures": [signature],
    }
    return {"apiVersion": "0.0.2", "kind": "intoto", "spec": {"content": {"envelope": content}}}


def _dsse(envelope: Envelope, pem: bytes) -> dict[str, Any]:
    text = canonical.dumps(envelope.to_json()).decode()
    return {
        "apiVersion": "0.0.1",
        "kind": "dsse",
        "spec": {"proposedContent": {"envelope": text, "verifiers": [_b64(pem)]}},
    }


def _pem(der: bytes) -> bytes:
    text = _b64(der)
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""]).encode()


def _twice(data: bytes) -> str:
    return _b64(_b64(data).encode())


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
