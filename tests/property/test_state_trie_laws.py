"""Laws of the state's trie: one root for one set of rows, by whatever way it came about; every look-up is proven."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest import canonical
from attest.digests import Digest, sha256
from attest.errors import FormatError, VerificationError
from attest.log import state_trie

NAMES = st.integers(0, 400).map(lambda n: f"row/{n}") | st.text(min_size=1, max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab\x7f\n", max_size=3), inner, max_size=3),
    max_leaves=4,
)
ROWS = st.dictionaries(NAMES, VALUES, max_size=200)


def _many(seed: int, count: int) -> dict[str, Any]:
    return {f"row/{seed * 7 + n}": n for n in range(count)}


@given(ROWS)
def test_what_is_written_is_rfc_8785_and_reads_back(rows: dict[str, Any]) -> None:
    trie = state_trie.build(rows)
    for digest, data in trie.blobs.items():
        assert sha256(data) == digest
        canonical.loads_canonical(data, what="state")
    assert {row.name: row.value for row in state_trie.rows_of(trie.root, trie.blobs.__getitem__)} == rows


@given(ROWS, st.lists(NAMES, max_size=10))
def test_look_up_tells_what_is_there_and_what_is_not(rows: dict[str, Any], asked: list[str]) -> None:
    trie = state_trie.build(rows)
    for name in {*asked, *rows}:
        found = state_trie.look_up(trie.root, trie.blobs.__getitem__, name)
        assert (found is None) == (name not in rows)
        assert found is None or found.value == rows[name]


@given(st.integers(0, 300), st.integers(0, 300), ROWS, st.data())
def test_changes_lead_to_the_root_of_the_rows(
    before: int, seed: int, more: dict[str, Any], data: st.DataObject
) -> None:
    old = _many(seed, before)
    known = sorted(old)
    gone = frozenset(data.draw(st.sets(st.sampled_from(known)))) - more.keys() if known else frozenset()
    if data.draw(st.booleans()):
        gone = frozenset(known[data.draw(st.integers(0, 70)) :]) - more.keys()
    first = state_trie.build(old)
    changed = state_trie.change(first.root, first.blobs.__getitem__, more, gone)
    after = {name: value for name, value in {**old, **more}.items() if name not in gone}
    built = state_trie.build(after)
    assert changed.root == built.root
    assert built.blobs.keys() <= {*first.blobs, *changed.blobs}


@given(st.integers(0, 200), st.integers(0, 10_000))
def test_a_changed_byte_is_noticed(count: int, place: int) -> None:
    trie = state_trie.build(_many(0, count))
    target = sorted(trie.blobs)[place % len(trie.blobs)]
    broken = bytearray(trie.blobs[target])
    broken[place % len(broken)] ^= 1
    blobs = {**trie.blobs, target: bytes(broken)}
    with pytest.raises((VerificationError, FormatError)):
        list(state_trie.rows_of(trie.root, blobs.__getitem__))


def _refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        state_trie.look_up(sha256(data), {sha256(data): data}.__getitem__, "a")


def test_other_shapes_are_refused() -> None:
    first, second = sorted(("a", "b"), key=state_trie.key_of)
    leaf = b'{"format":"casstore-state-leaf/1","rows":[["%s",1],["%s",1]]}'
    _refused(leaf % (second.encode(), first.encode()))
    _refused(leaf % (first.encode(), first.encode()))
    _refused(leaf.replace(b":[", b": [") % (first.encode(), second.encode()))
    _refused(b'{"format":"casstore-state-leaf/2","rows":[]}')
    _refused(b'{"children":[null],"format":"casstore-state-node/1"}')
    many = sorted((f"row/{n}" for n in range(65)), key=state_trie.key_of)
    _refused(canonical.dumps({"format": state_trie.LEAF, "rows": [[name, 1] for name in many]}))


def test_a_leaf_in_another_place_is_refused() -> None:
    trie = state_trie.build(_many(0, 100))
    node = canonical.loads_object(trie.blobs[trie.root], what="node")
    children = node["children"]
    place = int(state_trie.key_of("row/1")[0], 16)
    other = next(n for n, child in enumerate(children) if child is not None and n != place)
    children[place], children[other] = children[other], children[place]
    swapped = canonical.dumps(node)
    blobs: dict[Digest, bytes] = {**trie.blobs, sha256(swapped): swapped}
    with pytest.raises(FormatError, match="wrong place"):
        state_trie.look_up(sha256(swapped), blobs.__getitem__, "row/1")


@pytest.mark.parametrize("value", [1.5, 2**53, {"\u00e9": 1}, b"x", "\ud800"])
def test_values_that_rows_cannot_hold(value: Any) -> None:
    with pytest.raises(FormatError):
        state_trie.build({"a": value})
