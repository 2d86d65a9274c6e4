"""The ledger as it lies there: encoding, appending under races and lost answers, reading, damage."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from attest import canonical, digests
from attest.digests import Digest, sha256
from attest.errors import FormatError, TooNew
from casstore.errors import NotWritable, StorageUnavailable, StoreDamaged
from casstore.fsck import fsck, repair
from casstore.ledger import entries as formats
from casstore.ledger.book import seen
from casstore.ledger.book.cache import EntryCache
from casstore.ledger.book.log import Ledger
from casstore.ledger.entries import Entry, EntryKind
from casstore.objects.kinds import NewObject
from casstore.objects.small_records import sealed
from casstore.storage import Storage, open_storage
from casstore.store.store import Store

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


class Host:
    """The little that a ledger asks of a store."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.packs: list[str] = []
        self.learned: list[str] = []
        self.left: list[str] = []
        self.blobs: dict[Digest, bytes] = {}

    def take_new_packs(self) -> Sequence[str]:
        taken, self.packs = self.packs, []
        return taken

    def left_packs(self) -> Sequence[str]:
        return self.left

    def learn_packs(self, names: Iterable[str]) -> None:
        self.learned += names

    def put_bytes(self, data: bytes, *, subjects: Sequence[Digest] = ()) -> Digest:
        self.blobs[sha256(data)] = data
        self.packs.append(sha256(b"pack of the list"))
        return sha256(data)

    def read(self, digest: Digest, *, max_bytes: int = 0) -> bytes:
        return self.blobs[digest]


@pytest.fixture(params=["file", "memory"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Host:
    return Host(open_storage(str(tmp_path) if request.param == "file" else f"memory://{uuid4()}"))


def fill(ledger: Ledger, count: int) -> list[Entry]:
    return [ledger.append(EntryKind.EVIDENCE, sha256(b"%d" % n), now=NOW) for n in range(count)]


# one entry


def entry(**changes: object) -> dict[str, object]:
    made = formats.make(7, sha256(b"6"), "ab" * 16, NOW, EntryKind.PROMOTE, sha256(b"s"), channel="prod")
    return sealed({**made.to_json(), **changes})


def test_an_entry_has_one_encoding() -> None:
    made = formats.make(
        7, sha256(b"6"), "ab" * 16, NOW, EntryKind.PROMOTE, sha256(b"s"), channel="prod", packs=[sha256(b"p")]
    )
    assert formats.parse(made.raw) == made
    assert made.digest == sha256(made.raw)
    with pytest.raises(FormatError, match="canonical"):
        formats.parse(made.raw + b" ")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"number": -1}, "number is"),
        ({"number": True}, "number is"),
        ({"number": 0}, "prev is"),
        ({"prev": digests.ZERO}, "prev is"),
        ({"prev": "md5:00"}, "not a digest"),
        ({"nonce": "AB" * 16}, "nonce"),
        ({"time": "2026-03-01T09:30:00+00:00"}, "not a time"),
        ({"kind": "bless"}, "bless"),
        ({"channel": "../prod"}, "channel"),
        ({"statement": None}, "not a digest"),
        ({"packs": []}, "packs"),
        ({"packs": [sha256(b"a"), sha256(b"a")]}, "packs"),
        ({"extra": 1}, "unknown field 'extra'"),
        ({"format": "casstore-entry/0"}, "format is"),
    ],
)
def test_a_wrong_entry_is_refused(changes: dict[str, object], told: str) -> None:
    with pytest.raises(FormatError, match=told):
        formats.parse(canonical.dumps(entry(**changes)))


def test_a_missing_field_and_a_missing_channel_are_named() -> None:
    value = entry()
    del value["nonce"]
    with pytest.raises(FormatError, match="'nonce' is missing"):
        formats.parse(canonical.dumps(sealed(value)))
    value = entry()
    del value["channel"]
    with pytest.raises(FormatError, match="names no channel"):
        formats.parse(canonical.dumps(sealed(value)))


def test_every_flipped_bit_of_an_entry_shows_in_the_entry_alone() -> None:
    raw = canonical.dumps(entry())
    for bit in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(FormatError):
            formats.parse(bytes(flipped))


def test_a_newer_format_asks_for_a_newer_program() -> None:
    with pytest.raises(TooNew, match="casstore-entry/2"):
        formats.parse(canonical.dumps(entry(format="casstore-entry/2")))


@pytest.mark.parametrize("name", ["", "../x", "Main", "a/b", "x" * 65])
def test_a_ledger_has_a_plain_name(host: Host, name: str) -> None:
    with pytest.raises(FormatError, match="not a ledger's name"):
        Ledger(host, name)


# appending and reading


