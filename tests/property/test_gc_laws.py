"""Nothing that is needed is ever lost: random puts, releases, pins and collections, against a model.

Every collection runs without any grace, so nothing but the order of the ledger protects a put.
The model says what is needed: trees of releases, of the last N component entries, and pins.
"""

from __future__ import annotations

import hashlib
import os
from datetime import timedelta
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import World, signer

from attest.digests import Digest, sha256
from casstore.fsck import fsck
from casstore.gc import Settings, collect, pins
from casstore.ledger.entries import EntryKind
from casstore.store.attestations import parse_unverified
from casstore.store.store import Store

NAMES = st.integers(0, 7)
STEPS = st.one_of(
    st.tuples(st.just("component"), st.lists(NAMES, min_size=1, max_size=4, unique=True)),
    st.tuples(st.just("release"), NAMES),
    st.tuples(st.just("plain"), st.lists(NAMES, min_size=1, max_size=4, unique=True)),
    st.tuples(st.just("pin"), NAMES),
    st.tuples(st.just("unpin"), NAMES),
    st.tuples(st.just("gc"), st.integers(0, 3)),
    st.tuples(st.just("condemn"), st.integers(0, 3)),
)


def content(number: int) -> bytes:
    """Bytes that do not shrink, of very different sizes."""
    unit = hashlib.sha256(b"%d" % number).digest()
    return unit * (1 + 400 * number)


class Line:
    """The store, two handles on it as two processes have them, and the model."""

    def __init__(self, folder: str) -> None:
        first = World.make(f"{folder}/store")
        self.worlds = [first, World(Store.open(first.store.url), first.now)]
        self.turn = 0
        self.released: dict[str, tuple[bytes, ...]] = {}
        self.pinned: dict[Digest, bytes] = {}

    @property
    def world(self) -> World:
        """The handles take turns."""
        self.turn += 1
        return self.worlds[self.turn % 2]

    def component(self, numbers: list[int]) -> None:
        """A put of a version that is never released."""
        files = {b"d%d/f" % number: content(number) for number in numbers}
        self.world.component("core-bin", f"0.{self.turn}", files)

    def release(self, number: int) -> None:
        version, world = f"1.{self.turn}", self.world
        made = world.release(version, content=content(number))
        (tree,) = made.components.values()
        self.released[version] = tuple(e.content.encode() for _, e in self.worlds[0].store.walk(tree))

    def plain(self, numbers: list[int]) -> None:
        for number in numbers:
            digest = self.world.store.put_bytes(content(number))
            assert self.world.store.read(digest) == content(number)

    def pin(self, number: int) -> None:
        world = self.world
        digest = world.store.put_bytes(content(number))
        pins.add(world.store, digest, reason="", now=world.now)
        self.pinned[digest] = content(number)

    def unpin(self, number: int) -> None:
        digest = sha256(content(number))
        if digest in self.pinned:
            pins.remove(self.world.store, digest)
            del self.pinned[digest]

    def gc(self, keep_last: int, *, grace: timedelta = timedelta(0)) -> None:
        world = self.world
        world.later(seconds=1)
        self.worlds[0].now = self.worlds[1].now = max(one.now for one in self.worlds)
        trees = self.last_trees(keep_last - 1)  # the collection's own condemn entry is one of the last
        collect(world.store, Settings(grace, keep_last), now=world.now, signer=signer("pam"), confirm=True)
        self.check(trees)

    def condemn(self, keep_last: int) -> None:
        """Condemned for a second: the next collection deletes what was not lifted."""
        for name in self.worlds[0].store.packs.names():
            os.utime(self.worlds[0].store.packs.path(name), (0, 0))  # type: ignore[attr-defined]
        self.gc(keep_last, grace=timedelta(seconds=1))

    def last_trees(self, count: int) -> list[Digest]:
        """Trees of component entries among the last so many, as far as no earlier collection took them."""
        world, found = self.worlds[0], []
        for entry in list(world.ledger.entries())[-count:] if count > 0 else ():
            if entry.kind is EntryKind.COMPONENT:
                found += parse_unverified(world.store.read(entry.statement)).digests
        return [tree for tree in found if world.store.has(tree)]

    def check(self, trees: list[Digest]) -> None:
        world = self.worlds[0]
        state = world.state
        assert state.void == ()
        for tree in trees:
            for _, entry in world.store.walk_all(tree):
                assert sha256(world.store.read(entry.content)) == entry.content
        for version, contents in self.released.items():
            info = state.find_release(version)
            for digest in (info.digest, *info.archives.values(), *info.evidence, *info.components.values()):
                assert sha256(world.store.read(digest)) == digest
            for name in contents:
                assert sha256(world.store.read(Digest(name.decode()))) == name.decode()
        for digest, data in self.pinned.items():
            assert self.worlds[1].store.read(digest) == data


@settings(max_examples=15)
@given(st.lists(STEPS, min_size=3, max_size=14))
def test_nothing_that_is_needed_is_ever_lost(steps: list[tuple[str, Any]]) -> None:
    with TemporaryDirectory() as folder:
        line = Line(folder)
        for act, argument in steps:
            getattr(line, act)(argument)
        line.gc(0)
        line.gc(0)
        world = line.worlds[0]
        for number in range(8):  # and what nothing needs is gone
            digest = sha256(content(number))
            assert world.store.has(digest) == (digest in line.pinned)
        report = fsck(world.store)
        assert (report.damaged, report.healed) == ((), ())
