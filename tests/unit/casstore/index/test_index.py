"""The index is a cache: whatever becomes of its files, the process lives and the objects are found."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest

from attest.digests import sha256
from casstore.fsck import fsck
from casstore.index import Index, Options
from casstore.objects.kinds import Kind, NewObject
from casstore.objects.pack_format import OBJECT, PackTable
from casstore.objects.pack_reader import read_table
from casstore.objects.pack_writer import PackWriter
from casstore.store.store import Store

OBJECTS = [NewObject(b"%d" % number) for number in range(2000)]


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    with Store.init(str(tmp_path / "store")) as store:
        store.put_many(OBJECTS)
        store.put_bytes(b"{}", subjects=[store.put_bytes(b"0")], kind=2)  # type: ignore[arg-type]
    return str(tmp_path / "store")


def data_file(url: str) -> Path:
    (path,) = Path(url, "index").glob("g-*/data.mdb")
    return path


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def cut_to_nothing(path: Path) -> None:
    os.truncate(path, 0)


def zero_pages(path: Path) -> None:
    with path.open("r+b") as file:
        for page in range(2, path.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(bytes(4096))


def zero_meta(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(bytes(8192))


def noise(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(100_000))


def foreign(path: Path) -> None:
    shutil.rmtree(path.parent)
    path.parent.mkdir()
    with lmdb.open(str(path.parent)) as env, env.begin(write=True) as txn:
        txn.put(b"somebody", b"else's")


def missing_file(path: Path) -> None:
    path.unlink()


def missing_folder(path: Path) -> None:
    shutil.rmtree(path.parent.parent)


def bad_pointer(path: Path) -> None:
    (path.parent.parent / "current").write_bytes(b"\xff/../..")


def bad_lock(path: Path) -> None:
    (path.parent / "lock.mdb").write_bytes(b"\xff" * 100)


HARMS = [
    cut,
    cut_to_nothing,
    zero_pages,
    zero_meta,
    noise,
    foreign,
    missing_file,
    missing_folder,
    bad_pointer,
    bad_lock,
]


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
def test_a_harmed_index_is_filled_again(store_url: str, harm: Callable[[Path], None]) -> None:
    harm(data_file(store_url))
    with Store.open(store_url) as store:
        for item, digest in zip(OBJECTS[::100], store.put_many(OBJECTS)[::100], strict=True):
            assert store.read(digest) == item.data
        assert len(store.attestations(store.put_bytes(b"0"))) == 1
        report = fsck(store)
        assert report.ok
        assert report.healed or harm is bad_lock


def test_flipped_bits_never_kill_and_never_mislead(store_url: str) -> None:
    source = random.Random(7)
    with Store.open(store_url) as store:
        digests = store.put_many(OBJECTS)
    for _ in range(25):
        path = data_file(store_url)
        with path.open("r+b") as file:
            for _ in range(3):
                at = source.randrange(path.stat().st_size)
                file.seek(at)
                byte = file.read(1)[0]
                file.seek(at)
                file.write(bytes([byte ^ (1 << source.randrange(8))]))
        with Store.open(store_url) as store:
            for number in source.sample(range(len(OBJECTS)), 40):
                assert store.read(digests[number]) == OBJECTS[number].data
            assert fsck(store).ok


def test_a_row_that_went_wrong_under_an_open_store_is_healed(store_url: str) -> None:
    with Store.open(store_url) as store:
        digests = store.put_many(OBJECTS)
        environment = store.index._environment
        with environment._env.begin(write=True) as txn:
            for key, value in list(txn.cursor(environment.tables[b"objects"])):
                txn.put(key, value[:-1] + bytes([value[-1] ^ 1]), db=environment.tables[b"objects"])
        assert store.read(digests[5]) == OBJECTS[5].data
        assert store.catalog.healed


def test_a_row_with_a_right_check_and_a_wrong_place_never_serves_wrong_bytes(store_url: str) -> None:
    from casstore.index import rows

    with Store.open(store_url) as store:
        digests = store.put_many(OBJECTS)
        environment = store.index._environment
        with environment._env.begin(write=True) as txn:
            for key, value in list(txn.cursor(environment.tables[b"objects"])):
                row = rows.parse_row(key, value)._replace(inner=0)
                txn.put(key, rows.seal(key, rows.pack(list(row))), db=environment.tables[b"objects"])
        assert [store.read(digest) for digest in digests[:20]] == [item.data for item in OBJECTS[:20]]


def test_the_index_of_another_store_is_not_believed(store_url: str, tmp_path: Path) -> None:
    with Store.init(str(tmp_path / "other")) as other:
        digest = other.put_bytes(b"only there")
    shutil.rmtree(Path(store_url, "index"))
    shutil.copytree(tmp_path / "other/index", Path(store_url, "index"))
    with Store.open(store_url) as store:
        assert not store.has(digest)
        assert fsck(store).ok


def test_a_full_map_is_doubled(tmp_path: Path) -> None:
    index = Index.open(str(tmp_path / "index"), "id", Options(map_size=256 * 1024))
    writer = PackWriter(str(tmp_path / "pack"), level=0, nonce=bytes(16))
    for number in range(20_000):
        writer.add(number.to_bytes(4, "big") * 8, b"", 0)
    sealed = writer.finish()
    data = Path(sealed.path).read_bytes()
    table = read_table(lambda at, size: data[at : at + size], len(data), sealed.name)
    index.add_packs([(table, len(data))])
    assert index.count() == 20_000
    index.close()


def test_threads_share_one_index(store_url: str) -> None:
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            with Store.open(store_url) as store:
                for turn in range(20):
                    digest = store.put_bytes(b"%d-%d" % (number, turn))
                    assert store.read(digest) == b"%d-%d" % (number, turn)
        except BaseException as exc:
            failed.append(exc)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_a_forked_child_reads_too(store_url: str) -> None:
    with Store.open(store_url) as store:
        digest = store.put_bytes(b"before the fork")
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                with Store.open(store_url) as mine:
                    code = 0 if mine.read(digest) == b"before the fork" else 2
                if store.read(digest) != b"before the fork":
                    code = 3
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert store.read(digest) == b"before the fork"


def test_meta_rows_are_kept_sorted_and_scanned_by_prefix(tmp_path: Path) -> None:
    index = Index.open(str(tmp_path), "id")
    index.meta_put([(b"main/2", b"two"), (b"main/1", b"one"), (b"side/1", b"x")])
    assert index.meta_get(b"main/1") == b"one"
    assert index.meta_get(b"main/3") is None
    assert index.meta_scan(b"main/") == [(b"main/1", b"one"), (b"main/2", b"two")]
    index.close()


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="needs a read-only mount")
def test_a_store_on_a_read_only_medium_is_read(store_url: str, tmp_path: Path) -> None:
    mounted = tmp_path / "ro"
    mounted.mkdir()
    steps = [["mount", "--bind", store_url, str(mounted)], ["mount", "-o", "remount,ro,bind", str(mounted)]]
    try:
        for step in steps:
            if subprocess.run(step, check=False, capture_output=True).returncode:
                pytest.skip("mount is not allowed here")
        os.environ["XDG_CACHE_HOME"] = str(tmp_path / "cache")
        with Store.open(str(mounted), read_only=True) as store:
            assert store.read(store.digests()[0])
            assert str(tmp_path / "cache") in store.index.path
    finally:
        del os.environ["XDG_CACHE_HOME"]
        subprocess.run(["umount", str(mounted)], check=False, capture_output=True)


def table_of_many(folder: Path, name: str, contents: list[tuple[bytes, Kind]]) -> tuple[PackTable, int]:
    writer = PackWriter(str(folder / name), level=1, nonce=name.encode().ljust(16))
    for data, kind in contents:
        about = [hashlib.sha256(b"0").digest()] if kind is Kind.ATTESTATION else []
        writer.add(hashlib.sha256(data).digest(), data, kind, about)
    sealed = writer.finish()
    with open(sealed.path, "rb") as file:
        fd = file.fileno()
        return read_table(lambda at, size: os.pread(fd, size, at), sealed.size, sealed.name), sealed.size


def test_many_packs_at_once_give_the_same_rows_as_one_after_the_other(tmp_path: Path) -> None:
    contents = [(b"%d" % number, Kind.BLOB) for number in range(900)]
    packs = [
        table_of_many(tmp_path, "a", contents[:500]),
        table_of_many(tmp_path, "b", [*contents[400:], (b"", Kind.TREE), (bytes(3_000_000), Kind.BLOB)]),
        table_of_many(tmp_path, "c", [(b"7", Kind.ATTESTATION), (b"{}", Kind.ATTESTATION)]),
    ]
    found = []
    for number, batches in enumerate(([packs], [[pack] for pack in packs])):
        index = Index.open(str(tmp_path / str(number)), "store")
        for batch in batches:
            index.add_packs(batch)
        digests = list(index.digests())
        assert digests == sorted(digests)
        assert len(digests) == 903
        assert index.large_sizes() == {3_000_000}
        found.append({raw: index.get(raw) for raw in digests})
        index.close()
    assert found[0] == found[1]
    seven = found[0][hashlib.sha256(b"7").digest()]
    assert seven is not None
    assert (seven.pack, seven.kind) == (2, Kind.ATTESTATION)


def test_a_table_that_is_not_sorted_spoils_no_other_row(tmp_path: Path) -> None:
    good, size = table_of_many(tmp_path, "a", [(b"%d" % number, Kind.BLOB) for number in range(500)])
    step = OBJECT.size
    rows = [good.objects[at : at + step] for at in range(0, len(good.objects), step)]
    odd = PackTable(bytes(32), good.pieces, b"".join(reversed(rows)), b"")
    index = Index.open(str(tmp_path / "index"), "store")
    index.add_packs([(odd, size), (good, size)])
    assert all(index.get(row[:32]) is not None for row in rows)
    assert index.count() == 500
    index.close()


def test_compaction_keeps_every_row_and_changes_the_epoch(store_url: str) -> None:
    with Store.open(store_url) as store:
        for start in range(0, 3000, 30):
            store.put_many([NewObject(b"more %d" % number) for number in range(start, start + 30)])
        store.index.meta_put([(b"cache", b"kept")])
        before = {raw: store.index.get(raw) for raw in store.index.digests()}
        state = store.index.packs(), store.index.subjects(hashlib.sha256(b"0").digest()), store.index.epoch()
        had, has = store.catalog.compact()
        assert has < had * 0.8
        assert {raw: store.index.get(raw) for raw in store.index.digests()} == before
        assert (store.index.packs(), store.index.subjects(hashlib.sha256(b"0").digest())) == state[:2]
        assert store.index.epoch() != state[2]
        assert store.index.meta_get(b"cache") == b"kept"
        assert store.put_many([NewObject(b"after")])
    with Store.open(store_url) as store:
        assert store.index.fresh is None
        assert store.index.count() == len(before) + 1
        assert len(list(Path(store_url, "index").glob("g-*"))) == 1


def test_who_has_the_index_open_goes_on_while_it_is_compacted(store_url: str) -> None:
    code = (
        "import sys\nfrom casstore.store.store import Store\nfrom attest.digests import sha256\n"
        "with Store.open(sys.argv[1]) as store:\n"
        "    print('open', flush=True)\n    sys.stdin.readline()\n"
        "    assert store.read(sha256(b'7')) == b'7'\n    store.put_bytes(b'by the other')\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, store_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "open\n"
    with Store.open(store_url) as store:
        store.catalog.compact()
        other.communicate("\n", timeout=60)
        assert other.returncode == 0
        assert store.read(sha256(b"by the other")) == b"by the other"
