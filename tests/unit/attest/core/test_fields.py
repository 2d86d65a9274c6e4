"""Fields: each checked, none unknown, none forgotten."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from attest.core.fields import Fields
from attest.digests import sha256
from attest.errors import FormatError

A, B = sorted((sha256(b"a"), sha256(b"b")))


def fields(**values: Any) -> Fields:
    return Fields(values, "thing", required=tuple(values))


@pytest.mark.parametrize("value", [None, [], "x", 1])
def test_what_is_no_object_is_refused(value: object) -> None:
    with pytest.raises(FormatError, match="thing: not an object"):
        Fields(value, "thing", required=())


def test_unknown_and_missing_fields_are_named() -> None:
    with pytest.raises(FormatError, match="thing: unknown field 'b'"):
        Fields({"a": 1, "b": 2}, "thing", required=("a",))
    with pytest.raises(FormatError, match="thing: the field 'a' is missing"):
        Fields({}, "thing", required=("a",), optional=("b",))


READ: list[tuple[Callable[[Fields], Any], Any, Any]] = [
    (lambda f: f.text("x"), "text", "text"),
    (lambda f: f.optional_text("x"), None, None),
    (lambda f: f.integer("x"), 0, 0),
    (lambda f: f.integer("x", least=1), 1, 1),
    (lambda f: f.number("x"), 1.5, 1.5),
    (lambda f: f.boolean("x", False), True, True),
    (lambda f: f.digest("x"), A, A),
    (lambda f: f.optional_digest("x"), None, None),
    (lambda f: f.time("x"), "2026-03-01T09:00:00Z", datetime(2026, 3, 1, 9, tzinfo=UTC)),
    (lambda f: f.optional_time("x"), None, None),
    (lambda f: f.texts("x"), ["b", "a"], ("b", "a")),
    (lambda f: f.digests("x"), [A, B], (A, B)),
    (lambda f: f.mapping("x"), {"k": 1}, {"k": 1}),
]


@pytest.mark.parametrize(("read", "value", "wanted"), READ)
def test_reads(read: Callable[[Fields], Any], value: Any, wanted: Any) -> None:
    assert read(fields(x=value)) == wanted


REFUSED: list[tuple[Callable[[Fields], Any], Any]] = [
    (lambda f: f.text("x"), 1),
    (lambda f: f.text("x"), None),
    (lambda f: f.integer("x"), True),
    (lambda f: f.integer("x"), -1),
    (lambda f: f.integer("x", least=1), 0),
    (lambda f: f.integer("x"), 1.0),
    (lambda f: f.integer("x"), "1"),
    (lambda f: f.number("x"), True),
    (lambda f: f.number("x"), None),
    (lambda f: f.number("x", least=0), -0.5),
    (lambda f: f.boolean("x", False), 1),
    (lambda f: f.boolean("x", False), None),
    (lambda f: f.digest("x"), "sha256:ab"),
    (lambda f: f.digest("x"), None),
    (lambda f: f.optional_digest("x"), "nothing"),
    (lambda f: f.time("x"), "2026-03-01"),
    (lambda f: f.time("x"), 0),
    (lambda f: f.texts("x"), "ab"),
    (lambda f: f.texts("x"), ["a", "a"]),
    (lambda f: f.texts("x"), ["a", 1]),
    (lambda f: f.digests("x"), [B, A]),
    (lambda f: f.digests("x"), [A, A]),
    (lambda f: f.digests("x"), ["a"]),
    (lambda f: f.mapping("x"), []),
]


@pytest.mark.parametrize(("read", "value"), REFUSED)
def test_refuses_and_names_the_field(read: Callable[[Fields], Any], value: Any) -> None:
    with pytest.raises(FormatError, match="thing: x"):
        read(fields(x=value))


def test_defaults_stand_for_absent_fields_only() -> None:
    absent = Fields({}, "thing", required=(), optional=("x",))
    assert absent.text("x", "d") == "d"
    assert absent.integer("x", 3) == 3
    assert absent.boolean("x", True) is True
    assert absent.texts("x", ()) == ()
    assert absent.optional_text("x") is None
