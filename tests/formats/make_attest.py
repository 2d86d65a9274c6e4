"""Makes the golden files of attest's formats: python tests/formats/make_attest.py

The keys are derived from fixed numbers, so that every run gives the same bytes. Never use them.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from attest import digests, signers
from attest.core import times
from attest.keys import identities, keys
from attest.log import checkpoints, merkle, tiles
from attest.statements import statements

GOLDEN = Path(__file__).parent / "golden"
ORIGIN = "casstore.dev/5d41402abc4b2a76b9719d911017c592/main"
PREDICATE_TYPE = "https://in-toto.io/attestation/test-result/v0.1"


def known_keys() -> dict[str, keys.PrivateKey]:
    return {
        "ecdsa-p256": ec.derive_private_key(0xCA55, ec.SECP256R1()),
        "ed25519": ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"casstore test key").digest()),
    }


def statement() -> statements.Statement:
    artifacts = {
        name: digests.sha256(name.encode()) for name in ("core-1.4.0.tar.gz", "agent-1.4.0.zip", "Prüfung.txt")
    }
    return statements.of_digests(artifacts, PREDICATE_TYPE, {"result": "PASSED", "seconds": 1.5, "passedTests": ["a"]})


def entries() -> list[bytes]:
    return [f"entry {number}".encode() for number in range(259)]


def files() -> dict[str, bytes]:
    """Path below the golden folder -> content."""
    return {**_texts(), **_attestations(), **_checkpoints()}


def _texts() -> dict[str, bytes]:
    examples = {
        "digest": digests.sha256(b""),
        "zero": digests.ZERO,
        "time": times.format(datetime(2026, 1, 31, 9, 0, 0, 999999, UTC)),
        "key": {name: keys.identity_of(key.public_key()) for name, key in known_keys().items()},
        "keyless": identities.of_oidc("https://accounts.example", "ann@example.com"),
    }
    return {"digest/examples.json": _pretty(examples), "statement/test-result.json": statement().to_bytes()}


def _attestations() -> dict[str, bytes]:
    out = {}
    for name, key in known_keys().items():
        out[f"attestation/{name}.pub"] = keys.public_to_pem(key.public_key())
        out[f"attestation/{name}.sigstore.json"] = signers.from_private_key(key).sign_statement(statement().to_bytes())
    return out


def _checkpoints() -> dict[str, bytes]:
    signer = signers.from_private_key(known_keys()["ed25519"])
    tree = merkle.MemoryTree(entries())
    out = {}
    for size in (0, 7, 259):
        checkpoint = checkpoints.Checkpoint(ORIGIN, size, tree.root(size))
        out[f"checkpoint/{size}.checkpoint"] = checkpoints.sign(
            checkpoint, ORIGIN, signer.public_pem, signer.sign_bytes
        )
    for tile in tiles.grown(0, 259):
        out[f"checkpoint/{tile.path}"] = tiles.tile_bytes(tile, tree.hash_at)
    for tile in tiles.grown_entries(0, 259):
        out[f"checkpoint/{tile.path}"] = tiles.entries_bytes([entries()[i] for i in tile.hashes])
    proofs = {
        "inclusion of 6 in 7": [h.hex() for h in tree.inclusion(6, 7)],
        "inclusion of 200 in 259": [h.hex() for h in tree.inclusion(200, 259)],
        "consistency of 7 with 259": [h.hex() for h in tree.consistency(7, 259)],
    }
    return {**out, "checkpoint/proofs.json": _pretty(proofs)}


def _pretty(value: object) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


if __name__ == "__main__":
    for name, content in files().items():
        path = GOLDEN / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
