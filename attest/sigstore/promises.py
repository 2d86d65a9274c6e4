"""The log's promise as cosign keeps it beside a signature: `SignedEntryTimestamp` and `Payload`, no proof of inclusion.

    entry = entry_of(value)        # a bundle's `TransparencyLogEntry`

Source: https://github.com/sigstore/cosign/blob/v2.4.0/specs/SIGNATURE_SPEC.md (`dev.sigstore.cosign/bundle`)
"""

from __future__ import annotations

from typing import Any

from attest import canonical
from attest.errors import FormatError
from attest.log.logged_texts import b64
from attest.statements.envelopes import decode_base64


def entry_of(value: Any) -> dict[str, Any]:
    """The promise as a log entry without a proof; nothing is verified. Raises FormatError."""
    payload = value.get("Payload") if isinstance(value, dict) else None
    if not isinstance(payload, dict):
        raise FormatError("cosign bundle: rekorBundle holds no Payload")
    body = canonical.loads_object(decode_base64(plain(payload.get("body")), "log entry: body"), what="log entry: body")
    return {
        "logIndex": str(payload.get("logIndex", 0)),
        "logId": {"keyId": b64(unhexed(payload.get("logID")))},
        "kindVersion": {"kind": body.get("kind"), "version": body.get("apiVersion")},
        "integratedTime": str(payload.get("integratedTime", 0)),
        "inclusionPromise": {"signedEntryTimestamp": value.get("SignedEntryTimestamp")},
        "canonicalizedBody": payload["body"],
    }


def plain(text: Any) -> Any:
    """Base64 without the line breaks that Python's `encodebytes` puts in."""
    return "".join(text.split()) if isinstance(text, str) else text


def unhexed(text: Any) -> bytes:
    """Hexadecimal digits. Raises FormatError."""
    try:
        return bytes.fromhex(text)
    except (TypeError, ValueError) as exc:
        raise FormatError("hexadecimal digits are wanted") from exc
