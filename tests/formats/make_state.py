"""Makes the golden files of the state's tries: python tests/formats/make_state.py"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

from attest.digests import hex_of, sha256  # noqa: E402
from attest.log import state_trie  # noqa: E402
from attest.trust.trust_roots import RULES  # noqa: E402
from casstore.ledger import saved_state, sealed_states  # noqa: E402
from casstore.ledger.states import state_records  # noqa: E402
from tests.support.kept_ledgers import folded  # noqa: E402

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
    return made | sealed_state()


def sealed_state() -> dict[str, bytes]:
    """Of the last seal of the kept ledger that held: the record that it names, and what a store keeps of it."""
    kept = json.loads((GOLDEN / "rules" / f"{RULES}.json").read_bytes())
    sealed = folded(kept).tries
    assert sealed is not None
    record = state_records.record(sealed.of.fields())
    file = sealed_states.encode(record, saved_state.rows_of(sealed.of))
    return {"state/record.msgpack": record, "state/sealed-state": file}


if __name__ == "__main__":
    for name, content in files().items():
        path = GOLDEN / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
