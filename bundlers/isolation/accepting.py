"""From what a report showed to an acceptance: which findings, and their very bytes.

A finding is taken where both sides match. Copies of half the smaller file and more, whole files,
programs and secrets are taken by exact paths on both sides, or with `whole`.

    chosen = choose(report.found, [Side("core", "lib/*"), Side("agent", "plugins/*")], whole=False)
    made, data = acceptance(store, settings, chosen.rows)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from attest import canonical, digests
from attest.core.fields import Fields
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import BadInput, FormatError
from bundlers.isolation.explained.acceptances import Acceptance, TreeReader
from bundlers.isolation.reports import Finding, Stretch
from bundlers.isolation.scans.reopening import Opener
from bundlers.isolation.settings import Settings

_KINDS = ("file", "nested", "variant", "secret", "copy")
_MAX_REPORT = 1 << 30


@dataclass(frozen=True, slots=True)
class Side:
    """PRODUCT:GLOB; a `*` stands for `/` too."""

    product: str
    glob: str

    @staticmethod
    def parse(text: str) -> Side:
        """The argument to value. Raises BadInput."""
        product, colon, glob = text.partition(":")
        if not (product and colon and glob):
            raise BadInput(f"{text!r}: is not PRODUCT:GLOB", hint="such as core:lib/*")
        return Side(product, glob)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is taken, and what matched and would need exact paths or `whole`."""

    rows: tuple[Finding, ...]
    larger: tuple[Finding, ...]


def choose(found: Sequence[Finding], sides: Sequence[Side], *, whole: bool) -> Chosen:
    """The findings between two products whose paths match on both sides. Raises BadInput for other than two."""
    globs: dict[str, list[str]] = {}
    for side in sides:
        globs.setdefault(side.product, []).append(side.glob)
    if len(globs) != 2:
        raise BadInput("an acceptance is between two products", hint="name both: core:GLOB agent:GLOB")
    taken: list[Finding] = []
    larger: list[Finding] = []
    for row in found:
        if {row.product_a, row.product_b} != set(globs) or row.kind not in _KINDS:
            continue
        fits = [
            _fit(globs[product], (path, *also))
            for product, path, also in zip(
                (row.product_a, row.product_b), (row.path_a, row.path_b), row.also, strict=True
            )
        ]
        if all(fits):
            (taken if whole or not row.is_whole or all(fit == "exact" for fit in fits) else larger).append(row)
    return Chosen(tuple(taken), tuple(larger))


def _fit(globs: Sequence[str], paths: Sequence[str]) -> str:
    if any(glob == path for glob in globs for path in paths):
        return "exact"
    return "glob" if any(fnmatchcase(path, glob) for glob in globs for path in paths) else ""


def acceptance(
    store: TreeReader, settings: Settings, rows: Sequence[Finding], before: tuple[Acceptance, bytes] | None = None
) -> tuple[Acceptance, bytes]:
    """The acceptance of some findings, perhaps of an earlier one as well, and the bytes of its stretches.

    Raises BadInput where a file no longer has the bytes that the report says.
    """
    pieces = dict((*(_parts(*before) if before else ()), *_bytes(store, settings, rows)))
    contents = {(row.digest, row.size) for row in rows if row.kind in ("file", "nested")}
    marks = {row.mark for row in rows if row.mark}
    earlier = before[0] if before else None
    ordered = sorted((len(data), digest) for digest, data in pieces.items())
    made = Acceptance(
        (rows[0].product_a, rows[0].product_b),
        tuple(sorted(contents | set(earlier.contents if earlier else ()))),
        tuple(sorted(marks | set(earlier.marks if earlier else ()))),
        tuple(ordered),
        any(row.is_whole for row in rows) or bool(earlier and earlier.whole),
    )
    return made, b"".join(pieces[digest] for _, digest in ordered)


def _parts(made: Acceptance, data: bytes) -> Iterator[tuple[Digest, bytes]]:
    at = 0
    for length, digest in made.stretches:
        yield digest, data[at : at + length]
        at += length


def _bytes(store: TreeReader, settings: Settings, rows: Sequence[Finding]) -> Iterator[tuple[Digest, bytes]]:
    wanted = [(row.blobs[0], row.units[0]) for row in rows if row.blobs is not None and row.stretches]
    opener = Opener(store, settings, wanted)
    for row in sorted(rows, key=lambda row: (row.blobs or (), row.units)):
        if row.blobs is None:
            continue
        for part in row.stretches:
            data = opener.open(row.blobs[0], row.units[0])
            data.seek(part.at_a)
            piece = data.read(part.length)
            if digests.from_raw(hashlib.sha256(piece).digest()) != part.digest:
                raise BadInput(
                    f"{row.product_a}: {row.path_a} has not the bytes that the report says at byte {part.at_a}",
                    hint="make the report anew: casstore isolation show",
                )
            yield part.digest, piece


def parse_report(data: bytes) -> tuple[Finding, ...]:
    """The findings of a report file. Raises FormatError."""
    value = canonical.loads_object(data, what="isolation report", max_bytes=_MAX_REPORT, max_values=_MAX_REPORT)
    rows = value.get("found")
    if not isinstance(rows, list):
        raise FormatError(
            "isolation report: it has no list of what was found",
            hint="casstore isolation show VERSION --report FILE writes one",
        )
    try:
        return tuple(_finding(row) for row in rows)
    except (KeyError, TypeError, ValueError, IndexError) as exc:
        raise FormatError(f"isolation report: a finding is not whole: {exc}") from exc


def _finding(row: Mapping[str, Any]) -> Finding:
    f = Fields(
        row,
        "isolation report: a finding",
        required=("kind", "products", "paths", "digest", "size"),
        optional=tuple(row),
    )
    products, paths = f.texts("products"), f.texts("paths")
    files, units = row.get("files"), row.get("units", ("", ""))
    also = tuple(tuple(str(path) for path in side) for side in row.get("also", ((), ())))
    return Finding(
        f.text("kind"),
        products[0],
        paths[0],
        products[1],
        paths[1],
        f.digest("digest"),
        f.integer("size"),
        f.text("why", ""),
        f.boolean("fails", True),
        (digests.parse(files[0]), digests.parse(files[1])) if files else None,
        (str(units[0]), str(units[1])),
        (also[0], also[1]),
        tuple(Stretch(int(a), int(b), int(n), digests.parse(str(d))) for a, b, n, d in row.get("stretches", ())),
        f.integer("smaller", 0),
        f.text("mark", ""),
    )
