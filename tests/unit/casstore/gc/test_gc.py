"""Collection of garbage: what is kept and why, two steps, and what lifts, slips in, or comes too late."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from worlds import World, provenance, signer

from attest.digests import Digest, from_raw, sha256, to_raw
from attest.errors import BadInput, PolicyDenied
from attest.statements import statements
from attest.statements.predicates import collection
from casstore.errors import GivenUp, NoSuchObject
from casstore.fsck import fsck
from casstore.gc import CollectReport, Settings, collect, pins, planning, why
from casstore.ledger import entries
from casstore.ledger.commit import commit
from casstore.ledger.entries import EntryKind
from casstore.store.attestations import put_attestation
from casstore.store.store import Store

ZERO = timedelta(0)
NOTHING_KEPT = Settings(grace=ZERO, keep_last=0)
WEEK = timedelta(days=7)


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World.make(str(tmp_path / "store"))
    made.release("1.0.0")
    return made


def gc(world: World, settings: Settings = NOTHING_KEPT, *, confirm: bool = True, by: str = "pam") -> CollectReport:
    return collect(world.store, settings, now=world.now, signer=signer(by), confirm=confirm)


def age(world: World, days: int = 30) -> None:
    """All packs look that old by the world's clock."""
    for name in world.store.packs.names():
        path = world.store.packs.path(name)  # type: ignore[attr-defined]
        then = world.now.timestamp() - days * 86400
        os.utime(path, (then, then))


def files(world: World) -> dict[str, tuple[int, int]]:
    """Every file of the store but the index, with size and inode."""
    top = Path(world.store.url)
    found = {}
    for path in sorted(top.rglob("*")):
        if path.is_file() and path.relative_to(top).parts[0] != "index":
            found[str(path.relative_to(top))] = (path.stat().st_size, path.stat().st_ino)
    return found


def fresh(world: World) -> World:
    """The same store as another machine sees it: with an index of its own, made anew."""
    import shutil

    world.store.close()
    shutil.rmtree(Path(world.store.url) / "index")
    return World(Store.open(world.store.url), world.now, world.ledger_name)


