"""A machine that has folded nothing begins at a seal whose state lies in the store, and comes to what all fold."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import msgpack
import pytest

from attest.digests import Digest, sha256
from attest.errors import FormatError
from attest.log.merkle import MemoryTree
from attest.statements import statements
from attest.statements.predicates import seal as seals
from attest.trust.trust_roots import RULES
from casstore import promotion
from casstore.ledger import entries, sealed_states, sealing
from casstore.ledger.book.cache import EntryCache
from casstore.ledger.book.log import Ledger
from casstore.ledger.entries import EntryKind
from casstore.ledger.folding import replay, replay_all, replay_whole
from casstore.ledger.states.state import LedgerState
from casstore.storage.file import FileStorage
from casstore.store.store import Store
from tests.support.worlds import World, signer


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A line with every kind of row, sealed; then more entries. Every seal's state is kept."""
    monkeypatch.setattr(sealed_states, "is_due", lambda *_: True)
    made = World.make(str(tmp_path / "store"))
    for number in range(3):
        made.release(f"1.{number}.0", content=b"%d" % number)
        made.later().promote(f"1.{number}.0", "dev")
        seal(made)
    made.rollback("dev")
    made.rotate("ann")
    about = {"kind": "artifact", "reason": "leaked", "signer": signer("aud"), "now": made.now}
    promotion.revoke(made.store, made.ledger, "1.1.0", **about)  # type: ignore[arg-type]
    made.revoke_identity("bob", reason="left")
    seal(made)
    made.release("2.0.0", content=b"two")
    return made


def seal(world: World) -> LedgerState:
    return sealing.seal(world.store, world.ledger, signer=signer("log"), now=world.now)


def fresh(world: World) -> Ledger:
    """A handle of somebody who has folded nothing here."""
    return Ledger(world.store, cache=EntryCache())


def names(world: World) -> list[str]:
    return sorted(world.store.storage.list(sealed_states.folder_of("main")))


def rewritten(world: World, key: str, data: bytes) -> None:
    Path(world.store.url, key).write_bytes(data)


