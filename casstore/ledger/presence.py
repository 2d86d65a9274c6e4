"""Is all still there that an entry names? Asked before it is created, when packs were given up meanwhile.

What was stored, or found known, before a collection of garbage gave packs up may have lain in
them. The collector saw only the entries before its own; whoever comes after it must look.

    with looked_for(store, statement):
        after = judge(before, entry, reader)
    check(store, statement, before, after)          # raises GivenUp: store it again
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

from attest.digests import Digest
from casstore.errors import GivenUp, NoSuchObject, StoreDamaged
from casstore.ledger.release_objects import parse
from casstore.ledger.states.state import LedgerState
from casstore.objects.tree import TreeEntry


@runtime_checkable
class CollectedStore(Protocol):
    """A store whose packs may be collected."""

    def packs_were_doomed(self) -> bool:
        """Whether this handle may have counted on packs that were condemned or given up since."""

    def has(self, digest: Digest) -> bool:
        """Whether it is in the store, outside of what was given up."""

    def read(self, digest: Digest, *, max_bytes: int = ...) -> bytes:
        """Its bytes."""

    def walk_all(self, digest: Digest) -> Iterator[tuple[bytes, TreeEntry]]:
        """All that is in a tree."""


@contextmanager
def looked_for(store: object, statement: Digest) -> Iterator[None]:
    """Around judging a draft on a state that stands: what is gone then, a collection may have given up."""
    try:
        yield
    except StoreDamaged as exc:
        if isinstance(store, CollectedStore) and store.packs_were_doomed():
            raise GivenUp(statement) from exc
        raise


def check(store: object, statement: Digest, before: LedgerState, after: LedgerState) -> None:
    """Raises GivenUp when the step between the two states names what a collection gave up, read or not."""
    if not isinstance(store, CollectedStore) or not store.packs_were_doomed():
        return
    for digest in (statement, *_named(store, before, after)):
        if not store.has(digest):
            raise GivenUp(digest)


def _named(store: CollectedStore, before: LedgerState, after: LedgerState) -> Iterator[Digest]:
    for key in after.components.changed(before.components):
        yield from _tree(store, after.components[key])
    yield from after.recorded.changed(before.recorded)
    for digest in after.releases.changed(before.releases):
        made = parse(store.read(digest))
        yield from (digest, made.checksums, *made.evidence, *made.archives.values())
        yield from (build.product_manifest for build in made.builds.values())
        if made.notes is not None:
            yield made.notes
        if made.config is not None:
            yield made.config
        for tree in made.components.values():
            yield from _tree(store, tree)


def _tree(store: CollectedStore, tree: Digest) -> Iterator[Digest]:
    yield tree
    try:
        for _, entry in store.walk_all(tree):
            if entry.kind != "link":
                yield entry.content
    except NoSuchObject as exc:
        raise GivenUp(tree) from exc
