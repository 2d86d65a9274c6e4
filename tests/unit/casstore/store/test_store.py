"""The store's promises on one machine: durable, verified, never changed, never half."""

from __future__ import annotations

import io
import json
import os
import random
from pathlib import Path

import pytest

from attest import canonical
from attest.digests import Digest, sha256
from attest.errors import BadInput, FormatError, TooNew
from casstore.errors import Conflict, NoSuchObject, NoSuchStore, NotWritable, ObjectDamaged, StoreDamaged
from casstore.objects.kinds import Kind, NewObject
from casstore.objects.packs import Durability
from casstore.objects.small_records import sealed
from casstore.objects.store_config import StoreConfig
from casstore.objects.tree import TreeEntry
from casstore.store.store import Store, StoreOptions

NOISE = random.Random(5).randbytes(3 * 1024 * 1024 + 17)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.init(str(tmp_path / "store"))


def packs_of(store: Store) -> list[Path]:
    return sorted(Path(store.url, "packs").rglob("*.pack"))


def spoil(store: Store, needle: bytes) -> None:
    """Flip one byte of the stored bytes `needle`, wherever they are."""
    for path in packs_of(store):
        data = path.read_bytes()
        if needle in data:
            at = data.index(needle) + len(needle) // 2
            path.chmod(0o644)
            with path.open("r+b") as file:
                file.seek(at)
                file.write(bytes([data[at] ^ 1]))
            return
    raise AssertionError("not stored raw")


@pytest.mark.parametrize("data", [b"", b"hello", b"text " * 50_000, NOISE])
def test_what_is_put_is_read_back(store: Store, data: bytes) -> None:
    digest = store.put_bytes(data)
    assert digest == sha256(data)
    assert store.has(digest)
    assert store.size(digest) == len(data)
    assert store.read(digest) == data
    assert b"".join(store.chunks(digest)) == data
    with store.open_blob(digest) as stream:
        assert stream.read() == data
        stream.seek(-5 if len(data) > 5 else 0, io.SEEK_END)
        assert stream.read() == data[-5:] if len(data) > 5 else True


def test_a_seekable_blob_reads_across_frames(store: Store) -> None:
    with store.open_blob(store.put_bytes(NOISE)) as stream:
        stream.seek(1024 * 1024 - 3)
        assert stream.read(10) == NOISE[1024 * 1024 - 3 :][:10]
        assert stream.tell() == 1024 * 1024 + 7


def test_another_handle_and_another_open_see_it(store: Store) -> None:
    with Store.open(store.url) as other:
        digest = store.put_bytes(b"late")
        assert other.read(digest) == b"late"
    store.close()
    with Store.open(store.url) as again:
        assert again.read(digest) == b"late"


def test_a_pack_that_another_process_added_is_found(store: Store, tmp_path: Path) -> None:
    with Store.init(str(tmp_path / "other")) as other:
        digest = other.put_bytes(b"from elsewhere")
        for path in packs_of(other):
            target = Path(store.url, "packs", path.parent.name)
            target.mkdir(parents=True, exist_ok=True)
            (target / path.name).write_bytes(path.read_bytes())
    assert store.read(digest) == b"from elsewhere"


def test_an_unknown_digest_is_refused_by_name(store: Store) -> None:
    digest = sha256(b"never put")
    assert not store.has(digest)
    with pytest.raises(NoSuchObject, match=digest):
        store.read(digest)
    with pytest.raises(BadInput):
        store.read(Digest("sha256:abc"))


def test_put_many_is_one_pack(store: Store) -> None:
    digests = store.put_many([NewObject(b"%d" % n) for n in range(100)] * 2)
    assert digests == [sha256(b"%d" % n) for n in range(100)] * 2
    assert len(packs_of(store)) == 1


def test_the_same_bytes_are_stored_once(store: Store) -> None:
    store.put_bytes(b"again")
    assert len(store.take_new_packs()) == 1
    store.put_bytes(b"again")
    assert len(packs_of(store)) == 1


def test_packs_of_a_put_that_never_came_to_its_entry_are_named_again(store: Store) -> None:
    store.put_bytes(b"orphan")
    (name,) = store.take_new_packs()
    assert store.take_new_packs() == []
    with Store.open(store.url) as later:
        later.put_bytes(b"orphan")
        assert (later.take_new_packs(), later.left_packs(), later.left_packs()) == ([], [name], [])
        later.learn_packs([name])
        later.put_bytes(b"orphan")
        assert (later.take_new_packs(), later.left_packs()) == ([], [])


