"""Trees of files by path: the same that walking them gives, whatever stands beside a folder's name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.digests import Digest, sha256, to_raw
from casstore.errors import Conflict, UnsupportedInput
from casstore.objects import tree as trees
from casstore.objects.tree import TreeEntry
from casstore.objects.tree_building import built

BLOB = sha256(b"blob")
PARTS = st.sampled_from([b"a", b"a-", b"a0", b"b", b"\xff", b"a!"])


def entry(path: bytes) -> TreeEntry:
    return TreeEntry(path.rpartition(b"/")[2], "file", 0o644, 4, BLOB)


def whole(paths: list[bytes]) -> tuple[Digest, dict[bytes, bytes]]:
    return built((path, entry(path)) for path in sorted(paths))


@given(st.sets(st.lists(PARTS, min_size=1, max_size=4).map(b"/".join), max_size=12))
def test_what_is_built_holds_the_paths(paths: set[bytes]) -> None:
    paths = {path for path in paths if not any(other.startswith(path + b"/") for other in paths)}
    root, objects = whole(list(paths))
    found = dict(trees.contents(lambda digest: trees.parse(objects[to_raw(digest)]), root))
    assert found == {path: entry(path) for path in paths}


def test_empty_folders_and_links() -> None:
    rows = {
        b"a/e": TreeEntry(b"e", "dir", 0o700, 0, trees.EMPTY),
        b"a/l": TreeEntry(b"l", "link", 0o777, 0, None, b"e"),
    }
    root, objects = built(sorted(rows.items()))
    assert dict(trees.contents(lambda digest: trees.parse(objects[to_raw(digest)]), root)) == rows
    with pytest.raises(UnsupportedInput, match="lead out"):
        built([(b"l", TreeEntry(b"l", "link", target=b"../x"))])


@pytest.mark.parametrize("paths", [[b"a", b"a"], [b"a", b"a/b"], [b"x/a", b"x/a-", b"x/a/b"]])
def test_a_path_is_a_file_or_a_folder_and_stands_once(paths: list[bytes]) -> None:
    with pytest.raises(Conflict, match="a: stands twice, or is a file and a folder"):
        whole(paths)
