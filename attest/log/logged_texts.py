"""The text of an envelope that a log hashed: the very bytes that Go programs write of it.

`intoto` 0.0.1 entries, and what Rekor is asked by, name an envelope by a hash of its JSON. No bundle keeps that
text, but Go's encoder leaves no choice in it, so that it can be written again: as its DSSE library does, and with
the certificate inside the signature, as SLSA generators do.

    [hashlib.sha256(text).hexdigest() for text in written(envelope, certificate_der)]

Source: https://github.com/secure-systems-lab/go-securesystemslib/blob/main/dsse/dsse.go (`Envelope`) and
https://github.com/slsa-framework/slsa-github-generator/blob/main/signing/envelope/envelope.go
"""

from __future__ import annotations

import base64
import json
from typing import Any

from attest.statements.envelopes import Envelope

_ESCAPED = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})
"""What Go's encoder escapes beside quotes and control characters."""


def written(envelope: Envelope, certificate: bytes | None) -> list[bytes]:
    """The texts in which this envelope may have been logged; that with the certificate (DER) inside first."""
    signature: dict[str, Any] = {"keyid": envelope.keyid, "sig": b64(envelope.signature)}
    kinds = [signature] if certificate is None else [{**signature, "cert": pem(certificate).decode()}, signature]
    return [_go_json(envelope, kind) for kind in kinds]


def pem(certificate: bytes) -> bytes:
    """A certificate's DER in PEM, as OpenSSL and Go write it."""
    text = b64(certificate)
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""]).encode()


def b64(data: bytes) -> str:
    """Standard base64."""
    return base64.b64encode(data).decode()


def _go_json(envelope: Envelope, signature: dict[str, Any]) -> bytes:
    value = {"payloadType": envelope.payload_type, "payload": b64(envelope.payload), "signatures": [signature]}
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).translate(_ESCAPED).encode()
