"""What a log entry is about: exactly this signature, by this key or certificate, over this content?

Each kind of entry has one canonical body for what was signed; a field that differs, or is missing, makes it an
entry about something else (CVE-2022-36056). Kinds: Rekor v1 `hashedrekord` 0.0.1, `dsse` 0.0.1, `intoto` 0.0.1
and 0.0.2; Rekor v2 `hashedrekord` 0.0.2.

    check(entry, signed)            # VerificationError

`intoto` 0.0.1 names no signature but a hash of the envelope's text, which is written again (`logged_texts`).

Source: https://github.com/sigstore/rekor/tree/main/pkg/types , https://github.com/sigstore/rekor-tiles
"""

from __future__ import annotations

import hashlib
from typing import Any

from attest import canonical
from attest.core.values import dataclass
from attest.errors import CasstoreError, VerificationError
from attest.keys import keys
from attest.keys.keys import ED25519, PublicKey
from attest.log import logged_texts
from attest.log.log_entries import MAX_BODY, LogEntry
from attest.log.logged_texts import b64
from attest.statements.envelopes import Envelope, decode_base64

_WHAT = "log entry"


@dataclass(frozen=True, slots=True)
class Signed:
    """What was signed, as a log would name it."""

    signature: bytes
    public: PublicKey
    digest: bytes
    """SHA-256 of DSSE's PAE, or of the artifact by `algorithm`."""
    payload: bytes | None
    """The DSSE payload; None where an artifact itself is signed."""
    payload_type: str = ""
    certificate: bytes | None = None
    """The certificate of the key, in DER, where it was signed keyless."""
    keyid: str = ""
    """The key id that stands in the envelope: part of the text that `intoto` 0.0.1 hashes, and nothing more."""
    algorithm: str = "sha256"
    """What `digest` is: sha256, sha384 or sha512."""


def check(entry: LogEntry, signed: Signed) -> None:
    """Raises VerificationError unless the entry is about this signature, key and content."""
    body = canonical.loads_object(entry.body, what=f"{_WHAT}: body", max_bytes=MAX_BODY)
    if (body.get("kind"), body.get("apiVersion")) != (entry.kind, entry.version):
        raise VerificationError("the log entry's body is of another kind than it is said to be")
    wanted = _KINDS.get((entry.kind, entry.version))
    if wanted is None:
        raise VerificationError(
            f"a log entry of kind {entry.kind[:40]} {entry.version[:20]} is not taken",
            hint="known: hashedrekord 0.0.1 and 0.0.2, dsse 0.0.1, intoto 0.0.1 and 0.0.2",
        )
    if not wanted(body.get("spec"), signed):
        raise VerificationError(
            "the log entry is about something else than this signature",
            hint="it was taken from another bundle: get the attestation again",
        )


def certificate_of(entry: LogEntry) -> bytes | None:
    """The certificate (DER) that an entry about an envelope names; None where it names a key, or no one."""
    body = canonical.loads_object(entry.body, what=f"{_WHAT}: body", max_bytes=MAX_BODY)
    try:
        pem = decode_base64(_VERIFIER[entry.kind, entry.version](body["spec"]), _WHAT)
        return _framed(pem)
    except (KeyError, TypeError, IndexError, ValueError, CasstoreError):
        return None


def hashedrekord_v2(signed: Signed) -> dict[str, Any]:
    """The body of Rekor v2's one kind; DSSE signatures are logged over their PAE."""
    if signed.certificate is None:
        material = {"publicKey": {"rawBytes": b64(keys.public_to_der(signed.public))}}
    else:
        material = {"x509Certificate": {"rawBytes": b64(signed.certificate)}}
    return {
        "data": {"algorithm": f"SHA2_{signed.algorithm[3:]}", "digest": b64(signed.digest)},
        "signature": {
            "content": b64(signed.signature),
            "verifier": {"keyDetails": keys.details_of(signed.public), **material},
        },
    }


def loggable_v2(public: PublicKey) -> bool:
    """Rekor v2 takes a digest, which plain Ed25519 cannot sign."""
    return keys.algorithm_of(public) != ED25519


