"""Where common content comes from: a folder, a packed file, an installed package, the packages of a lock, the objects
of a library that programs are linked from.

What a lock names is taken from the caches that npm and cargo keep, and only where it has the digest
that the lock says: nothing is downloaded, and nothing is believed.

    with folder_of("numpy-2.4.6-py3-none-any.whl") as source: store.put_tree(source.folder)
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from glob import glob
from typing import IO, Any

from attest.core.values import dataclass
from attest.errors import BadInput, CasstoreError
from bundlers.inspection import door
from casstore.hostile import Budget

PYTHON = "python:"
_SHA256 = re.compile("[0-9a-fA-F]{64}")
_LIBRARIES = (".rlib", ".a")
_OBJECT = ".o"
"""What a linker takes of a library; a compiler's own notes beside it are in no program."""
_GO_NOTES = "__.PKGDEF"
_GO = f"!<arch>\n{_GO_NOTES}".encode()
"""So a compiled package of Go begins, which Go's cache names without an ending; what follows that first member is
linked, under names that are cut after sixteen bytes."""


@dataclass(frozen=True, slots=True)
class Source:
    """A folder with what a reference shall hold."""

    folder: str
    packages: int = 1
    missing: tuple[str, ...] = ()
    """Packages of a lock that no cache has."""


@contextmanager
def folder_of(*sources: str) -> Iterator[Source]:
    """What each of SOURCES names, as one folder while it is needed. Raises BadInput."""
    if len(sources) == 1 and os.path.isdir(sources[0]):
        yield Source(sources[0])
        return
    with tempfile.TemporaryDirectory(prefix="casstore-reference-") as folder:
        if len(sources) == 1:
            yield _filled(sources[0], folder)
            return
        made = []
        for number, source in enumerate(sources):
            part = os.path.join(folder, f"{number}-{os.path.basename(os.path.normpath(source))}")
            if os.path.isdir(source):
                shutil.copytree(source, part)
            else:
                os.mkdir(part)
                made.append(_filled(source, part))
        missing = tuple(package for one in made for package in one.missing)
        yield Source(folder, sum(one.packages for one in made), missing)


def _filled(source: str, folder: str) -> Source:
    if source.startswith(PYTHON):
        return _installed(source.removeprefix(PYTHON), folder)
    if not os.path.isfile(source):
        hint = "a folder, a wheel or another packed file, package-lock.json, Cargo.lock, or python:PACKAGE"
        raise BadInput(f"{source}: no such file or folder", hint=hint)
    reader = _LOCKS.get(os.path.basename(source))
    if reader is not None:
        return _locked(source, reader, folder)
    with open(source, "rb") as packed:
        go = packed.read(len(_GO)) == _GO
        _unpack(packed, source, folder, only=_OBJECT if go or source.endswith(_LIBRARIES) else "", go=go)
    return Source(folder)


def _unpack(packed: IO[bytes], name: str, folder: str, only: str = "", *, go: bool = False) -> None:
    """Its members as files, those that end so; what is no member of a form that is known is refused."""
    size, out, count = packed.seek(0, os.SEEK_END), None, 0
    packed.seek(0)
    try:
        for path, piece in door.unpack(packed, size, Budget()):
            if piece is not None and out is not None:
                out.write(piece)
                continue
            if out is not None:
                out.close()
            count += 1
            named = path if not go or path == _GO_NOTES else path.removesuffix(_OBJECT) + _OBJECT
            out = _create(_free(os.path.join(folder, *_safe(named)))) if named.endswith(only) else None
    except CasstoreError as exc:
        raise BadInput(f"{name}: {exc.message}", hint=exc.hint) from exc
    finally:
        if out is not None:
            out.close()
    if not count:
        raise BadInput(f"{name}: is not packed in a form that is known", hint="unpack it and name the folder")


def _free(path: str) -> str:
    """Members of a library may have equal names."""
    head, tail = os.path.split(path)
    found = (os.path.join(head, f"{number}-{tail}") for number in range(1, 1 << 20))
    return path if not os.path.lexists(path) else next(one for one in found if not os.path.lexists(one))


def _safe(path: str) -> list[str]:
    """Names are labels only: what would lead outside is left out."""
    parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return parts or ["content"]


