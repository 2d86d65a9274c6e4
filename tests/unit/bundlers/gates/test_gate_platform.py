"""The platform gate: what native files run on, read from their headers."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundlers.gates.base import GateResult, ReleaseView
from bundlers.gates.builtin.platform import Settings, check, read_target
from bundlers.products.manifest_building import build
from bundlers.products.product_manifests import ComponentTree
from casstore.objects.platforms import Platform
from casstore.store.store import Store


def elf(machine: int, *, big: bool = False, system: int = 0) -> bytes:
    return (
        b"\x7fELF"
        + bytes([2, 2 if big else 1, 1, system])
        + bytes(8)
        + struct.pack(">HH" if big else "<HH", 3, machine)
    )


def pe(machine: int, *, clr: bool = False, plus: bool = False) -> bytes:
    head = b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + struct.pack("<H", machine) + bytes(18)
    optional = struct.pack("<H", 0x20B if plus else 0x10B) + bytes(110 if plus else 94)
    return head + optional + bytes(14 * 8) + (struct.pack("<II", 0x2008, 72) if clr else bytes(8))


def universal(*cpus: int) -> bytes:
    return b"\xca\xfe\xba\xbe" + struct.pack(">I", len(cpus)) + b"".join(struct.pack(">I", c) + bytes(16) for c in cpus)


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (elf(62), "linux-x86_64"),
        (elf(183), "linux-aarch64"),
        (elf(22, big=True), "linux-s390x"),
        (elf(62, system=9), "freebsd-x86_64"),
        (elf(999), "linux-unknown"),
        (pe(0x8664, plus=True), "windows-x86_64"),
        (pe(0x14C), "windows-i686"),
        (pe(0x14C, clr=True), "windows-any"),
        (pe(0xAA64, plus=True), "windows-aarch64"),
        (b"\xcf\xfa\xed\xfe" + struct.pack("<I", 0x100000C), "macos-aarch64"),
        (universal(0x1000007, 0x100000C), "macos-aarch64+x86_64"),
    ],
)
def test_headers(head: bytes, said: str) -> None:
    assert str(read_target(head)) == said


@pytest.mark.parametrize(
    "head", [b"", b"#!/bin/sh\n", b"MZ is a text", b"MZ" + bytes(200), b"\xca\xfe\xba\xbe\x00\x00\x00\x41" + bytes(90)]
)
def test_what_is_not_native(head: bytes) -> None:
    assert read_target(head) is None


@given(st.sampled_from([elf(62), pe(0x8664), universal(7, 12)]), st.integers(0, 400))
def test_cut_headers_do_not_crash(head: bytes, length: int) -> None:
    read_target(head[:length])


@given(st.sampled_from([b"\x7fELF", b"MZ", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe"]), st.binary(max_size=300))
def test_noise_does_not_crash(magic: bytes, noise: bytes) -> None:
    read_target(magic + noise)


def test_this_interpreter() -> None:
    with Path(sys.executable).resolve().open("rb") as file:
        target = read_target(file.read(4096))
    assert target is not None and target.system in ("linux", "macos")


def judged(tmp_path: Path, platform: str, files: dict[str, bytes], **settings: object) -> GateResult:
    store = Store.init(str(tmp_path / "store"))
    folder = tmp_path / "files"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    tree = store.put_tree(str(folder)).tree
    manifest = build(
        store, "agent", "zip", {"app": ComponentTree(tree)}, platform=Platform.of_text(platform) if platform else None
    )
    view = ReleaseView("1", {"app": tree}, {"agent": manifest}, store, "/")
    return check(view, Settings(**settings))  # type: ignore[arg-type]


def test_product_for_its_platform(tmp_path: Path) -> None:
    result = judged(tmp_path, "linux-x86_64", {"a.so": elf(62), "notes": b"text"})
    assert result.passed and result.measured == {"native": 1}


def test_wrong_files_are_all_named(tmp_path: Path) -> None:
    result = judged(tmp_path, "linux-x86_64", {"a.so": elf(183), "b.exe": pe(0x8664), "c": elf(62), "d": elf(999)})
    assert result.messages == (
        "agent/a.so: is for linux-aarch64, the build for linux-x86_64",
        "agent/b.exe: is for windows-x86_64, the build for linux-x86_64",
        "agent/d: is for linux-unknown, the build for linux-x86_64",
    )


def test_product_that_names_no_platform(tmp_path: Path) -> None:
    assert "says no platform" in judged(tmp_path, "", {"a.so": elf(62)}).messages[0]


def test_system_without_a_machine(tmp_path: Path) -> None:
    assert judged(tmp_path, "windows", {"a.exe": pe(0x8664), "b.exe": pe(0x14C)}).passed


def test_neutral_and_ignored_files(tmp_path: Path) -> None:
    files = {"net.dll": pe(0x14C, clr=True), "x.exe": pe(0x14C)}
    assert not judged(tmp_path, "windows-x86_64", files).passed
    (tmp_path / "again").mkdir()
    assert judged(tmp_path / "again", "windows-x86_64", files, ignore=("agent/x.*",)).passed