def _is_dsse(spec: Any, signed: Signed) -> bool:
    """`dsse` 0.0.1: the envelope hash cannot be checked, since the envelope's JSON is not canonical."""
    if signed.payload is None:
        return False
    signatures = [(item["signature"], _names(item["verifier"], signed)) for item in spec["signatures"]]
    return bool(spec["payloadHash"] == _hash(signed.payload) and signatures == [(b64(signed.signature), True)])


def _is_intoto_v1(spec: Any, signed: Signed) -> bool:
    """`intoto` 0.0.1: the hash is of one text of this envelope, signature included; entries of 2021 have no other."""
    if signed.payload is None:
        return False
    content = spec["content"]
    envelope = Envelope(signed.payload_type, signed.payload, signed.signature, signed.keyid)
    texts = [_hash(text) for text in logged_texts.written(envelope, signed.certificate)]
    return (
        content["hash"] in texts
        and content.get("payloadHash", _hash(signed.payload)) == _hash(signed.payload)
        and _names(spec["publicKey"], signed)
    )


def _is_intoto_v2(spec: Any, signed: Signed) -> bool:
    """`intoto` 0.0.2: payload and signature stand in base64 once more than in the envelope."""
    if signed.payload is None:
        return False
    content = spec["content"]
    envelope = content["envelope"]
    signatures = [
        (decode_base64(item["sig"], _WHAT), _names(item["publicKey"], signed)) for item in envelope["signatures"]
    ]
    payload = envelope.get("payload")
    return bool(
        content["payloadHash"] == _hash(signed.payload)
        and envelope["payloadType"] == signed.payload_type
        and signatures == [(b64(signed.signature).encode(), True)]
        and (payload is None or decode_base64(payload, _WHAT) == b64(signed.payload).encode())
    )


def _is_hashedrekord_v1(spec: Any, signed: Signed) -> bool:
    if signed.payload is not None:
        return False
    digest = {"algorithm": signed.algorithm, "value": signed.digest.hex()}
    signature = spec["signature"]
    named = _names(signature["publicKey"]["content"], signed)
    return bool(named and (spec["data"]["hash"], signature["content"]) == (digest, b64(signed.signature)))


def _is_hashedrekord_v2(spec: Any, signed: Signed) -> bool:
    return bool(spec == {"hashedRekordV002": hashedrekord_v2(signed)})


def _names(encoded: str, signed: Signed) -> bool:
    """Whether a PEM in base64 is the very certificate, or key, that signed."""
    pem = decode_base64(encoded, f"{_WHAT}: verifier")
    if signed.certificate is None:
        return keys.public_to_der(keys.public_from_pem(pem)) == keys.public_to_der(signed.public)
    return _framed(pem) == signed.certificate


def _framed(pem: bytes) -> bytes | None:
    """The one certificate of a PEM; None for a key or whatever else."""
    lines = pem.strip().split(b"\n")
    framed = (lines[0].strip(), lines[-1].strip()) == (b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----")
    return decode_base64(b"".join(lines[1:-1]).decode("ascii"), _WHAT) if framed else None


def _hash(payload: bytes) -> dict[str, str]:
    return {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()}


def _tolerant(check: Any) -> Any:
    """A body that lacks a field, or has another type in its place, is about something else."""

    def checked(spec: Any, signed: Signed) -> bool:
        try:
            return bool(check(spec, signed))
        except (KeyError, TypeError, IndexError, AttributeError, ValueError, CasstoreError):
            return False

    return checked


_KINDS = {
    ("dsse", "0.0.1"): _tolerant(_is_dsse),
    ("intoto", "0.0.1"): _tolerant(_is_intoto_v1),
    ("intoto", "0.0.2"): _tolerant(_is_intoto_v2),
    ("hashedrekord", "0.0.1"): _tolerant(_is_hashedrekord_v1),
    ("hashedrekord", "0.0.2"): _tolerant(_is_hashedrekord_v2),
}

_VERIFIER: dict[tuple[str, str], Any] = {
    ("dsse", "0.0.1"): lambda spec: spec["signatures"][0]["verifier"],
    ("intoto", "0.0.1"): lambda spec: spec["publicKey"],
    ("intoto", "0.0.2"): lambda spec: spec["content"]["envelope"]["signatures"][0]["publicKey"],
}
"""Where the kinds of entries about envelopes name who signed."""