def test_it_begins_there_and_comes_to_the_same(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = replay_all(world.ledger, world.store)
    read: list[Digest] = []
    asked = type(world.store).read

    def counted(self: object, digest: Digest, **how: int) -> bytes:
        read.append(digest)
        return asked(world.store, digest, **how)

    monkeypatch.setattr(type(world.store), "read", counted)
    state = replay(fresh(world), world.store)
    assert state.begun == whole.seals[-1] and whole.begun is None
    assert replace(state, void=whole.void) == whole and [n for n, _ in state.void] == [n for n, _ in whole.void]
    assert state.tries is not None and whole.tries is not None
    assert (state.tries.state_root, state.tries.full_root) == (whole.tries.state_root, whole.tries.full_root)
    assert not set(read) & set(whole.releases[whole.versions["1.0.0"]].evidence), "nothing old is judged again"
    assert replay_whole(fresh(world), world.store).begun is None


def test_who_begins_so_remembers_that(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    first = replay(Ledger(world.store), world.store)
    assert first.begun is not None
    world.release("2.1.0", content=b"more")
    second = replay(Ledger(world.store), world.store)
    assert second.begun == first.begun and "2.1.0" in second.versions
    assert seal(world).begun is None, "who signs for all of it has folded all of it"
    assert replay(Ledger(world.store), world.store).begun is None


def test_entries_from_before_the_seal_are_read_once(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = tmp_path / "copied"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    world.store.close()
    shutil.copytree(world.store.url, copied, ignore=shutil.ignore_patterns("index*"))
    store = Store.open(str(copied))
    asked, read = type(store.storage).read, list[str]()

    def counted(storage: FileStorage, key: str) -> bytes:
        read.append(key)
        return asked(storage, key)

    monkeypatch.setattr(type(store.storage), "read", counted)
    for again in (False, True):
        del read[:]
        ledger = Ledger(store)
        state = replay(ledger, store)
        assert state.begun is not None
        assert [entry.number for entry in ledger.all_entries().values()] == list(range(state.count))
        assert ledger.all_entries().tree.root() == MemoryTree(ledger.all_entries().raws).root()
        before = {entries.key("main", number) for number in range(state.begun)}
        assert set(read) & before == (set() if again else before)
    store.close()


def test_the_last_two_stay(world: World) -> None:
    assert [int(name.rpartition("/")[2]) for name in names(world)] == list(world.state.seals)[-2:]


def first_bit(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


def last_bit(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def of_more(data: bytes) -> bytes:
    return sealed_states.MAGIC + (1 << 40).to_bytes(8, "big") + data[len(sealed_states.MAGIC) + 8 :]


@pytest.mark.parametrize("harm", [first_bit, last_bit, of_more, lambda _: b"", lambda data: data[:-5]])
def test_one_that_is_damaged_is_passed_over(world: World, harm: Callable[[bytes], bytes]) -> None:
    *_, before, last = names(world)
    data = world.store.storage.read(last)
    rewritten(world, last, harm(data))
    with pytest.raises(FormatError):
        sealed_states.decode(harm(data))
    state = replay(fresh(world), world.store)
    assert state.begun == int(before.rpartition("/")[2]) and state == replace(world.state, void=state.void)
    rewritten(world, before, harm(world.store.storage.read(before)))
    state = replay(fresh(world), world.store)
    assert state.begun is None and state == world.state


def test_rows_that_are_gone_or_others_are_folded_again(world: World) -> None:
    last = names(world)[-1]
    record, rows = sealed_states.decode(world.store.storage.read(last))
    for spoilt in ({}, {key: first_bit(row) for key, row in rows.items()}):
        rewritten(world, last, sealed_states.encode(record, spoilt))
        state = replay(fresh(world), world.store)
        assert state.begun is not None and state == replace(world.state, void=state.void)


def test_the_state_of_another_seal_is_none(world: World) -> None:
    before, last = names(world)
    rewritten(world, last, world.store.storage.read(before))
    assert replay(fresh(world), world.store).begun == int(before.rpartition("/")[2])


def test_a_store_that_cannot_be_written_is_sealed_all_the_same(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from attest.errors import CasstoreError

    def refused(*_: object, **__: object) -> None:
        raise CasstoreError("no room")

    monkeypatch.setattr(type(world.store.storage), "put_file", refused)
    assert seal(world).sealed is not None


def test_how_often() -> None:
    numbers = [number for before, number in pairwise(range(0, 100_000, 7)) if sealed_states.is_due(before, number)]
    gaps = [after - before for before, after in pairwise(numbers)]
    assert numbers[0] == 259 and max(gaps[:15]) <= 263
    assert all(gap <= max(263, number // 16 + 7) for gap, number in zip(gaps, numbers[1:], strict=True))
    assert all(gap >= min(249, number // 32 - 7) for gap, number in zip(gaps, numbers[1:], strict=True))


def test_what_lies_there_is_what_the_seal_names(world: World) -> None:
    record, _ = sealed_states.decode(world.store.storage.read(names(world)[-1]))
    assert world.state.tries is not None and sha256(record) == world.state.tries.full_root


@pytest.mark.parametrize("by", ["log", "pam"])
@pytest.mark.parametrize("harm", ["a name more", "a name less", "another type", "no map"])
def test_a_record_of_odd_things_that_somebody_signed_is_passed_over(world: World, harm: str, by: str) -> None:
    """Also when the ledger key signed it: the whole ledger is folded, and tells that such a seal is disputed."""
    before = world.state
    *_, last = names(world)
    form, packed = msgpack.unpackb(sealed_states.decode(world.store.storage.read(last))[0], timestamp=3)
    packed |= {"a name more": {"odd": 1}, "another type": {"channels": [1], "codes": 7}}.get(harm, {})
    if harm == "a name less":
        del packed["evidence"]
    record = msgpack.packb([form, [packed] if harm == "no map" else packed], datetime=True)
    root, sealed = before.require_trust_root(), before.sealed
    assert sealed is not None
    where = before.store, "main", RULES, before.count, before.tip, world.now, root.digest, root.version
    claim = seals.Seal(*where, sha256(b"state"), sha256(record), sealed.number, world.now)
    payload = statements.of_digests(claim.subjects, seals.TYPE, claim.to_json()).to_bytes()
    world.force(EntryKind.SEAL, signer(by).sign_statement(payload))
    rewritten(world, f"states/main/{before.count:020}", sealed_states.encode(record, {}))
    state = replay(fresh(world), world.store)
    assert state.begun == int(last.rpartition("/")[2]) and state == replace(world.state, void=state.void)
    assert (state.disputed is not None) == (by == "log")


def test_one_that_is_larger_than_any_is_not_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed_states, "MAX_BYTES", 100)
    assert replay(fresh(world), world.store).begun is None
