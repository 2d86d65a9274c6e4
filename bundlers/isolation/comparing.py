"""Holds all products against each other: by digest, by the marks of programs and secrets, by copied parts.

What two products may both carry (`allowed`) is no finding between them. Two files make one finding,
the plainest; every path of a content is kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from functools import partial
from itertools import chain, combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attest.core.values import dataclass
from attest.digests import Digest, sha256
from bundlers.inspection.units import Unit, is_text
from bundlers.isolation import forbidden, looks
from bundlers.isolation.contents import Contents
from bundlers.isolation.explained import licences
from bundlers.isolation.explained.allowed import Allowed, Group, Source
from bundlers.isolation.reports import Common, Finding, IsolationReport, distinct, told_unopened
from bundlers.isolation.scans.digest_tables import Sizes
from bundlers.isolation.scans.scanning import ContentStore
from bundlers.isolation.settings import Settings
from bundlers.isolation.stretches import severity
from bundlers.products.forbidden import Forbidden
from bundlers.products.product_manifests import ProductFile
from casstore.objects.tree import EMPTY

_Pair = tuple[str, Digest, str, Digest]
_LARGEST_LICENCE = 1 << 20


@dataclass(frozen=True, slots=True)
class _Place:
    """Where one product has something: in which file, at which paths."""

    product: str
    blob: Digest
    paths: tuple[str, ...]


@dataclass
class _Places:
    """Content or mark -> product -> outer file -> the paths at which it is."""

    of: dict[str, dict[str, dict[Digest, list[str]]]] = field(default_factory=lambda: defaultdict(dict))
    sizes: dict[str, tuple[Digest, int]] = field(default_factory=dict)

    def add(self, key: str, digest: Digest, size: int, product: str, blob: Digest, path: str) -> None:
        self.sizes.setdefault(key, (digest, size))
        self.of[key].setdefault(product, {}).setdefault(blob, []).append(path)

    def in_two(self) -> Iterator[tuple[str, _Place, _Place]]:
        for key in sorted(key for key, found in self.of.items() if len(found) > 1):
            for one, two in combinations(sorted(self.of[key]), 2):
                for blob_a, paths_a in self.of[key][one].items():
                    for blob_b, paths_b in self.of[key][two].items():
                        yield key, _Place(one, blob_a, tuple(paths_a)), _Place(two, blob_b, tuple(paths_b))


class Comparison:
    """One comparison of the products of a release."""

    def __init__(
        self, store: ContentStore, products: Mapping[str, Contents], settings: Settings, workers: int = 2
    ) -> None:
        self._store, self._settings = store, settings
        self._products = dict(sorted(products.items()))
        self._allowed = Allowed.of(store, self._products, settings, workers)
        compared = {product: partial(self._compared, product) for product in self._products}
        self._given = {p: {file.content for file in contents.inputs} for p, contents in self._products.items()}
        """Product -> what it is built from, and does not ship as it is."""
        looked = looks.take(store, self._products, compared, self._allowed, settings, workers)
        self._scans, self._compared_in_all = looked.scans, looked.compared
        self._files = {
            product: [file for file in rows() if file.content in looked.files[product]] if looked.files[product] else []
            for product, rows in compared.items()
        }
        self._paths = _paths_of(self._files)
        self._findings: dict[_Pair, Finding] = {}
        self._unopened: list[tuple[str, str, str, Digest]] = []

    def report(self) -> IsolationReport:
        """Everything that was found."""
        self._by_digest()
        self._by_marks()
        if self._settings.copies != "off":
            self._by_parts()
        return IsolationReport(
            {product: contents.builds for product, contents in self._products.items()},
            self._settings,
            _reasons(self._products),
            (*_together(list(self._findings.values())), *self._beyond_files()),
            self._compared_in_all,
            told_unopened(self._unopened),
            tuple(_common(self._products, self._allowed)),
            {product: (len(c.files), c.size) for product, c in self._products.items()},
            self._allowed.taken,
            {group.source[0]: (len(group.why), group.size) for group in self._allowed.references()},
            {product: contents.rules for product, contents in self._products.items() if contents.rules},
            {p: (len(c.inputs), sum(f.size for f in c.inputs)) for p, c in self._products.items() if c.inputs},
        )

    def _refused(self) -> Iterator[Finding]:
        """Files that cost more than their budget: nothing of them was compared, so they stop a release."""
        refused = {**self._allowed.refused, **{d: found.refused for d, found in self._scans.items() if found.refused}}
        for product, contents in self._products.items():
            for file in chain(contents.files, contents.inputs) if refused else ():
                if file.content in refused:
                    why, path = refused[file.content], file.path
                    yield Finding("unopened", product, path, product, path, file.content, 0, why=why)

    def _beyond_files(self) -> Iterator[Finding]:
        """What could not be looked into, what a product may never hold, and references that explain too much."""
        yield from self._refused()
        yield from self._never()
        if self._settings.unopened == "fail":
            for product, path, why, digest in self._unopened:
                yield Finding("unopened", product, path, product, path, digest, 0, why=why)
        for group in self._allowed.references():
            for product, contents in self._products.items():
                size = self._explained(group, contents)
                if size * severity.REFERENCE_SHARE > contents.size:
                    told = f"it explains {size} of {contents.size} bytes, a quarter is the most"
                    tree = self._settings.references[group.source[0]]
                    yield Finding("reference", product, group.source[0], product, group.source[0], tree, size, why=told)

    def _never(self) -> Iterator[Finding]:
        for product, contents in self._products.items():
            for files, rules in contents.never:
                yield from self._broken(product, files, Forbidden(rules))
            for folder, rules in contents.ruled_folders:
                if rule := Forbidden(rules).rule(folder.path):
                    yield Finding("never", product, folder.path, product, folder.path, EMPTY, 0, why=rule)

    def _broken(self, product: str, files: Iterable[ProductFile], ruled: Forbidden) -> Iterator[Finding]:
        for file in files:
            rows = [(file.path, file.digest or sha256(file.link.encode()), file.size, ruled.rule(file.path))]
            if file.digest is not None and file.digest in self._scans:
                inside = forbidden.broken(ruled, file.path, self._scans[file.digest].members)
                rows += [(place, member.digest, member.size, rule) for place, member, rule in inside]
            for place, digest, size, rule in rows:
                if rule:
                    yield Finding("never", product, place, product, place, digest, size, why=rule)

    def _explained(self, group: Group, contents: Contents) -> int:
        """Bytes of a product that a reference holds: whole files, and by their fingerprints parts of others.

        What is linked from objects is not counted: most of each program that is linked whole is others' work.
        """
        prints = np.array(sorted({h for known in group.units for h in _hashes(known.unit).tolist()}), np.uint64)
        total = 0
        for file in contents.files:
            if file.content in group.keys:
                total += file.size
            elif file.content in self._scans:
                mine = np.concatenate([_hashes(unit) for unit in self._scans[file.content].units] or [prints[:0]])
                total += int(file.size * np.isin(mine, prints).mean()) if len(mine) else 0
        return total

    def _compared(self, product: str) -> Iterator[ProductFile]:
        for file in chain(self._products[product].files, self._products[product].inputs):
            if self._counts(file.content, file.size, product):
                yield file

    def _by_digest(self) -> None:
        """Equal files and members."""
        places, encoded = _Places(), set[tuple[str, Digest, str]]()
        for product, files in self._files.items():
            for file in files:
                found = self._scans[file.content]
                places.add(file.content, file.content, file.size, product, file.content, file.path)
                for place, why in found.unopened if file.content not in self._given[product] else ():
                    self._unopened.append((product, f"{file.path}{place}", why, file.content))
                for member in found.members:
                    if self._counts(member.digest, member.size, product):
                        path = f"{file.path}!{member.path}"
                        places.add(member.digest, member.digest, member.size, product, file.content, path)
                        if member.encoded:
                            encoded.add((product, file.content, path))
        for key, one, two in self._not_allowed(places):
            digest, size = places.sizes[key]
            within = one.blob == two.blob and digest != one.blob  # of one file, which is told or allowed itself
            both = all((p.product, p.blob, path) in encoded for p in (one, two) for path in p.paths)
            if not within and not both and not self._is_licence(digest, size):
                nested = digest != one.blob or digest != two.blob
                self._add("nested" if nested else "file", one, two, digest, size)

    def _is_licence(self, digest: Digest, size: int) -> bool:
        """Whether a file is nothing but a licence; members are compared as they are."""
        if size > _LARGEST_LICENCE or digest not in self._scans:
            return False
        with self._store.open_blob(digest) as blob:
            text = blob.read()
        return is_text(text) and licences.is_licence(text)

    def _counts(self, digest: Digest, size: int, product: str) -> bool:
        return size > 0 and size >= self._settings.min_size and not self._allowed.everywhere(digest, product)

    def _not_allowed(self, places: _Places) -> Iterator[tuple[str, _Place, _Place]]:
        """What two products have, and may not both have."""
        return (
            found
            for found in places.in_two()
            if not self._allowed.between(found[0], found[1].product, found[2].product)
            and not (self._is_input(found[1]) and self._is_input(found[2]))
        )

    def _is_input(self, place: _Place) -> bool:
        return place.blob in self._given[place.product]

    def _by_marks(self) -> None:
        """The same program or the same secret in two products, though not the same bytes."""
        places = _Places()
        for product, file, unit, _ in self._units():
            for mark in unit.marks:
                if not self._allowed.everywhere(mark, product):
                    for path in self._paths[product, file.content]:
                        places.add(mark, file.content, file.size, product, file.content, _place(path, unit))
        for mark, one, two in self._not_allowed(places):
            if one.blob == two.blob:
                continue
            kind = "secret" if mark.startswith("secret:") else "variant"
            said = " ".join(mark.split(":")[:2])[:40]
            self._add(kind, one, two, *places.sizes[mark], mark=mark, why=f"same {said}")

    def _by_parts(self) -> None:
        """Copies inside larger files."""
        from bundlers.isolation import copies
        from bundlers.isolation.explained.cover import Cover
        from bundlers.isolation.scans.reopening import Opener
        from bundlers.isolation.stretches.matching import Carried

        rows, names = [row for row in self._units() if row[2].hashes], list(self._files)
        encoded = {
            (blob, member.path) for blob, found in self._scans.items() for member in found.members if member.encoded
        }
        carried = [
            Carried(names.index(product), f.content, digest, unit, f.size, (f.content, unit.path) in encoded)
            for product, f, unit, digest in rows
        ]

        def known(a: int, b: int) -> bool:
            pair = (rows[a][0], carried[a].blob, rows[b][0], carried[b].blob)
            equal = carried[a].content == carried[b].content and not (carried[a].encoded and carried[b].encoded)
            same = equal or carried[a].blob == carried[b].blob
            same = same or all(rows[at][1].content in self._given[rows[at][0]] for at in (a, b))
            return same or pair in self._findings

        opener = Opener(self._store, self._settings, ((row.blob, row.unit.path) for row in carried))
        for copy in copies.find(opener, carried, names, Cover(self._allowed, opener), self._settings, known):
            one, two = (
                _Place(product, file.content, tuple(_place(path, unit) for path in self._paths[product, file.content]))
                for product, file, unit, _ in (rows[copy.a], rows[copy.b])
            )
            smaller = copies.smaller_of(carried[copy.a], carried[copy.b])
            self._add(
                "copy",
                one,
                two,
                copy.stretches[0].digest,
                copy.total,
                fails=copy.fails,
                units=(rows[copy.a][2].path, rows[copy.b][2].path),
                stretches=copy.stretches,
                smaller=smaller,
                prints=copy.prints,
            )

    def _units(self) -> Iterator[tuple[str, ProductFile, Unit, Digest]]:
        """What was fingerprinted or marked, each blob once per product, and the digest of its own bytes."""
        for product, files in self._files.items():
            seen: set[Digest] = set()
            for file in files:
                if file.content in seen:
                    continue
                seen.add(file.content)
                inner = {member.path: member.digest for member in self._scans[file.content].members}
                for unit in self._scans[file.content].units:
                    digest = inner.get(unit.path, file.content)
                    if not unit.path or not self._allowed.everywhere(digest, product):
                        yield product, file, unit, digest

    def _add(self, kind: str, one: _Place, two: _Place, digest: Digest, size: int, **more: Any) -> None:
        """One finding for two outer files, the first is the plainest; all their paths are kept."""
        built = [f"{place.paths[0]} is an input of {place.product}" for place in (one, two) if self._is_input(place)]
        if built:
            more["why"] = "; ".join([*([more["why"]] if more.get("why") else []), *built])
        finding = Finding(
            kind,
            one.product,
            one.paths[0],
            two.product,
            two.paths[0],
            digest,
            size,
            blobs=(one.blob, two.blob),
            also=(one.paths[1:], two.paths[1:]),
            **more,
        )
        self._findings.setdefault((one.product, one.blob, two.product, two.blob), finding)


def _together(findings: list[Finding]) -> list[Finding]:
    """What is only told, added up between two products: many small pieces are a large one."""
    told: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for found in findings:
        if not found.fails:
            told[found.product_a, found.product_b].append(found)
    why = {}
    for pair, rows in told.items():
        size = distinct(rows)
        if size >= severity.TOGETHER:
            why[pair] = f"{len(rows)} small copies between the two are {size} bytes together"
    return [
        replace(f, fails=True, why=why[f.product_a, f.product_b])
        if not f.fails and (f.product_a, f.product_b) in why
        else f
        for f in findings
    ]


def _hashes(unit: Unit) -> NDArray[np.uint64]:
    return np.frombuffer(unit.hashes, "<u8")


def _paths_of(files: Mapping[str, Sequence[ProductFile]]) -> dict[tuple[str, Digest], list[str]]:
    found: dict[tuple[str, Digest], list[str]] = defaultdict(list)
    for product, rows in files.items():
        for file in rows:
            found[product, file.content].append(file.path)
    return found


def _place(path: str, unit: Unit) -> str:
    return f"{path}!{unit.path}" if unit.path else path


def _reasons(products: Mapping[str, Contents]) -> dict[str, str]:
    found = ((name, c.shared) for contents in products.values() for name, c in contents.components)
    return {name: reason for name, reason in sorted(found) if reason}


def _common(products: Mapping[str, Contents], allowed: Allowed) -> Iterator[Common]:
    """What two products both carry and may, by source."""
    if not allowed.groups:
        return
    carried = {name: Sizes.of((f.content, f.size) for f in held.files) for name, held in products.items()}
    for one, two in combinations(carried, 2):
        sizes: dict[Source, list[int]] = defaultdict(list)
        few, many = sorted((carried[one], carried[two]), key=len)
        for digest, size in few.rows():
            if digest in many.digests and (source := allowed.why(digest, one, two)):
                sizes[source].append(size)
        for (name, reason), held in sorted(sizes.items()):
            yield Common(one, two, name, reason, len(held), sum(held))
