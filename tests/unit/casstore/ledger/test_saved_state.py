"""A folded state is saved for this user alone, and believed only where everything fits."""

from __future__ import annotations

import os
import subprocess
import sys
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from worlds import World, provenance

from attest.digests import Digest, sha256
from casstore.errors import NoSuchObject, StoreDamaged
from casstore.ledger import saved_state
from casstore.ledger.book.log import Ledger
from casstore.ledger.entries import Entry, EntryKind
from casstore.ledger.folding import replay, replay_all
from casstore.ledger.rules import Reader
from casstore.ledger.states.state import LedgerState
from casstore.machine import user_secrets
from casstore.storage.file import FileStorage
from casstore.store.store import Store

MANY = 1000


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World.make(str(tmp_path / "store"))
    world.release("1.0.0")
    world.promote("1.0.0", "dev")
    return world


class Counted:
    """How many entries were judged, and how many objects of the storage were read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.judged: list[int] = []
        self.read: list[str] = []
        self._watch(monkeypatch)

    def _watch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from casstore.ledger import rules

        step, read = rules.step, FileStorage.read

        def counted_step(state: LedgerState, entry: Entry, reader: Reader) -> LedgerState:
            self.judged.append(entry.number)
            return step(state, entry, reader)

        def counted_read(storage: FileStorage, key: str, offset: int = 0, length: int | None = None) -> bytes:
            self.read.append(key)
            return read(storage, key, offset, length)

        monkeypatch.setattr(rules, "step", counted_step)
        monkeypatch.setattr(FileStorage, "read", counted_read)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(monkeypatch)


def command(url: str) -> LedgerState:
    """What every command does first."""
    with Store.open(url) as store:
        return replay(Ledger(store), store)


def saved_row(store: Store) -> tuple[bytes, bytes]:
    ((key, value),) = store.index.meta_scan(b"state/")
    return key, value


def test_the_second_command_reads_only_what_is_new(world: World, counted: Counted) -> None:
    ledger, store = world.ledger, world.store
    noise = store.put_bytes(b"noise")
    while (tip := ledger.tip()) is not None and tip.number + 1 < MANY:
        ledger.append(EntryKind.EVIDENCE, noise, now=world.now)
    first = command(store.url)
    assert first.count == MANY
    counted.judged.clear()
    counted.read.clear()
    assert command(store.url) == first
    assert counted.judged == []
    assert len([key for key in counted.read if key.startswith("ledgers/")]) <= 3
    counted.read.clear()
    for _ in range(3):
        ledger.append(EntryKind.EVIDENCE, noise, now=world.now)
    after = command(store.url)
    assert after.count == MANY + 3
    assert counted.judged == [MANY, MANY + 1, MANY + 2]
    assert len([key for key in counted.read if key.startswith("ledgers/")]) <= 12
    with Store.open(store.url) as again:
        assert replay_all(Ledger(again), again) == after


def other_user(key: Path) -> None:
    key.unlink()


def open_to_others(key: Path) -> None:
    key.chmod(0o644)


def cut_short(key: Path) -> None:
    key.write_bytes(key.read_bytes()[:20])


@pytest.mark.parametrize("change", [other_user, open_to_others, cut_short])
def test_a_state_that_this_user_alone_did_not_seal_is_no_state(
    world: World, counted: Counted, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    before = command(world.store.url)
    key = tmp_path / "cache/casstore/state.key"
    assert key.stat().st_mode & 0o777 == 0o600
    change(key)
    counted.judged.clear()
    assert command(world.store.url) == before
    assert counted.judged == list(range(before.count))


def flipped(state: LedgerState, data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def mine(state: LedgerState, code: str = "") -> bytes:
    """A state as this user would have saved it."""
    body = saved_state.encode(state.fields(), code or saved_state.code_version(), None)
    return user_secrets.seal(user_secrets.own(), body)


def of_a_stranger(state: LedgerState, data: bytes) -> bytes:
    forged = replace(state, versions=state.versions.plus({"6.6.6": next(iter(state.releases))}))
    return user_secrets.seal(bytes(32), saved_state.encode(forged.fields(), saved_state.code_version(), None))


def of_other_code(state: LedgerState, data: bytes) -> bytes:
    return mine(state, "other code")


def of_another_store(state: LedgerState, data: bytes) -> bytes:
    return mine(replace(state, store="0" * 32))


def of_another_chain(state: LedgerState, data: bytes) -> bytes:
    return mine(replace(state, tip=Digest("sha256:" + "1" * 64)))


def of_the_future(state: LedgerState, data: bytes) -> bytes:
    return mine(replace(state, count=state.count + 5))


def of_nothing(state: LedgerState, data: bytes) -> bytes:
    return user_secrets.seal(user_secrets.own(), b"")


FORGERIES = [flipped, of_a_stranger, of_other_code, of_another_store, of_another_chain, of_the_future, of_nothing]


@pytest.mark.parametrize("forged", FORGERIES)
def test_a_state_that_does_not_fit_is_folded_anew(
    world: World, counted: Counted, forged: Callable[[LedgerState, bytes], bytes]
) -> None:
    before = command(world.store.url)
    with Store.open(world.store.url) as store:
        key, value = saved_row(store)
        store.index.meta_put([(key, forged(before, value))])
    counted.judged.clear()
    assert command(world.store.url) == before
    assert counted.judged == list(range(before.count))
    counted.judged.clear()
    assert command(world.store.url) == before
    assert counted.judged == []


def emptied(row: bytes, others: list[bytes]) -> bytes | None:
    return None


def damaged(row: bytes, others: list[bytes]) -> bytes | None:
    return row[:-1] + bytes([row[-1] ^ 1])


def exchanged(row: bytes, others: list[bytes]) -> bytes | None:
    return next(other for other in others if other != row)


@pytest.mark.parametrize("change", [emptied, damaged, exchanged])
def test_rows_that_others_changed_are_folded_anew(
    world: World, counted: Counted, change: Callable[[bytes, list[bytes]], bytes | None]
) -> None:
    """Rows of tables carry no seal of their own: they count by the digests that the sealed roots lead to."""
    command(world.store.url)
    with Store.open(world.store.url) as store:
        rows = store.index.meta_scan(b"row/")
        assert rows
        news = [(key, change(row, [row for _, row in rows])) for key, row in rows]
        store.index.meta_swap(b"none", b"none", [], [], b"")  # what is not as it was known to be is left alone
        assert store.index.meta_scan(b"row/") == rows
        store.index.meta_swap(b"none", None, [(key, row) for key, row in news if row is not None], [], b"row/")
    counted.judged.clear()
    with Store.open(world.store.url) as store:
        after = replay(Ledger(store), store)
        assert after.find_release("1.0.0").digest == world.made["1.0.0"].digest
        assert counted.judged == list(range(after.count)), "folded anew, once"
        assert after == replay_all(Ledger(store), store)
    counted.judged.clear()
    with Store.open(world.store.url) as store:
        assert replay(Ledger(store), store).find_release("1.0.0").version == "1.0.0"
    assert counted.judged == [], "and put back where it was"


def test_what_is_saved_does_not_grow_with_how_often(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_state, "_LEFT_FOR", 0)
    for _ in range(100):
        world.append(EntryKind.EVIDENCE, provenance({"x": sha256(os.urandom(8))}, "ci"))
        state = command(world.store.url)
    with Store.open(world.store.url) as store:
        there = {key for key, _ in store.index.meta_scan(b"row/")}
        needed = saved_state.rows_of(state)
        assert {key[-36:] for key in there} == needed.keys()
        assert replay_all(Ledger(store), store) == state


def test_a_command_that_runs_still_finds_the_rows_that_it_began_with(
    world: World, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    command(world.store.url)
    with Store.open(world.store.url) as store:
        slow = replay(Ledger(store), store)
        for _ in range(5):
            world.release(f"2.{world.state.count}.0")
            command(world.store.url)
        counted.judged.clear()
        assert [info.version for info in slow.releases.values()] == ["1.0.0"] and dict(slow.evidence) == {}
        assert counted.judged == []
    monkeypatch.setattr(saved_state, "_LEFT_FOR", 0)
    world.release("3.0.0")
    state = command(world.store.url)
    with Store.open(world.store.url) as store:
        there = {key[-36:] for key, _ in store.index.meta_scan(b"row/")}
        assert there == saved_state.rows_of(state).keys()


def test_entries_that_are_gone_show_as_before(world: World, tmp_path: Path) -> None:
    """The saved state stands for fewer entries than this machine has seen: what was seen and is gone stops all."""
    before = command(world.store.url)
    with Store.open(world.store.url) as store:
        ledger = Ledger(store)
        ledger.append(EntryKind.EVIDENCE, store.put_bytes(b"noise"), now=world.now)
    (tmp_path / "store/ledgers/main" / f"{before.count:020d}").unlink()
    with pytest.raises(StoreDamaged, match="is gone"):
        command(world.store.url)


def test_what_came_before_can_be_read_after_resuming(world: World) -> None:
    state = command(world.store.url)
    with Store.open(world.store.url) as store:
        ledger = Ledger(store)
        assert replay(ledger, store) == state
        assert [entry.number for entry in ledger.entries()] == list(range(state.count))
        assert [entry.number for entry in ledger.entries(1)] == list(range(1, state.count))
        assert ledger.verify().tip == state.tip


def test_an_entry_before_the_saved_state_that_was_changed_is_found_by_verify(world: World, tmp_path: Path) -> None:
    """A daily command trusts its own fold; `ledger verify` reads and judges everything again."""
    state = command(world.store.url)
    path = tmp_path / "store/ledgers/main" / f"{0:020d}"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b'"genesis"', b'"release"'))
    assert command(world.store.url) == state
    with Store.open(world.store.url) as store, pytest.raises(StoreDamaged):
        Ledger(store).verify()


@pytest.mark.parametrize("folder", ["{}/file", "relative"])
def test_without_a_folder_of_its_own_nothing_is_kept(
    world: World, counted: Counted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", folder.format(tmp_path))
    before = command(world.store.url)
    counted.judged.clear()
    assert command(world.store.url) == before
    assert len(counted.judged) == before.count
    assert not (tmp_path / "relative").exists()


def test_a_disk_that_takes_no_more_stops_no_reader(world: World) -> None:
    """What is kept to be faster is no reason to fail."""
    code = (
        "import resource, sys\n"
        "from casstore.ledger.book.log import Ledger\nfrom casstore.ledger.folding import replay\n"
        "from casstore.store.store import Store\n"
        "with Store.open(sys.argv[1], read_only=True) as store:\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))\n"
        "    print(replay(Ledger(store), store).count)\n"
    )
    count = world.state.count
    with Store.open(world.store.url) as store:
        store.catalog.rebuild("no entry and no state is kept any more")
    done = subprocess.run([sys.executable, "-c", code, world.store.url], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"{count}\n"), done.stderr


def test_a_state_holds_no_handle(world: World) -> None:
    """What is no longer used goes at once: a store's files are closed with its last handle."""
    command(world.store.url)
    with Store.open(world.store.url) as store:
        ledger = Ledger(store)
        assert replay(ledger, store).find_release("1.0.0").version == "1.0.0"
        gone = weakref.ref(ledger)
        del ledger
        assert gone() is None


@pytest.mark.parametrize("ref", ["\udcff", "", "sha256:", "sha256:" + "0" * 64])
def test_an_odd_name_is_no_release(world: World, ref: str) -> None:
    with pytest.raises(NoSuchObject, match="no such release"):
        world.state.find_release(ref)