def _create(path: str) -> IO[bytes]:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return open(path, "wb")


def _write(stream: IO[bytes], path: str) -> None:
    with _create(path) as file:
        shutil.copyfileobj(stream, file, 1 << 20)


def _installed(package: str, folder: str) -> Source:
    from importlib import metadata

    try:
        files = metadata.files(package)
    except metadata.PackageNotFoundError as exc:
        raise BadInput(f"the package {package!r} is not installed here", hint="name its wheel or a folder") from exc
    for file in files or ():
        path = os.fspath(file.locate())
        if os.path.isfile(path) and not str(file).endswith(".pyc"):
            with open(path, "rb") as stream:
                _write(stream, os.path.join(folder, *_safe(str(file))))
    if not os.listdir(folder):
        raise BadInput(f"the package {package!r} has no files", hint="name its wheel or a folder")
    return Source(folder)


@dataclass(frozen=True, slots=True)
class _Package:
    """A package of a lock, and where a cache has its packed file."""

    name: str
    path: str | None
    algorithm: str
    digest: bytes
    needed: bool = True


def _locked(source: str, reader: Callable[[str], Iterator[_Package]], folder: str) -> Source:
    found, missing = 0, []
    for package in reader(source):
        if package.path is None:
            missing += [package.name] if package.needed else []
            continue
        with open(package.path, "rb") as packed:
            if hashlib.file_digest(packed, package.algorithm).digest() != package.digest:
                raise BadInput(f"{package.path}: is not the {package.name} that {source} names", hint="clean the cache")
            packed.seek(0)
            _unpack(packed, package.path, os.path.join(folder, *_safe(package.name.replace("/", "+"))))
        found += 1
    if not found:
        hint = "fill the cache first: npm ci, or cargo fetch"
        raise BadInput(f"{source}: none of its {len(missing)} packages is in a cache here", hint=hint)
    return Source(folder, found, tuple(missing))


def _npm(source: str) -> Iterator[_Package]:
    named = os.environ.get("npm_config_cache")  # noqa: SIM112  npm reads it so
    cache = named or os.path.join(os.path.expanduser("~"), ".npm")
    for path, row in _read(source, "npm"):
        if path and isinstance(row.get("integrity"), str):
            algorithm, raw = _integrity(source, row["integrity"])
            text = raw.hex()
            held = os.path.join(cache, "_cacache", "content-v2", algorithm, text[:2], text[2:4], text[4:])
            name = f"{path.rpartition('node_modules/')[2]}@{row.get('version', '')}"
            yield _Package(name, held if os.path.isfile(held) else None, algorithm, raw, not row.get("optional"))


def _integrity(source: str, text: str) -> tuple[str, bytes]:
    algorithm, _, encoded = text.split()[-1].partition("-")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raw = b""
    if algorithm not in ("sha512", "sha384", "sha256", "sha1") or not raw:
        raise BadInput(f"{source}: {text[:80]!r} is no digest")
    return algorithm, raw


def _cargo(source: str) -> Iterator[_Package]:
    home = os.environ.get("CARGO_HOME") or os.path.join(os.path.expanduser("~"), ".cargo")
    for row in _read(source, "cargo"):
        checksum, name = row.get("checksum"), f"{row.get('name')}-{row.get('version')}"
        if isinstance(checksum, str):
            if not _SHA256.fullmatch(checksum):
                raise BadInput(f"{source}: {checksum[:80]!r} is no digest")
            held = sorted(glob(os.path.join(home, "registry", "cache", "*", f"{name}.crate")))
            yield _Package(name, held[0] if held else None, "sha256", bytes.fromhex(checksum))


def _read(source: str, kind: str) -> list[Any]:
    try:
        with open(source, "rb") as file:
            return list(door.lock(file, os.fstat(file.fileno()).st_size, kind, Budget()))
    except OSError as exc:
        raise BadInput(f"{source}: cannot be read as a lock: {exc}") from exc
    except CasstoreError as exc:
        raise BadInput(f"{source}: {exc.message}", hint=exc.hint) from exc


_LOCKS: dict[str, Callable[[str], Iterator[_Package]]] = {
    "package-lock.json": _npm,
    "npm-shrinkwrap.json": _npm,
    "Cargo.lock": _cargo,
}
