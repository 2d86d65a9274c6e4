"""What refers to an object: ledger entries, components, releases, channels, evidence, and paths in trees.

Nothing is judged here and nothing stops at damage: what can still be read is followed, and
what cannot is named by whoever needs it. So an entry's claims are taken as they are.

    references = References(store)
    references.missing()              # digests that a ledger needs and the store does not have
    references.to({digest})           # {digest: ("component core-bin of 1.4.0: bin/core", ...)}
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import suppress

from attest import canonical, digests
from attest.core.values import dataclass
from attest.digests import Digest, from_raw, to_raw
from attest.errors import CasstoreError
from attest.statements.predicates import publication
from attest.statements.statements import Statement
from casstore.errors import NoSuchObject
from casstore.fsck.paths import TreePaths
from casstore.ledger import release_objects
from casstore.ledger.book import listing
from casstore.ledger.book.cache import EntryCache
from casstore.ledger.book.log import Ledger
from casstore.ledger.entries import Entry, EntryKind
from casstore.objects import small_records
from casstore.store.attestations import parse_unverified
from casstore.store.store import Store

_MOVES = frozenset({EntryKind.PROMOTE, EntryKind.ROLLBACK})
_COLLECTIONS = frozenset({EntryKind.CONDEMN, EntryKind.DELETE})
_MOST = 20
"""So many references are told of one object."""


@dataclass(frozen=True, slots=True)
class Root:
    """Something that is named; `gone_by_right`: a collection may have taken it."""

    label: str
    digest: Digest
    tree: bool = False
    gone_by_right: bool = False


class References:
    """All roots of a store, read once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.broken: list[str] = []
        """Ledgers that cannot be read to their end, and why."""
        self._channels: dict[Digest, set[str]] = defaultdict(set)
        self._collected = next(iter(store.storage.list("collections/")), None) is not None
        """Whether anything was given up by right."""
        self._roots: list[Root] = []
        self._pins = list(_pins(store))
        """What is kept by hand; that a pin's own object is there is asked by `records`."""
        for name in listing.ledger_names(store):
            self._roots += self._roots_of(self._entries(name), name)

    def missing(self) -> set[Digest]:
        """What a ledger needs by itself and the store does not have."""
        wanted = {root.digest for root in self._roots if not root.gone_by_right}
        return {digest for digest in wanted if not self._store.has(digest)}

    def to(self, hit: Collection[Digest]) -> dict[Digest, tuple[str, ...]]:
        """Who refers to each of these; an object that nobody names is left out."""
        told: dict[Digest, dict[str, None]] = defaultdict(dict)
        paths = TreePaths(self._store, frozenset(to_raw(digest) for digest in hit))
        self._tell([*self._roots, *self._pins], hit, paths, told)
        if any(digest not in told for digest in hit):
            loose = [
                Root(f"tree {from_raw(raw)}", from_raw(raw), tree=True, gone_by_right=self._collected)
                for raw in paths.tops()
            ]
            self._tell(loose, {digest for digest in hit if digest not in told}, paths, told)
        return {digest: tuple(labels)[:_MOST] for digest, labels in told.items()}

    def _tell(
        self, roots: list[Root], hit: Collection[Digest], paths: TreePaths, told: dict[Digest, dict[str, None]]
    ) -> None:
        for root in roots:
            if root.digest in hit and not self._may_be_gone(root, root.digest):
                told[root.digest][self._label(root)] = None
            if root.tree:
                for path, raw in paths.below(to_raw(root.digest)):
                    if (digest := from_raw(raw)) in hit and not self._may_be_gone(root, digest):
                        told[digest][f"{self._label(root)}: {path}"] = None

    def _may_be_gone(self, root: Root, digest: Digest) -> bool:
        return root.gone_by_right and not self._store.has(digest)

    def _label(self, root: Root) -> str:
        channels = sorted(self._channels.get(root.digest, ()))
        return f"{root.label} (in {', '.join(channels)})" if channels else root.label

    def _entries(self, name: str) -> list[Entry]:
        entries: list[Entry] = []
        try:
            entries.extend(Ledger(self._store, name, cache=EntryCache()).entries())
        except CasstoreError as exc:
            self.broken.append(exc.message)
        return entries

    def _roots_of(self, entries: list[Entry], ledger: str) -> Iterator[Root]:
        heads: dict[tuple[str, bool], Digest] = {}
        deleted = max((entry.number for entry in entries if entry.kind is EntryKind.DELETE), default=-1)
        self._collected |= deleted >= 0
        for entry in entries:
            yield Root(f"{entry.kind} entry {entry.number} of ledger {ledger}", entry.statement)
            if entry.pack_list is not None:
                yield Root(f"pack list of entry {entry.number} of ledger {ledger}", entry.pack_list)
            statement = self._statement(entry)
            if statement is None:
                continue
            if entry.kind is EntryKind.COMPONENT:
                yield from _components(statement, gone_by_right=entry.number < deleted)
            elif entry.kind is EntryKind.RELEASE:
                yield from self._release(statement)
            elif entry.kind is EntryKind.PUBLISH:
                yield from _published(statement)
            elif entry.kind in _COLLECTIONS:
                told = f"packs of the {entry.kind} entry {entry.number} of ledger {ledger}"
                yield from (Root(told, subject.digest) for subject in statement.subjects)
            elif entry.kind in _MOVES and entry.channel is not None:
                share = statement.predicate.get("share")
                heads.pop((entry.channel, True), None)
                where = (entry.channel, share is not None)
                heads.update((where, digest) for name, digest in statement.named if name == "release")
        for (channel, shared), release in heads.items():
            self._channels[release].add(f"channel {channel}" + (", of a share" if shared else ""))

    def _statement(self, entry: Entry) -> Statement | None:
        try:
            return parse_unverified(self._store.read(entry.statement))
        except CasstoreError:
            return None  # damaged and told as such, or no attestation at all (a trust root)

    def _release(self, statement: Statement) -> Iterator[Root]:
        for subject, release in statement.named:
            if subject != "release":
                continue
            try:
                made = release_objects.parse(self._store.read(release))
            except NoSuchObject:
                yield Root("a release whose object is gone", release)
                continue
            except CasstoreError:
                yield Root("a release whose object cannot be read", release)
                continue
            told = f"release {made.version}"
            yield Root(told, release)
            for name, tree in made.components.items():
                yield Root(f"component {name} of {told}", tree, tree=True)
            for build in made.builds.values():
                yield Root(f"archive {build.archive.name} of {told}", build.archive.digest)
                yield Root(f"manifest of {build.archive.name} of {told}", build.product_manifest)
            if made.notes is not None:
                yield Root(f"notes of {told}", made.notes)
            yield Root(f"checksums of {told}", made.checksums)
            if made.config is not None:
                yield Root(f"configuration of {told}", made.config)
            for digest in made.evidence:
                yield Root(f"evidence of {told}", digest)


