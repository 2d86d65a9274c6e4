"""Makes the golden files of the state's tries: python tests/formats/make_state.py"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attest.digests import hex_of, sha256
from attest.log import state_trie

GOLDEN = Path(__file__).parent / "golden"


def rows(count: int) -> dict[str, Any]:
    """Rows of some kinds."""
    made: dict[str, Any] = {f"void/{number}": {"code": "policy"} for number in range(count)}
    digest = sha256(b"release")
    return {**made, "channel/prod": {"release": digest, "pinned": False}, "line": {"names": ["\u00e9\n"], "seal": None}}


def files() -> dict[str, bytes]:
    """Path below the golden folder -> content."""
    made = {}
    for name, trie in (("empty", state_trie.build({})), ("leaf", state_trie.build(rows(3)))):
        made[f"state/{name}.json"] = trie.blobs[trie.root]
    large = state_trie.build(rows(100))
    made["state/node.json"] = large.blobs[large.root]
    made |= {f"state/below/{hex_of(d)}.json": data for d, data in large.blobs.items() if d != large.root}
    return made


if __name__ == "__main__":
    for name, content in files().items():
        path = GOLDEN / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
