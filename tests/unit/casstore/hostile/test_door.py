"""The door: what a cell answers, what it may cost, what it cannot do, and that the next file is read all the same."""

from __future__ import annotations

import io
import os
import platform
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attest.errors import FormatError
from casstore.errors import OverBudget
from casstore.hostile import Budget, Door, Scratch

SMALL = Budget(seconds=1, memory=64 << 20, disk=64 << 20)


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    made = Door("hostile_parsers")
    yield made
    made.close()


def ask(door: Door, name: str, asked: Any = None, data: bytes = b"foreign", budget: Budget = SMALL) -> list[Any]:
    return list(door.ask(name, io.BytesIO(data), len(data), asked, budget))


def test_parts_come_first_and_then_the_answer(door: Door) -> None:
    assert ask(door, "read", {"plain": [1, b"\xff", None]}) == [{"plain": [1, b"\xff", None]}, 7]
    assert ask(door, "read", "longer", b"x" * 3_000_000) == ["longer", 3_000_000]
    assert ask(door, "read", "shorter", b"") == ["shorter", 0]


def test_a_cell_is_kept_and_knows_nothing_of_ours(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASSTORE_PASSWORD", "not to be known")
    monkeypatch.setenv("ANYTHING", "else")
    fresh = Budget(seconds=2, memory=64 << 20)
    (variables, pid), (_, again) = ask(door, "know", budget=fresh)[0], ask(door, "know", budget=fresh)[0]
    assert pid == again != os.getpid()
    assert set(variables) <= {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "LD_LIBRARY_PATH", "LC_CTYPE"}


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own walls are Linux's")
def test_a_cell_opens_reaches_and_starts_nothing(door: Door) -> None:
    assert platform.machine() not in ("x86_64", "aarch64") or "seccomp" in door.confined_by(SMALL)
    (told,) = ask(door, "attack")
    assert "done" not in told.values(), told
    assert not os.path.exists("/tmp/made-in-a-cell")


@pytest.mark.parametrize(
    ("name", "asked", "told"),
    [
        ("hang", None, "it takes more than 1 s"),
        ("eat", 1 << 30, "it takes more than 64 MiB of memory"),
        ("crash", None, r"it ended its parser \(signal 11\)"),
        ("fail", None, "its parser failed: KeyError: 'a bug'"),
        ("flood", None, "it says more than 256 MiB at once"),
        ("lie", None, "it ended its parser"),
        ("spool", 80, "its parser failed: OSError"),
        ("unknown", None, "its parser failed: KeyError"),
    ],
)
def test_what_costs_too_much_is_refused_and_the_next_file_is_read(door: Door, name: str, asked: Any, told: str) -> None:
    began, budget = time.monotonic(), SMALL if name == "hang" else replace(SMALL, seconds=30)
    with pytest.raises(OverBudget, match=told):
        ask(door, name, asked, budget=budget)
    assert time.monotonic() - began < 60
    assert ask(door, "read") == [None, 7]


def test_what_a_parser_refuses_is_its_own_error(door: Door) -> None:
    before = ask(door, "know")[0][1]
    with pytest.raises(FormatError, match="no such form") as refused:
        ask(door, "refuse")
    assert refused.value.hint == "another one"
    assert ask(door, "know")[0][1] == before


def test_a_large_file_has_more_time() -> None:
    assert Budget().deadline(1000) == 30
    assert Budget().deadline(100 << 20) == 130


def test_a_consumer_that_stops_early_ends_the_cell(door: Door) -> None:
    told = door.ask("read", io.BytesIO(b"1"), 1, "part", SMALL)
    assert next(told) == "part"
    told.close()
    assert ask(door, "read") == [None, 7]


def test_many_threads_have_a_cell_each(door: Door) -> None:
    found: list[list[Any]] = []
    threads = [threading.Thread(target=lambda n=n: found.append(ask(door, "read", n, b"x" * n))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [[n, n] for n in range(4)]


def test_cells_leave_no_file_and_no_process(door: Door) -> None:
    made = Door("hostile_parsers")
    pid = ask(made, "know")[0][1]
    before = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    made.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert sys.platform != "linux" or len(os.listdir("/proc/self/fd")) == before - 3


@pytest.mark.parametrize("size", [1, 20])
def test_parts_of_a_scratch_do_not_meet(door: Door, size: int) -> None:
    budget = Budget(seconds=60, memory=64 << 20, disk=64 << 20)
    assert ask(door, "spool", size, budget=budget) == [b"1", b"2", [b"ooo", b""]]


def test_a_large_file_is_read_where_it_lies(door: Door, tmp_path: Path) -> None:
    """By a cell of its own, which cannot write it; what could be written is copied."""
    path, size, budget = tmp_path / "large", 65 << 20, Budget(memory=256 << 20)
    path.touch()
    os.truncate(path, size)
    with path.open("rb") as file:
        assert list(door.ask("read", file, size, "large", budget)) == ["large", size]
    with path.open("r+b") as file:
        assert list(door.ask("read", file, size, "writable", budget)) == ["writable", size]
    with path.open("rb") as file:
        (told,) = door.ask("attack", file, size, None, budget)
        assert "done" not in told.values()
    assert ask(door, "read") == [None, 7]


def test_a_scratch_of_ones_own() -> None:
    scratch = Scratch()
    with scratch.part() as part:
        for number in range(40):
            part.write(bytes([number]) * (1 << 20))
        data = part.reader()
        assert data.seek(0, 2) == 40 << 20
        for number in (39, 0, 17):
            data.seek((number << 20) + 5)
            assert data.read(3) == bytes([number]) * 3
        assert data.seek(-1, 1) and data.tell()
