"""reproducible: every archive, written once more from the store with other settings, has the same bytes.

    [gates]
    reproducible = {}

The second writing uses another number of workers, another time zone has no way in, and nothing but
the ProductManifest is handed over. With `builds = true` each component that was built is built once
more, in another folder, from nothing but the inputs that its provenance records (`rebuilding`).
With `against = ["theirs/*.sigstore.json"]` and `key = "theirs.pub"` another builder's provenance
must name the same digests; where it does not, the inputs that differ are told (`other_builders`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO, cast

from attest.core.values import dataclass
from bundlers import formats
from bundlers.gates.base import GateResult, Phase, ReleaseView, StagedArchive
from bundlers.gates.builtin import other_builders, rebuilding
from bundlers.products.reader import ProductReader

NAME = "reproducible"
PHASE = Phase.STAGED
SUMMARY = "Every archive, written a second time, has the very same bytes."


@dataclass(frozen=True, slots=True)
class Settings:
    """How the second writing differs."""

    workers: int = 1
    builds: bool = False
    """Whether to build the components again as well."""
    against: tuple[str, ...] = ()
    """Globs of another builder's provenance of the archives, below the folder of casstore.toml."""
    key: str = ""
    """The other builder's public key, a file there."""


class _Nowhere:
    """Takes bytes and tells where the other ones first differ."""

    def __init__(self, path: str) -> None:
        self._file = open(path, "rb")  # noqa: SIM115 - closed by `close`
        self.at = 0
        self.differs: int | None = None

    def write(self, data: bytes) -> int:
        if self.differs is None:
            before = self._file.read(len(data))
            if before != data:
                same = next((n for n, (a, b) in enumerate(zip(before, data, strict=False)) if a != b), len(before))
                self.differs = self.at + same
        self.at += len(data)
        return len(data)

    def close(self) -> None:
        if self.differs is None and self._file.read(1):
            self.differs = self.at
        self._file.close()


def check(view: ReleaseView, settings: Settings) -> GateResult:
    """Write each archive again, to nowhere."""
    found = {archive.name: _second(view, archive, settings.workers) for archive in view.archives.values()}
    bad: Mapping[str, int] = {name: at for name, at in found.items() if at is not None}
    messages = tuple(f"{name}: written again, it differs from byte {at} on" for name, at in sorted(bad.items()))
    fix = "tell the authors of the archive format: an archive must be a function of its ProductManifest"
    if settings.builds:
        told = [(name, problem) for name in sorted(view.trees) for problem in rebuilding.rebuilt(view, name)]
        messages += tuple(f"{name}: {problem}" for name, problem in told)
        bad = {**bad, **dict.fromkeys((name for name, _ in told), 0)}
        fix = fix if not told else "take times, paths and order out of the build, or name all of its inputs"
    if settings.against:
        other = list(other_builders.compared(view, settings.against, settings.key))
        messages += tuple(f"{name}: {problem}" for name, problem in other)
        bad = {**bad, **dict.fromkeys((name for name, _ in other), 0)}
        fix = fix if not other else "build from the same inputs with the same version, and compare again"
    return GateResult(not bad, messages, tuple(sorted(bad)), fix, {"compared": len(found)})


def _second(view: ReleaseView, archive: StagedArchive, workers: int) -> int | None:
    compared = _Nowhere(archive.path)
    try:
        reader = ProductReader(view.store, archive.manifest)
        formats.write(archive.manifest, reader, cast("BinaryIO", compared), workers=workers)
    finally:
        compared.close()
    return compared.differs
