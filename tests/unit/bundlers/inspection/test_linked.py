"""What was linked into programs, by what they say themselves: in real programs, and in broken ones."""

from __future__ import annotations

import json
import shutil
import subprocess
import zlib
from pathlib import Path

import pytest

from bundlers.inspection import door, linked
from casstore.hostile import Budget

CRATES = {
    "packages": [
        {"name": "serde", "version": "1.0.200", "source": "crates.io"},
        {"name": "cc", "version": "1.1.0", "source": "crates.io", "kind": "build"},
        {"name": "tool", "version": "0.3.0", "source": "local", "root": True},
    ]
}
MODULES = "path\texample.org/tool\nmod\texample.org/tool\tv1.2.0\t\ndep\tgolang.org/x/net\tv0.20.0\th1:x=\n" + (
    "dep\texample.org/old\tv1.0.0\n=>\texample.org/new\tv2.0.0\th1:y=\ndep\texample.org/own\tv0.0.0\n=>\t./own\t(devel)\n"
)


def varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out, number = out + bytes([number & 0x7F | 0x80]), number >> 7
    return out + bytes([number])


def build_info(modules: str = MODULES, flags: int = 2) -> bytes:
    """As Go's linker writes it."""
    text = b"0" * 16 + modules.encode() + b"1" * 16
    head = b"\xff Go buildinf:" + bytes([8, flags]) + bytes(16)
    return head + b"".join(varint(len(one)) + one for one in (b"go1.23.4", text))


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A real program of this machine's compiler."""
    if not shutil.which("gcc") or not shutil.which("objcopy"):
        pytest.skip("gcc and objcopy are not here")
    (tmp_path / "tool.c").write_text("int main(void) { return 0; }\n")
    subprocess.run(["gcc", "-o", "tool", "tool.c"], cwd=tmp_path, check=True)
    return tmp_path / "tool"


def with_section(program: Path, name: str, data: bytes) -> bytes:
    (program.parent / "section").write_bytes(data)
    argv = ["objcopy", "--add-section", f"{name}=section", "--set-section-alignment", f"{name}=16", "tool", "made"]
    subprocess.run(argv, cwd=program.parent, check=True)
    return (program.parent / "made").read_bytes()


def test_a_rust_program(program: Path) -> None:
    data = with_section(program, ".dep-v0", zlib.compress(json.dumps(CRATES).encode()))
    assert linked.packages(data) == [("cargo", "serde", "1.0.200"), ("cargo", "tool", "0.3.0")]
    assert linked.packages(program.read_bytes()) == []


def test_a_go_program(program: Path) -> None:
    data = with_section(program, ".go.buildinfo", build_info())
    assert linked.packages(data) == [
        ("golang", "example.org/new", "v2.0.0"),
        ("golang", "example.org/own", "v0.0.0"),
        ("golang", "example.org/tool", "v1.2.0"),
        ("golang", "golang.org/x/net", "v0.20.0"),
        ("golang", "stdlib", "1.23.4"),
    ]


@pytest.mark.foreign
def test_a_go_program_of_somebody_else() -> None:
    found = next(filter(None, map(shutil.which, ("docker", "terraform", "kubectl", "gh"))), None)
    if found is None:
        pytest.skip("no program in Go is here")
    with open(found, "rb") as file:
        rows, why = door.packages(file, Path(found).stat().st_size, Budget())
    assert why == "" and any(name == "stdlib" and version[0].isdigit() for _, name, version in rows)


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        (".dep-v0", b"no zlib", "cannot be read"),
        (".dep-v0", zlib.compress(b"[]"), "cannot be read"),
        (".dep-v0", zlib.compress(json.dumps(CRATES).encode())[:-9], "cut off"),
        (".go.buildinfo", build_info(flags=0), "before 1.18"),
        (".go.buildinfo", build_info()[:40] + b"\xff" * 8, "Go build info"),
    ],
)
def test_a_broken_list_is_told(program: Path, name: str, data: bytes, told: str) -> None:
    with pytest.raises(linked.Unreadable, match=told):
        linked.packages(with_section(program, name, data))


def test_a_bomb_is_cut(program: Path) -> None:
    bomb = zlib.compress(b'{"packages": [' + b" " * (80 << 20) + b"]}")
    with pytest.raises(linked.Unreadable, match="too large"):
        linked.packages(with_section(program, ".dep-v0", bomb))


def test_any_cut_of_a_program_is_survived(program: Path) -> None:
    data = with_section(program, ".dep-v0", zlib.compress(json.dumps(CRATES).encode()))
    for end in range(0, len(data), 97):
        try:
            linked.packages(data[:end])
        except linked.Unreadable:
            continue
