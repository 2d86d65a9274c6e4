"""Rekor: a growing RFC 6962 tree with signed checkpoints, behind the v1 and the v2 API.

Source: https://github.com/sigstore/rekor (openapi.yaml) and https://github.com/sigstore/rekor-tiles
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any

import rfc8785
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)

from attest.log.merkle import MemoryTree, leaf_hash

from .clock import Clock
from .errors import Refused
from .fulcio import spki

ECDSA = ec.ECDSA(hashes.SHA256())


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


class Log:
    """A tree and its key. `lies`: `other-body`, `bad-root`, `bad-proof`, `bad-checkpoint`, `bad-promise`."""

    def __init__(self, clock: Clock, origin: str, key: Any, key_id: bytes) -> None:
        self.clock, self.origin, self.key, self.key_id = clock, origin, key, key_id
        self.lies: set[str] = set()
        self.tree = MemoryTree()

    def append(self, body: Mapping[str, Any]) -> tuple[bytes, int, int, bytes, list[bytes], str]:
        """Canonical body, index, size, root hash, proof and checkpoint."""
        raw = rfc8785.dumps(dict(body))
        if "other-body" in self.lies:
            raw = raw.replace(b"sha256", b"sha512").replace(b"SHA2_256", b"SHA2_512")
        index = self.tree.append(leaf_hash(raw))
        size, root, proof = len(self.tree), self.tree.root(), self.tree.inclusion(index)
        if "bad-root" in self.lies:
            root = bytes(32)
        if "bad-proof" in self.lies:
            proof = [*proof, bytes(32)]
        return raw, index, size, root, proof, self._checkpoint(size, root)

    def sign(self, data: bytes) -> bytes:
        return self.key.sign(data) if isinstance(self.key, ed25519.Ed25519PrivateKey) else self.key.sign(data, ECDSA)

    def _checkpoint(self, size: int, root: bytes) -> str:
        text = f"{self.origin}\n{size}\n{b64(root)}\n"
        signature = self.sign(text.encode() + (b"x" if "bad-checkpoint" in self.lies else b""))
        return f"{text}\n\u2014 {self.origin.split(' ')[0]} {b64(self.key_id[:4] + signature)}\n"


class RekorV1(Log):
    """`dsse`, `hashedrekord` and `intoto`, with the log's signed promise of inclusion and its time."""

    def __init__(self, clock: Clock, host: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        origin = f"{host} - {secrets.randbits(62)}"
        super().__init__(clock, origin, key, hashlib.sha256(spki(key.public_key())).digest())
        self.logged: dict[bytes, dict[str, Any]] = {}

    def add(self, body: bytes, _headers: Mapping[str, str]) -> dict[str, Any]:
        """POST /api/v1/log/entries"""
        canonical = _canonical(json.loads(body))
        raw, index, size, root, proof, checkpoint = self.append(canonical)
        entry: dict[str, Any] = {"body": b64(raw), "integratedTime": int(self.clock.now().timestamp()),
                                 "logID": self.key_id.hex(), "logIndex": index}  # fmt: skip
        promise = self.sign(rfc8785.dumps(entry) + (b"x" if "bad-promise" in self.lies else b""))
        entry["verification"] = {
            "signedEntryTimestamp": b64(promise),
            "inclusionProof": {"logIndex": index, "treeSize": size, "rootHash": root.hex(),
                               "hashes": [h.hex() for h in proof], "checkpoint": checkpoint},
        }  # fmt: skip
        self.logged[leaf_hash(rfc8785.dumps(canonical))] = found = {secrets.token_hex(32): entry}
        return found

    def retrieve(self, body: bytes, _headers: Mapping[str, str]) -> list[dict[str, Any]]:
        """POST /api/v1/log/entries/retrieve: an entry is found by the hash of what would be logged, to the byte."""
        leaves = [leaf_hash(rfc8785.dumps(_canonical(proposal))) for proposal in json.loads(body)["entries"]]
        return [self.logged[leaf] for leaf in leaves if leaf in self.logged]


class RekorV2(Log):
    """`hashedrekord` 0.0.2 alone; tells no time, so that clients need a time stamp authority."""

    def __init__(self, clock: Clock, host: str) -> None:
        key = ed25519.Ed25519PrivateKey.generate()
        raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        super().__init__(clock, host, key, hashlib.sha256(host.encode() + b"\n\x01" + raw).digest())

    def add(self, body: bytes, _headers: Mapping[str, str]) -> dict[str, Any]:
        """POST /api/v2/log/entries"""
        request = json.loads(body)["hashedRekordRequestV002"]
        verifier = request["signature"]["verifier"]
        if verifier["keyDetails"] != "PKIX_ECDSA_P256_SHA_256":
            raise Refused(f"no signatures by {verifier['keyDetails']}")
        name = "x509Certificate" if "x509Certificate" in verifier else "publicKey"
        der = base64.b64decode(verifier[name]["rawBytes"])
        public = x509.load_der_x509_certificate(der).public_key() if "x509" in name else load_der_public_key(der)
        _check_digest(public, request["signature"]["content"], base64.b64decode(request["digest"]))
        signature = {"content": request["signature"]["content"],
                     "verifier": {"keyDetails": verifier["keyDetails"], name: verifier[name]}}  # fmt: skip
        data = {"algorithm": "SHA2_256", "digest": request["digest"]}
        raw, index, size, root, proof, checkpoint = self.append(
            {"apiVersion": "0.0.2", "kind": "hashedrekord",
             "spec": {"hashedRekordV002": {"data": data, "signature": signature}}}
        )  # fmt: skip
        return {
            "logIndex": str(index),
            "logId": {"keyId": b64(self.key_id)},
            "kindVersion": {"kind": "hashedrekord", "version": "0.0.2"},
            "inclusionProof": {"logIndex": str(index), "rootHash": b64(root), "treeSize": str(size),
                               "hashes": [b64(h) for h in proof], "checkpoint": {"envelope": checkpoint}},
            "canonicalizedBody": b64(raw),
        }  # fmt: skip


def _canonical(proposal: Mapping[str, Any]) -> dict[str, Any]:
    """What Rekor v1 would log of a proposal."""
    kind = (proposal["kind"], proposal["apiVersion"])
    if kind not in _SPECS:
        raise Refused(f"no entries of kind {kind}")
    return {"apiVersion": kind[1], "kind": kind[0], "spec": _SPECS[kind](proposal["spec"])}


def _intoto_v1_spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    text = spec["content"]["envelope"]
    envelope = json.loads(text)
    payload = base64.b64decode(envelope["payload"])
    (signature,) = envelope["signatures"]
    _check(_public(spec["publicKey"]), signature["sig"], _pae(envelope["payloadType"], payload))
    return {"content": {"hash": _sha256(text.encode()), "payloadHash": _sha256(payload)},
            "publicKey": spec["publicKey"]}  # fmt: skip


def _intoto_v2_spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The hash of the envelope is the client's own, and one must be there."""
    content = spec["content"]
    envelope = content["envelope"]
    payload = base64.b64decode(base64.b64decode(envelope["payload"]))
    for row in envelope["signatures"]:
        signature = base64.b64decode(row["sig"]).decode()
        _check(_public(row["publicKey"]), signature, _pae(envelope["payloadType"], payload))
    kept = {"payloadType": envelope["payloadType"], "signatures": envelope["signatures"]}
    return {"content": {"envelope": kept, "hash": content["hash"], "payloadHash": _sha256(payload)}}


def _dsse_spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    offer = spec["proposedContent"]
    envelope = json.loads(offer["envelope"])
    payload = base64.b64decode(envelope["payload"])
    pae = _pae(envelope["payloadType"], payload)
    signatures = []
    for signature, verifier in zip(envelope["signatures"], offer["verifiers"], strict=True):
        _check(_public(verifier), signature["sig"], pae)
        signatures.append({"signature": signature["sig"], "verifier": verifier})
    return {
        "envelopeHash": _sha256(offer["envelope"].encode()),
        "payloadHash": _sha256(payload),
        "signatures": signatures,
    }


def _hashedrekord_spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    signature, digest = spec["signature"], spec["data"]["hash"]
    key = signature["publicKey"]["content"]
    _check_digest(_public(key), signature["content"], bytes.fromhex(digest["value"]), _HASHES[digest["algorithm"]])
    return {
        "data": {"hash": {"algorithm": digest["algorithm"], "value": digest["value"]}},
        "signature": {"content": signature["content"], "publicKey": {"content": key}},
    }


_SPECS = {
    ("dsse", "0.0.1"): _dsse_spec,
    ("hashedrekord", "0.0.1"): _hashedrekord_spec,
    ("intoto", "0.0.1"): _intoto_v1_spec,
    ("intoto", "0.0.2"): _intoto_v2_spec,
}


def _pae(payload_type: str, payload: bytes) -> bytes:
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def _sha256(data: bytes) -> dict[str, str]:
    return {"algorithm": "sha256", "value": hashlib.sha256(data).hexdigest()}


def _public(encoded: str) -> Any:
    pem = base64.b64decode(encoded)
    if b"CERTIFICATE" in pem:
        return x509.load_pem_x509_certificate(pem).public_key()
    return load_pem_public_key(pem)


def _check(public: Any, signature: str, message: bytes) -> None:
    arguments = () if isinstance(public, ed25519.Ed25519PublicKey) else (ECDSA,)
    try:
        public.verify(base64.b64decode(signature), message, *arguments)
    except InvalidSignature as exc:
        raise Refused("the signature does not hold") from exc


_HASHES = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}


def _check_digest(public: Any, signature: str, digest: bytes, kind: hashes.HashAlgorithm = _HASHES["sha256"]) -> None:
    if isinstance(public, ed25519.Ed25519PublicKey):
        raise Refused("plain Ed25519 cannot sign a digest")
    try:
        public.verify(base64.b64decode(signature), digest, ec.ECDSA(Prehashed(kind)))
    except InvalidSignature as exc:
        raise Refused("the signature does not hold") from exc