def test_attestations_are_found_by_subject(store: Store) -> None:
    subject, other = store.put_bytes(b"archive"), sha256(b"other")
    first = store.put_bytes(b"{1}", subjects=[subject, other], kind=Kind.ATTESTATION)
    second = store.put_bytes(b"{2}", subjects=[subject], kind=Kind.ATTESTATION)
    assert store.attestations(subject) == sorted([first, second])
    assert store.attestations(other) == [first]
    assert store.attestations(sha256(b"x")) == []
    assert store.kind(first) is Kind.ATTESTATION


def test_bytes_known_as_a_blob_become_an_attestation(store: Store) -> None:
    digest = store.put_bytes(b"{}")
    store.put_bytes(b"{}", subjects=[digest], kind=Kind.ATTESTATION)
    assert store.attestations(digest) == [digest]
    assert store.kind(digest) is Kind.ATTESTATION
    store.put_bytes(b"{}", subjects=[digest, sha256(b"n")], kind=Kind.ATTESTATION)
    assert store.attestations(sha256(b"n")) == [digest]


def test_wrong_bytes_are_never_served(store: Store) -> None:
    digest = store.put_bytes(b"only once")
    spoil(store, b"only once")
    for attempt in (store.read, lambda d: list(store.chunks(d)), store.open_blob):
        with pytest.raises(ObjectDamaged, match=f"{digest}.*pack.*byte 32"):
            attempt(digest)


def test_wrong_bytes_of_a_large_blob_end_in_an_error(store: Store) -> None:
    digest = store.put_bytes(NOISE)
    spoil(store, NOISE[2_000_000:2_000_100])
    with pytest.raises(ObjectDamaged, match=digest):
        store.read(digest)
    with pytest.raises(ObjectDamaged):
        store.open_blob(digest)


def test_a_good_copy_in_another_pack_is_taken(store: Store, tmp_path: Path) -> None:
    digest = store.put_bytes(b"twice kept")
    with Store.init(str(tmp_path / "b")) as other:
        other.put_bytes(b"twice kept")
        (path,) = packs_of(other)
        target = Path(store.url, "packs", path.parent.name)
        target.mkdir(exist_ok=True)
        (target / path.name).write_bytes(path.read_bytes())
    spoil_first = packs_of(store)
    assert len(spoil_first) == 2
    with Store.open(store.url) as again:
        spoil(again, b"twice kept")
        assert again.read(digest) == b"twice kept"


def test_a_pack_that_is_gone_is_said(store: Store) -> None:
    digest = store.put_bytes(b"gone")
    for path in packs_of(store):
        path.unlink()
    store.close()
    with Store.open(store.url) as again, pytest.raises(NoSuchObject, match=digest):
        again.read(digest)


def test_reading_limits_the_size(store: Store) -> None:
    with pytest.raises(BadInput, match="more than the 3"):
        store.read(store.put_bytes(b"four"), max_bytes=3)


def test_init_refuses_an_existing_store(store: Store) -> None:
    before = Path(store.url, "casstore.json").read_bytes()
    with pytest.raises(Conflict):
        Store.init(store.url)
    assert Path(store.url, "casstore.json").read_bytes() == before


def test_there_is_no_store_in_an_empty_or_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(NoSuchStore) as refused:
        Store.open(str(tmp_path))
    assert refused.value.exit_code == 8
    with pytest.raises(NoSuchStore):
        Store.open(str(tmp_path / "missing"))


def test_a_newer_store_is_refused(store: Store) -> None:
    path = Path(store.url, "casstore.json")
    path.write_bytes(canonical.dumps(sealed(json.loads(path.read_bytes()) | {"format": "casstore/2"})))
    with pytest.raises(TooNew, match="2"):
        Store.open(store.url)


@pytest.mark.parametrize("text", ["", "{}", "[]", "\xff", '{"format":"casstore/1","id":"x","options":{}}'])
def test_a_spoiled_configuration_is_refused(store: Store, text: str) -> None:
    Path(store.url, "casstore.json").write_text(text, encoding="latin-1")
    with pytest.raises(StoreDamaged) as refused:
        Store.open(store.url)
    assert refused.value.exit_code == 7


