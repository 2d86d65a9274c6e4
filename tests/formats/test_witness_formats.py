"""Golden files of witnesses: written the same, and read back."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from attest.core.fields import Fields
from attest.log import checkpoints, cosignatures
from attest.trust import witnesses
from bundlers.witnessing.memory import Memory
from tests.formats import make_witness
from tests.formats.make_witness import GOLDEN


@pytest.mark.parametrize("name", sorted(make_witness.golden()))
def test_written_as_ever(name: str) -> None:
    assert (GOLDEN / name).read_bytes() == make_witness.golden()[name]


def test_read_back(tmp_path: Path) -> None:
    asked = make_witness.asked()
    assert witnesses.parse(Fields({"w": asked.to_json()}, "x", required=("w",)).mapping("w"), "x") == asked
    note = (GOLDEN / "witness/note").read_bytes()
    assert cosignatures.time_of(note, asked.keys[0].key, make_witness.CHECKPOINT) == make_witness.NOW
    (tmp_path / "memory.json").write_bytes((GOLDEN / "witness/memory.json").read_bytes())
    assert Memory(str(tmp_path)).load() == make_witness.remembered()


def test_the_line_is_what_the_page_and_c2sp_say() -> None:
    """Computed here from the bytes, without our own code for lines."""
    import base64

    note = (GOLDEN / "witness/note").read_bytes()
    text, _, lines = note.partition(b"\n\n")
    name, encoded = lines.decode().splitlines()[1].removeprefix("\u2014 ").split(" ")
    raw = base64.b64decode(encoded)
    public = load_pem_public_key(make_witness.asked().keys[0].public_pem)
    assert isinstance(public, Ed25519PublicKey) and len(raw) == 4 + 8 + 64
    assert raw[:4] == hashlib.sha256(name.encode() + b"\n\x04" + public.public_bytes_raw()).digest()[:4]
    seconds = int.from_bytes(raw[4:12], "big")
    public.verify(raw[12:], f"cosignature/v1\ntime {seconds}\n".encode() + text + b"\n")
    assert checkpoints.parse(note)[0] == make_witness.CHECKPOINT
