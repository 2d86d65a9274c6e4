"""sbom: each product has a bill of materials that is valid and covers every file.

    [gates.sbom.files]
    core = "build/core.spdx.json"
    agent = "build/agent.cdx.json"

SPDX 2.x or 3.0 and CycloneDX 1.x as JSON, below the folder of casstore.toml. A file is covered when
its SHA-256 stands there (SPDX: files with checksums; CycloneDX: components with hashes, nested too).
`exclude` holds globs over PRODUCT/PATH that need not be covered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

from attest import digests
from attest.core.values import dataclass
from attest.errors import BadInput, CasstoreError, FormatError
from attest.statements.predicates import cyclonedx, spdx
from bundlers.gates.base import GateResult, Phase, ReleaseView
from bundlers.gates.builtin import papers
from bundlers.gates.globs import Globs

NAME = "sbom"
PHASE = Phase.INPUTS
SUMMARY = "Each product has a valid SBOM that covers every file."

_SHOWN = 20
_FIX = "make the SBOM from the very files that are put, with SHA-256 of each"
_SHA256 = frozenset({"sha256", "sha-256"})


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the documents are."""

    files: Mapping[str, str] = field(default_factory=dict)
    """Product -> file."""
    exclude: tuple[str, ...] = ()


def check(view: ReleaseView, settings: Settings) -> GateResult:
    """Every product."""
    unknown = sorted(settings.files.keys() - view.manifests.keys())
    if unknown:
        raise BadInput(f"files: there is no product {unknown[0]!r}", hint=f"known: {', '.join(view.manifests)}")
    excluded = Globs("exclude", settings.exclude)
    found = [(name, told) for name in view.manifests for told in _product(view, name, settings, excluded)]
    return GateResult(
        not found,
        tuple(f"{name}: {told}" for name, told in found),
        tuple(dict.fromkeys(settings.files.get(name, name) for name, _ in found)),
        _FIX,
        warnings=excluded.idle,
    )


def _product(view: ReleaseView, product: str, settings: Settings, excluded: Globs) -> Iterator[str]:
    if product not in settings.files:
        yield "no SBOM is named for it"
        return
    try:
        listed = covered(papers.read(view.root, settings.files[product]))
    except CasstoreError as exc:
        yield exc.message
        return
    missing = [
        file.path
        for file in view.manifests[product].files
        if file.digest is not None
        and not excluded.take(f"{product}/{file.path}")
        and digests.hex_of(file.digest) not in listed
    ]
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        yield f"the SBOM does not cover {len(missing)} files: {', '.join(missing[:_SHOWN])}{more}"


def covered(document: Mapping[str, Any]) -> frozenset[str]:
    """The SHA-256 digits of all files of an SPDX or CycloneDX document. Raises FormatError."""
    if "bomFormat" in document:
        cyclonedx.check(document)
        return frozenset(_components(document.get("components", [])))
    if "spdxVersion" in document or "@graph" in document:
        spdx.check(document)
        rows = document.get("@graph") or document.get("files") or []
        return frozenset(_spdx(rows))
    raise FormatError("neither SPDX nor CycloneDX")


def _components(rows: object) -> Iterator[str]:
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, Mapping):
            yield from _hashes(row.get("hashes"), "alg", "content")
            yield from _components(row.get("components"))


def _spdx(rows: object) -> Iterator[str]:
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, Mapping):
            yield from _hashes(row.get("checksums"), "algorithm", "checksumValue")
            if row.get("type") == "software_File":
                yield from _hashes(row.get("verifiedUsing"), "algorithm", "hashValue")


def _hashes(rows: object, algorithm: str, value: str) -> Iterator[str]:
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, Mapping) and str(row.get(algorithm, "")).lower() in _SHA256:
            yield str(row.get(value, "")).lower()
