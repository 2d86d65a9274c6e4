"""A reference is what others made: no tree and no archive of this ledger, old or new.

require_foreign(store, state, "the runtime", tree)      # raises BadInput
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from attest import digests
from attest.digests import Digest
from attest.errors import BadInput
from casstore.ledger.states.views import ReleaseInfo
from casstore.objects.tree import Tree


class Trees(Protocol):
    """What is needed of the store."""

    def tree(self, digest: Digest) -> Tree:
        """A folder's entries."""


_HINT = "share a component with a reason, or accept what was found: casstore isolation accept"


def require_foreign(store: Trees, own: Mapping[tuple[str, str], Digest], name: str, tree: Digest) -> None:
    """`own`: (version, component) -> tree, as the ledger has it. Raises BadInput."""
    holders = {
        folder: f"component {component} of {version}"
        for (version, component), digest in own.items()
        for folder in _tops(store, digest)
    }
    for folder in _folders(store, tree):
        if folder in holders:
            raise BadInput(
                f"the reference {name!r} has {holders[folder]} in it, and that is a product's own", hint=_HINT
            )


def _tops(store: Trees, tree: Digest) -> Iterator[Digest]:
    """A component's tree, and what is in it where it is one folder only."""
    yield tree
    entries = store.tree(tree).entries
    if len(entries) == 1 and entries[0].kind == "dir":
        yield from _tops(store, entries[0].content)


def _folders(store: Trees, tree: Digest) -> Iterator[Digest]:
    seen: set[Digest] = set()
    todo = [tree]
    while todo:
        digest = todo.pop()
        if digest not in seen:
            seen.add(digest)
            yield digest
            todo += [entry.content for entry in store.tree(digest).entries if entry.kind == "dir"]


def require_no_archive(releases: Iterable[ReleaseInfo], name: str, source: str) -> None:
    """An archive of a release is no reference either, unpacked or not. Raises BadInput."""
    if not os.path.isfile(source):
        return
    with open(source, "rb") as file:
        digest = digests.from_raw(hashlib.file_digest(file, "sha256").digest())
    for info in releases:
        if digest in info.archives.values():
            raise BadInput(f"the reference {name!r} is an archive of {info.version}", hint=_HINT)
