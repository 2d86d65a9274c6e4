"""The objects that a channel is judged by, fetched as they are needed: small ones in tars, each larger one on its own.

Promises: whatever is read has its digest; nothing is fetched twice. Leaves to others: what they mean (`verification`).

    objects = PublishedObjects(statements, source, record)
    objects.read(digest)
"""

from __future__ import annotations

from collections.abc import Iterator

from attest.digests import Digest, from_hex, sha256
from attest.errors import VerificationError
from bundlers.consuming.ledger_proof import Objects, Source
from bundlers.publishing.layout import published_paths
from bundlers.publishing.layout.kit_files import KitFile
from bundlers.publishing.layout.records import ChannelRecord
from casstore.errors import NoSuchObject
from casstore.machine.spooled import SpooledBytes
from casstore.objects import tree as trees
from casstore.objects.tree import Tree, TreeEntry

_OBJECTS = "objects/"


class PublishedObjects:
    """Statements that were proven, and what the channel record says where to find."""

    def __init__(self, proven: Objects, source: Source, record: ChannelRecord) -> None:
        self.store_id = proven.store_id
        self.known: SpooledBytes[Digest] = SpooledBytes()
        self.known.update(proven.known)
        self._source, self._record = source, record
        self._tars = [published_paths.objects_path(record.channel, number) for number in range(1, record.tars + 1)]

    def read(self, digest: Digest, *, max_bytes: int | None = None) -> bytes:  # noqa: ARG002 - a target has a limit
        """Bytes with this digest. Raises NoSuchObject, VerificationError."""
        while digest not in self.known and self._tars:
            self.known.update(tar(self._source, self._tars.pop(0)))
        if digest not in self.known:
            self.known[digest] = self._alone(digest)
        return self.known[digest]

    def contents(self, digest: Digest) -> Iterator[tuple[bytes, TreeEntry]]:
        """(path, entry) of every file, link and empty folder below a tree."""
        return trees.contents(self._tree, digest)

    def _tree(self, digest: Digest) -> Tree:
        return trees.parse(self.read(digest))

    def _alone(self, digest: Digest) -> bytes:
        versions = [self._record.version, *([self._record.canary.version] if self._record.canary else [])]
        evidence = (published_paths.evidence_path(version, digest) for version in versions)
        for path in (*evidence, published_paths.object_path(digest)):
            try:
                data = self._source.read(path)
            except NoSuchObject:
                continue
            if sha256(data) != digest:
                raise VerificationError(f"{path}: has other bytes than its name says")
            return data
        raise NoSuchObject(f"{digest} is needed and is not published", hint="ask the publisher to publish again")


def tar(source: Source, path: str) -> dict[Digest, bytes]:
    """The objects of a published tar; each is named by its digest, which is checked."""
    return tar_of(path, source.read(path))


def tar_of(path: str, data: bytes) -> dict[Digest, bytes]:
    """As `tar`, of bytes at hand."""
    file = KitFile(path, head=False, data=data)
    found: dict[Digest, bytes] = {}
    for name in sorted(file.names):
        held = file.read(name)
        if not name.startswith(_OBJECTS) or from_hex(name.removeprefix(_OBJECTS)) != sha256(held):
            raise VerificationError(f"{path}: {name} has other bytes than its name says")
        found[sha256(held)] = held
    return found
