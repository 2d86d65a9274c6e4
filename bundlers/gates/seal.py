"""seal: bytes equal the ProductManifest, read back from the archives as a consumer would.

On its own (`casstore gate run seal --manifest FILE FOLDER`) it compares a folder and says how a
file differs: length, Unicode dashes or quotes or normal form, JSON written anew, byte order mark,
line ends, missing, extra.
"""

from __future__ import annotations

import hashlib
import json
import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from attest import digests
from attest.errors import CasstoreError
from bundlers import formats
from bundlers.gates.base import GateResult, Phase, ReleaseView, StagedArchive
from bundlers.product_manifests import ProductFile, ProductManifest

NAME = "seal"
PHASE = Phase.STAGED
SUMMARY = "Every byte of every archive is what its ProductManifest says."

_MAX_EXPLAINED = 16 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Settings:
    """No settings."""


def check(view: ReleaseView, settings: Settings) -> GateResult:  # noqa: ARG001 - the gate's form
    """Read every archive back through the strict reader."""
    messages = tuple(message for archive in view.archives.values() for message in _archive(archive))
    return GateResult(not messages, messages, suggested_fix="run the release again; if it stays, check disk and memory")


def _archive(archive: StagedArchive) -> Iterator[str]:
    try:
        with open(archive.path, "rb") as source:
            for _, chunks in formats.read(archive.manifest, source):
                for _ in chunks:
                    pass
        with open(archive.path, "rb") as source:
            if hashlib.file_digest(source, "sha256").hexdigest() != digests.hex_of(archive.digest):
                yield f"{archive.name}: its bytes changed after it was written"
    except (CasstoreError, OSError) as exc:
        yield f"{archive.name}: {exc}"


def compare_folder(manifest: ProductManifest, folder: str) -> GateResult:
    """A folder against a ProductManifest, each difference explained."""
    messages, files = [], []
    listed = {file.path: file for file in manifest.files}
    for path, file in listed.items():
        if problem := _file(file, os.path.join(folder, path)):
            messages.append(f"{path}: {problem}")
            files.append(path)
    for path in _present(folder):
        if path not in listed:
            messages.append(f"{path}: extra, the ProductManifest does not list it")
            files.append(path)
    return GateResult(not messages, tuple(messages), tuple(files), "take the files from the archive again")


def _present(folder: str) -> Iterator[str]:
    for where, folders, names in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(where, name))]
        for name in sorted(names + links):
            yield os.path.relpath(os.path.join(where, name), folder).replace(os.sep, "/")


def _file(file: ProductFile, path: str) -> str:
    if not os.path.lexists(path):
        return "missing"
    if file.digest is None:
        return "" if os.path.islink(path) and os.readlink(path) == file.link else "not the link that is listed"
    if os.path.islink(path) or not os.path.isfile(path):
        return "not a regular file"
    with open(path, "rb") as source:
        data = source.read(_MAX_EXPLAINED + 1) if file.size <= _MAX_EXPLAINED else b""
        if not data and file.size:
            same = hashlib.file_digest(source, "sha256").hexdigest() == digests.hex_of(file.digest)
            return "" if same else "sha256 mismatch"
    return "" if digests.sha256(data) == file.digest else drift(data, file)


def drift(data: bytes, file: ProductFile) -> str:
    """How bytes differ from those that a ProductManifest lists, by trying what editors and tools do."""
    for what, candidate in _candidates(data):
        if digests.sha256(candidate) == file.digest:
            return what
    length = "" if len(data) == file.size else f", byte length {len(data)} instead of {file.size}"
    return f"sha256 mismatch{length}"


def _candidates(data: bytes) -> Iterator[tuple[str, bytes]]:
    if data.startswith(_BOM):
        yield "a byte order mark was added", data[3:]
    yield "the byte order mark was taken away", _BOM + data
    yield "line ends were changed to CRLF", data.replace(b"\r\n", b"\n")
    yield "line ends were changed to LF", data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    yield "the last newline was added", data.removesuffix(b"\n")
    yield "the last newline was taken away", data + b"\n"
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return
    yield from _unicode(text)
    yield from _json(text)


_DASHES = {"\u2013": "-", "\u2014": "-", "\u2212": "-", "\u2010": "-", "\u2011": "-"}
_QUOTES = {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'}
_PLAIN = {**_DASHES, **_QUOTES}


def _unicode(text: str) -> Iterator[tuple[str, bytes]]:
    for form in ("NFC", "NFD"):
        for original in ("NFC", "NFD"):
            if original != form:
                yield f"Unicode was normalised to {form}", unicodedata.normalize(original, text).encode()
    plain = "".join(_PLAIN.get(char, char) for char in text)
    yield "Unicode drift: dashes or quotes were made typographic", plain.encode()
    for typographic, ascii_form in _PLAIN.items():
        yield f"Unicode drift: U+{ord(typographic):04X} was made plain", text.replace(ascii_form, typographic).encode()


def _json(text: str) -> Iterator[tuple[str, bytes]]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return
    for ascii_only in (False, True):
        for indent in (None, 1, 2, 4):
            for sort in (False, True):
                for separators in ((",", ":"), (", ", ": "), (",", ": ")):
                    told = json.dumps(
                        value, ensure_ascii=ascii_only, indent=indent, sort_keys=sort, separators=separators
                    )
                    for end in ("", "\n"):
                        yield (
                            "JSON was written anew (escapes, key order or spacing)",
                            (told + end).encode("utf-8", "replace"),
                        )