def test_entries_are_numbered_and_chained(host: Host) -> None:
    made = fill(Ledger(host), 12)
    assert [e.number for e in made] == list(range(12))
    assert [e.prev for e in made] == [digests.ZERO, *(e.digest for e in made[:-1])]
    again = Ledger(host)
    assert list(again.entries()) == made
    assert list(again.entries(5)) == made[5:]
    assert again.tip() == made[-1]
    assert again.verify().entries == 12


def test_an_empty_ledger(host: Host) -> None:
    assert Ledger(host).tip() is None
    assert list(Ledger(host).entries()) == []
    assert Ledger(host).verify().tip == digests.ZERO


@pytest.mark.parametrize("count", [7, 8, 9, 15, 16, 17, 40])
def test_the_tip_is_found_by_galloping(host: Host, count: int) -> None:
    fill(Ledger(host), count)
    tip = Ledger(host).tip()
    assert tip is not None
    assert tip.number == count - 1


def test_two_handles_take_turns(host: Host) -> None:
    one, two = Ledger(host), Ledger(host)
    for _ in range(5):
        fill(one, 1)
        fill(two, 1)
    assert one.verify().entries == 10


def test_ledgers_of_one_store_are_apart(host: Host) -> None:
    fill(Ledger(host, "main"), 3)
    fill(Ledger(host, "other"), 1)
    assert Ledger(host, "main").verify().entries == 3
    assert Ledger(host, "other").verify().entries == 1


def test_an_entry_names_the_packs_that_are_new(host: Host) -> None:
    ledger = Ledger(host)
    host.packs = [sha256(b"b"), sha256(b"a")]
    made = ledger.append(EntryKind.EVIDENCE, sha256(b"s"), now=NOW)
    assert made.packs == tuple(sorted([sha256(b"a"), sha256(b"b")]))
    assert ledger.append(EntryKind.EVIDENCE, sha256(b"s"), now=NOW).packs == ()


def test_many_packs_go_into_a_list(host: Host) -> None:
    host.packs = [sha256(b"%d" % n) for n in range(600)]
    wanted = sorted(host.packs)
    made = Ledger(host).append(EntryKind.COMPONENT, sha256(b"s"), now=NOW)
    assert made.pack_list is not None
    assert list(formats.parse_pack_list(host.blobs[made.pack_list])) == wanted
    assert made.packs == (sha256(b"pack of the list"),)
    assert len(made.raw) < formats.MAX_BYTES
    if host.storage.local_path is None:
        reader = Host(host.storage)
        reader.blobs = host.blobs
        Ledger(reader).tip()
        assert sorted(reader.learned) == sorted([*wanted, sha256(b"pack of the list")])


def _append_many(folder: str, name: int, count: int) -> None:
    ledger = Ledger(Host(open_storage(folder)))
    for number in range(count):
        ledger.append(EntryKind.EVIDENCE, sha256(b"%d-%d" % (name, number)), now=NOW)


@pytest.mark.slow
def test_eight_processes_append_fifty_each_and_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_append_many, args=(str(tmp_path), name, 50)) for name in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(250)
        assert writer.exitcode == 0
    ledger = Ledger(Host(open_storage(str(tmp_path))))
    assert ledger.verify().entries == 400
    found = sorted(e.statement for e in ledger.entries())
    assert found == sorted(sha256(b"%d-%d" % (w, n)) for w in range(8) for n in range(50))
    assert len({e.nonce for e in ledger.entries()}) == 400
    assert not [name for _, _, names in os.walk(tmp_path) for name in names if name.startswith(".")]


# damage


def path_of(tmp_path: Path, number: int) -> Path:
    return tmp_path / formats.key("main", number)


@pytest.fixture
def folder(tmp_path: Path) -> Host:
    host = Host(open_storage(str(tmp_path)))
    fill(Ledger(host), 6)
    return host


def test_a_changed_entry_stops_everything(folder: Host, tmp_path: Path) -> None:
    path = path_of(tmp_path, 3)
    changed = path.read_bytes().replace(b"evidence", b"rehearsal")
    path.write_bytes(changed)
    with pytest.raises(StoreDamaged, match=r"entry 3: .*token"):
        Ledger(folder).tip()
    path.write_bytes(canonical.dumps(sealed(canonical.loads_object(changed, what="entry"))))
    with pytest.raises(StoreDamaged, match=r"entry 4 does not follow entry 3"):
        Ledger(folder).tip()


def test_an_entry_that_is_no_entry_stops_everything(folder: Host, tmp_path: Path) -> None:
    path_of(tmp_path, 3).write_bytes(b"{}")
    with pytest.raises(StoreDamaged, match=r"entry 3: "):
        Ledger(folder).tip()


