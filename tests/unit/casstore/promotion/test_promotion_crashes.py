"""A promotion that dies at any write, before or after it took effect: doing it again finishes, nothing is doubled.

The store lies in memory, so that every write, of packs and of entries, passes through one
adapter; each run has an index of its own, as another machine would.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from worlds import World

from attest.digests import Digest
from casstore import promotion
from casstore.errors import MoveDenied, StorageUnavailable
from casstore.objects.store_config import load
from casstore.storage import Storage, open_storage
from casstore.store.store import Store


class Dying:
    """A storage that dies at its nth write; `after` tells whether the write took effect."""

    def __init__(self, inner: Storage, at: int, *, after: bool) -> None:
        self._inner = inner
        self.at = at
        self.after = after
        self.writes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def create(self, key: str, data: bytes) -> bool:
        with self._write():
            return self._inner.create(key, data)

    def put_file(self, key: str, path: str, digest: Digest, *, new: bool = False) -> None:
        with self._write():
            self._inner.put_file(key, path, digest, new=new)

    @contextmanager
    def _write(self) -> Iterator[None]:
        self.writes += 1
        if self.writes == self.at and not self.after:
            raise StorageUnavailable("killed before the write")
        yield
        if self.writes == self.at and self.after:
            raise StorageUnavailable("killed after the write")


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Opens the same bucket as one machine after the other."""

    def use(storage: Storage) -> World:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / uuid4().hex))
        return World(Store(storage, load(storage)))

    return use


def _prepared(use: Any) -> str:
    """A bucket with a release in staging and one of two approvals for prod; its URL."""
    url = f"memory://{uuid4()}"
    Store.init(url).close()
    from worlds import trust_root

    world = use(open_storage(url))
    world.genesis(trust_root(world.store.store_id))
    world.release("1.0.0")
    world.to_staging("1.0.0")
    world.approve("1.0.0", "prod", "ann")
    return url


STEPS = {
    "approve": lambda world: world.approve("1.0.0", "prod", "bob"),
    "revoke": lambda world: promotion.revoke(
        world.store, world.ledger, "1.0.0", kind="artifact", reason="r", signer=_owner(), now=world.now
    ),
}


def _owner() -> Any:
    from worlds import signer

    return signer("olga")


def _writes(use: Any, url: str, step: str) -> int:
    counting = Dying(open_storage(url), 0, after=False)
    STEPS[step](use(counting))
    return counting.writes


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_promote_survives_death_at_every_write(machines: Any, after: bool) -> None:
    at = 0
    while True:
        at += 1
        url = _prepared(machines)
        machines(open_storage(url)).approve("1.0.0", "prod", "bob")
        dying = Dying(open_storage(url), at, after=after)
        try:
            report = machines(dying).promote("1.0.0", "prod")
        except StorageUnavailable:
            pass
        else:
            assert report.moved
            assert at > 2  # at least the attestations and the entry
            break
        seen = machines(open_storage(url)).state
        entry_there = after and at == dying.writes and "prod" in seen.channels
        assert seen.void == ()
        again = machines(open_storage(url)).promote("1.0.0", "prod")
        assert again.moved is not entry_there
        state = machines(open_storage(url)).state
        assert state.void == ()
        assert [move.version for move in state.channels["prod"].history] == ["1.0.0"]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", ["approve", "revoke"])
def test_other_services_survive_death_at_every_write(machines: Any, step: str, after: bool) -> None:
    writes = _writes(machines, _prepared(machines), step)
    assert writes >= 2
    for at in range(1, writes + 1):
        url = _prepared(machines)
        with pytest.raises(StorageUnavailable, match="killed"):
            STEPS[step](machines(Dying(open_storage(url), at, after=after)))
        STEPS[step](machines(open_storage(url)))
        state = machines(open_storage(url)).state
        assert state.void == ()
        if step == "revoke":
            assert len(state.revocations) == 1
        else:
            assert machines(open_storage(url)).promote("1.0.0", "prod").moved


def test_another_machine_sees_what_the_ledger_names(machines: Any) -> None:
    """Nothing is listed: what an approver put is found through the packs that the entries name."""
    url = _prepared(machines)
    with pytest.raises(MoveDenied, match="1 of 2 approvals"):
        machines(open_storage(url)).promote("1.0.0", "prod")
    machines(open_storage(url)).approve("1.0.0", "prod", "bob")
    assert machines(open_storage(url)).promote("1.0.0", "prod").moved
    assert machines(open_storage(url)).ledger.verify().entries == machines(open_storage(url)).state.count
