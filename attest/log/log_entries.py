"""Entries of a transparency log (Rekor v1 and v2): is it in the log, since when, and is it about this signature?

Rules:

1. the log is one that the sigstore root names, by the entry's log id;
2. the inclusion proof leads from the entry's body to a root hash, and a checkpoint over exactly that
   size and root hash is signed by the log;
3. an integrated time counts only beside the log's signed promise over it (v1; v2 tells no time);
4. the body is exactly what this signature, this key and this content would have been logged as.

    entry = parse(value)
    time = verify(entry, log.public)                 # datetime or None; raises VerificationError
    check_body(entry, signed)

Source: https://github.com/sigstore/architecture-docs/blob/main/client-spec.md (step "Transparency Log Entry")
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from attest import canonical
from attest.errors import CasstoreError, FormatError, VerificationError
from attest.keys import keys
from attest.keys.keys import ED25519, PublicKey
from attest.log import checkpoints, merkle
from attest.statements.envelopes import decode_base64

MAX_BODY = 1024 * 1024
_P256 = "PKIX_ECDSA_P256_SHA_256"
_WHAT = "log entry"


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One `tlogEntries` item; nothing of it is verified."""

    log_id: bytes
    kind: str
    version: str
    log_index: int
    integrated_time: int
    promise: bytes | None
    index: int
    """In the tree that the proof is about; a v1 log of several shards counts `log_index` over all of them."""
    size: int
    root: bytes
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Signed:
    """What a managed key signed, as a log would name it."""

    signature: bytes
    public: PublicKey
    digest: bytes
    """SHA-256 of the signed bytes: of DSSE's PAE, or of the artifact."""
    payload: bytes | None
    """The DSSE payload; None where an artifact itself is signed."""


def parse(value: Any) -> LogEntry:
    """JSON to entry. Raises FormatError; an entry without an inclusion proof is refused."""
    proof = _object(value, "inclusionProof")
    promise = value.get("inclusionPromise")
    kind = _object(value, "kindVersion")
    return LogEntry(
        decode_base64(_object(value, "logId").get("keyId"), f"{_WHAT}: keyId"),
        str(kind.get("kind")),
        str(kind.get("version")),
        _int(value, "logIndex"),
        _int(value, "integratedTime"),
        None if promise is None else decode_base64(promise.get("signedEntryTimestamp"), f"{_WHAT}: promise"),
        _int(proof, "logIndex"),
        _int(proof, "treeSize"),
        decode_base64(proof.get("rootHash"), f"{_WHAT}: rootHash"),
        tuple(decode_base64(item, f"{_WHAT}: hash") for item in proof.get("hashes") or ()),
        str(_object(proof, "checkpoint").get("envelope")).encode(),
        _body(value),
    )


def verify(entry: LogEntry, log_id: bytes, public: PublicKey) -> datetime | None:
    """The time that the log promised, or None where it promised none. Raises VerificationError."""
    leaf = merkle.leaf_hash(entry.body)
    merkle.verify_inclusion(leaf, index=entry.index, size=entry.size, proof=entry.hashes, root=entry.root)
    _verify_checkpoint(entry, log_id, public)
    if entry.promise is None or not entry.integrated_time:
        return None
    promised = {
        "body": base64.b64encode(entry.body).decode(),
        "integratedTime": entry.integrated_time,
        "logID": entry.log_id.hex(),
        "logIndex": entry.log_index,
    }
    _signed_by_log(public, entry.promise, canonical.dumps(promised), "promise of inclusion")
    return promised_time(entry)


def promised_time(entry: LogEntry) -> datetime:
    """The integrated time as it is written, verified or not. Raises FormatError."""
    try:
        return datetime.fromtimestamp(entry.integrated_time, UTC)
    except (OverflowError, ValueError, OSError) as exc:
        raise FormatError(f"{_WHAT}: {entry.integrated_time} is no time") from exc


def check_body(entry: LogEntry, signed: Signed) -> None:
    """Raises VerificationError unless the entry is about this signature, key and content."""
    body = canonical.loads_object(entry.body, what=f"{_WHAT}: body", max_bytes=MAX_BODY)
    if (body.get("kind"), body.get("apiVersion")) != (entry.kind, entry.version):
        raise VerificationError("the log entry's body is of another kind than it is said to be")
    wanted = _KINDS.get((entry.kind, entry.version))
    if wanted is None:
        raise VerificationError(f"a log entry of kind {entry.kind[:40]} {entry.version[:20]} is not taken")
    if not wanted(body.get("spec"), signed):
        raise VerificationError(
            "the log entry is about something else than this signature",
            hint="it was taken from another bundle: get the attestation again",
        )


