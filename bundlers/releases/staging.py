"""The quarantine: archives are written into a hidden folder, which becomes the output by one rename."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from typing import Self

from attest.digests import Digest
from bundlers import checksums, formats
from bundlers.formats import ArchiveInfo
from bundlers.gates.base import StagedArchive
from bundlers.product_manifests import ProductManifest
from bundlers.reader import ProductReader
from casstore.errors import Conflict
from casstore.release_objects import Release
from casstore.store import Store


class Quarantine:
    """A folder beside the output (or a temporary one) that is gone unless it is kept."""

    def __init__(self, out: str | None) -> None:
        self.out = os.path.abspath(out) if out else None
        if self.out and os.path.lexists(self.out):
            raise Conflict(f"{self.out}: is there already and was not overwritten", hint="name a new output folder")
        above = os.path.dirname(self.out) if self.out else None
        if above:
            os.makedirs(above, exist_ok=True)
        name = os.path.basename(self.out) if self.out else "casstore-release"
        self.folder = tempfile.mkdtemp(prefix=f".{name}.", suffix=".partial", dir=above)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name: str) -> str:
        """Where a file of this name lies."""
        return os.path.join(self.folder, name)

    def archive(self, store: Store, manifest: ProductManifest, *, workers: int) -> StagedArchive:
        """Write one product's archive, durable."""
        name = formats.archive_name(manifest)
        with open(self.path(name), "xb") as out:
            info: ArchiveInfo = formats.write(manifest, ProductReader(store, manifest), out, workers=workers)
            out.flush()
            os.fsync(out.fileno())
        return StagedArchive(info.name, self.path(name), info.digest, info.size, manifest)

    def write(self, name: str, data: bytes) -> None:
        """One more file, durable."""
        with open(self.path(name), "xb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())

    def keep(self) -> None:
        """Make the folder visible under its name."""
        if self.out is None:
            return
        os.chmod(self.folder, 0o755)  # noqa: S103 - the output is for everybody to read
        try:
            os.rename(self.folder, self.out)
        except OSError as exc:
            raise Conflict(f"{self.out}: appeared meanwhile and was not overwritten") from exc
        folder = os.open(os.path.dirname(self.out), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_papers(quarantine: Quarantine, release: Release, store: Store, bundles: Mapping[str, Digest]) -> None:
    """What lies beside the archives: checksums, release object, ProductManifests, provenance by archive name."""
    quarantine.write(checksums.NAME, store.read(release.checksums))
    quarantine.write("release.json", release.to_bytes())
    for product, row in release.products.items():
        quarantine.write(f"{product}.product-manifest.json", store.read(row.product_manifest))
    for archive, attestation in bundles.items():
        quarantine.write(f"{archive}.sigstore.json", store.read(attestation))


def restore(store: Store, release: Release, out: str, bundles: Mapping[str, Digest]) -> None:
    """The output folder of a release that is in the ledger, from the store. Raises Conflict, ObjectDamaged."""
    with Quarantine(out) as quarantine:
        for row in release.products.values():
            with open(quarantine.path(row.archive.name), "xb") as file:
                for chunk in store.chunks(row.archive.digest):
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
        write_papers(quarantine, release, store, bundles)
        quarantine.keep()
