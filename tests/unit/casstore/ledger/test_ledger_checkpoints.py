"""Checkpoints: only the ledger role signs, and a cut or rewritten ledger does not get past one."""

from __future__ import annotations

from pathlib import Path

import pytest
from worlds import World, signer

from attest.digests import to_raw
from attest.errors import BadInput, PolicyDenied
from attest.log import checkpoints as notes
from attest.log import merkle
from casstore.errors import NoSuchObject, StoreDamaged
from casstore.ledger import checkpoints
from casstore.ledger import entries as formats
from casstore.ledger.book.log import Ledger


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World.make(str(tmp_path / "store"))
    made.release("1.0.0")
    return made


def make(world: World, by: str = "log") -> checkpoints.MadeCheckpoint:
    return checkpoints.make(world.store, world.ledger, signer=signer(by), now=world.now)


def test_a_checkpoint_proves_its_entries(world: World) -> None:
    made = make(world)
    assert made.size == world.state.count
    for number in range(made.size):
        proof = checkpoints.prove(world.store, world.ledger, number)
        merkle.verify_inclusion(
            merkle.leaf_hash(proof.entry.raw),
            index=number,
            size=made.size,
            proof=proof.hashes,
            root=to_raw(proof.checkpoint.root),
        )
    assert f"entry {number} " in proof.text
    assert proof.to_json()["number"] == number


def test_it_is_a_note_that_others_can_verify(world: World) -> None:
    made = make(world)
    origin = checkpoints.origin(world.store.store_id, "main")
    key = notes.NoteKey.of_pem(origin, signer("log").public_pem or b"")
    assert notes.verify(made.note, origin=origin, known=[key]).checkpoint.size == made.size


def test_making_it_again_is_the_same(world: World) -> None:
    assert make(world) == make(world)
    world.promote("1.0.0", "dev")
    newer = make(world)
    assert [found.size for found in checkpoints.verify_all(world.store, world.ledger, world.state)] == [
        newer.size - 2,  # a move, and the seal of the newer one, came between
        newer.size,
    ]


def test_only_the_ledger_role_signs(world: World) -> None:
    with pytest.raises(PolicyDenied, match="has not the role ledger"):
        make(world, "pam")


def test_an_entry_after_the_newest_checkpoint_has_no_proof(world: World) -> None:
    with pytest.raises(NoSuchObject, match="no checkpoint"):
        checkpoints.prove(world.store, world.ledger, 0)
    made = make(world)
    world.promote("1.0.0", "dev")
    with pytest.raises(NoSuchObject, match="includes entry"):
        checkpoints.prove(world.store, world.ledger, made.size)


def _paths(world: World, number: int) -> Path:
    assert world.store.storage.local_path is not None
    return Path(world.store.storage.local_path) / formats.key("main", number)


def _fresh(world: World) -> Ledger:
    """A reader without memory of what was there."""
    from casstore.ledger.book.cache import EntryCache

    return Ledger(world.store, cache=EntryCache())


def test_a_cut_ledger_shows(world: World) -> None:
    made = make(world)
    _paths(world, made.size - 1).unlink()
    state = World(world.store).store
    with pytest.raises(StoreDamaged, match=f"over {made.size} entries, {made.size - 1} are there"):
        from casstore.ledger.folding import replay

        ledger = _fresh(world)
        checkpoints.verify_all(state, ledger, replay(ledger, world.store))


def test_a_rewritten_ledger_shows(world: World) -> None:
    from casstore.ledger.folding import replay

    made = make(world)
    last = formats.parse(_paths(world, made.size - 1).read_bytes())
    other = formats.make(last.number, last.prev, "0" * 32, last.time, last.kind, last.statement, packs=last.packs)
    _paths(world, made.size - 1).write_bytes(other.raw)
    ledger = _fresh(world)
    with pytest.raises(StoreDamaged, match="are not those of the signed checkpoint"):
        checkpoints.verify_all(world.store, ledger, replay(ledger, world.store))


def test_an_ecdsa_key_cannot_sign_notes(world: World) -> None:
    with pytest.raises((BadInput, PolicyDenied)):
        make(world, "ann")
