"""The starter: folders with build outputs become components and products; it is taken as it is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from casstore import config
from casstore.config.outputs import look
from casstore.config.starter import starter

ELF = b"\x7fELF" + b"\0" * 60


def lay(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@pytest.mark.parametrize(
    ("files", "outputs"),
    [
        ({}, {}),
        ({"src/main.c": b"int main;", "README.md": b"x", "docs/a": ELF}, {}),
        ({"build/hello": b"hi"}, {"app": "build"}),
        ({"build/bin/hello": ELF, "build/share/x": b"x"}, {"app": "build"}),
        ({"build/core/a": b"1", "build/agent/b": b"2"}, {"agent": "build/agent", "core": "build/core"}),
        ({"build/core/a": b"1", "build/b": b"2"}, {"app": "build"}),
        ({"agent/agent.exe": b"MZ", "core/lib/libcore.so.1": ELF}, {"agent": "agent", "core": "core"}),
        ({"dist/x.whl": b"PK", "build/y": b"1"}, {"build": "build", "dist": "dist"}),
        ({"my tool/run": ELF}, {"my-tool": "my tool"}),
        ({"node_modules/x.so": ELF, ".venv/bin/python": ELF, "build/.gitignore": b"*"}, {"app": "build"}),
        ({"store/casstore.json": b"{}", "kept/casstore.json": b"{}", "kept/x.so": ELF}, {}),
    ],
)
def test_folders_with_outputs_are_found(tmp_path: Path, files: Mapping[str, bytes], outputs: Mapping[str, str]) -> None:
    lay(tmp_path / "app", {**files, "Makefile": b"all:"})
    assert {one.name: one.root for one in look(str(tmp_path / "app")).outputs} == outputs
    found = config.parse(starter(str(tmp_path / "app")).encode(), str(tmp_path / "app" / "casstore.toml"))
    assert {name: table.root for name, table in found.components.items()} == outputs
    assert set(found.products) == set(outputs)
    assert list(found.channels) == ["dev", "prod"]


def test_licence_texts_are_shared_unless_the_outputs_have_them(tmp_path: Path) -> None:
    lay(tmp_path, {"one/a.so": ELF, "two/b.so": ELF, "LICENSE": b"MIT", "LICENSES/x": b"x", "NOTICE": b"n"})
    lay(tmp_path, {"two/NOTICE": b"n"})
    found = config.parse(starter(str(tmp_path)).encode(), "casstore.toml")
    assert found.components["licences"].include == ["LICENSE", "LICENSES/**"]
    assert found.components["licences"].shared
    assert found.products["one"].components == ["one", "licences"]
    assert found.products["two"].components == ["two", "licences"]


def test_names_that_no_text_can_hold_are_left_out(tmp_path: Path) -> None:
    for name in (b"b\xffd", b"a\nb", b'q"uote', b"*"):
        os.mkdir(os.fsencode(tmp_path) + b"/" + name)
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name + b"/x.so")).write_bytes(ELF)
    os.symlink(tmp_path, tmp_path / "build")
    assert look(str(tmp_path)).outputs == ()
    assert config.parse(starter(str(tmp_path), store_url='s3://b/"p\\').encode(), "c").store.url == 's3://b/"p\\'


def test_a_folder_that_cannot_be_read_holds_nothing(tmp_path: Path) -> None:
    assert look(str(tmp_path / "nowhere")).outputs == ()
