"""Laws of tables: the same rows are the same nodes whatever came before, and what is saved is what is read."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from attest.digests import Digest, sha256
from attest.log import state_trie
from casstore.ledger.states import row_trie
from casstore.ledger.states.row_trie import Trie
from casstore.ledger.states.state_tries import SealedForm
from casstore.ledger.states.tables import TableForm, log, table

VALUES = st.one_of(st.integers(0, 5), st.just("large " * 2000))
ROWS = st.dictionaries(st.integers(0, 400), VALUES, max_size=150)
STEPS = st.lists(st.tuples(ROWS, st.sets(st.integers(0, 400), max_size=150)), min_size=1, max_size=4)


def _names(rows: dict[int, Any]) -> dict[str, Any]:
    return {f"row/{key}": value for key, value in rows.items()}


@given(STEPS)
def test_the_shape_follows_from_the_rows_alone(steps: list[tuple[dict[int, Any], set[int]]]) -> None:
    trie, rows = Trie(SealedForm()), dict[str, Any]()
    for puts, gone in steps:
        out = [f"row/{key}" for key in gone - puts.keys()]
        trie = trie.changed(_names(puts), out)
        rows = {name: value for name, value in {**rows, **_names(puts)}.items() if name not in out}
        built = state_trie.build(rows)
        assert (trie.digest or sha256(state_trie.leaf_bytes([]))) == built.root
        assert trie.size == len(rows)
        if rows:
            assert row_trie.fresh(trie, []) == built.blobs


@given(STEPS)
def test_what_each_save_writes_and_leaves_over_is_exact(steps: list[tuple[dict[int, Any], set[int]]]) -> None:
    """Kept: all that was written, less what was left over; every state is read back from what is kept."""
    kept, before, rows = dict[Digest, bytes](), Trie(TableForm("t")), dict[int, Any]()
    for puts, gone in steps:
        after = before.changed(puts, gone - puts.keys())
        rows = {key: value for key, value in {**rows, **puts}.items() if key in puts or key not in gone}
        new = row_trie.fresh(after, [before])
        assert all(sha256(data) == digest for digest, data in new.items())
        kept |= new
        for digest in row_trie.unshared(before, [after]) - new.keys():
            del kept[digest]
        assert kept == row_trie.fresh(after, [])
        read = Trie(TableForm("t", read=kept.__getitem__), after.digest, after.size)
        assert {cell.name: cell.value(read.form) for cell in read.cells()} == rows
        for key in (*rows, 1000):
            found = read.get(key)
            assert (None if found is None else found.value(read.form)) == rows.get(key)
        before = read


@given(ROWS, ROWS, st.sets(st.integers(0, 400)))
def test_a_difference_is_told_exactly(first: dict[int, Any], puts: dict[int, Any], gone: set[int]) -> None:
    one = table("t").plus(first)
    other = one.minus(gone).plus(puts)
    second = {**{key: value for key, value in first.items() if key not in gone}, **puts}
    assert dict(other) == second and len(other) == len(second)
    changed = {key for key in first.keys() | second.keys() if first.get(key) != second.get(key)}
    assert set(other.changed(one)) == set(one.changed(other)) == changed
    assert (one == other) == (first == second)
    assert dict(one) == first, "the one before is what it was"


@given(st.lists(st.integers(), max_size=200), st.integers(-210, 210), st.integers(-210, 210))
def test_a_log_is_a_list_that_grows(items: list[int], first: int, second: int) -> None:
    grown = log("t")
    for item in items:
        grown = grown.plus(item)
    assert list(grown) == items and grown == tuple(items) and list(grown.newest(5)) == items[::-1][:5]
    assert grown[first:second] == tuple(items[first:second])
    if -len(items) <= first < len(items):
        assert grown[first] == items[first]
