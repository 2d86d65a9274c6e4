"""The golden files of the ledger's formats are what the code writes, and stay readable."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from attest import digests
from attest.digests import sha256
from casstore.ledger import entries as formats
from casstore.ledger import release_objects

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"
MADE = runpy.run_path(str(HERE / "make_ledger.py"))
FILES: dict[str, bytes] = MADE["files"]()
FOLDERS = ("ledger-entry", "release-object", "release-diff", "ledger-checkpoint")


@pytest.mark.parametrize("name", sorted(FILES))
def test_golden_file_is_what_is_written_now(name: str) -> None:
    assert (GOLDEN / name).read_bytes() == FILES[name]


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_golden_file_is_forgotten(folder: str) -> None:
    kept = {str(path.relative_to(GOLDEN)) for path in (GOLDEN / folder).rglob("*") if path.is_file()}
    assert kept == {name for name in FILES if name.startswith(folder + "/")}


def test_golden_entries_are_a_chain() -> None:
    prev = digests.ZERO
    for number, path in enumerate(sorted((GOLDEN / "ledger-entry").glob("0*"))):
        entry = formats.parse(path.read_bytes())
        assert (entry.number, entry.prev) == (number, prev)
        assert formats.key("main", number).endswith(path.name)
        prev = sha256(path.read_bytes())


def test_golden_pack_list_and_releases_read_back() -> None:
    assert len(formats.parse_pack_list((GOLDEN / "ledger-entry/pack-list.json").read_bytes())) == 2
    for path in (GOLDEN / "release-object").iterdir():
        release = release_objects.parse(path.read_bytes())
        assert release.version == path.stem
        assert release.to_bytes() == path.read_bytes()


def test_golden_diff_tells_every_kind_of_change() -> None:
    value = json.loads((GOLDEN / "release-diff/next.json").read_bytes())
    assert [(row["path"], row["change"]) for row in value["files"]] == [
        ("comes", "added"),
        ("core", "changed"),
        ("gone", "removed"),
        ("lib.so", "changed"),
        ("turns", "removed"),
        ("turns/n\\xff\x01w", "added"),
        ("was", "removed"),
    ]
    assert [(row["product"], row["build"], row["change"]) for row in value["archives"]] == [
        ("core", "default", "changed"),
        ("probe", "any", "added"),
        ("probe", "linux-x86_64", "added"),
    ]
    assert [(row["name"], row["change"]) for row in value["components"]] == [
        ("core-bin", "changed"),
        ("old", "removed"),
    ]
