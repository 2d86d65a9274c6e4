"""What two products may both carry: a shared component that both list, a reference, an acceptance between them.

Promises: with its content goes everything packed inside it, the marks of its programs and its bytes
wherever they stand. A product that does not list a shared component may carry nothing of it, and an
acceptance speaks of its two products alone.
Leaves to others: finding what two products have in common, and which bytes of it are explained (`cover`).

    allowed = Allowed.of(store, products, settings, workers)
    allowed.between(digest, "core", "agent")     # whether both may
    allowed.everywhere(digest, "core")           # whether any other product may as well
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from itertools import accumulate

from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import BadInput
from bundlers.inspection.units import Unit
from bundlers.isolation.contents import Contents
from bundlers.isolation.explained import acceptances
from bundlers.isolation.explained.acceptances import Acceptance
from bundlers.isolation.scans import scanning
from bundlers.isolation.scans.scanning import ContentStore, Scan
from bundlers.isolation.settings import Accepted, Settings

Source = tuple[str, str]
"""A shared component and its reason, or a reference."""
REFERENCE = "a reference of common content"
OBJECT = b".o"


@dataclass(frozen=True, slots=True)
class KnownUnit:
    """Bytes that are explained: a blob or a member of it; `ends` where several stretches lie in one blob."""

    blob: Digest
    unit: Unit
    ends: tuple[int, ...]


@dataclass(slots=True)
class Group:
    """Content that the same products may carry, for one reason."""

    products: frozenset[str]
    source: Source
    why: dict[Digest, int] = field(default_factory=dict)
    """Whole files, with their sizes."""
    keys: set[str] = field(default_factory=set)
    """Digests of files and of what is packed in them, marks of programs."""
    units: list[KnownUnit] = field(default_factory=list)
    objects: dict[Digest, int] = field(default_factory=dict)
    """Object files of a reference, with their sizes: known in programs wherever a linker laid them."""

    def take(self, digest: Digest, found: Scan) -> None:
        """A file of it, and everything in it."""
        self.keys.add(digest)
        self.keys.update(member.digest for member in found.members)
        self.keys.update(mark for unit in found.units for mark in unit.marks)
        self.units += [KnownUnit(digest, unit, (unit.size,)) for unit in found.units if unit.hashes]

    @property
    def size(self) -> int:
        """Bytes of its whole files."""
        return sum(self.why.values())


@dataclass(frozen=True, slots=True)
class Taken:
    """An acceptance as it is attested and shown."""

    accepted: Accepted
    made: Acceptance

    @property
    def files(self) -> int:
        """How many whole contents and stretches it holds."""
        return len(self.made.contents) + len(self.made.marks) + len(self.made.stretches)


class Allowed:
    """See the module."""

    def __init__(
        self, products: Sequence[str], groups: Sequence[Group], taken: Sequence[Taken], refused: Mapping[Digest, str]
    ) -> None:
        self.refused = refused
        """Files that could not be looked into within their budget, and why."""
        self._products = tuple(products)
        self.groups = tuple(groups)
        self.taken = tuple(taken)

    @staticmethod
    def of(store: ContentStore, products: Mapping[str, Contents], settings: Settings, workers: int) -> Allowed:
        """Scan the shared components that two products list, the references, and the acceptances."""
        groups = [_group(store, *row) for row in _sources(products, settings)]
        holders: dict[Digest, list[Group]] = {}
        for group in groups:
            for digest in group.why:
                holders.setdefault(digest, []).append(group)
        sizes = {d: size for group in groups for d, size in group.why.items() if d not in group.objects}
        refused = {}
        for digest, found in scanning.scan(store, sizes.items(), settings, workers):
            if found.refused:
                refused[digest] = found.refused
            for group in holders[digest]:
                if digest not in group.objects:
                    group.take(digest, found)
        taken = [
            Taken(row, made)
            for row in settings.accepted
            for made, group in [_accepted(store, row, settings, workers)]
            if not groups.append(group)  # type: ignore[func-returns-value]
        ]
        return Allowed(list(products), groups, taken, refused)

    def between(self, key: str, one: str, two: str) -> bool:
        """Whether both products may carry this content, or a program with this mark."""
        return any(one in group.products and two in group.products and key in group.keys for group in self.groups)

    def everywhere(self, key: str, product: str) -> bool:
        """Whether this product and every other one may: then it need not be compared."""
        held = [group.products for group in self.groups if key in group.keys and product in group.products]
        return all(any(other in products for products in held) for other in self._products if other != product)

    def why(self, digest: Digest | None, one: str, two: str) -> Source | None:
        """Why both products may carry a file, if they may."""
        for group in self.groups:
            if digest in group.why and one in group.products and two in group.products:
                return group.source
        return None

    def references(self) -> list[Group]:
        """The groups that are references."""
        return [group for group in self.groups if group.source[1] == REFERENCE]


def _group(store: ContentStore, source: Source, tree: Digest, products: frozenset[str]) -> Group:
    group = Group(products, source)
    for path, entry in store.walk(tree):
        if entry.kind == "file" and entry.size:
            group.why[entry.content] = entry.size
            if source[1] == REFERENCE and path.endswith(OBJECT):
                group.objects[entry.content] = entry.size
                group.keys.add(entry.content)
    return group


def _accepted(store: ContentStore, row: Accepted, settings: Settings, workers: int) -> tuple[Acceptance, Group]:
    made, blob = acceptances.read(store, row.tree)
    if made.between != row.between:
        raise BadInput(
            f"[[isolation.accepted]] {row.name}: its tree is between {' and '.join(made.between)}",
            hint="write between as its tree has it",
        )
    group = Group(frozenset(made.between), (row.name, row.reason), dict(made.contents))
    group.keys.update(digest for digest, _ in made.contents)
    group.keys.update(made.marks)
    if blob is not None:
        ends = tuple(accumulate(length for length, _ in made.stretches))
        for _, found in scanning.scan(store, [(blob, ends[-1])], settings, workers):
            group.units += [KnownUnit(blob, unit, ends) for unit in found.units if not unit.path]
    return made, group


def _sources(products: Mapping[str, Contents], settings: Settings) -> Iterator[tuple[Source, Digest, frozenset[str]]]:
    """Where allowed content comes from, and which products may carry it; references first, they are for all."""
    for name, tree in settings.references.items():
        yield (name, REFERENCE), tree, frozenset(products)
    lists: dict[tuple[Source, Digest], set[str]] = {}
    for product, contents in products.items():
        for name, component in contents.components:
            if component.shared:
                lists.setdefault(((name, component.shared), component.tree), set()).add(product)
    for (source, tree), listing in lists.items():
        if len(listing) > 1:
            yield source, tree, frozenset(listing)
