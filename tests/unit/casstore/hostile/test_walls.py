"""What a system gives is tried from inside, and told where it is little."""

from __future__ import annotations

import io
import platform
import sys

import pytest

from casstore.hostile import Scratch, self_test, walls


def test_the_tries_go_through_where_nothing_shuts_them_in() -> None:
    _, open_ = self_test.tries(io.BytesIO(), None, Scratch(), print)
    assert open_ == ["open files", "open sockets", "start processes"]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own walls are Linux's")
def test_a_cell_keeps_them_out() -> None:
    found = walls.of_parsers()
    assert platform.machine() not in ("x86_64", "aarch64") or (found.whole and "seccomp" in found.told), found
    assert found.told.endswith("limits") and not found.hint


def test_what_goes_through_is_told_with_what_to_do() -> None:
    found = walls.of_parsers("hostile_parsers")
    assert not found.whole and found.hint
    assert "foreign bytes that take one over could open files, start processes" in found.told


def test_where_no_cell_begins_that_is_told() -> None:
    found = walls.of_parsers("no_such_module")
    assert not found.whole and found.told.startswith("no cell for them can be started: ")


def test_builds_are_tried_too() -> None:
    _, builds = walls.walls()
    assert builds.what == "builds" and builds.whole == (not builds.hint)
