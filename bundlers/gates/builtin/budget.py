"""budget: how large archives, files and products may be, and how dear their builds.

    [gates]
    budget = { archive = "200MB", files = 5000, file = "50MB", growth = 1.2, build_seconds = 900 }

`growth` compares each archive with the one before it in the ledger (a first release has none);
`build_seconds` and `build_memory` read what the process runner measured, as the provenance of each
component records it: a component with a limit but without a recorded build fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attest.core.values import dataclass
from attest.errors import BadInput
from bundlers.gates.base import GateResult, Phase, ReleaseView, StagedArchive
from bundlers.gates.settings import Size

NAME = "budget"
PHASE = Phase.STAGED
SUMMARY = "Sizes of archives, products and files, their growth, time and memory of builds stay within limits."

_FIX = "make it smaller, or raise the limit in [gates] budget with a reason in the commit"


@dataclass(frozen=True, slots=True)
class Settings:
    """At least one limit; sizes as numbers of bytes or texts as 200MB."""

    archive: Size | None = None
    files: int | None = None
    file: Size | None = None
    product: Size | None = None
    growth: float | None = None
    """An archive's size divided by that of its last release."""
    build_seconds: float | None = None
    build_memory: Size | None = None


def check(view: ReleaseView, settings: Settings) -> GateResult:
    """Every product against every limit."""
    if settings == Settings():
        raise BadInput("it has no limit", hint='write budget = { archive = "200MB", files = 5000 }')
    found = [*_sizes(view, settings), *_growth(view, settings), *_builds(view, settings)]
    messages, files = tuple(f"{name}: {told}" for name, told in found), tuple(dict.fromkeys(name for name, _ in found))
    return GateResult(not found, messages, files, _FIX, _measured(view))


def _sizes(view: ReleaseView, settings: Settings) -> Iterator[tuple[str, str]]:
    for archive in view.archives.values():
        manifest = archive.manifest
        for what, size, limit in (
            ("the archive", archive.size, settings.archive),
            ("the product", manifest.size, settings.product),
        ):
            if limit is not None and size > limit:
                yield archive.name, f"{what} has {size} bytes, the budget is {limit}"
        if settings.files is not None and len(manifest.files) > settings.files:
            yield archive.name, f"{len(manifest.files)} files, the budget is {settings.files}"
        for file in manifest.files:
            if settings.file is not None and file.size > settings.file:
                yield archive.name, f"{file.path} has {file.size} bytes, the budget is {settings.file}"


def _growth(view: ReleaseView, settings: Settings) -> Iterator[tuple[str, str]]:
    if settings.growth is None:
        return
    for archive in view.archives.values():
        before = _before(view, archive)
        if before and archive.size > before * settings.growth:
            factor = archive.size / before
            yield archive.name, f"{archive.size} bytes after {before}, {factor:.2f} times, at most {settings.growth:g}"


def _before(view: ReleaseView, archive: StagedArchive) -> int:
    """Bytes of the build's archive in the release before; 0 when there is none."""
    product = view.previous.builds.get(archive.manifest.key) if view.previous else None
    return product.archive.size if product else 0


def _builds(view: ReleaseView, settings: Settings) -> Iterator[tuple[str, str]]:
    if settings.build_seconds is None and settings.build_memory is None:
        return
    for name in sorted(view.trees):
        definition = _mapping(view.provenance.get(name), "buildDefinition")
        told = _mapping(_mapping(_mapping(definition, "externalParameters"), "components"), name)
        if "build" in told and not told["build"]:
            continue  # put as it was, nothing was built
        build = _mapping(_mapping(_mapping(definition, "internalParameters"), "builds"), name)
        seconds, memory = build.get("seconds"), build.get("maxRssBytes")
        if settings.build_seconds is not None and not _within(seconds, settings.build_seconds):
            yield name, f"its build took {_told(seconds, 's')}, the budget is {settings.build_seconds:g} s"
        if settings.build_memory is not None and not _within(memory, settings.build_memory):
            yield name, f"its build needed {_told(memory, 'bytes')} of memory, the budget is {settings.build_memory}"


def _mapping(value: object, name: str) -> Mapping[str, Any]:
    found = value.get(name) if isinstance(value, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _within(value: object, limit: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value <= limit


def _told(value: object, unit: str) -> str:
    return "nobody recorded how much" if value is None else f"{value} {unit}"


def _measured(view: ReleaseView) -> dict[str, Any]:
    return {
        archive.name: {
            "archive": archive.size,
            "product": archive.manifest.size,
            "files": len(archive.manifest.files),
            "largest": max((file.size for file in archive.manifest.files), default=0),
            "before": _before(view, archive),
        }
        for archive in view.archives.values()
    }
