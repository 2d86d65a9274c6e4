"""What is left of a log's tiles for who saw it at some sizes: the very proofs, and no more."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest import canonical
from attest.errors import BadInput, FormatError
from attest.log import log_nodes, merkle
from attest.log.merkle import MemoryTree

TREE = MemoryTree(str(number).encode() for number in range(2_000))
SOME = canonical.loads(log_nodes.to_bytes((5, 9), 20, TREE.hash_at), what="nodes")


@given(st.sets(st.integers(-3, 2_000), max_size=30), st.integers(1, 2_000))
def test_the_proofs_from_each_size_are_those_of_the_whole_tree(sizes: set[int], size: int) -> None:
    data = log_nodes.to_bytes(sizes, size, TREE.hash_at)
    assert log_nodes.to_bytes(sorted(sizes, reverse=True), size, TREE.hash_at) == data
    read = log_nodes.parse(data, size)
    for seen in (one for one in sizes if 0 < one < size):
        proof = merkle.consistency_proof(read, seen, size)
        assert proof == merkle.consistency_proof(TREE.hash_at, seen, size)
        roots = {"first_root": TREE.root(seen), "second_root": TREE.root(size)}
        merkle.verify_consistency(first=seen, second=size, proof=proof, **roots)


def test_of_a_size_that_nobody_named_there_is_nothing() -> None:
    read = log_nodes.parse(canonical.dumps(SOME), 20)
    with pytest.raises(BadInput, match="is not there"):
        merkle.consistency_proof(read, 7, 20)


def test_a_long_log_costs_what_its_seals_cost() -> None:
    data = log_nodes.to_bytes(range(20, 2_000, 20), 2_000, TREE.hash_at)
    assert len(data) < 2_000 * 32 / 3


@pytest.mark.parametrize(
    "change",
    [
        {"format": "casstore-log-nodes/2"},
        {"size": 21},
        {"from": [9, 5]},
        {"from": [5, 5]},
        {"from": [0, 5]},
        {"from": [5, 20]},
        {"from": [5, 9.5]},
        {"from": [True, 9]},
        {"from": 5},
        {"from": list(range(1, log_nodes.MAX_SIZES + 2))},
        {"from": [5]},
        {"hashes": "q83v"},
        {"hashes": 5},
        {"more": 1},
    ],
)
def test_others_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        log_nodes.parse(canonical.dumps({**SOME, **change}), 20)
