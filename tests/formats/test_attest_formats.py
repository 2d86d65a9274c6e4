"""The golden files of attest's formats are what the code writes, and stay readable."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from attest.digests import sha256
from attest.log import checkpoints, merkle, tiles
from attest.sigstore.sigstore_bundles import SigstoreBundle
from attest.trust.verify import verify_with_key

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"
MADE = runpy.run_path(str(HERE / "make_attest.py"))
FILES: dict[str, bytes] = MADE["files"]()


@pytest.mark.parametrize("name", sorted(FILES))
def test_golden_file_is_what_is_written_now(name: str) -> None:
    assert (GOLDEN / name).read_bytes() == FILES[name]


@pytest.mark.parametrize("folder", ["digest", "statement", "attestation", "checkpoint"])
def test_no_golden_file_is_forgotten(folder: str) -> None:
    kept = {str(p.relative_to(GOLDEN)) for p in (GOLDEN / folder).rglob("*") if p.is_file()}
    assert kept == {name for name in FILES if name.startswith(folder + "/")}


@pytest.mark.parametrize("algorithm", ["ecdsa-p256", "ed25519"])
def test_golden_attestations_verify(algorithm: str) -> None:
    raw = (GOLDEN / f"attestation/{algorithm}.sigstore.json").read_bytes()
    public = (GOLDEN / f"attestation/{algorithm}.pub").read_bytes()
    subject = sha256(b"core-1.4.0.tar.gz")
    found = verify_with_key(raw, public, predicate_type=MADE["PREDICATE_TYPE"], subjects=[subject])
    assert found.payload == (GOLDEN / "statement/test-result.json").read_bytes()
    assert found.identity == json.loads((GOLDEN / "digest/examples.json").read_bytes())["key"][algorithm]
    assert SigstoreBundle.parse(raw).statement_envelope.keyid == ""


def test_golden_checkpoint_proves_an_entry_by_its_tiles() -> None:
    origin = MADE["ORIGIN"]
    key = checkpoints.NoteKey.of_pem(origin, (GOLDEN / "attestation/ed25519.pub").read_bytes())
    raw = (GOLDEN / "checkpoint/259.checkpoint").read_bytes()
    checkpoint = checkpoints.verify(raw, origin=origin, known=[key]).checkpoint
    read = tiles.tile_reader(lambda tile: (GOLDEN / "checkpoint" / tile.path).read_bytes(), checkpoint.size)
    proof = merkle.inclusion_proof(read, 258, checkpoint.size)
    last = tiles.parse_entries((GOLDEN / "checkpoint/tile/entries/001.p/3").read_bytes(), width=3)[-1]
    merkle.verify_inclusion(merkle.leaf_hash(last), index=258, size=259, proof=proof, root=checkpoint.root)