def _verify_checkpoint(entry: LogEntry, log_id: bytes, public: PublicKey) -> None:
    text, checkpoint, signatures = checkpoints.parse_note(entry.checkpoint)
    of_log = [found.signature for found in signatures if found.key_id == log_id[:4]]
    if not of_log:
        raise VerificationError("the log entry's checkpoint is not signed by the log")
    _signed_by_log(public, of_log[0], text, "checkpoint")
    if (checkpoint.size, checkpoint.root) != (entry.size, entry.root):
        raise VerificationError("the log entry's proof and checkpoint speak of different trees")


def _signed_by_log(public: PublicKey, signature: bytes, data: bytes, what: str) -> None:
    try:
        keys.verify_signature(public, signature, data)
    except VerificationError as exc:
        raise VerificationError(f"the log's signature on the entry's {what} does not hold") from exc


def _is_dsse(spec: Any, signed: Signed) -> bool:
    """`dsse` 0.0.1: the envelope hash cannot be checked, since the envelope's JSON is not canonical."""
    if signed.payload is None:
        return False
    payload = {"algorithm": "sha256", "value": hashlib.sha256(signed.payload).hexdigest()}
    signatures = [(item["signature"], _pem_der(item["verifier"])) for item in spec["signatures"]]
    der = keys.public_to_der(signed.public)
    return bool(spec["payloadHash"] == payload and signatures == [(_b64(signed.signature), der)])


def _is_hashedrekord_v1(spec: Any, signed: Signed) -> bool:
    if signed.payload is not None:
        return False
    digest = {"algorithm": "sha256", "value": signed.digest.hex()}
    signature = spec["signature"]
    der = keys.public_to_der(signed.public)
    found = (spec["data"]["hash"], signature["content"], _pem_der(signature["publicKey"]["content"]))
    return bool(found == (digest, _b64(signed.signature), der))


def _is_hashedrekord_v2(spec: Any, signed: Signed) -> bool:
    return bool(spec == {"hashedRekordV002": hashedrekord_v2(signed)})


def hashedrekord_v2(signed: Signed) -> dict[str, Any]:
    """The body of Rekor v2's one kind; DSSE signatures are logged over their PAE."""
    verifier = {"keyDetails": _P256, "publicKey": {"rawBytes": _b64(keys.public_to_der(signed.public))}}
    return {
        "data": {"algorithm": "SHA2_256", "digest": _b64(signed.digest)},
        "signature": {"content": _b64(signed.signature), "verifier": verifier},
    }


def _tolerant(check: Any) -> Any:
    """A body that lacks a field, or has another type in its place, is about something else."""

    def checked(spec: Any, signed: Signed) -> bool:
        try:
            return bool(check(spec, signed))
        except (KeyError, TypeError, IndexError, AttributeError, CasstoreError):
            return False

    return checked


_KINDS = {
    ("dsse", "0.0.1"): _tolerant(_is_dsse),
    ("hashedrekord", "0.0.1"): _tolerant(_is_hashedrekord_v1),
    ("hashedrekord", "0.0.2"): _tolerant(_is_hashedrekord_v2),
}


def loggable_v2(public: PublicKey) -> bool:
    """Rekor v2 takes a digest, which plain Ed25519 cannot sign."""
    return keys.algorithm_of(public) != ED25519


def _pem_der(encoded: str) -> bytes:
    return keys.public_to_der(keys.public_from_pem(decode_base64(encoded, f"{_WHAT}: verifier")))


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _object(value: Any, name: str) -> Mapping[str, Any]:
    found = value.get(name) if isinstance(value, Mapping) else None
    if not isinstance(found, Mapping):
        raise FormatError(f"{_WHAT}: {name} is missing")
    return found


def _int(value: Mapping[str, Any], name: str) -> int:
    """ProtoJSON writes 64-bit numbers as text; nothing is 0."""
    found = value.get(name) or 0
    if isinstance(found, str) and found.isascii() and found.isdigit() and len(found) < 20:
        found = int(found)
    if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found < 2**53:
        raise FormatError(f"{_WHAT}: {name} is no number from 0 on")
    return found


def _body(value: Mapping[str, Any]) -> bytes:
    body = decode_base64(value.get("canonicalizedBody"), f"{_WHAT}: canonicalizedBody")
    if len(body) > MAX_BODY:
        raise FormatError(f"{_WHAT}: a body of {len(body)} bytes, more than the limit of {MAX_BODY}")
    return body