def _published(statement: Statement) -> Iterator[Root]:
    """The files of a publication: all of them were in the store before its entry."""
    with suppress(CasstoreError):
        made = publication.parse(statement.predicate)
        for path, target in made.targets.items():
            yield Root(f"{path} of publication {made.number} to {made.destination}", target.digest)
        for name, role in made.roles.items():
            if role.version == made.number:
                yield Root(f"TUF's {name} of publication {made.number} to {made.destination}", role.digest)


def _pins(store: Store) -> Iterator[Root]:
    """What pins keep, a tree with all that is in it; one that cannot be read is told by `records`."""
    for key in sorted(store.storage.list("pins/")):
        with suppress(CasstoreError, KeyError, TypeError):
            value = canonical.loads_canonical(store.storage.read(key), what="pin")
            if small_records.is_sealed(value):
                yield Root(f"pin {key.removeprefix('pins/')[:8]}", digests.parse(value["digest"]), tree=True)


def _components(statement: Statement, *, gone_by_right: bool) -> Iterator[Root]:
    parameters = statement.predicate.get("buildDefinition")
    external = parameters.get("externalParameters") if isinstance(parameters, dict) else None
    version = external.get("releaseVersion") if isinstance(external, dict) else None
    for name, tree in statement.named:
        yield Root(f"component {name} of {version}", tree, tree=True, gone_by_right=gone_by_right)
