"""budget: how large archives, files and products may be.

[gates]
budget = { archive = "200MB", files = 5000, file = "50MB", product = "1GB" }
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from attest.errors import BadInput
from bundlers.gates.base import GateResult, Phase, ReleaseView, parse_size

NAME = "budget"
PHASE = Phase.STAGED
SUMMARY = "Sizes of archives, products and single files, and the number of files, stay within limits."


@dataclass(frozen=True, slots=True)
class Settings:
    """At least one limit; sizes as numbers of bytes or texts as 200MB."""

    archive: int | str | None = None
    files: int | None = None
    file: int | str | None = None
    product: int | str | None = None


def check(view: ReleaseView, settings: Settings) -> GateResult:
    """Every product against every limit."""
    if settings == Settings():
        raise BadInput("gate budget: it has no limit", hint='give archive = "200MB", files, file or product')
    messages = tuple(_exceeded(view, settings))
    measured = {a.name: {"archive": a.size, "files": len(a.manifest.files)} for a in view.archives.values()}
    return GateResult(not messages, messages, (), "make it smaller, or raise the limit with a reason", measured)


def _exceeded(view: ReleaseView, settings: Settings) -> Iterator[str]:
    for archive in view.archives.values():
        manifest = archive.manifest
        rows = [("archive", archive.size, settings.archive), ("product", manifest.size, settings.product)]
        for what, size, limit in rows:
            if limit is not None and size > parse_size(limit):
                yield f"{archive.name}: {what} has {size} bytes, the budget is {parse_size(limit)}"
        if settings.files is not None and len(manifest.files) > settings.files:
            yield f"{archive.name}: {len(manifest.files)} files, the budget is {settings.files}"
        limit = manifest.size if settings.file is None else parse_size(settings.file)
        for file in manifest.files:
            if file.size > limit:
                yield f"{archive.name}: {file.path} has {file.size} bytes, the budget is {limit}"