def test_an_entry_under_another_number_stops_everything(folder: Host, tmp_path: Path) -> None:
    path_of(tmp_path, 3).write_bytes(path_of(tmp_path, 4).read_bytes())
    with pytest.raises(StoreDamaged, match=r"entry 3 holds entry 4|object of entry 3"):
        Ledger(folder).tip()


def test_verify_finds_a_hole(folder: Host, tmp_path: Path) -> None:
    path_of(tmp_path, 3).unlink()
    with pytest.raises(StoreDamaged, match="entry 3 is gone, but entry 4 is there"):
        Ledger(folder).verify()


def test_a_handle_notices_on_verify_that_the_ledger_was_cut_or_rewritten(folder: Host, tmp_path: Path) -> None:
    ledger = Ledger(folder)
    ledger.tip()
    path_of(tmp_path, 5).unlink()
    with pytest.raises(StoreDamaged, match="entry 5 is gone"):
        ledger.verify()
    Ledger(folder).append(EntryKind.REHEARSAL, sha256(b"other"), now=NOW)
    with pytest.raises(StoreDamaged, match="entry 5 is not what it was"):
        ledger.verify()


class Rows(EntryCache):
    """A cache in memory, which tests can spoil."""

    def __init__(self) -> None:
        self.rows: list[bytes] = []

    def load(self, start: int = 0) -> Sequence[bytes]:
        return self.rows[start:]

    def put(self, start: int, raws: Sequence[bytes]) -> None:
        self.rows[start:] = raws


def test_the_cache_saves_reading(folder: Host, tmp_path: Path) -> None:
    rows = Rows()
    assert len(list(Ledger(folder, cache=rows).entries())) == 6
    assert len(rows.rows) == 6
    path_of(tmp_path, 1).unlink()  # only `verify` and a new reader look there again
    assert len(list(Ledger(folder, cache=rows).entries())) == 6


@pytest.mark.parametrize("spoiled", [[b"noise"], [b"{}"] * 9])
def test_a_spoiled_cache_is_as_good_as_none(folder: Host, spoiled: list[bytes]) -> None:
    rows = Rows()
    rows.rows = spoiled
    assert len(list(Ledger(folder, cache=rows).entries())) == 6
    assert Ledger(folder, cache=rows).tip() == Ledger(folder).tip()


def test_the_cache_remembers_what_was_seen(folder: Host, tmp_path: Path) -> None:
    rows = Rows()
    Ledger(folder, cache=rows).tip()
    path_of(tmp_path, 5).unlink()
    with pytest.raises(StoreDamaged, match="entry 5 is gone, this machine has seen it"):
        Ledger(folder, cache=rows).tip()
    Ledger(folder).append(EntryKind.REHEARSAL, sha256(b"other"), now=NOW)
    with pytest.raises(StoreDamaged, match="entry 5 is not what it was"):
        Ledger(folder, cache=rows).tip()


# answers that get lost


class Flaky:
    """A storage whose `create` fails once: before it took effect, or after."""

    def __init__(self, inner: Storage, when: str) -> None:
        self._inner = inner
        self._when = when

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def create(self, key: str, data: bytes) -> bool:
        when, self._when = self._when, ""
        if when == "after":
            self._inner.create(key, data)
        if when:
            raise StorageUnavailable("the connection was reset")
        return self._inner.create(key, data)


@pytest.mark.parametrize(("when", "there"), [("before", 2), ("after", 3)])
def test_an_append_that_fails_leaves_a_whole_ledger(host: Host, when: str, there: int) -> None:
    fill(Ledger(host), 2)
    flaky = Host(Flaky(host.storage, when))  # type: ignore[arg-type]
    ledger = Ledger(flaky)
    with pytest.raises(StorageUnavailable):
        ledger.append(EntryKind.EVIDENCE, sha256(b"x"), now=NOW)
    assert Ledger(host).verify().entries == there
    assert ledger.append(EntryKind.EVIDENCE, sha256(b"y"), now=NOW).number == there
    assert Ledger(host).verify().entries == there + 1


def test_nothing_is_appended_to_a_read_only_store(tmp_path: Path) -> None:
    from casstore.storage.file import FileStorage

    with pytest.raises(NotWritable):
        Ledger(Host(FileStorage(str(tmp_path), read_only=True))).append(EntryKind.EVIDENCE, sha256(b"x"), now=NOW)


# the newest entry that this user has seen, kept outside of the store


def cut(root: Path, keep: int) -> None:
    """What a thief of history does: the last entries go, and the index that remembers them."""
    for path in sorted((root / "ledgers/main").iterdir())[keep:]:
        path.unlink()
    shutil.rmtree(root / "index")


