"""Foreign bytes that cost too much: the file is named, with limit and figure, and all others are looked at as well."""

from __future__ import annotations

import gzip
import io
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from attest.errors import BadInput, FormatError
from attest.judging import expressions
from attest.trust.policy_parts import CustomRule
from bundlers import isolation
from bundlers.errors import CrossProductLeak
from bundlers.gates.builtin import secrets
from bundlers.inspection import door
from bundlers.inspection.packed import nested
from bundlers.inspection.units import Limits, Member, text_of
from bundlers.isolation import Contents, Settings
from bundlers.isolation.explained import reference_sources
from bundlers.products import manifest_building
from bundlers.products.product_manifests import ComponentTree, ProductManifest
from casstore.errors import OverBudget
from casstore.hostile import Budget
from casstore.store.store import Store
from tests.attacks.test_hostile_input import TOLD, WAYS

NOISE = random.Random(9)
TOKEN = b"npm_" + b"ZmDq8s1vTnQb3hYkXw7cLr2JpE5uGa94fKt0"
BOMB = gzip.compress(bytes(120 << 20), 1)
"""Half a megabyte that takes many seconds to look at."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.init(str(tmp_path / "store")) as made:
        yield made


def _product(store: Store, tmp_path: Path, name: str, files: dict[str, bytes]) -> ProductManifest:
    folder = tmp_path / name
    folder.mkdir()
    for path, data in files.items():
        (folder / path).write_bytes(data)
    return manifest_building.build(store, name, "tar.gz", {name: ComponentTree(store.put_tree(str(folder)).tree)})


def test_isolation_names_it_and_goes_on(store: Store, tmp_path: Path) -> None:
    same, mine = NOISE.randbytes(5000), NOISE.randbytes(5000)
    agent = _product(store, tmp_path, "agent", {"bomb.gz": BOMB, "leak": same, "mine": mine})
    core = _product(store, tmp_path, "core", {"theirs": same})
    began = time.monotonic()
    report = isolation.check(store, Contents.each({"agent": agent, "core": core}), Settings(max_seconds=1))
    assert time.monotonic() - began < 15
    assert {(found.kind, found.path_a, found.why) for found in report.findings} == {
        ("unopened", "bomb.gz", "it takes more than 1 s"),
        ("file", "leak", ""),
    }
    with pytest.raises(CrossProductLeak):
        report.require()


def test_what_was_refused_is_tried_again(store: Store, tmp_path: Path) -> None:
    """It is not kept in the cache: another machine may have the time."""
    products = Contents.each({name: _product(store, tmp_path, name, {"f": name.encode() * 99}) for name in ("a", "b")})
    refused = isolation.check(store, products, Settings(max_seconds=0)).findings
    assert {found.why for found in refused} == {"it takes more than 0 s"} and len(refused) == 2
    assert not isolation.check(store, products, Settings()).findings


def test_the_secrets_gate_names_it_and_goes_on(tmp_path: Path) -> None:
    for name, data in {"a-bomb.gz": BOMB, "b-config": b"token = " + TOKEN + b"\n", "c": b"nothing"}.items():
        (tmp_path / name).write_bytes(data)
    began = time.monotonic()
    result = secrets.scan_folder(str(tmp_path), secrets.Settings(max_seconds=1))
    assert time.monotonic() - began < 15
    assert result.messages[0] == "a-bomb.gz: could not be searched: it takes more than 1 s"
    assert result.messages[1].startswith("b-config: npm-token") and len(result.messages) == 2
    assert result.files == ("a-bomb.gz", "b-config") and not result.passed


def test_memory_has_an_end(tmp_path: Path) -> None:
    """A program of 200 MiB does not fit into 64."""
    (tmp_path / "program").write_bytes(b"\x7fELF" + bytes(200 << 20))
    (tmp_path / "other").write_bytes(TOKEN)
    with (tmp_path / "program").open("rb") as file, pytest.raises(OverBudget, match="more than 64 MiB of memory"):
        door.look(file, 200 << 20, Limits(), prints=False, budget=Budget(memory=64 << 20))


@pytest.mark.parametrize("way", sorted({**WAYS, **TOLD}))
def test_a_cell_sees_what_is_to_be_seen(way: str) -> None:
    """Nothing that is needed is missing in there: the same members as outside."""
    data = {**WAYS, **TOLD}[way](random.Random(7).randbytes(9_000))
    _, inside = door.look(io.BytesIO(data), len(data), Limits(), prints=True, budget=Budget())
    outside = nested.look_inside(io.BytesIO(data), len(data), Limits())
    assert [Member.of_row(row) for row in inside["members"]] == outside.members
    assert [(text_of(place), why) for place, why in inside["unopened"]] == outside.unopened


def test_a_reference_that_is_broken_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "wheel.gz"
    path.write_bytes(gzip.compress(b"x" * 10_000)[:-20])
    with pytest.raises(BadInput, match="cannot be unpacked"), reference_sources.folder_of(str(path)):
        pass


def test_a_hostile_file_among_many_is_one_line(tmp_path: Path) -> None:
    """Whoever reads the report finds all secrets of all others."""
    for number in range(20):
        (tmp_path / f"{number:02}").write_bytes(TOKEN + b" " + bytes([65 + number]) * 5)
    (tmp_path / "05").write_bytes(BOMB)
    result = secrets.scan_folder(str(tmp_path), secrets.Settings(max_seconds=1))
    assert len(result.messages) == 20


def test_a_text_of_cel_that_is_not_closed_holds_nobody() -> None:
    began = time.monotonic()
    for text in ("'" + "\\" * 60, '"' + "\\a" * 40, "'" + "\\" * 16):
        with pytest.raises(FormatError):
            expressions.check(CustomRule("rule", text))
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("row", ['checksum = "a\'"', 'checksum = "aa"'])
def test_a_lock_with_a_broken_checksum_is_one_clear_line(row: str, tmp_path: Path) -> None:
    path = tmp_path / "Cargo.lock"
    path.write_text(f'[[package]]\nname = "a"\nversion = "1"\n{row}\n')
    with pytest.raises(BadInput, match="is no digest"), reference_sources.folder_of(str(path)):
        pass