def test_every_flipped_bit_of_the_configuration_shows(store: Store) -> None:
    raw = Path(store.url, "casstore.json").read_bytes()
    for bit in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(StoreDamaged):
            StoreConfig.parse(bytes(flipped), "here")


def test_a_read_only_handle_writes_nothing(store: Store) -> None:
    digest = store.put_bytes(b"x")
    with Store.open(store.url, read_only=True) as reader:
        assert reader.read(digest) == b"x"
        with pytest.raises(NotWritable):
            reader.put_bytes(b"y")


@pytest.mark.parametrize("durability", list(Durability))
@pytest.mark.parametrize("compression", ["none", "fast", "best"])
def test_every_option_stores(tmp_path: Path, durability: Durability, compression: str) -> None:
    options = StoreOptions(compression, durability)
    with Store.init(str(tmp_path / "s"), options=options) as store:
        digest = store.put_bytes(b"text " * 1000)
    with Store.open(str(tmp_path / "s")) as again:
        assert again.options == options
        assert again.read(digest) == b"text " * 1000


def test_unknown_options_are_refused() -> None:
    with pytest.raises(BadInput, match="tar"):
        StoreOptions("tar")


def test_a_store_in_memory_does_the_same(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"text")
    with Store.init(f"memory://{tmp_path.name}") as store:
        digest = store.put_bytes(b"far away")
        tree = store.put_tree(str(tmp_path)).tree
        names = store.take_new_packs()
        assert len(names) == 2
    with Store.open(f"memory://{tmp_path.name}") as again:
        again.learn_packs(names)
        assert again.read(digest) == b"far away"
        assert [path for path, _ in again.walk(tree)] == [b"a"]


def test_build_tree_makes_folders_out_of_known_blobs(store: Store) -> None:
    blob = store.put_bytes(b"blob")
    files = {
        b"a/b/c": TreeEntry(b"c", "file", 0o755, 4, blob),
        b"a/link": TreeEntry(b"link", "link", target=b"b/c"),
        b"top": TreeEntry(b"top", "file", 0o644, 4, blob),
    }
    tree = store.build_tree(files)
    assert {path: (entry.kind, entry.mode) for path, entry in store.walk(tree)} == {
        b"a/b/c": ("file", 0o755),
        b"a/link": ("link", 0o777),
        b"top": ("file", 0o644),
    }
    with pytest.raises(NoSuchObject):
        store.build_tree({b"x": TreeEntry(b"x", "file", 0o644, 1, sha256(b"?"))})
    with pytest.raises(Conflict):
        store.build_tree({b"a": files[b"top"], b"a/b": files[b"top"]})


def test_what_is_no_tree_is_refused(store: Store) -> None:
    with pytest.raises(FormatError, match="tree"):
        store.tree(store.put_bytes(b"blob"))


def test_digests_are_listed_by_prefix(store: Store) -> None:
    made = sorted(store.put_many([NewObject(b"%d" % n) for n in range(40)]))
    assert store.digests() == made
    assert store.digests(made[0][7:12]) == [made[0]]


def test_old_temporary_files_go_and_those_of_the_living_stay(store: Store) -> None:
    from casstore.objects.pack_writer import PackWriter

    folder = Path(store.url, "tmp")
    folder.mkdir(exist_ok=True)
    for name in ("1-old.pack", "1-young.pack", "note.txt"):
        (folder / name).write_bytes(b"x")
    writer = PackWriter(str(folder / "1-slow.pack"), level=1, nonce=bytes(16))
    for path in folder.iterdir():
        age = 10 if "young" in path.name else 100_000
        os.utime(path, (path.stat().st_mtime - age, path.stat().st_mtime - age))
    Store.open(store.url).close()
    assert {path.name for path in folder.iterdir()} == {"1-young.pack", "1-slow.pack", "note.txt"}
    writer.abandon()


def test_a_full_disk_is_named_and_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    from casstore.errors import StorageUnavailable

    good = store.put_bytes(b"before")

    def no_space(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("casstore.objects.packs.os.fsync", no_space)
    with pytest.raises(StorageUnavailable) as refused:
        store.put_bytes(b"too much")
    assert refused.value.exit_code == 12
    assert refused.value.hint
    monkeypatch.undo()
    assert not store.has(sha256(b"too much"))
    assert list(Path(store.url, "tmp").iterdir()) == []
    assert store.read(good) == b"before"
    assert store.read(store.put_bytes(b"too much")) == b"too much"
