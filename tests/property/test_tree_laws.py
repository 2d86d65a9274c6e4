"""Trees: one valid encoding, order does not matter, no bytes make the parser do anything but refuse."""

from __future__ import annotations

import contextlib

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.digests import from_raw
from attest.errors import FormatError
from casstore.errors import UnsupportedInput
from casstore.objects import tree
from casstore.objects.tree import TreeEntry

names = st.binary(min_size=1, max_size=40).filter(lambda n: n not in (b".", b"..") and b"/" not in n and b"\0" not in n)
digests = st.binary(min_size=32, max_size=32).map(from_raw)
modes = st.sampled_from([0o600, 0o640, 0o644, 0o700, 0o750, 0o755])
files = st.builds(TreeEntry, names, st.just("file"), modes, st.integers(0, 2**62), digests, st.just(b""))
folders = st.builds(TreeEntry, names, st.just("dir"), st.just(0o755), st.just(0), digests, st.just(b""))
own = st.sampled_from([0o700, 0o750, 0o755])
empty = st.builds(TreeEntry, names, st.just("dir"), own, st.just(0), st.just(tree.EMPTY), st.just(b""))
targets = st.binary(min_size=1, max_size=60).filter(lambda t: b"\0" not in t and not t.startswith(b"/"))
links = st.builds(TreeEntry, names, st.just("link"), st.just(0o777), st.just(0), st.none(), targets)
entries = st.lists(st.one_of(files, folders, empty, links), unique_by=lambda e: e.name, max_size=20)


@given(entries)
def test_what_was_encoded_is_parsed(given_entries: list[TreeEntry]) -> None:
    found = tree.parse(tree.encode(given_entries))
    assert sorted(given_entries, key=lambda e: e.name) == list(found)


@given(entries, st.randoms())
def test_order_does_not_matter(given_entries: list[TreeEntry], random: object) -> None:
    mixed = list(given_entries)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert tree.encode(mixed) == tree.encode(given_entries)


@given(st.binary(max_size=200))
def test_noise_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        tree.parse(data)


@given(entries, st.data())
def test_changed_bytes_are_refused_or_another_tree(given_entries: list[TreeEntry], data: st.DataObject) -> None:
    good = bytearray(tree.encode(given_entries))
    good[data.draw(st.integers(0, len(good) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(FormatError):
        assert tree.encode(tree.parse(bytes(good))) == bytes(good)


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.binary(), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
)


@given(st.lists(st.lists(values, max_size=5), max_size=4))
def test_other_msgpack_is_refused_or_canonical(rows: list[list[object]]) -> None:
    data = msgpack.packb(["casstore-tree/1", rows])
    with contextlib.suppress(FormatError):
        assert tree.encode(tree.parse(data)) == data


@given(st.lists(names, max_size=4), targets)
def test_a_link_that_is_taken_stays_inside(folders_above: list[bytes], target: bytes) -> None:
    path = b"/".join([*folders_above, b"link"])
    with contextlib.suppress(UnsupportedInput):
        tree.check_link(path, target)
        depth = len(folders_above)
        for part in target.split(b"/"):
            depth += {b"..": -1, b"": 0, b".": 0}.get(part, 1)
            assert depth >= 0
