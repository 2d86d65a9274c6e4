"""fsck --repair --from: the very bytes come back, damage goes to quarantine, and every reader finds its way."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from attest.digests import Digest, from_raw, sha256
from attest.errors import CasstoreError
from casstore.errors import Conflict, StorageUnavailable
from casstore.fsck import fsck, repair
from casstore.ledger.book.log import Ledger
from casstore.ledger.entries import EntryKind
from casstore.machine import clock
from casstore.objects import mended
from casstore.objects.kinds import Kind, NewObject
from casstore.objects.packs import key_of
from casstore.storage.memory import MemoryStorage
from casstore.store.store import Store

BLOBS = [b"text %d " % n * 9 for n in range(60)] + [random.Random(n).randbytes(n * 50_000) for n in (1, 3, 50)]
CLAIM = b'{"a claim":1}'


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "top.bin").write_bytes(b"at the top")
    for number, blob in enumerate(BLOBS):
        (folder / "deep" / ("er" if number % 2 else ".") / f"{number}.bin").write_bytes(blob)
    return folder


@pytest.fixture
def pair(tmp_path: Path, work: Path) -> Iterator[tuple[Store, Store]]:
    """Two stores with the same objects in packs of different names."""
    with Store.init(str(tmp_path / "a")) as one, Store.init(str(tmp_path / "b")) as two:
        for store in (one, two):
            store.put_tree(str(work))
            store.put_bytes(CLAIM, subjects=[sha256(BLOBS[0])], kind=Kind.ATTESTATION)
        yield one, two


def _packs(store: Store) -> list[Path]:
    return sorted(Path(store.url, "packs").rglob("*.pack"), key=lambda path: -path.stat().st_size)


def _spoil(path: Path, at: int, data: bytes = b"SPOILT") -> bytes:
    path.chmod(0o644)
    good = path.read_bytes()
    at %= len(good)
    path.write_bytes(good[:at] + data + good[at + len(data) :])
    return good


def _all_there(url: str, work: Path, target: Path) -> None:
    with Store.open(url) as store:
        assert fsck(store).ok
        tree = max((d for d in store.digests() if store.kind(d) is Kind.TREE), key=lambda d: len(list(store.walk(d))))
        store.checkout(tree, str(target))
        assert store.attestations(sha256(BLOBS[0])) == [sha256(CLAIM)]
    for path in work.rglob("*.bin"):
        assert (target / path.relative_to(work)).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("at", [5, 100, 2_000_000, -70, -30_000, -5], ids=lambda at: f"byte {at}")
def test_a_pack_is_made_anew_from_good_copies(pair: tuple[Store, Store], work: Path, tmp_path: Path, at: int) -> None:
    one, two = pair
    path = _packs(one)[0]
    good = _spoil(path, at)
    bad = path.read_bytes()
    one.packs.close()
    report = repair(one, two)
    assert report.ok, report.damaged
    assert not path.exists()
    assert [kept.read_bytes() for kept in Path(one.url, "quarantine").iterdir()] == [bad]
    assert bad != good
    _all_there(one.url, work, tmp_path / "out")


def test_a_pack_that_the_other_store_has_is_taken_whole(pair: tuple[Store, Store], work: Path, tmp_path: Path) -> None:
    one, _ = pair
    shutil.copytree(one.url, tmp_path / "mirror", ignore=shutil.ignore_patterns("index"))
    path = _packs(one)[0]
    good = _spoil(path, -40)
    with Store.open(str(tmp_path / "mirror")) as mirror:
        report = repair(one, mirror)
    assert report.ok
    assert path.read_bytes() == good
    assert len(list(Path(one.url, "quarantine").iterdir())) == 1
    _all_there(one.url, work, tmp_path / "out")


def test_what_nobody_has_stays_named_and_its_pack_stays(pair: tuple[Store, Store], tmp_path: Path) -> None:
    one, _ = pair
    path = _packs(one)[0]
    place = one.catalog.locate(bytes.fromhex(sha256(BLOBS[-1]).removeprefix("sha256:")))
    assert place is not None
    _spoil(path, path.read_bytes().index(BLOBS[-1][:64]))
    with Store.init(str(tmp_path / "empty")) as empty:
        report = repair(one, empty)
        assert {damage.object for damage in report.damaged} == {sha256(BLOBS[-1])}
        assert path.exists()
        assert "needed_by" in report.damaged[0].__slots__
        assert any("62.bin" in told for told in report.damaged[0].needed_by)
        empty.put_bytes(BLOBS[-1])
        after = repair(one, empty)
        assert after.ok
        assert [found.object for found in after.mended] == [sha256(BLOBS[-1])]


def test_mending_twice_changes_nothing_and_itself_is_no_source(pair: tuple[Store, Store]) -> None:
    one, two = pair
    _spoil(_packs(one)[0], 2_000_000)
    assert repair(one, two).mended
    names = _packs(one)
    assert repair(one, two).mended == ()
    assert _packs(one) == names
    with pytest.raises(Conflict):
        repair(one, one)


class _Failing:
    """A storage that is away from the nth write on: before it, or after it was done."""

    def __init__(self, inner: MemoryStorage, at: int, *, after: bool) -> None:
        self._inner, self.at, self.after, self.writes = inner, at, after, 0

    def __getattr__(self, name: str) -> object:
        found = getattr(self._inner, name)
        if name not in {"create", "put_file", "mend", "delete"}:
            return found

        def act(*args: object, **more: object) -> object:
            self.writes += 1
            if self.writes == self.at and not self.after:
                raise StorageUnavailable("away before the write")
            result = found(*args, **more)
            if self.writes == self.at:
                raise StorageUnavailable("away after the write")
            return result

        return act


def _bucket(name: str) -> Store:
    store = Store.init(f"memory://{name}")
    store.put_many([NewObject(blob) for blob in BLOBS])
    return store


def _objects(store: Store) -> dict[str, bytes]:
    storage = store.storage
    assert isinstance(storage, MemoryStorage)
    return storage._objects


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, 5))
def test_a_crash_at_any_write_loses_nothing(at: int, after: bool) -> None:
    """Between any two writes readers of old entries find all that was not damaged; the next repair ends the work."""
    with _bucket(f"crash-{at}-{after}") as one, _bucket(f"crash-source-{at}-{after}") as two:
        entry = Ledger(one).append(EntryKind.EVIDENCE, one.put_bytes(b"claim"), now=clock.now())
        assert entry.packs
        (name,) = (n for n in one.packs.names() if (one.packs.size(n) or 0) > 10_000)
        stored = _objects(one)[key_of(name)]
        place = stored.index(BLOBS[-1][:64])
        _objects(one)[key_of(name)] = stored[:place] + b"!" + stored[place + 1 :]
        inner = one.storage
        failing = _Failing(inner, at, after=after)  # type: ignore[arg-type]
        one.storage = failing  # type: ignore[assignment]
        one.packs._storage = failing  # type: ignore[attr-defined]
        failed = False
        try:
            repair(one, two)
        except StorageUnavailable:
            failed = True
        assert failed == (failing.writes >= at)
        one.storage = inner
        one.packs._storage = inner  # type: ignore[attr-defined]
        _readable_without_an_index(one.url, BLOBS[:-1])
        assert repair(one, two).ok
        _readable_without_an_index(one.url, BLOBS)
        assert any(key.startswith("quarantine/") for key in _objects(one))


def _readable_without_an_index(url: str, blobs: list[bytes]) -> None:
    """By a machine that sees the store for the first time, through the ledger alone."""
    import os
    import tempfile

    before = os.environ["XDG_CACHE_HOME"]
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(dir=before + "/..")
    try:
        with Store.open(url, read_only=True) as reader:
            list(Ledger(reader).entries())
            for blob in blobs:
                assert reader.read(sha256(blob)) == blob
    finally:
        os.environ["XDG_CACHE_HOME"] = before


def test_a_reader_whose_index_knows_only_the_old_pack_finds_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _bucket("stale") as one, _bucket("stale-source") as two:
        Ledger(one).append(EntryKind.EVIDENCE, one.put_bytes(b"claim"), now=clock.now())
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
        with Store.open(one.url, read_only=True) as reader:
            list(Ledger(reader).entries())
            (name,) = (n for n in one.packs.names() if (one.packs.size(n) or 0) > 10_000)
            stored = _objects(one)[key_of(name)]
            _objects(one)[key_of(name)] = stored[:4096] + b"!" + stored[4097:]
            assert repair(one, two).ok
            assert one.storage.size(key_of(name)) is None
            assert one.storage.size(mended.key_of(name)) is not None
            for blob in BLOBS:
                assert reader.read(sha256(blob)) == blob


def test_random_damage_is_always_mended(pair: tuple[Store, Store], work: Path, tmp_path: Path) -> None:
    one, two = pair
    source = random.Random(3)
    for number in range(12):
        path = source.choice(_packs(one))
        size = path.stat().st_size
        kind = source.choice(["flip", "zero", "cut", "gone"])
        if kind == "gone":
            path.chmod(0o644)
            path.write_bytes(b"")
        elif kind == "cut":
            path.chmod(0o644)
            path.write_bytes(path.read_bytes()[: source.randrange(size)])
        else:
            _spoil(path, source.randrange(size), b"\x5a" if kind == "flip" else bytes(700))
        one.packs.close()
        report = repair(one, two)
        assert report.ok, (number, kind, path.name, report.damaged)
    _all_there(one.url, work, tmp_path / "out")


def test_the_note_has_one_encoding_and_speaks_of_its_pack() -> None:
    name, others = b"\1" * 32, [b"\3" * 32, b"\2" * 32]
    raw = mended.to_bytes(name, others)
    assert mended.parse(raw, name) == tuple(sorted(others))
    for wrong in (raw + b" ", raw.replace(b"mended/1", b"mended/2"), raw.replace(b"sha256:02", b"sha256:04"), b"{}"):
        with pytest.raises(CasstoreError):
            mended.parse(wrong, name)
    with pytest.raises(CasstoreError):
        mended.parse(raw, b"\2" * 32)
    assert Digest(from_raw(name)) in raw.decode()
