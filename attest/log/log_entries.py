"""Entries of a transparency log (Rekor v1 and v2): is it in the log, and since when?

Rules:

1. the log is one that the sigstore root names, by the entry's log id;
2. the inclusion proof leads from the entry's body to a root hash, and a checkpoint over exactly that
   size and root hash is signed by the log; in bundles of version 0.1 alone the log's signed promise is enough;
3. an integrated time counts only beside the log's signed promise over it (v1; v2 tells no time).

    entry = parse(value)
    time = verify(entry, log.key_id, log.public)     # datetime or None; raises VerificationError

What an entry is about: `log_bodies`.

Source: https://github.com/sigstore/architecture-docs/blob/main/client-spec.md (step "Transparency Log Entry")
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from attest import canonical
from attest.core.values import dataclass
from attest.errors import FormatError, VerificationError
from attest.keys import keys
from attest.keys.keys import PublicKey
from attest.log import checkpoints, merkle
from attest.statements.envelopes import decode_base64

MAX_BODY = 1024 * 1024
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
    proof: InclusionProof | None
    """None where the log's promise is enough and no proof came with it."""
    body: bytes


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """Where in which tree the entry is."""

    index: int
    """In the tree that the proof is about; a v1 log of several shards counts `log_index` over all of them."""
    size: int
    root: bytes
    hashes: tuple[bytes, ...]
    checkpoint: bytes


def parse(value: Any, *, promise_is_enough: bool = False) -> LogEntry:
    """JSON to entry. Raises FormatError; one without a proof is refused, unless its promise is enough."""
    promise = value.get("inclusionPromise") if isinstance(value, Mapping) else None
    proof = _proof(value, may_be_absent=promise_is_enough and promise is not None)
    kind = _object(value, "kindVersion")
    return LogEntry(
        decode_base64(_object(value, "logId").get("keyId"), f"{_WHAT}: keyId"),
        str(kind.get("kind")),
        str(kind.get("version")),
        _int(value, "logIndex"),
        _int(value, "integratedTime"),
        None if promise is None else _promise(promise),
        proof,
        _body(value),
    )


def _proof(value: Any, *, may_be_absent: bool) -> InclusionProof | None:
    found = value.get("inclusionProof") if isinstance(value, Mapping) else None
    if may_be_absent and (found is None or (isinstance(found, Mapping) and not found.get("checkpoint"))):
        return None  # one without a checkpoint proves nothing: the promise alone is judged
    proof = _object(value, "inclusionProof")
    hashes = proof.get("hashes") or []
    if not isinstance(hashes, list):
        raise FormatError(f"{_WHAT}: hashes is no list")
    return InclusionProof(
        _int(proof, "logIndex"),
        _int(proof, "treeSize"),
        decode_base64(proof.get("rootHash"), f"{_WHAT}: rootHash"),
        tuple(decode_base64(item, f"{_WHAT}: hash") for item in hashes),
        str(_object(proof, "checkpoint").get("envelope")).encode(),
    )


def _promise(value: Any) -> bytes:
    if not isinstance(value, Mapping):
        raise FormatError(f"{_WHAT}: the promise is no object")
    return decode_base64(value.get("signedEntryTimestamp"), f"{_WHAT}: promise")


def verify(entry: LogEntry, log_id: bytes, public: PublicKey) -> datetime | None:
    """The time that the log promised, or None where it promised none. Raises VerificationError."""
    if entry.proof is not None:
        proof, leaf = entry.proof, merkle.leaf_hash(entry.body)
        merkle.verify_inclusion(leaf, index=proof.index, size=proof.size, proof=proof.hashes, root=proof.root)
        _verify_checkpoint(proof, log_id, public)
    if entry.promise is None or not entry.integrated_time:
        if entry.proof is None:
            raise VerificationError("the log entry has neither a proof of inclusion nor a promise with a time")
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


def _verify_checkpoint(proof: InclusionProof, log_id: bytes, public: PublicKey) -> None:
    text, checkpoint, signatures = checkpoints.parse_note(proof.checkpoint)
    of_log = [found.signature for found in signatures if found.key_id == log_id[:4]]
    if not of_log:
        raise VerificationError("the log entry's checkpoint is not signed by the log")
    _signed_by_log(public, of_log[0], text, "checkpoint")
    if (checkpoint.size, checkpoint.root) != (proof.size, proof.root):
        raise VerificationError("the log entry's proof and checkpoint speak of different trees")


def _signed_by_log(public: PublicKey, signature: bytes, data: bytes, what: str) -> None:
    try:
        keys.verify_signature(public, signature, data)
    except VerificationError as exc:
        raise VerificationError(f"the log's signature on the entry's {what} does not hold") from exc


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
