"""Which packages a bill of materials names: CycloneDX 1.x, SPDX 2.x and 3.0, whoever wrote it.

packages_of({"bomFormat": "CycloneDX", ...})     # (Purl("cargo", "serde", "1.0.200"), ...)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attest.core.purls import Purl
from attest.errors import FormatError
from attest.statements.predicates import cyclonedx, spdx

_DEPTH = 32


def packages_of(document: Mapping[str, Any]) -> tuple[Purl, ...]:
    """The packages with a package URL, sorted, each once. Raises FormatError for what is no bill of materials."""
    if "bomFormat" in document:
        cyclonedx.check(document)
        texts = _cyclonedx(document.get("components"), _DEPTH)
    elif "spdxVersion" in document or "@graph" in document:
        spdx.check(document)
        texts = _spdx3(document["@graph"]) if "@graph" in document else _spdx2(document.get("packages"))
    else:
        raise FormatError("neither SPDX nor CycloneDX")
    return tuple(sorted(set(_readable(texts))))


def _readable(texts: Iterator[str]) -> Iterator[Purl]:
    for text in texts:
        try:
            yield Purl.parse(text)
        except FormatError:  # of a tool that writes its own: the others are read
            continue


def _rows(value: object) -> Iterator[Mapping[str, Any]]:
    for row in value if isinstance(value, list) else ():
        if isinstance(row, Mapping):
            yield row


def _cyclonedx(value: object, depth: int) -> Iterator[str]:
    for row in _rows(value):
        if isinstance(purl := row.get("purl"), str):
            yield purl
        if depth:
            yield from _cyclonedx(row.get("components"), depth - 1)


def _spdx2(value: object) -> Iterator[str]:
    for row in _rows(value):
        for reference in _rows(row.get("externalRefs")):
            if reference.get("referenceType") == "purl" and isinstance(text := reference.get("referenceLocator"), str):
                yield text


def _spdx3(value: object) -> Iterator[str]:
    for row in _rows(value):
        if isinstance(text := row.get("software_packageUrl"), str):
            yield text
        for reference in _rows(row.get("externalIdentifier")):
            if reference.get("externalIdentifierType") == "packageUrl" and isinstance(
                text := reference.get("identifier"), str
            ):
                yield text
