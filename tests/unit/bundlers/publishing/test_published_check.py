"""Every damage in every published file is named, and what the store can make is mended, byte for byte."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

from bundlers.publishing.published_check import check, mend
from casstore.errors import NoSuchObject
from casstore.storage import open_storage
from tests.support.published import PublishedWorld
from tests.support.system_calls import DEEP, SEED, tell


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> PublishedWorld:
    folder = tmp_path_factory.mktemp("published")
    made = PublishedWorld.make(str(folder / "store"))
    for version in ("1.0.0", "1.1.0"):
        made.ship(version)
        made.later().promote(version, "dev")
        made.later().publish("dev", str(folder / "public"))
    return made


@pytest.fixture
def public(world: PublishedWorld, tmp_path: Path) -> Path:
    shutil.copytree(Path(world.store.url).parent / "public", tmp_path / "public")
    return tmp_path / "public"


def damages(raw: bytes, chance: random.Random) -> dict[str, bytes | None]:
    flipped = bytearray(raw)
    flipped[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
    changed = {
        "flipped": bytes(flipped),
        "zeroed": bytes(min(512, len(raw))) + raw[512:],
        "cut": raw[: chance.randrange(len(raw))],
        "emptied": b"",
        "appended": raw + b"}",
    }
    return {**changed, "removed": None}


def test_a_whole_publication_is_whole(world: PublishedWorld, public: Path) -> None:
    (public / "desktop.ini").write_text("[x]")
    report = check(open_storage(str(public)), world.store, world.ledger, "cdn")
    assert (report.damaged, report.strangers) == ({}, ["desktop.ini"])
    assert report.files > 50
    with pytest.raises(NoSuchObject, match="nothing was published to elsewhere"):
        check(open_storage(str(public)), world.store, world.ledger, "elsewhere")


def test_every_damage_is_named_and_mended(world: PublishedWorld, public: Path) -> None:
    chance = random.Random(SEED)
    tell(f"CASSTORE_SEED={SEED}")
    storage = open_storage(str(public))
    names = sorted(str(path.relative_to(public)) for path in public.rglob("*") if path.is_file())
    tiles = [name for name in names if name.startswith("ledger/")]
    chosen = names if DEEP else sorted({*tiles, *chance.sample(names, 12)} | {n for n in names if "metadata/" in n})
    old = {"metadata/1.targets.json", "metadata/1.snapshot.json"}
    for name in set(chosen) - old:
        raw = (public / name).read_bytes()
        for damage, bad in damages(raw, chance).items():
            (public / name).unlink()
            if bad is not None:
                (public / name).write_bytes(bad)
            report = check(storage, world.store, world.ledger, "cdn")
            if bad is None and not report.damaged:
                assert is_old(name), (name, damage)  # of an earlier publication: nobody needs it
                (public / name).write_bytes(raw)
                continue
            named = "metadata/root.json" if name.endswith(".root.json") and name not in report.damaged else name
            assert named in report.damaged, (name, damage, report.damaged)
            mend(storage, world.store, report)
            if name.startswith("metadata/"):
                assert named in report.damaged
                (public / name).write_bytes(raw)
            assert (public / name).read_bytes() == raw
    assert check(storage, world.store, world.ledger, "cdn").damaged == {}
    assert not [path for path in public.rglob(".*") if os.path.isfile(path)]


def is_old(name: str) -> bool:
    """What only the first publication showed."""
    return ".p/" in name or name.startswith("targets/")
