"""Files of attestations, from a path, a folder or a URL; one that cannot be read does not hide the others.

for found in gather("evidence/", network=guard):
    found.name, found.raw or found.problem

A folder gives what looks like JSON, in the order of the names; the rest of it is counted, not told one by one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from attest.core.values import dataclass
from attest.errors import CasstoreError
from casstore.errors import NoSuchObject, PolicyViolation, StorageUnavailable
from casstore.network.network import NetworkGuard

MAX_FILE = 16 * 1024 * 1024
_BRACKETS = (b"{", b"[")


@dataclass(frozen=True, slots=True)
class FoundFile:
    """One file, or why it was not read."""

    name: str
    raw: bytes | None = None
    problem: str = ""
    code: int = 0
    """The exit code of a problem that is none of its bytes: it is not there, or could not be had."""
    in_folder: bool = False
    """Whether it was found beside others, so that holding no attestation is no fault."""


def gather(source: str, *, network: NetworkGuard | None) -> Iterator[FoundFile]:
    """What a source holds. Raises nothing: a problem is a row."""
    if source.startswith(("http://", "https://")):
        yield _fetched(source, network)
    elif os.path.isdir(source):
        for folder, folders, names in os.walk(source):
            folders.sort()
            yield from (found for name in sorted(names) if (found := _in_folder(os.path.join(folder, name))))
    else:
        yield _read(source, in_folder=False)


def _fetched(url: str, network: NetworkGuard | None) -> FoundFile:
    try:
        if network is None:
            return FoundFile(url, None, "no network policy was given; no socket was opened", PolicyViolation.exit_code)
        from bundlers.consuming.downloads import HttpReader

        return FoundFile(url, HttpReader(url, network).document(max_bytes=MAX_FILE))
    except CasstoreError as exc:
        return FoundFile(url, None, exc.message, exc.exit_code)


def _in_folder(path: str) -> FoundFile | None:
    if not os.path.isfile(path):
        return None  # a pipe would be waited for, a device never ends
    try:
        with open(path, "rb") as file:
            if not file.read(64).lstrip().startswith(_BRACKETS):
                return None
    except OSError as exc:
        return _unread(path, exc, in_folder=True)
    return _read(path, in_folder=True)


def _unread(path: str, exc: OSError, *, in_folder: bool) -> FoundFile:
    code = NoSuchObject.exit_code if isinstance(exc, FileNotFoundError) else StorageUnavailable.exit_code
    return FoundFile(path, None, f"cannot be read: {exc.strerror}", code, in_folder)


def _read(path: str, *, in_folder: bool) -> FoundFile:
    try:
        with open(path, "rb") as file:
            raw = file.read(MAX_FILE + 1)
    except OSError as exc:
        return _unread(path, exc, in_folder=in_folder)
    if len(raw) > MAX_FILE:
        return FoundFile(path, problem=f"larger than the limit of {MAX_FILE} bytes", in_folder=in_folder)
    return FoundFile(path, raw, in_folder=in_folder)
