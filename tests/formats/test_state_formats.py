"""The golden files of the state's tries are what is made today, and RFC 8785."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from attest import canonical
from attest.digests import sha256
from attest.errors import CasstoreError
from attest.log import state_trie
from casstore.ledger import sealed_states
from casstore.store.attestations import parse_unverified

HERE = Path(__file__).parent
FILES: dict[str, bytes] = runpy.run_path(str(HERE / "make_state.py"))["files"]()


@pytest.mark.parametrize("name", sorted(FILES))
def test_golden(name: str) -> None:
    golden = (HERE / "golden" / name).read_bytes()
    assert golden == FILES[name]
    if name.endswith(".json"):
        canonical.loads_canonical(golden, what=name)


def test_the_state_of_a_seal_is_the_record_that_the_seal_names() -> None:
    record, rows = sealed_states.decode(FILES["state/sealed-state"])
    assert record == FILES["state/record.msgpack"] and rows
    kept = json.loads((HERE / "golden" / "rules" / "2.json").read_bytes())
    said = [payload_of(text.encode("latin-1")) for text in kept["objects"].values()]
    assert any(b"casstore-seal/1" in one and sha256(record).encode() in one for one in said)


def payload_of(data: bytes) -> bytes:
    """What an attestation says; nothing of what is none."""
    try:
        return parse_unverified(data).to_bytes()
    except CasstoreError:
        return b""


def test_the_golden_trie_is_read() -> None:
    blobs = {sha256(data): data for data in FILES.values()}
    root = sha256(FILES["state/node.json"])
    assert state_trie.look_up(root, blobs.__getitem__, "void/99") == state_trie.Row("void/99", {"code": "policy"})
    assert state_trie.look_up(root, blobs.__getitem__, "void/100") is None
