"""seal: every byte of every archive is what its ProductManifest says, read back as a consumer would.

It always runs, listed or not. An archive that is kept from an earlier release is not read again: its
digest is the one that was sealed there. On its own (`casstore gate run seal --manifest FILE FOLDER`) it
compares a folder with a ProductManifest and says how each file differs: sha256, byte length,
Unicode drift, JSON written anew, byte order mark, line ends, mode, missing, extra.
"""

from __future__ import annotations

import hashlib
import os
import stat
import unicodedata
from collections.abc import Iterator, Mapping

from attest import digests
from attest.core.values import dataclass
from attest.errors import BadInput, CasstoreError
from bundlers import formats
from bundlers.gates.base import GateResult, Phase, ReleaseView, StagedArchive
from bundlers.gates.builtin import drift
from bundlers.products.product_manifests import ProductFile, ProductManifest

NAME = "seal"
PHASE = Phase.STAGED
SUMMARY = "Every byte of every archive is what its ProductManifest says."

_MAX_EXPLAINED = 16 * 1024 * 1024
_FIX = "run the release again; if it fails again, check disk and memory of this machine"


@dataclass(frozen=True, slots=True)
class Settings:
    """No settings."""


def check(view: ReleaseView, settings: Settings) -> GateResult:  # noqa: ARG001 - the gate's form
    """Read every archive that was made back through the strict reader; one that was kept was read when it was made."""
    made = [archive for archive in view.archives.values() if not archive.kept]
    found = [(archive.name, problem) for archive in made if (problem := _archive(archive))]
    if lost := sorted(view.manifests.keys() - view.archives.keys()):
        found += [(product, "it has no archive") for product in lost]
    measured = {archive.name: _measured(archive) for archive in view.archives.values()}
    messages = tuple(f"{name}: {problem}" for name, problem in found)
    return GateResult(not found, messages, tuple(name for name, _ in found), _FIX, measured)


def _measured(archive: StagedArchive) -> dict[str, int | str]:
    kept = {"sealedIn": archive.kept} if archive.kept else {}
    return {"files": len(archive.manifest.files), **kept}


def _archive(archive: StagedArchive) -> str:
    try:
        with open(archive.path, "rb") as source:
            if hashlib.file_digest(source, "sha256").hexdigest() != digests.hex_of(archive.digest):
                return "its bytes changed after it was written (sha256 mismatch)"
            source.seek(0)
            for _, chunks in formats.read(archive.manifest, source):
                for _ in chunks:
                    pass
    except (CasstoreError, OSError) as exc:
        return str(exc).removeprefix(f"{archive.name}: ")
    return ""


def compare_folder(manifest: ProductManifest, folder: str) -> GateResult:
    """A folder against a ProductManifest, each difference explained. Raises BadInput without a folder."""
    if not os.path.isdir(folder):
        raise BadInput(f"{folder}: no such folder")
    listed = {file.path: file for file in manifest.files}
    present = set(_present(folder))
    problems = {**_missing_or_other(listed, present, folder), **_extra(listed, present), **_folders(manifest, folder)}
    found = sorted(problems.items())
    return GateResult(
        not found,
        tuple(f"{path}: {problem}" for path, problem in found),
        tuple(path for path, _ in found),
        "take these files from the release again: casstore get or casstore install",
        {"files": len(listed), "differ": len(found)},
    )


def _missing_or_other(listed: Mapping[str, ProductFile], present: set[str], folder: str) -> dict[str, str]:
    found = {}
    respelt = {unicodedata.normalize("NFC", path): path for path in present - listed.keys()}
    for path, file in listed.items():
        if path in present:
            problem = _file(file, os.path.join(folder, path))
        else:
            other = respelt.get(unicodedata.normalize("NFC", path))
            problem = f"missing; its name is there in another Unicode form: {other!a}" if other else "missing"
        if problem:
            found[path] = problem
    return found


def _folders(manifest: ProductManifest, folder: str) -> dict[str, str]:
    found = {}
    for shipped in manifest.folders:
        try:
            about = os.lstat(os.path.join(folder, shipped.path))
        except OSError as exc:
            found[shipped.path] = f"an empty folder, {exc.strerror}"
            continue
        if not stat.S_ISDIR(about.st_mode):
            found[shipped.path] = "not an empty folder"
        elif stat.S_IMODE(about.st_mode) != shipped.mode and not shipped.mode & stat.S_IROTH:
            found[shipped.path] = f"mode {about.st_mode & 0o777:04o}, not {shipped.mode:04o}"
    return found


def _extra(listed: Mapping[str, ProductFile], present: set[str]) -> dict[str, str]:
    return dict.fromkeys(present - listed.keys(), "extra, the ProductManifest does not list it")


def _present(folder: str) -> Iterator[str]:
    for where, folders, names in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(where, name))]
        for name in names + links:
            yield os.path.relpath(os.path.join(where, name), folder).replace(os.sep, "/")


def _file(file: ProductFile, path: str) -> str:
    try:
        mode = os.lstat(path).st_mode
        if file.digest is None:
            same = stat.S_ISLNK(mode) and os.readlink(path) == file.link
            return "" if same else f"not the link to {file.link} that is listed"
        if not stat.S_ISREG(mode):
            return "not a regular file"
        if problem := _bytes(file, path):
            return problem
        private = not file.mode & stat.S_IROTH
        same = stat.S_IMODE(mode) == file.mode if private else bool(mode & 0o100) == bool(file.mode & 0o100)
        return "" if same else f"mode {mode & 0o777:04o}, not {file.mode:04o}"
    except OSError as exc:
        return f"cannot be read: {exc.strerror}"


def _bytes(file: ProductFile, path: str) -> str:
    with open(path, "rb") as source:
        if digests.from_hex(hashlib.file_digest(source, "sha256").hexdigest()) == file.digest:
            return ""
        size = source.seek(0, os.SEEK_END)
        if size > _MAX_EXPLAINED:
            return f"sha256 mismatch, byte length {size}, listed {file.size}"
        source.seek(0)
        return drift.explain(source.read(), file.content, file.size)
