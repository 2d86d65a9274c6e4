"""DSSE envelopes: one payload, its type, one signature.

Source: https://github.com/secure-systems-lab/dsse/blob/master/protocol.md . `keyid` is an
unauthenticated hint: written, never needed and never counted.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any

from attest.core.values import dataclass
from attest.digests import Digest, sha256
from attest.errors import FormatError


@dataclass(frozen=True, slots=True)
class Envelope:
    """A DSSE envelope with exactly one signature."""

    payload_type: str
    payload: bytes
    signature: bytes
    keyid: str = ""

    def to_json(self) -> dict[str, Any]:
        """The JSON form (`payload` and `sig` in standard base64)."""
        signature = {"keyid": self.keyid, "sig": base64.b64encode(self.signature).decode()}
        return {
            "payload": base64.b64encode(self.payload).decode(),
            "payloadType": self.payload_type,
            "signatures": [signature],
        }


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: the bytes that are signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def attestation_id(payload_type: str, payload: bytes) -> Digest:
    """What an attestation is, whatever its outer JSON, its base64 or its signature's bytes are: what was signed.

    Revocations go by it, so that a copy that somebody wrote anew is the same attestation.
    """
    return sha256(b"casstore-attestation-id/1\0" + hashlib.sha256(pae(payload_type, payload)).digest())


def parse(value: Any) -> Envelope:
    """JSON value to envelope; both base64 alphabets are read (spec). Raises FormatError."""
    if not isinstance(value, dict):
        raise FormatError("envelope: not an object")
    payload_type, signatures = value.get("payloadType"), value.get("signatures")
    if not isinstance(payload_type, str) or not isinstance(signatures, list):
        raise FormatError("envelope: payloadType or signatures is missing")
    if len(signatures) != 1 or not isinstance(signatures[0], dict):
        raise FormatError(f"envelope: {len(signatures)} signatures, exactly one is wanted")
    keyid = signatures[0].get("keyid") or ""
    if not isinstance(keyid, str):
        raise FormatError("envelope: keyid is no text")
    return Envelope(
        payload_type,
        decode_base64(value.get("payload"), "envelope: payload"),
        decode_base64(signatures[0].get("sig"), "envelope: sig"),
        keyid,
    )


def decode_base64(text: Any, what: str) -> bytes:
    """Standard or URL-safe base64, nothing else in it. Raises FormatError."""
    if not isinstance(text, str):
        raise FormatError(f"{what} is missing")
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise FormatError(f"{what} is not base64") from exc