@pytest.fixture
def seen_store(tmp_path: Path) -> Path:
    with Store.init(str(tmp_path / "store")) as store:
        for n in range(4):
            Ledger(store).append(EntryKind.EVIDENCE, store.put_bytes(b"%d" % n), now=NOW)
    return tmp_path / "store"


def test_a_tail_cut_off_with_the_index_is_noticed_by_readers_and_writers(seen_store: Path) -> None:
    cut(seen_store, 2)
    with Store.open(str(seen_store)) as store:
        for act in (
            lambda: Ledger(store).tip(),
            lambda: Ledger(store).verify(),
            lambda: Ledger(store).append(EntryKind.EVIDENCE, sha256(b"x"), now=NOW),
        ):
            with pytest.raises(StoreDamaged, match="entry 2 is gone, this user has seen 4 entries") as told:
                act()
            assert "--repair" in told.value.hint
        named = {one.record for one in fsck(store).damaged}
        assert named == {formats.key("main", 2), formats.key("main", 3)}


def test_a_tail_that_was_made_anew_is_noticed(seen_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut(seen_store, 2)
    with monkeypatch.context() as elsewhere, Store.open(str(seen_store)) as store:
        elsewhere.setattr(seen, "load", lambda *_: None)
        elsewhere.setattr(seen, "keep", lambda *_: None)
        for _ in range(3):
            Ledger(store).append(EntryKind.EVIDENCE, store.put_bytes(b"other"), now=NOW)
    shutil.rmtree(seen_store / "index")
    with Store.open(str(seen_store)) as store:
        with pytest.raises(StoreDamaged, match="entry 3 is not what it was when this user saw it"):
            Ledger(store).tip()
        assert {one.record for one in fsck(store).damaged} == {formats.key("main", 3)}


def test_a_whole_ledger_that_is_gone_is_named_and_comes_back(seen_store: Path, tmp_path: Path) -> None:
    shutil.copytree(seen_store, tmp_path / "good")
    shutil.rmtree(seen_store / "ledgers")
    shutil.rmtree(seen_store / "index")
    with Store.open(str(seen_store)) as store, Store.open(str(tmp_path / "good"), read_only=True) as good:
        assert len(fsck(store).damaged) == 4
        assert repair(store, good).ok
        assert len(list(Ledger(store).entries())) == 4


def test_what_others_sealed_says_nothing_and_a_copy_at_another_place_may_lag(seen_store: Path, tmp_path: Path) -> None:
    shutil.copytree(seen_store, tmp_path / "mirror")
    cut(tmp_path / "mirror", 2)
    with Store.open(str(tmp_path / "mirror")) as mirror:
        tip = Ledger(mirror).tip()
        assert tip is not None
        assert tip.number == 1
    with Store.open(str(seen_store)) as store:
        path = Path(seen.path_of(store.url, store.store_id, "main"))
        assert path.stat().st_size > 32
        path.write_bytes(path.read_bytes()[:-1] + b"!")
        assert seen.load(store.url, store.store_id, "main") is None
    cut(seen_store, 3)
    with Store.open(str(seen_store)) as store:
        tip = Ledger(store).tip()
        assert tip is not None
        assert tip.number == 2


def test_a_name_far_beyond_the_others_is_damage_and_no_long_search(seen_store: Path) -> None:
    (seen_store / formats.key("main", 10**19)).write_bytes(b"{}")
    with Store.open(str(seen_store)) as store:
        assert {one.record for one in fsck(store).damaged} == {formats.key("main", 10**19)}


def test_what_a_put_left_is_named_once(host: Host) -> None:
    """A new index does not know what entries name; the entries do."""
    ledger = Ledger(host)
    host.packs = [sha256(b"one")]
    ledger.append(EntryKind.EVIDENCE, sha256(b"1"), now=NOW)
    host.packs, host.left = [sha256(b"two")], [sha256(b"one"), sha256(b"two"), sha256(b"left")]
    entry = Ledger(host).append(EntryKind.EVIDENCE, sha256(b"2"), now=NOW)
    assert sorted(entry.packs) == sorted([sha256(b"two"), sha256(b"left")])
    assert [name for name in host.learned if name == sha256(b"left")], "it is named from now on"


def test_an_entry_names_its_own_packs_however_many_came_before(tmp_path: Path) -> None:
    """Each put meets what did not change."""
    url, counts = str(tmp_path / "store"), []
    Store.init(url).close()
    for number in range(6):
        if number == 4:
            shutil.rmtree(tmp_path / "store" / "index")
        with Store.open(url) as store:
            store.put_many([NewObject(b"the same"), NewObject(b"%d" % number)])
            counts.append(len(Ledger(store).append(EntryKind.EVIDENCE, sha256(b"%d" % number), now=NOW).packs))
    assert counts == [1] * 6
