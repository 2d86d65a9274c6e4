"""Where the members of a kit lie: what runs in a cell, for a tar of others is read (`casstore.hostile`).

places(stream, None, scratch, tell)      # tells [name, offset, size]; or FormatError
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from typing import IO, Any

from attest.errors import BadInput, FormatError
from bundlers.publishing.layout.published_paths import check_path

MAX_MEMBERS = 100_000
_BLOCK = 512
_AT_ONCE = 1000


def places(file: IO[bytes], _: Any, _scratch: Any, tell: Callable[[Any], None]) -> list[list[Any]]:
    """Strictly: every member a regular file under a name of its own, and nothing behind the end. Raises FormatError."""
    found: dict[str, list[Any]] = {}
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for info in tar:
                _check(info, found)
                found[info.name] = [info.name, info.offset_data, info.size]
                if len(found) % _AT_ONCE == 0:
                    tell(list(found.values())[-_AT_ONCE:])
                tar.members.clear()  # type: ignore[attr-defined]  # it would keep them all
    except tarfile.TarError as exc:
        raise FormatError(f"is no kit: {exc}", hint="make one with: casstore export") from exc
    _check_end(file, max((offset + size for _, offset, size in found.values()), default=0))
    return list(found.values())[len(found) // _AT_ONCE * _AT_ONCE :]


def _check(info: tarfile.TarInfo, found: dict[str, list[Any]]) -> None:
    try:
        check_path(info.name)
    except BadInput as exc:
        raise FormatError(f"a member is named {info.name[:100]!r}") from exc
    if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or info.issparse():
        raise FormatError(f"{info.name} is no regular file")
    if info.name in found:
        raise FormatError(f"{info.name} stands twice")
    if len(found) >= MAX_MEMBERS:
        raise FormatError(f"more than {MAX_MEMBERS} members")


def _check_end(file: IO[bytes], end: int) -> None:
    """Padding and at least two zero blocks end it; nothing else follows, nothing is cut off."""
    file.seek(end)
    rest = file.read(tarfile.RECORDSIZE + 2 * _BLOCK)
    padding = -end % _BLOCK
    if len(rest) < padding + 2 * _BLOCK or rest.strip(b"\0") or file.read(1):
        raise FormatError("something follows its end, or the end is missing", hint="copy it again")


PARSERS = {"places": places}
