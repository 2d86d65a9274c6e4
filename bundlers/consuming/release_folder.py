"""The folder that `release --out` left, or that a CI kept: every file held against the release and the trust root.

Promises: the release object is signed by a builder of the trust root, and names everything else: SHA256SUMS,
each archive (read back, every byte), each ProductManifest, each archive's provenance. Nothing may lie there that
is not named, and nothing may be missing. Leaves to others: channels, approvals, revocations; a folder knows none.

    report = verify_folder("dist/1.4.0", trust_root=root, at=now)
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attest import digests
from attest.core.values import dataclass
from attest.digests import Digest, from_hex
from attest.errors import TrustError, VerificationError
from attest.statements.predicates import release as releases
from attest.statements.predicates import slsa_provenance
from attest.trust.trust_roots import TrustRoot
from attest.trust.verify import VerifiedStatement, verify
from bundlers.consuming import ruled_members
from bundlers.products import checksums, product_manifests
from bundlers.products.release_papers import NOTES, RELEASE, SIGNATURE, manifest_name, provenance_name
from casstore.errors import NoSuchObject
from casstore.ledger import release_objects
from casstore.ledger.release_objects import Release, ReleaseBuild

_PIECE = 1024 * 1024
_MAX_PAPER = 256 * 1024 * 1024
_BUILDER = "builder"


@dataclass(frozen=True, slots=True)
class FolderReport:
    """What was found to hold."""

    folder: str
    version: str
    release: Digest
    archives: tuple[str, ...]
    signed_by: tuple[str, ...]
    trust_root: Digest

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "verdict": "valid",
            "folder": self.folder,
            "version": self.version,
            "release": self.release,
            "archives": list(self.archives),
            "signedBy": list(self.signed_by),
            "trustRoot": self.trust_root,
        }


def is_release_folder(path: str) -> bool:
    """Whether a folder is what `release --out` leaves, and no publication."""
    return os.path.isfile(os.path.join(path, RELEASE)) and not os.path.isdir(os.path.join(path, "metadata"))


def verify_folder(
    folder: str, *, trust_root: TrustRoot, at: datetime, sigstore_root: bytes | None = None
) -> FolderReport:
    """Raises VerificationError, TrustError, FormatError, NoSuchObject for a file that is missing."""
    if at >= trust_root.expires:
        raise TrustError(f"trust root {trust_root.version} has ended at {trust_root.expires}")
    there = _Folder(folder, trust_root, at, sigstore_root)
    raw = there.paper(RELEASE)
    made, digest = release_objects.parse(raw), digests.sha256(raw)
    if made.store != trust_root.store:
        raise TrustError(f"{folder}: is a release of store {made.store}, the trust root is of {trust_root.store}")
    claim = there.signed(SIGNATURE, releases.TYPE, {"release": digest, **made.archives})
    there.sums(made)
    if made.notes:
        there.paper(NOTES, made.notes)
    for key, row in made.builds.items():
        there.build(key, row, made)
    there.nothing_else(made)
    names = tuple(sorted(trust_root.names_of(claim.identity, at))) or (claim.identity,)
    return FolderReport(folder, made.version, digest, tuple(sorted(made.archives)), names, trust_root.digest)


@dataclass(frozen=True, slots=True)
class _Folder:
    path: str
    trust_root: TrustRoot
    at: datetime
    sigstore_root: bytes | None

    def paper(self, name: str, wanted: Digest | None = None) -> bytes:
        """A small file's bytes, which have this digest."""
        with self._open(name) as file:
            data: bytes = file.read(_MAX_PAPER + 1)
        if len(data) > _MAX_PAPER or (wanted is not None and digests.sha256(data) != wanted):
            raise self._wrong(name, "is not what the release names")
        return data

    def signed(self, name: str, kind: str, subjects: Mapping[str, Digest]) -> VerifiedStatement:
        """An attestation by a builder about exactly these."""
        found = verify(
            self.paper(name),
            trust_root=self.trust_root,
            predicate_type=kind,
            subjects=tuple(subjects.values()),
            at=self.at,
            role=_BUILDER,
            sigstore_root=self.sigstore_root,
        )
        if {subject.digest for subject in found.statement.subjects} != set(subjects.values()):
            raise self._wrong(name, "is about other files")
        return found

    def sums(self, made: Release) -> None:
        """SHA256SUMS names all archives, and no other file."""
        if checksums.parse(self.paper(checksums.NAME, made.checksums)) != made.archives:
            raise self._wrong(checksums.NAME, "does not list the archives of the release")

    def build(self, key: str, row: ReleaseBuild, made: Release) -> None:
        """One archive: its bytes, its ProductManifest, its provenance."""
        with self._open(manifest_name(key)) as file:
            if _digest(file) != row.product_manifest:
                raise self._wrong(manifest_name(key), "is not what the release names")
            file.seek(0)
            manifest = product_manifests.read(iter(lambda: file.read(_PIECE), b""))
        if manifest.key != key:
            raise self._wrong(manifest_name(key), f"is that of {manifest.key}")
        self._hashed(row.archive.name, row.archive.digest, row.archive.size)
        with self._open(row.archive.name) as source:
            ruled_members.read_all(manifest, source)
        name = provenance_name(row.archive.name)
        claim = self.signed(name, slsa_provenance.TYPE, {row.archive.name: row.archive.digest})
        if claim.bundle not in made.evidence:
            raise self._wrong(name, "is not in the release's closed list of evidence")

    def nothing_else(self, made: Release) -> None:
        """What is not named could be taken for a part of the release."""
        known = {RELEASE, SIGNATURE, checksums.NAME, f"{checksums.NAME}.asc"}
        known |= {NOTES} if made.notes else set()
        known |= {manifest_name(key) for key in made.builds}
        known |= {name for archive in made.archives for name in (archive, provenance_name(archive))}
        if more := sorted(set(os.listdir(self.path)) - known):
            raise VerificationError(
                f"{self.path}: {more[0]} is not named by the release"
                + (f" (and {len(more) - 1} more)" if more[1:] else ""),
                hint="take it away, or keep it elsewhere",
            )

    def _hashed(self, name: str, wanted: Digest, size: int) -> None:
        with self._open(name) as file:
            if os.fstat(file.fileno()).st_size != size or _digest(file) != wanted:
                raise self._wrong(name, "has not the bytes that were released")

    def _open(self, name: str) -> Any:
        path = os.path.join(self.path, name)
        try:
            if os.path.islink(path) or not os.path.isfile(path):
                raise FileNotFoundError(path)
            return open(path, "rb")  # closed by who asked
        except FileNotFoundError as exc:
            hint = "casstore release VERSION --out FOLDER writes it again"
            raise NoSuchObject(f"{path}: is missing, or no plain file", hint=hint) from exc

    def _wrong(self, name: str, what: str) -> VerificationError:
        return VerificationError(f"{self.path}/{name}: {what}", hint="do not ship it; get the release again")


def _digest(file: Any) -> Digest:
    return from_hex(hashlib.file_digest(file, "sha256").hexdigest())
