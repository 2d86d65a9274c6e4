"""What is no pack: damage is named, mended where another copy can prove it, and strangers stop nothing."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from worlds import World, signer

from attest import canonical
from attest.digests import sha256, to_raw
from casstore.errors import StoreDamaged
from casstore.fsck import fsck, mend_config, records, repair, twins
from casstore.gc import Settings, collect, pins
from casstore.ledger import checkpoints
from casstore.ledger.entries import key
from casstore.objects.packs import key_of
from casstore.objects.store_config import StoreConfig
from casstore.storage import open_storage
from casstore.store.store import Store
from tests.support import lived_stores
from tests.support.published import PublishedWorld


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(twins, "SETTLES", 0.0)  # nobody sets a pin meanwhile, but where a test says so
    made = World.make(str(tmp_path / "store"))
    made.release("1.0.0")
    kept = made.store.put_bytes(b"a customer has it")
    pins.add(made.store, kept, reason="17", now=made.now)
    shutil.copytree(tmp_path / "store", tmp_path / "good")
    return made


def _damages(raw: bytes) -> list[bytes | None]:
    flipped = bytearray(raw)
    flipped[len(raw) // 2] ^= 1
    return [bytes(flipped), b"\0" * len(raw), raw[:-1], b"", raw + b"\n", None]


def _records(root: Path) -> list[Path]:
    return sorted(path for top in ("ledgers", "pins") for path in (root / top).rglob("*") if path.is_file())


def test_every_damage_of_every_record_is_named_and_mended(world: World, tmp_path: Path) -> None:
    root = tmp_path / "store"
    assert fsck(world.store).ok
    with Store.open(str(tmp_path / "good"), read_only=True) as good:
        for number, path in enumerate(_records(root)):
            raw = path.read_bytes()
            spoilt = _damages(raw)
            bad = spoilt[number % len(spoilt)]
            path.unlink()
            if bad is not None:
                path.write_bytes(bad)
            report = fsck(world.store)
            named = {one.record for one in report.damaged}
            if path.parent.name == "pins":  # it lies twice
                assert report.ok and path.read_bytes() == raw and str(path.relative_to(root)) in report.healed[0]
                continue
            assert str(path.relative_to(root)) in named, (path, bad)
            assert repair(world.store, good).ok, path
            assert path.read_bytes() == raw


@pytest.mark.parametrize("copy", ["", ".copy"])
@pytest.mark.parametrize("kind", range(6))
def test_what_lies_twice_is_whole_while_one_is(world: World, tmp_path: Path, kind: int, copy: str) -> None:
    """A pin and the newest checkpoint, read before anything is made anew; and by who may not write."""
    checkpoints.make(world.store, world.ledger, signer=signer("log"), now=world.now)
    (kept,) = pins.load(world.store)
    root, size = tmp_path / "store", world.state.count
    for key_ in (f"pins/{kept.token}{copy}", f"ledgers/main/checkpoints/{size:020d}{copy}"):
        raw = (root / key_).read_bytes()
        bad = _damages(raw)[kind]
        (root / key_).unlink()
        if bad is not None:
            (root / key_).write_bytes(bad)
        assert pins.load(world.store) == [kept]
        assert checkpoints.verify_all(world.store, world.ledger, world.state)[-1].size == size
        with Store.open(str(root), read_only=True) as reading:
            assert key_ in {one.record for one in fsck(reading).damaged}
        report = fsck(world.store)
        assert report.ok and (root / key_).read_bytes() == raw
        assert report.healed == (f"{key_}: made anew, it was {'gone' if bad is None else 'damaged'}",)
        assert bad is None or any(path.read_bytes() == bad for path in (root / "quarantine").iterdir())
    pins.remove(world.store, kept.token)
    assert pins.load(world.store) == [] and not list((root / "pins").iterdir())


def test_a_pin_that_is_being_set_or_taken_away_is_left_alone(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a check brings back the pin of what a collection took, and from then on nothing is collected."""
    (kept,) = pins.load(world.store)
    main = tmp_path / "store" / "pins" / kept.token
    copy = main.with_name(f"{kept.token}.copy")
    raw = main.read_bytes()
    monkeypatch.setattr("casstore.machine.clock.now", lambda: kept.time + timedelta(minutes=1))
    for young in (main, copy):
        young.unlink()
        assert fsck(world.store).healed == () and not young.exists() and fsck(world.store).ok
        young.write_bytes(raw)
    monkeypatch.setattr("casstore.machine.clock.now", lambda: kept.time + timedelta(days=1))
    main.unlink()
    monkeypatch.setattr(twins.time, "sleep", lambda _: copy.unlink())  # the other half goes, too
    report = fsck(world.store)
    assert report.ok and report.healed == () and not main.exists() and pins.load(world.store) == []


