"""Makes the golden files of witnesses: python tests/formats/make_witness.py

The keys are derived from fixed texts, so that every run gives the same bytes. Never use them.
"""

from __future__ import annotations

import hashlib
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ed25519

from attest import canonical, signers
from attest.digests import from_raw, sha256
from attest.log import checkpoints, cosignatures, merkle
from attest.log.checkpoints import Checkpoint
from attest.signers import Signer
from attest.trust.witnesses import CONSISTENCY, FOLD, Witness, Witnesses
from bundlers.witnessing.histories import TWO_HISTORIES
from bundlers.witnessing.memory import Memory, Proof, Remembered

GOLDEN = Path(__file__).parent / "golden"
STORE = "b3c1f0a26d574c0e9a540d1f6d9a7e11"
ORIGIN = f"casstore.dev/{STORE}/main"
NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
CHECKPOINT = Checkpoint(ORIGIN, 42, merkle.MemoryTree(f"entry {number}".encode() for number in range(42)).root())


def signer(name: str) -> Signer:
    """The same key for the same name, for ever."""
    return signers.from_private_key(
        ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"casstore witness {name}".encode()).digest())
    )


def asked() -> Witnesses:
    """Two witnesses, both must sign."""
    kinds = {"w1.example.org": FOLD, "w2.example.net": CONSISTENCY}
    return Witnesses(2, tuple(Witness(name, kind, signer(name).public_pem or b"") for name, kind in kinds.items()))


def note(checkpoint: Checkpoint = CHECKPOINT) -> bytes:
    """A checkpoint with the line of the first witness."""
    log = signer("log")
    signed = checkpoints.sign(checkpoint, ORIGIN, log.public_pem, log.sign_bytes)
    return cosignatures.cosign(signed, asked().keys[0].key, signer("w1.example.org").sign_bytes, at=NOW)


def remembered() -> Remembered:
    """The memory after it."""
    one = asked().keys[0]
    root, first = sha256(b"root 2"), sha256(b"root 1")
    size, root_hash = CHECKPOINT.size, from_raw(CHECKPOINT.root)
    return Remembered(one.name, one.kind, one.identity, STORE, "main", first, 2, root, size, root_hash, note())


def golden() -> dict[str, bytes]:
    """Path below the golden folder -> content."""
    with tempfile.TemporaryDirectory() as folder:
        memory, tree = Memory(folder), merkle.MemoryTree(f"entry {number}".encode() for number in range(42))
        memory.accuse(TWO_HISTORIES, (note(), note(Checkpoint(ORIGIN, 42, b"x" * 32))), NOW)
        proof = Proof(from_raw(tree.root(7)), tuple(tree.consistency(7)))
        memory.accuse(TWO_HISTORIES, (note(Checkpoint(ORIGIN, 7, b"x" * 32)), note()), NOW, proof)
        evidence = {f"witness/evidence/{Path(path).name}": Path(path).read_bytes() for path in memory.evidence()}
    return {
        "witness/witnesses.json": canonical.dumps(asked().to_json()),
        "witness/note": note(),
        "witness/memory.json": remembered().to_bytes(),
        **evidence,
    }


if __name__ == "__main__":
    for name, data in golden().items():
        (GOLDEN / name).parent.mkdir(parents=True, exist_ok=True)
        (GOLDEN / name).write_bytes(data)
