"""Holds all products against each other: by digest, by the marks of programs, by copied parts.

What two products may both carry (`allowed`) is no finding between them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations

from attest.digests import Digest
from bundlers.isolation.allowed import Allowed, Source
from bundlers.isolation.reports import Common, Finding, IsolationReport
from bundlers.isolation.scanning import ContentStore, Unit, scan
from bundlers.isolation.settings import Settings
from bundlers.products.product_manifests import ProductFile, ProductManifest

_Pair = tuple[str, str, str, str]


@dataclass
class _Places:
    """Content or mark -> where it is, by product."""

    of: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    sizes: dict[str, tuple[Digest, int]] = field(default_factory=dict)

    def add(self, key: str, digest: Digest, size: int, product: str, path: str) -> None:
        self.sizes.setdefault(key, (digest, size))
        self.of[key].setdefault(product, path)

    def in_two(self) -> Iterator[tuple[str, tuple[str, str], tuple[str, str]]]:
        for key in sorted(key for key, found in self.of.items() if len(found) > 1):
            for one, two in combinations(sorted(self.of[key].items()), 2):
                yield key, one, two


class Comparison:
    """One comparison of the products of a release."""

    def __init__(
        self, store: ContentStore, manifests: Mapping[str, ProductManifest], settings: Settings, workers: int = 2
    ) -> None:
        self._store, self._settings = store, settings
        self._manifests = dict(sorted(manifests.items()))
        self._allowed = Allowed.of(store, self._manifests, settings, workers)
        self._files = {product: list(self._compared(product)) for product in self._manifests}
        sizes = {file.content: file.size for files in self._files.values() for file in files}
        self._scans = dict(scan(store, sizes, settings, workers))
        self._findings: dict[_Pair, Finding] = {}
        self._unopened: list[tuple[str, str, str, Digest]] = []

    def report(self) -> IsolationReport:
        """Everything that was found."""
        compared = self._by_digest()
        self._by_marks()
        if self._settings.copies != "off":
            self._by_parts()
        findings = list(self._findings.values())
        if self._settings.unopened == "fail":
            findings += [
                Finding("unopened", product, path, product, path, digest, 0, why=why)
                for product, path, why, digest in self._unopened
            ]
        return IsolationReport(
            {product: manifest.digest for product, manifest in self._manifests.items()},
            self._settings,
            _reasons(self._manifests),
            tuple(findings),
            compared,
            tuple(sorted(f"{product}: {path} ({why})" for product, path, why, _ in self._unopened)),
            tuple(_common(self._manifests, self._allowed)),
            {product: (len(m.files), m.size) for product, m in self._manifests.items()},
        )

    def _compared(self, product: str) -> Iterator[ProductFile]:
        for file in self._manifests[product].files:
            if file.digest is not None and self._counts(file.digest, file.size, product):
                yield file

    def _by_digest(self) -> int:
        """Equal files and members; how many contents there are."""
        places = _Places()
        for product, files in self._files.items():
            for file in files:
                found = self._scans[file.content]
                places.add(file.content, file.content, file.size, product, file.path)
                for place, why in found.unopened:
                    self._unopened.append((product, f"{file.path}{place}", why, file.content))
                for member in found.members:
                    if self._counts(member.digest, member.size, product):
                        path = f"{file.path}!{member.path}"
                        places.add(member.digest, member.digest, member.size, product, path)
        for key, one, two in self._not_allowed(places):
            kind = "nested" if "!" in one[1] or "!" in two[1] else "file"
            self._add(Finding(kind, *one, *two, *places.sizes[key]))
        return len(places.of)

    def _counts(self, digest: Digest, size: int, product: str) -> bool:
        return size > 0 and size >= self._settings.min_size and not self._allowed.everywhere(digest, product)

    def _not_allowed(self, places: _Places) -> Iterator[tuple[str, tuple[str, str], tuple[str, str]]]:
        """What two products have, and may not both have."""
        return (found for found in places.in_two() if not self._allowed.between(found[0], found[1][0], found[2][0]))

    def _by_marks(self) -> None:
        """The same program in two products, though not the same bytes."""
        places = _Places()
        for product, file, unit in self._units():
            for mark in unit.marks:
                if not self._allowed.everywhere(mark, product):
                    places.add(mark, file.content, file.size, product, _place(file, unit))
        for mark, one, two in self._not_allowed(places):
            kind, _, value = mark.partition(":")
            self._add(Finding("variant", *one, *two, *places.sizes[mark], why=f"same {kind} {value[:16]}"))

    def _by_parts(self) -> None:
        """Copies inside larger files."""
        from bundlers.isolation import copies, matching

        rows = list(self._units())
        names = list(self._files)
        carried = [matching.Carried(names.index(product), unit) for product, _, unit in rows]

        def known(a: int, b: int) -> bool:
            one, two = ((rows[n][0], rows[n][1].path) for n in (a, b))
            return _outer(*one, *two) in self._findings

        blobs = [file.content for _, file, _ in rows]
        for copy in copies.find(self._store, blobs, carried, self._allowed.prints(), self._settings, known):
            (product_a, file_a, unit_a), (product_b, file_b, unit_b) = rows[copy.a], rows[copy.b]
            self._add(
                Finding(
                    "copy",
                    product_a,
                    _place(file_a, unit_a),
                    product_b,
                    _place(file_b, unit_b),
                    copy.digest,
                    copy.total,
                    copy.offset_a,
                    copy.offset_b,
                    copy.length,
                )
            )

    def _units(self) -> Iterator[tuple[str, ProductFile, Unit]]:
        """What was fingerprinted or marked, each blob once per product."""
        for product, files in self._files.items():
            seen: set[Digest] = set()
            for file in files:
                if file.content in seen:
                    continue
                seen.add(file.content)
                inner = {member.path: member.digest for member in self._scans[file.content].members}
                for unit in self._scans[file.content].units:
                    digest = inner.get(unit.path)
                    if digest is None or not self._allowed.everywhere(digest, product):
                        yield product, file, unit

    def _add(self, finding: Finding) -> None:
        """One finding for two outer files, the first is the plainest."""
        a, b = finding.path_a.partition("!")[0], finding.path_b.partition("!")[0]
        self._findings.setdefault(_outer(finding.product_a, a, finding.product_b, b), finding)


def _outer(product_a: str, path_a: str, product_b: str, path_b: str) -> _Pair:
    return (product_a, path_a, product_b, path_b) if product_a < product_b else (product_b, path_b, product_a, path_a)


def _place(file: ProductFile, unit: Unit) -> str:
    return f"{file.path}!{unit.path}" if unit.path else file.path


def _reasons(manifests: Mapping[str, ProductManifest]) -> dict[str, str]:
    found = ((name, c.shared) for manifest in manifests.values() for name, c in manifest.components.items())
    return {name: reason for name, reason in sorted(found) if reason}


def _common(manifests: Mapping[str, ProductManifest], allowed: Allowed) -> Iterator[Common]:
    """What two products both carry and may, by source."""
    carried = {
        product: {file.digest: file.size for file in manifest.files if file.digest is not None}
        for product, manifest in manifests.items()
    }
    for one, two in combinations(carried, 2):
        sizes: dict[Source, list[int]] = defaultdict(list)
        for digest in carried[one].keys() & carried[two].keys():
            if source := allowed.why(digest, one, two):
                sizes[source].append(carried[one][digest])
        for (name, reason), held in sorted(sizes.items()):
            yield Common(one, two, name, reason, len(held), sum(held))
