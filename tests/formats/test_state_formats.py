"""The golden files of the state's tries are what is made today, and RFC 8785."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from attest import canonical
from attest.digests import sha256
from attest.log import state_trie

HERE = Path(__file__).parent
FILES: dict[str, bytes] = runpy.run_path(str(HERE / "make_state.py"))["files"]()


@pytest.mark.parametrize("name", sorted(FILES))
def test_golden(name: str) -> None:
    golden = (HERE / "golden" / name).read_bytes()
    assert golden == FILES[name]
    canonical.loads_canonical(golden, what=name)


def test_the_golden_trie_is_read() -> None:
    blobs = {sha256(data): data for data in FILES.values()}
    root = sha256(FILES["state/node.json"])
    assert state_trie.look_up(root, blobs.__getitem__, "void/99") == state_trie.Row("void/99", {"code": "policy"})
    assert state_trie.look_up(root, blobs.__getitem__, "void/100") is None
