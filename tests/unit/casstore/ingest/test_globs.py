"""Globs over relative paths."""

from __future__ import annotations

import pytest

from attest.errors import BadInput
from casstore.ingest.globs import Selection

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
