"""Globs over relative paths."""

from __future__ import annotations

import os
from itertools import combinations
from pathlib import Path

import pytest

from attest.errors import BadInput
from casstore.ingest.globs import Selection
from casstore.ingest.walk import walk

CASES = [
    ("**", "a/b/c", True),
    ("**/*", "a", True),
    ("*.so", "a.so", True),
    ("*.so", "d/a.so", False),
    ("**/*.so", "a.so", True),
    ("**/*.so", "d/e/a.so", True),
    ("build/**", "build/x", True),
    ("build/**", "build", False),
    ("build/**", "buildx/y", False),
    ("build", "build/x/y", True),
    ("a/*/c", "a/b/c", True),
    ("a/*/c", "a/b/b/c", False),
    ("a/**/c", "a/c", True),
    ("a/**/c", "a/b/b/c", True),
    ("[ab].c", "a.c", True),
    ("[!ab].c", "a.c", False),
    ("[!ab].c", "c.c", True),
    ("a?c", "abc", True),
    ("a?c", "aéc", True),
    ("a?c", "a/c", False),
    ("a[/]c", "a/c", False),
    ("a.c", "abc", False),
    ("é*", "éa", True),
    ("x[", "x[", True),
    ("a\nb", "a\nb", True),
    ("*", "a\nb", True),
]


@pytest.mark.parametrize(("pattern", "path", "taken"), CASES)
def test_patterns(pattern: str, path: str, taken: bool) -> None:
    assert Selection((pattern,)).takes(path.encode()) is taken
    assert Selection(("**",), (pattern,)).takes(path.encode()) is not taken


@pytest.mark.parametrize(
    ("include", "exclude", "folder", "entered"),
    [
        ("build/core/**", (), b"build", True),
        ("build/core/**", (), b"src", False),
        ("build/core/**", (), b"build/core/x", True),
        ("build/core/**", (), b"build/other", False),
        ("**/*.so", (), b"any", True),
        ("**", ("any",), b"any", False),
        ("**", ("any/**",), b"any", True),
    ],
)
def test_folders_are_entered_only_where_something_may_match(
    include: str, exclude: tuple[str, ...], folder: bytes, entered: bool
) -> None:
    assert Selection((include,), exclude).enters(folder) is entered


@pytest.mark.parametrize("bad", ["", "/abs", "../up", "a/../b", "a\0b", "."])
def test_patterns_that_cannot_be_are_refused(bad: str) -> None:
    with pytest.raises(BadInput):
        Selection((bad,))


def test_an_empty_include_is_refused() -> None:
    with pytest.raises(BadInput):
        Selection(())


@pytest.mark.parametrize(
    ("include", "folder", "only"),
    [
        (("a/**",), b"", {b"a"}),
        (("a/b/*.so", "c/d"), b"", {b"a", b"c"}),
        (("a/b/*.so", "c/d"), b"a", {b"b"}),
        (("a/b/*.so", "c/d"), b"a/b", None),
        (("a/b/*.so", "a/**"), b"a", None),
        (("LICENSE", "a/**"), b"", {b"LICENSE", b"a"}),
        (("LICENSE", "*.md"), b"", None),
        (("**/x",), b"", None),
        (("*/x/y",), b"", None),
    ],
)
def test_names_that_alone_matter_in_a_folder(include: tuple[str, ...], folder: bytes, only: set[bytes] | None) -> None:
    assert Selection(include).only(folder) == (only if only is None else frozenset(only))


def test_what_is_asked_for_by_name_is_what_a_listing_gives(tmp_path: Path) -> None:
    """The files, the links, the empty folders and the refusals."""
    for path in ("a/b/one.so", "a/b/two", "a/c/three", "LICENSE", "d/e/f/four", "x/y"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"x")
    (tmp_path / "a" / "empty").mkdir()
    (tmp_path / "link").symlink_to("LICENSE")
    globs = ["a/**", "a/b/*.so", "a/b", "LICENSE", "link", "d/e/**", "none/**", "d/*/f/four", "a/empty", "x/y"]
    for chosen in (pair for size in (1, 2, 3) for pair in combinations(globs, size)):
        named, all_of = Selection(chosen), Selection(chosen)
        all_of._named.clear()
        assert seen(tmp_path, named) == seen(tmp_path, all_of), chosen


def seen(root: Path, selection: Selection) -> list[tuple[bytes, list[bytes], list[tuple[bytes, bytes]], int]]:
    return [(f.path, f.names, f.links, f.pending) for f in walk(os.fsencode(root), selection)]
