"""Each archive as it will be: names, modes and sizes of its members, before anything is checked or packed.

for archive in preview(request):
    print(archive.name, [member.path for member in archive.members])
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from attest.core import times
from attest.core.values import dataclass
from bundlers.products.product_manifests import ProductFile, ProductFolder, ProductManifest
from bundlers.releases import plan as plans
from bundlers.releases.plan import Plan
from bundlers.releases.reports import ReleaseRequest
from casstore.ledger.folding import replay


@dataclass(frozen=True, slots=True)
class Member:
    """A file, link or empty folder of an archive; the path of a folder ends in `/`."""

    path: str
    mode: str
    """As octal digits; `link` for a link."""
    size: int
    time: str
    link: str = ""

    @property
    def told(self) -> str:
        """The path, and where a link leads."""
        return f"{self.path} -> {self.link}" if self.link else self.path


@dataclass(frozen=True, slots=True)
class ArchiveListing:
    """One archive."""

    name: str
    build: str
    """`product`, or `product/build`."""
    platform: str
    format: str
    kept: str
    """The version that it is kept from, or empty."""
    members: tuple[Member, ...]

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "name": self.name,
            "build": self.build,
            "platform": self.platform,
            "format": self.format,
            "kept": self.kept,
            "members": [
                {"path": m.path, "mode": m.mode, "size": m.size, "time": m.time, **({"link": m.link} if m.link else {})}
                for m in self.members
            ],
        }


def preview(request: ReleaseRequest) -> tuple[ArchiveListing, ...]:
    """The archives of a release. Raises what its plan raises."""
    state = replay(request.ledger, request.store)
    asked = (request.version, request.epoch, request.components, request.source, request.times)
    return of(plans.make(request.store, state, request.config, *asked))


def of(plan: Plan) -> tuple[ArchiveListing, ...]:
    """The archives of a plan."""
    return tuple(
        ArchiveListing(
            plan.names[key],
            key,
            manifest.platform.told if manifest.platform else "",
            manifest.archive_format,
            plan.kept[key].version if key in plan.kept else "",
            tuple(_members(manifest)),
        )
        for key, manifest in plan.manifests.items()
    )


def _members(manifest: ProductManifest) -> list[Member]:
    rows = []
    wrapped = manifest.wrapped()
    for file in wrapped.files:
        mode = f"{file.mode:04o}" if file.digest else "link"
        rows.append(Member(file.path, mode, file.size, _time(manifest, file), file.link))
    for folder in wrapped.folders:
        rows.append(Member(f"{folder.path}/", f"{folder.mode:04o}", 0, _time(manifest, folder)))
    return rows


def _time(manifest: ProductManifest, one: ProductFile | ProductFolder) -> str:
    return times.format(datetime.fromtimestamp(manifest.time(one), UTC))