def test_a_pin_of_what_was_collected_meanwhile_is_looked_at_again(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = pins.Pin(sha256(b"nowhere"), "", world.now, "0" * 32)
    world.store.storage.create(f"pins/{made.token}", canonical.dumps(made.to_json()))
    monkeypatch.setattr(records.time, "sleep", lambda _: pins.remove(world.store, made.token))
    monkeypatch.setattr("casstore.machine.clock.now", lambda: world.now)
    assert fsck(world.store).ok


def test_both_of_a_pin_gone_bad_are_named_and_mended(world: World, tmp_path: Path) -> None:
    both = sorted((tmp_path / "store" / "pins").iterdir())
    for path in both:
        path.write_bytes(b"{}")
    with pytest.raises(StoreDamaged, match=r"pins/.*is missing"):
        pins.load(world.store)
    assert {f"pins/{path.name}" for path in both} <= {one.record for one in fsck(world.store).damaged}
    with Store.open(str(tmp_path / "good"), read_only=True) as good:
        assert repair(world.store, good).ok and pins.load(world.store) == pins.load(good)


@pytest.mark.parametrize("kind", range(6))
def test_damage_shows_without_the_index_too(world: World, tmp_path: Path, kind: int) -> None:
    path = tmp_path / "store" / key("main", 1)
    raw = path.read_bytes()
    bad = _damages(raw)[kind]
    path.unlink()
    if bad is not None:
        path.write_bytes(bad)
    shutil.rmtree(tmp_path / "store" / "index")
    with Store.open(str(tmp_path / "store")) as store, Store.open(str(tmp_path / "good"), read_only=True) as good:
        assert key("main", 1) in {one.record for one in fsck(store).damaged}
        assert repair(store, good).ok
    assert path.read_bytes() == raw


def test_the_store_id_is_that_of_the_first_trust_root(world: World, tmp_path: Path) -> None:
    path = tmp_path / "store" / "casstore.json"
    raw = path.read_bytes()
    path.write_bytes(StoreConfig("0" * 32, world.store.options).to_bytes())
    with Store.open(str(tmp_path / "store")) as store, Store.open(str(tmp_path / "good"), read_only=True) as good:
        assert "casstore.json" in {one.record for one in fsck(store).damaged}
        repair(store, good)
    assert path.read_bytes() == raw


def test_a_pin_of_what_is_not_there_stops_a_collection_and_a_stranger_does_not(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "store" / "pins"
    (folder / "desktop.ini").write_text("[x]")
    settings = Settings()
    collect(world.store, settings, now=world.now, signer=signer("pam"), confirm=False)
    assert fsck(world.store).strangers == ("pins/desktop.ini",)
    made = pins.Pin(sha256(b"nowhere"), "", world.now, "0" * 32)
    world.store.storage.create(f"pins/{made.token}", canonical.dumps(made.to_json()))
    with pytest.raises(StoreDamaged, match="not there"):
        collect(world.store, settings, now=world.now, signer=signer("pam"), confirm=False)
    assert f"pins/{made.token}" in {one.record for one in fsck(world.store).damaged}


@pytest.mark.parametrize("kind", range(6))
def test_a_spoilt_casstore_json_is_written_again(world: World, tmp_path: Path, kind: int) -> None:
    path = tmp_path / "store" / "casstore.json"
    raw = path.read_bytes()
    flipped = raw.replace(b"casstore/1", b"casstore/3")
    bad = (b"", flipped, b"\0" * len(raw), raw + b"x", b"{}", None)[kind]
    path.unlink()
    if bad is not None:
        path.write_bytes(bad)
    with Store.open(str(tmp_path / "good"), read_only=True) as good:
        assert mend_config(open_storage(str(tmp_path / "store")), good)
    assert path.read_bytes() == raw
    assert fsck(world.store).ok


def test_brothers_that_were_swapped_are_named_and_mended(world: World, tmp_path: Path) -> None:
    one, two = (tmp_path / "store" / key("main", number) for number in (1, 2))
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    assert {key("main", 1), key("main", 2)} <= {damage.record for damage in fsck(world.store).damaged}
    with Store.open(str(tmp_path / "good"), read_only=True) as good:
        assert repair(world.store, good).ok
    assert (one.read_bytes(), two.read_bytes()) == (first, second)


def test_bytes_after_casstore_json_are_named_and_mended(world: World, tmp_path: Path) -> None:
    path = tmp_path / "store" / "casstore.json"
    raw = path.read_bytes()
    path.write_bytes(raw + b"\n")
    assert {one.record for one in fsck(world.store).damaged} == {"casstore.json"}
    with Store.open(str(tmp_path / "good"), read_only=True) as good:
        assert repair(world.store, good).ok
    assert path.read_bytes() == raw


def test_what_a_pinned_tree_lacks_is_named_though_something_was_collected(tmp_path: Path) -> None:
    """Without a ledger and without the index nothing but the pin says that the files of the tree must be there."""
    root = lived_stores.without_ledger(tmp_path)
    shutil.copytree(root, tmp_path / "good")
    with Store.open(str(root)) as store:
        (pin,) = pins.load(store)
        file = next(entry.content for _, entry in store.walk(pin.digest))
        located = store.catalog.locate(to_raw(file))
    assert located is not None
    (root / key_of(located.pack)).unlink()
    shutil.rmtree(root / "index")
    with Store.open(str(root)) as store, Store.open(str(tmp_path / "good"), read_only=True) as good:
        (found,) = [one for one in fsck(store).damaged if one.object == file]
        assert found.needed_by == (f"pin {pin.token[:8]}: below0/file",)
        assert repair(store, good).ok
        assert store.has(file)


def test_what_a_publication_names_is_needed_where_no_index_knows_it(tmp_path: Path) -> None:
    made = PublishedWorld.make(str(tmp_path / "store"))
    made.ship("1.0.0")
    made.promote("1.0.0", "dev")
    made.publish("dev", str(tmp_path / "public"))
    shutil.copytree(tmp_path / "store", tmp_path / "good")
    (target,) = (tmp_path / "public/targets/ledger").glob("*.checkpoint")
    located = made.store.catalog.locate(bytes.fromhex(target.name.partition(".")[0]))
    assert located is not None
    made.store.close()
    (tmp_path / "store" / key_of(located.pack)).unlink()
    shutil.rmtree(tmp_path / "store" / "index")
    with Store.open(str(tmp_path / "store")) as store, Store.open(str(tmp_path / "good"), read_only=True) as good:
        needed = {told for one in fsck(store).damaged for told in one.needed_by}
        assert "ledger/checkpoint of publication 1 to cdn" in needed
        assert repair(store, good).ok
