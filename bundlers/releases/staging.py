"""The quarantine: archives are written into a hidden folder, which becomes the output by one rename.

A process that is killed leaves its quarantine behind; the next one for the same output takes it
away, knowing by a lock that nobody is at work in it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from typing import Self

from attest import digests
from attest.digests import Digest
from bundlers import formats
from bundlers.gates import StagedArchive
from bundlers.products import checksums
from bundlers.products.product_manifests import ProductManifest
from bundlers.products.reader import ProductReader
from bundlers.products.release_papers import NOTES, RELEASE, SIGNATURE, manifest_name, provenance_name
from casstore.errors import Conflict, StorageUnavailable
from casstore.ledger.release_objects import Release
from casstore.machine import locks
from casstore.machine.modes import set_mode
from casstore.store.store import Store

_SUFFIX = ".partial"


class Quarantine:
    """A folder beside the output (or a temporary one) that is gone unless it is kept."""

    def __init__(self, out: str | None) -> None:
        self.out = os.path.abspath(out) if out else None
        self._above = os.path.dirname(self.out) if self.out else tempfile.gettempdir()
        self._prefix = f".{os.path.basename(self.out) if self.out else 'casstore-release'}."
        try:
            os.makedirs(self._above, exist_ok=True)
            self.folder, self._lock = self._make()
        except OSError as exc:
            raise StorageUnavailable(f"{self._above}: no folder can be made here: {exc.strerror}") from exc
        self._sweep()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)

    def path(self, name: str) -> str:
        """Where a file of this name lies."""
        return os.path.join(self.folder, name)

    def archive(self, store: Store, manifest: ProductManifest, name: str, *, workers: int) -> StagedArchive:
        """Write one build's archive, durable."""
        try:
            with open(self.path(name), "xb") as out:
                info = formats.write(manifest, ProductReader(store, manifest), out, workers=workers)
                out.flush()
                set_mode(out.fileno(), 0o644)
                os.fsync(out.fileno())
        except OSError as exc:
            raise StorageUnavailable(f"{name}: cannot be written: {exc.strerror}", hint="make room, try again") from exc
        return StagedArchive(name, self.path(name), info.digest, info.size, manifest)

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        """One more file, durable."""
        try:
            with open(self.path(name), "xb") as out:
                out.writelines(pieces)
                out.flush()
                set_mode(out.fileno(), 0o644)
                os.fsync(out.fileno())
        except OSError as exc:
            raise StorageUnavailable(f"{name}: cannot be written: {exc.strerror}", hint="make room, try again") from exc

    def keep(self) -> None:
        """Make the folder visible under its name, durable. Raises Conflict when something is there."""
        if self.out is None:
            return
        set_mode(self.folder, 0o755)  # the output is for everybody to read
        os.fsync(self._lock)
        try:
            if os.path.lexists(self.out):
                raise FileExistsError
            os.rename(self.folder, self.out)
        except OSError as exc:
            raise Conflict(
                f"{self.out}: appeared meanwhile and was not overwritten", hint="name a new output folder"
            ) from exc
        above = os.open(self._above, os.O_RDONLY)
        try:
            os.fsync(above)
        finally:
            os.close(above)

    def _make(self) -> tuple[str, int]:
        """A new folder and the lock on it; another run may sweep it away before it is locked, then one more."""
        while True:
            folder = tempfile.mkdtemp(prefix=self._prefix, suffix=_SUFFIX, dir=self._above)
            with contextlib.suppress(FileNotFoundError):
                lock = os.open(folder, os.O_RDONLY)
                with contextlib.suppress(OSError):  # without locks nobody sweeps it away
                    locks.take(lock)
                if os.path.isdir(folder):
                    return folder, lock
                os.close(lock)

    def _sweep(self) -> None:
        """Take away what killed runs left; a lock that is held means that somebody works there."""
        for name in os.listdir(self._above):
            path = os.path.join(self._above, name)
            if name.startswith(self._prefix) and name.endswith(_SUFFIX) and path != self.folder:
                with contextlib.suppress(OSError):
                    _remove_unlocked(path)


def _remove_unlocked(path: str) -> None:
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        locks.take(lock, wait=False)
        shutil.rmtree(path)
    finally:
        os.close(lock)


def check_free(out: str | None) -> None:
    """Raises Conflict when something is at the output's place."""
    if out and os.path.lexists(out):
        raise Conflict(f"{out}: is there already and was not overwritten", hint="name a new output folder")


def papers(release: Release, statement: Digest, provenance: Mapping[str, Digest]) -> dict[str, Digest]:
    """What lies beside the archives, by file name; provenance is archive name -> attestation."""
    return {
        checksums.NAME: release.checksums,
        RELEASE: release.digest,
        **({NOTES: release.notes} if release.notes else {}),
        SIGNATURE: statement,
        **{manifest_name(key): row.product_manifest for key, row in release.builds.items()},
        **{provenance_name(archive): attestation for archive, attestation in provenance.items()},
    }


def write_papers(quarantine: Quarantine, store: Store, named: Mapping[str, Digest]) -> None:
    """Objects of the store as files."""
    for name, digest in named.items():
        quarantine.write(name, store.chunks(digest))


def restore(store: Store, named: Mapping[str, Digest], out: str) -> None:
    """Bring an output folder back from the store; one that is there already must be the very same."""
    if os.path.lexists(out):
        _check_same(out, named)
        return
    with Quarantine(out) as quarantine:
        write_papers(quarantine, store, named)
        quarantine.keep()


def _check_same(out: str, named: Mapping[str, Digest]) -> None:
    for name, digest in named.items():
        try:
            with open(os.path.join(out, name), "rb") as file:
                same = hashlib.file_digest(file, "sha256").hexdigest() == digests.hex_of(digest)
        except OSError:
            same = False
        if not same:
            raise Conflict(
                f"{out}: is there already, and its {name} is not this release's", hint="name a new output folder"
            )
