"""gc of a store without a folder: other machines have indexes of their own, and follow by the ledger alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from worlds import World, provenance, signer, trust_root

from attest.digests import Digest, sha256
from casstore.errors import GivenUp, NoSuchObject
from casstore.fsck import fsck
from casstore.gc import CollectReport, Settings, collect
from casstore.ledger.commit import commit
from casstore.ledger.entries import EntryKind
from casstore.objects.kinds import NewObject
from casstore.objects.store_config import load
from casstore.objects.tree import TreeEntry
from casstore.storage import open_storage
from casstore.store.attestations import put_attestation
from casstore.store.store import Store

Machine = Callable[[], World]


def noise(size: int, seed: bytes = b"") -> bytes:
    return b"".join(hashlib.sha256(seed + b"%d" % n).digest() for n in range(size // 32))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Each call is one more machine that opens the same bucket."""
    url = f"memory://{uuid4()}"

    def use() -> World:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / uuid4().hex))
        storage = open_storage(url)
        return World(Store(storage, load(storage)))

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / uuid4().hex))
    Store.init(url).close()
    first = use()
    first.genesis(trust_root(first.store.store_id))
    first.release("1.0.0")
    return use


def gc(world: World, grace: timedelta = timedelta(0), keep_last: int = 0) -> CollectReport:
    return collect(world.store, Settings(grace, keep_last), now=world.now, signer=signer("pam"), confirm=True)


def half_empty(world: World) -> tuple[Digest, Digest]:
    """A component whose file lies in one pack with more garbage: (the file, the garbage)."""
    kept, lost = world.store.put_many([NewObject(noise(5000, b"kept")), NewObject(noise(20_000, b"lost"))])
    tree = world.store.build_tree({b"a": TreeEntry(b"a", "file", 0o644, 4992, kept)})
    world.append(EntryKind.COMPONENT, provenance({"core-bin": tree}, "ci", releaseVersion="2.0.0"))
    return kept, lost


def test_a_new_machine_finds_what_was_moved(machine: Machine) -> None:
    world = machine()
    kept, lost = half_empty(world)
    report = gc(machine(), keep_last=10)
    assert report.moved > 5000
    late = machine()
    assert late.state.void == ()
    assert late.store.read(kept) == noise(5000, b"kept")
    assert not late.store.has(lost)
    assert fsck(late.store).damaged == ()
    assert late.store.catalog.damaged == {}


def test_a_machine_that_knew_the_old_packs_copes(machine: Machine) -> None:
    world = machine()
    kept, lost = half_empty(world)
    old = machine()
    assert old.state.count == world.state.count
    assert old.store.read(lost) == noise(20_000, b"lost")
    gc(machine(), keep_last=10)
    with pytest.raises(NoSuchObject):
        machine().store.read(lost)
    assert old.state.given_up  # it reads the new entries
    assert old.store.read(kept) == noise(5000, b"kept")
    with pytest.raises(NoSuchObject):
        old.store.read(lost)
    old.to_staging("1.0.0")


def test_a_machine_that_did_not_look_is_refused_at_its_entry_and_stores_anew(machine: Machine) -> None:
    world = machine()
    data = noise(5000, b"again")
    digest = world.store.put_bytes(data)
    world.component("core-bin", "2.0.0", {b"a": data})
    slow = machine()
    assert slow.state.count
    tree = slow.store.build_tree({b"b": TreeEntry(b"b", "file", 0o644, len(data), slow.store.put_bytes(data))})
    raw = put_attestation(slow.store, provenance({"core-bin": tree}, "ci", releaseVersion="3.0.0"))
    gc(machine())
    with pytest.raises(GivenUp):
        commit(slow.ledger, slow.store, slow.state, EntryKind.COMPONENT, raw, now=slow.now)
    slow.component("core-bin", "3.0.0", {b"b": data})
    late = machine()
    ((_, entry),) = late.store.walk(late.state.components["3.0.0", "core-bin"])
    assert entry.content == digest == sha256(late.store.read(digest))
