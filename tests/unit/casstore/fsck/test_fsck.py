"""fsck: every damage is named, nothing else is; the index is healed and that is no damage."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from attest.digests import sha256
from attest.errors import CasstoreError, FormatError
from casstore.fsck import check_table, fsck
from casstore.objects.kinds import Kind, NewObject
from casstore.objects.pack_format import FOOTER, OBJECT, PIECE, PackTable
from casstore.objects.packs import name_of
from casstore.store.store import Store

BLOBS = [b"text %d " % n * (n % 40) for n in range(120)] + [random.Random(n).randbytes(n * 40_000) for n in (1, 2, 40)]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clean") / "store"
    with Store.init(str(folder)) as store:
        store.put_many([NewObject(blob) for blob in BLOBS])
        store.put_bytes(b"{}", subjects=[sha256(BLOBS[1])], kind=Kind.ATTESTATION)
    return folder


@pytest.fixture
def url(clean: Path, tmp_path: Path) -> str:
    shutil.copytree(clean, tmp_path / "store")
    for path in (tmp_path / "store").rglob("*.pack"):
        path.chmod(0o644)
    return str(tmp_path / "store")


def test_a_clean_store_is_clean(url: str) -> None:
    with Store.open(url) as store:
        report = fsck(store)
    assert report.ok
    assert (report.packs, report.objects) == (2, len(set(BLOBS)) + 1)
    assert report.to_json()["damaged"] == []


def test_one_flipped_byte_names_its_object_and_pack(url: str) -> None:
    victim = BLOBS[-1]
    (path,) = (p for p in Path(url).rglob("*.pack") if p.stat().st_size > 10_000)
    data = bytearray(path.read_bytes())
    at = data.index(victim[1_200_000:1_200_050])
    data[at] ^= 4
    path.write_bytes(data)
    with Store.open(url) as store:
        (damage,) = fsck(store).damaged
    assert damage.object == sha256(victim)
    assert damage.pack == f"sha256:{path.stem}"
    assert damage.offset == data.index(victim[:50])


def test_random_damage_is_always_found_and_never_served(url: str) -> None:
    source = random.Random(11)
    packs = {path: path.read_bytes() for path in Path(url).rglob("*.pack")}
    wanted = {sha256(blob): blob for blob in BLOBS}
    for _ in range(30):
        path = source.choice(sorted(packs))
        good = packs[path]
        kind = source.choice(["flip", "zero", "cut", "grow", "swap"])
        at = source.randrange(len(good))
        bad = {
            "flip": good[:at] + bytes([good[at] ^ (1 << source.randrange(8))]) + good[at + 1 :],
            "zero": good[:at] + bytes(min(600, len(good) - at)) + good[at + 600 :],
            "cut": good[:at],
            "grow": good + b"x",
            "swap": next(data for other, data in packs.items() if other != path),
        }[kind]
        if bad == good:
            continue
        path.write_bytes(bad)
        with Store.open(url) as store:
            assert not fsck(store).ok, f"{kind} at {at} of {path.name}"
            for digest in source.sample(sorted(wanted), 12):
                try:
                    assert store.read(digest) == wanted[digest]
                except CasstoreError as exc:
                    assert exc.exit_code in (7, 8)
        path.write_bytes(good)
    with Store.open(url) as store:
        assert fsck(store).ok


def test_a_pack_that_is_gone_is_named_until_it_is_back(url: str, tmp_path: Path) -> None:
    (path,) = (p for p in Path(url).rglob("*.pack") if p.stat().st_size > 10_000)
    shutil.move(path, tmp_path / "kept")
    for _ in range(2):
        with Store.open(url) as store:
            (damage,) = fsck(store).damaged
            assert (damage.what, damage.pack) == ("this pack is gone", f"sha256:{path.stem}")
    shutil.move(tmp_path / "kept", path)
    with Store.open(url) as store:
        assert fsck(store).ok
        assert store.read(sha256(BLOBS[-1])) == BLOBS[-1]


def test_a_lost_index_is_healed_and_no_damage(url: str) -> None:
    shutil.rmtree(Path(url, "index"))
    with Store.open(url) as store:
        report = fsck(store)
        assert report.ok
        assert report.healed == ("there was no index",)
        assert fsck(store).healed == ()


def test_an_index_that_lacks_rows_is_healed(url: str) -> None:
    with Store.open(url) as store:
        environment = store.index._environment
        with environment._env.begin(write=True) as txn:
            cursor = txn.cursor(environment.tables[b"objects"])
            cursor.first()
            for _ in range(10):
                cursor.delete()
        report = fsck(store)
        assert report.ok
        assert report.healed
        assert store.index.count() == len(set(BLOBS)) + 1


def test_a_table_that_claims_an_endless_object_is_refused() -> None:
    piece = PIECE.pack(32, 1, 1, 0, bytes(32))
    table = PackTable(bytes(32), piece, OBJECT.pack(bytes(32), 0, 0, 0, 2**62), b"")
    with pytest.raises(FormatError, match="longer than all pieces"):
        check_table(table, 32 + 1 + PIECE.size + OBJECT.size + FOOTER.size)


def test_files_that_are_no_packs_are_left_alone(url: str) -> None:
    folder = next(Path(url, "packs").iterdir())
    for name in (".tmp-1-ab", "note.txt", "zz" * 32 + ".pack"):
        (folder / name).write_bytes(b"x")
    assert name_of("zz" * 32 + ".pack") is None
    with Store.open(url) as store:
        assert fsck(store).ok