def noise(size: int, seed: bytes = b"") -> bytes:
    """Bytes that no compression shrinks."""
    return b"".join(hashlib.sha256(seed + b"%d" % n).digest() for n in range(size // 32))


def whole(world: World, version: str) -> None:
    """The release can be read in full."""
    release = world.state.find_release(version)
    for tree in release.components.values():
        for _, entry in world.store.walk(tree):
            assert sha256(world.store.read(entry.content)) == entry.content
    for digest in (*release.archives.values(), *release.evidence, release.statement):
        assert sha256(world.store.read(digest)) == digest


def sound(store: Store) -> None:
    """Nothing damaged, and the index is what the packs say."""
    report = fsck(store)
    assert (report.damaged, report.healed) == ((), ())


# what is kept


def test_what_nobody_needs_goes_and_a_release_stays(world: World) -> None:
    lost = world.store.put_bytes(noise(100_000))
    report = gc(world)
    assert [row.size for row in report.deleted if row.size > 50_000]
    assert report.freed > 50_000
    with pytest.raises(NoSuchObject):
        world.store.read(lost)
    whole(world, "1.0.0")
    assert world.state.void == ()
    sound(world.store)


def test_a_second_run_finds_nothing_to_do(world: World) -> None:
    world.store.put_bytes(noise(10_000))
    gc(world)
    count = world.state.count
    again = gc(world)
    assert (again.condemned, again.deleted, again.moved, world.state.count) == ((), (), 0, count)


def test_a_dry_run_changes_nothing(world: World) -> None:
    world.store.put_bytes(noise(100_000))
    before = files(world)
    told = gc(world, confirm=False)
    assert files(world) == before
    assert not told.done
    done = gc(world)
    assert {row.pack for row in told.condemned} == {row.pack for row in done.condemned} != set()


def test_components_among_the_last_entries_stay(world: World) -> None:
    old = world.component("core-bin", "2.0.0", {b"a": noise(5000, b"old")})
    new = world.component("core-bin", "2.0.0", {b"a": noise(5000, b"new")})
    gc(world, Settings(ZERO, keep_last=1))
    assert world.store.has(new)
    assert not world.store.has(old)
    assert {path for path, _ in world.store.walk(new)} == {b"a"}


def test_pins_keep_trees_with_all_that_is_in_them(world: World) -> None:
    tree = world.component("core-bin", "2.0.0", {b"d/a": noise(5000)})
    pin = pins.add(world.store, tree, reason="customer 17", now=world.now)
    gc(world)
    ((_, entry),) = world.store.walk(tree)
    assert len(world.store.read(entry.content)) == 4992
    assert pins.load(world.store) == [pin]
    assert pins.remove(world.store, pin.token[:8]) == (pin,)
    gc(world)
    assert not world.store.has(tree)


def test_attestations_about_what_is_kept_are_kept_and_others_go(world: World) -> None:
    archive = next(iter(world.state.find_release("1.0.0").archives.values()))
    kept = put_attestation(world.store, provenance({"a": archive}, "aud"))
    gone = put_attestation(world.store, provenance({"a": sha256(b"nothing")}, "aud"))
    gc(world)
    assert world.store.attestations(archive).count(kept) == 1
    assert world.store.attestations(sha256(b"nothing")) == []
    assert not world.store.has(gone)


def test_approvals_and_moves_survive(world: World) -> None:
    world.to_prod("1.0.0")
    before = world.state.channels
    gc(world)
    other = fresh(world)
    assert other.state.channels == before
    assert other.state.void == ()
    other.release("1.1.0")
    other.to_prod("1.1.0")


# two steps


def test_nothing_is_deleted_within_the_grace(world: World) -> None:
    lost = world.store.put_bytes(noise(10_000))
    age(world)
    first = gc(world, Settings(WEEK, 0))
    assert first.condemned
    assert not first.deleted
    assert len(world.store.read(lost)) == 9984  # still found
    waiting = gc(world.later(days=6), Settings(WEEK, 0))
    assert {row.pack for row in waiting.waiting} == {row.pack for row in first.condemned}
    assert not waiting.deleted
    last = gc(world.later(days=1), Settings(WEEK, 0))
    assert {row.pack for row in last.deleted} >= {row.pack for row in first.condemned}
    with pytest.raises(NoSuchObject):
        world.store.read(lost)


def test_young_packs_are_not_judged(world: World) -> None:
    world.store.put_bytes(noise(10_000))
    age(world, days=0)
    report = gc(world, Settings(WEEK, 0))
    assert report.condemned == ()
    assert report.fresh >= 1


def test_a_put_of_condemned_bytes_stores_them_anew(world: World) -> None:
    data = noise(10_000)
    digest = world.store.put_bytes(data)
    age(world)
    gc(world, Settings(WEEK, 0))
    assert world.store.put_bytes(data) == digest
    tree = world.component("core-bin", "2.0.0", {b"a": data})
    gc(world.later(days=8), Settings(WEEK, 10))
    ((_, entry),) = world.store.walk(tree)
    assert world.store.read(entry.content) == data
    assert entry.content == digest
    sound(world.store)


def test_what_is_needed_again_during_the_grace_is_saved(world: World) -> None:
    """By a machine that does not know of the condemnation: its entry names bytes that only a condemned pack holds."""
    data = noise(10_000)
    digest = world.store.put_bytes(data)
    age(world)
    report = gc(world, Settings(WEEK, 0))
    pin = pins.add(world.store, digest, reason="", now=world.now)
    last = gc(world.later(days=8), Settings(WEEK, 0))
    assert set(last.lifted) <= {row.pack for row in report.condemned} != set()
    assert world.store.read(digest) == data
    assert world.store.catalog.knows(bytes.fromhex(digest[7:]))
    pins.remove(world.store, pin.token)


def test_half_empty_packs_are_packed_anew(world: World) -> None:
    from casstore.objects.kinds import NewObject

    rows = [noise(20_000, b"%d" % n) for n in range(10)]
    digests = world.store.put_many([NewObject(row) for row in rows])
    for digest in digests[:4]:
        pins.add(world.store, digest, reason="", now=world.now)
    before = sum(size for size, _ in files(world).values())
    report = gc(world)
    assert 80_000 < report.moved < 90_000
    assert before - sum(size for size, _ in files(world).values()) > 100_000
    for number in range(4):
        assert world.store.read(digests[number]) == rows[number]
    assert not world.store.has(digests[9])
    sound(world.store)
    other = fresh(world)
    assert other.store.read(digests[0]) == rows[0]


def test_large_objects_are_moved_frame_by_frame(world: World) -> None:
    from casstore.objects.kinds import NewObject

    large, dead = noise(3_000_000, b"large"), noise(4_000_000, b"dead")
    kept, lost = world.store.put_many([NewObject(large), NewObject(dead)])
    pins.add(world.store, kept, reason="", now=world.now)
    reading = world.store.chunks(kept)
    first = next(reading)
    gc(world)
    assert first + b"".join(reading) == large  # begun before the pack went
    assert world.store.read(kept) == large
    assert not world.store.has(lost)


def test_fsck_is_content_with_what_was_collected_and_what_waits(world: World) -> None:
    """A folder that nobody needs may outlive its files, in a pack that has to stay."""
    from casstore.objects import tree as trees
    from casstore.objects.kinds import Kind, NewObject
    from casstore.objects.tree import TreeEntry

    lost = world.store.put_bytes(noise(5000, b"lost"))
    folder = trees.encode([TreeEntry(b"a", "file", 0o644, 4992, lost)])
    kept, _ = world.store.put_many([NewObject(noise(1_100_000)), NewObject(folder, Kind.TREE)])
    pins.add(world.store, kept, reason="", now=world.now)
    age(world)
    gc(world, Settings(WEEK, 0))
    sound(world.store)
    gc(world.later(days=8), Settings(WEEK, 0))
    assert world.store.has(sha256(folder))
    assert not world.store.has(lost)
    sound(world.store)
    assert fsck(fresh(world).store).damaged == ()


# who comes between, and who comes late


def test_a_commit_that_slips_in_makes_the_delete_fail_and_is_seen(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from casstore.gc import collecting

    data = noise(10_000)
    world.store.put_bytes(data)
    age(world)
    gc(world, Settings(WEEK, 0))
    world.later(days=8)
    real, tries = collecting.move, []

    def slip(*args: Any) -> list[bytes]:
        tries.append(1)
        if len(tries) == 2:  # the sweep has marked, its delete is not written yet
            other = World(Store.open(world.store.url), world.now)
            other.component("core-bin", "2.0.0", {b"a": data})
        return real(*args)

    monkeypatch.setattr(collecting, "move", slip)
    gc(world, Settings(WEEK, 10))
    assert len(tries) >= 3
    tree = world.state.components["2.0.0", "core-bin"]
    ((_, entry),) = world.store.walk(tree)
    assert world.store.read(entry.content) == data
    assert world.state.void == ()


def test_an_entry_after_the_delete_is_refused_when_its_bytes_are_gone(world: World) -> None:
    slow = World(Store.open(world.store.url), world.now)
    tree = slow.store.build_tree({})
    tree = _tree(slow.store, noise(10_000))
    raw = put_attestation(slow.store, provenance({"core-bin": tree}, "ci", releaseVersion="2.0.0"))
    gc(world)
    with pytest.raises(GivenUp, match="collection"):
        commit(slow.ledger, slow.store, slow.state, EntryKind.COMPONENT, raw, now=slow.now)
    assert ("2.0.0", "core-bin") not in world.state.components
    assert slow.component("core-bin", "2.0.0", {b"a": noise(10_000)}) == tree
    ((_, entry),) = world.store.walk(tree)
    assert len(world.store.read(entry.content)) == 9984


def test_a_statement_that_was_given_up_but_can_still_be_read_is_refused_too(world: World) -> None:
    """Its file is removed a moment later."""
    slow = World(Store.open(world.store.url), world.now)
    tree = _tree(slow.store, noise(10_000))
    raw = put_attestation(slow.store, provenance({"core-bin": tree}, "ci", releaseVersion="2.0.0"))
    pack = slow.store.catalog.locate(to_raw(raw))
    assert pack is not None
    world.store.follow("main", {from_raw(pack.pack): True}, world.state.count)
    assert sha256(slow.store.read(raw)) == raw
    with pytest.raises(GivenUp):
        commit(slow.ledger, slow.store, slow.state, EntryKind.COMPONENT, raw, now=slow.now)


def _tree(store: Store, data: bytes) -> Digest:
    from casstore.objects.tree import TreeEntry

    return store.build_tree({b"a": TreeEntry(b"a", "file", 0o644, len(data), store.put_bytes(data))})


def test_a_handle_that_was_open_all_along_copes(world: World) -> None:
    reader = Store.open(world.store.url)
    lost = world.store.put_bytes(noise(10_000))
    kept = world.state.find_release("1.0.0").digest
    assert reader.has(lost)
    gc(world)
    with pytest.raises(NoSuchObject):
        reader.read(lost)
    assert sha256(reader.read(kept)) == kept


# several ledgers, none


def test_every_ledger_is_marked_and_steps_are_in_each(world: World) -> None:
    other = World(world.store, world.now, "other")
    other.genesis(world.state.require_trust_root())
    other.release("9.0.0", content=noise(5000))
    lost = world.store.put_bytes(noise(10_000, b"lost"))
    gc(world)
    whole(world, "1.0.0")
    whole(other, "9.0.0")
    assert not world.store.has(lost)
    assert world.state.given_up == other.state.given_up != frozenset()


def test_without_ledger_and_pin_everything_stays(tmp_path: Path) -> None:
    with Store.init(str(tmp_path / "store")) as store:
        digest = store.put_bytes(noise(10_000))
        report = collect(store, NOTHING_KEPT, now=World(store).now, confirm=True)
        assert not report.done
        assert "everything is kept" in report.note
        assert store.has(digest)
        assert why(store, digest, NOTHING_KEPT, now=World(store).now).kept


def test_without_ledger_pins_say_what_is_needed(tmp_path: Path) -> None:
    with Store.init(str(tmp_path / "store")) as store:
        world = World(store)
        kept, lost = store.put_bytes(noise(10_000, b"kept")), store.put_bytes(noise(10_000, b"lost"))
        pins.add(store, kept, reason="", now=world.now)
        age(world)
        first = collect(store, Settings(WEEK), now=world.now, confirm=True)
        assert len(first.condemned) == 1
        assert store.has(lost)
        collect(store, Settings(WEEK), now=world.later(days=8).now, confirm=True)
        assert store.has(kept)
        assert not store.has(lost)
        sound(store)


# who may


@pytest.mark.parametrize("name", ["ci", "ann", "pete"])
def test_only_owners_and_promoters_may_collect(world: World, name: str) -> None:
    world.store.put_bytes(noise(10_000))
    before = files(world)
    with pytest.raises(PolicyDenied, match="owner or promoter"):
        gc(world, by=name)
    assert files(world) == before


def test_a_signer_is_needed(world: World) -> None:
    with pytest.raises(BadInput, match="signed steps"):
        collect(world.store, NOTHING_KEPT, now=world.now, confirm=True)


def step(world: World, by: str = "pam", packs: tuple[Digest, ...] = (sha256(b"pack"),), **changes: Any) -> bytes:
    """A collection statement that anybody may write."""
    values = {"action": "condemn", "store": world.store.store_id, "ledger": "main", "time": world.now, **changes}
    listed = world.store.put_bytes(entries.pack_list(packs))
    claim = collection.Collection(**values)
    made = statements.of_digests({collection.SUBJECT: listed}, collection.TYPE, claim.to_json())
    return signer(by).sign_statement(made.to_bytes())


def test_forged_steps_are_void(world: World) -> None:
    assert "may not collect" in world.force(EntryKind.CONDEMN, step(world, "ci"))
    assert "not for" in world.force(EntryKind.CONDEMN, step(world, store="0" * 32))
    assert "the entry is not" in world.force(EntryKind.DELETE, step(world))
    late = step(world, action="delete", after=world.state.tip)
    world.later()
    assert "was not condemned" in world.force(EntryKind.DELETE, late)
    assert "another state" in world.force(EntryKind.DELETE, late)
    assert world.state.given_up == frozenset()


def test_a_delete_before_the_end_of_the_grace_is_void(world: World) -> None:
    world.append(EntryKind.CONDEMN, step(world, grace=3600))
    number = world.state.count - 1
    early = step(world, action="delete", after=world.state.tip, condemned=(number,))
    assert "grace" in world.force(EntryKind.DELETE, early)
    world.later(hours=1)
    late = step(world, action="delete", after=world.state.tip, condemned=(number,))
    assert world.force(EntryKind.DELETE, late) == ""
    assert world.state.given_up == {sha256(b"pack")}
    assert "given up before" in world.force(EntryKind.CONDEMN, step(world))


@pytest.mark.parametrize(
    "changes", [{"grace": 10**12}, {"time": datetime(9999, 12, 31, 23, tzinfo=UTC), "grace": 7200}]
)
def test_a_step_whose_end_no_calendar_has_is_void_and_crashes_nobody(world: World, changes: dict[str, Any]) -> None:
    assert world.force(EntryKind.CONDEMN, step(world, **changes))
    assert world.state.given_up == frozenset()


# why


def test_why_tells_every_reason(world: World) -> None:
    world.promote("1.0.0", "dev")
    tree = world.state.find_release("1.0.0").components["core-bin"]
    licence = next(entry.content for path, entry in world.store.walk(tree) if path == b"LICENSE")
    told = why(world.store, licence, Settings(), now=world.now)
    assert told.kept
    roots = {path[0].split(" (")[0]: path[1:] for path in told.paths}
    assert "release 1.0.0" in roots
    assert any(
        path[0].endswith("in channel dev), component core-bin") and path[1:] == ("file LICENSE",) for path in told.paths
    )
    assert any(path[0].startswith("component core-bin of ledger main") for path in told.paths)
    assert told.to_json()["paths"]


def test_why_tells_what_becomes_of_the_rest(world: World) -> None:
    lost = world.store.put_bytes(noise(10_000))
    settings = Settings(WEEK, 0)
    assert "7 days old" in why(world.store, lost, settings, now=world.now).verdict
    age(world)
    gc(world, settings)
    told = why(world.store, lost, settings, now=world.now)
    assert not told.kept
    assert "condemned and goes after 2026-03-08T09:00:00Z" in told.verdict
    with pytest.raises(NoSuchObject):
        why(world.store, from_raw(bytes(32)), settings, now=world.now)


def test_what_is_doomed_stands_in_the_index_in_use_though_another_handle_has_thrown_one_away(world: World) -> None:
    """Two handles; one fills the index anew while the other writes down what may go."""
    name = from_raw(next(iter(world.store.packs.names())))
    with Store.open(world.store.url) as other:
        world.store.catalog.rebuild("a test")
        other.follow("here", {name: False}, 1)
        assert world.store.catalog.doomed() == {to_raw(name): False}
        world.store.catalog.rebuild("a test")
        other.catalog.heal("a test")
        assert other.catalog.doomed() == {to_raw(name): False}
    assert set(world.store.digests()) == set(fresh(world).store.digests())


def test_what_was_condemned_is_still_listed_once(world: World) -> None:
    lost = world.store.put_bytes(noise(10_000))
    before = world.store.digests()
    world.store.follow("here", {from_raw(name): False for name in world.store.packs.names()}, 1)
    assert world.store.digests() == before
    assert world.store.digests(lost[7:10]) == [lost]


def test_who_lags_behind_takes_nothing_back(world: World) -> None:
    """A handle that folded fewer entries tells the shared index what it knows: that counts no more."""
    first, second = sorted(world.store.packs.names())[:2]
    names = {from_raw(first): True, from_raw(second): False}
    with Store.open(world.store.url) as late:
        world.store.follow("here", names, 7)
        late.follow("here", {from_raw(first): False}, 6)
        assert late.catalog.doomed() == {first: True, second: False}
        late.follow("here", {}, 8)  # the second was lifted; what is given up stays so
        assert world.store.catalog.doomed() == {first: True}


def test_a_pack_that_is_condemned_before_its_put_has_indexed_it_counts_as_forgotten(world: World) -> None:
    epoch = world.store.index.epoch()
    world.store.follow("here", {from_raw(bytes(32)): False}, 1)
    assert world.store.index.epoch() != epoch
    assert world.store.packs_were_doomed()


def test_many_small_packs_become_one(world: World) -> None:
    kept = [world.store.put_bytes(b"small %d" % number * 50) for number in range(planning.MANY)]
    for digest in kept:
        pins.add(world.store, digest, reason="kept", now=world.now)
    age(world)
    needed = set(world.store.digests())
    before = len(list(world.store.packs.names()))
    assert len(gc(world, confirm=False).condemned) == before
    assert len(list(world.store.packs.names())) == before, "without --confirm nothing changes"
    first = gc(world)
    assert len(first.condemned) == before
    assert len(list(world.store.packs.names())) <= 4, "one of all that was needed, and those of the two steps"
    for digest in kept:
        assert world.store.read(digest)
    age(world)
    second = gc(world)
    assert second.condemned == (), "what is one pack is not merged again"
    assert fsck(world.store).ok
    with Store.open(world.store.url) as other:
        assert all(other.has(digest) for digest in kept)
        assert world.state.releases.keys() <= needed
