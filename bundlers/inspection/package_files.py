"""What packages and locks say of themselves, in a cell: METADATA, package.json, Cargo.lock, package-lock.json.

Read as leniently as pip, npm and cargo read them; what cannot be read is told as such.
"""

from __future__ import annotations

import email.message  # noqa: F401  later it could not be loaded
import json
from collections.abc import Callable, Mapping
from email.parser import HeaderParser
from typing import IO, Any

from attest.errors import FormatError
from casstore.hostile import Scratch
from casstore.machine import toml_text

_MAX_LOCK = 256 << 20
_LICENCE = 200
_PART = 4096

Tell = Callable[[Any], None]


def package(blob: IO[bytes], kind: str, _: Scratch, __: Tell) -> list[str] | None:
    """Name, version, licence of a METADATA (`pypi`) or a package.json (`npm`); none where it is no such file."""
    blob.seek(0)
    return (_python if kind == "pypi" else _npm)(blob.read())


def lock(blob: IO[bytes], kind: str, _: Scratch, tell: Tell) -> int:
    """Tells the tables of a lock's packages, in parts: of `npm` [place, row], of `cargo` rows. Raises FormatError."""
    blob.seek(0)
    data = blob.read(_MAX_LOCK + 1)
    try:
        value = json.loads(data.decode()) if kind == "npm" else toml_text.read(data, max_bytes=_MAX_LOCK)
    except (ValueError, RecursionError) as exc:
        raise FormatError(f"cannot be read as a lock: {exc}") from exc
    if not isinstance(value, dict):
        raise FormatError("is no lock")
    rows = _npm_rows(value) if kind == "npm" else _cargo_rows(value)
    for start in range(0, len(rows), _PART):
        tell(rows[start : start + _PART])
    return len(rows)


def _npm_rows(value: Mapping[str, Any]) -> list[list[Any]]:
    packages = value.get("packages")
    if not isinstance(packages, dict):
        raise FormatError("is no lock of npm 7 or later", hint="write it anew with one of these")
    kept = ("integrity", "version", "optional")
    return [
        [place, {key: row[key] for key in kept if isinstance(row.get(key), str | bool)}]
        for place, row in sorted(packages.items())
        if isinstance(row, dict)
    ]


def _cargo_rows(value: Mapping[str, Any]) -> list[dict[str, str]]:
    rows = value.get("package", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise FormatError("a package is no table")
    kept = ("name", "version", "source", "checksum")
    return [{key: row[key] for key in kept if isinstance(row.get(key), str)} for row in rows]


def _python(data: bytes) -> list[str] | None:
    headers = HeaderParser().parsestr(data.decode("utf-8", "replace"))
    name, version = headers.get("Name", "").strip(), headers.get("Version", "").strip()
    licence = (headers.get("License-Expression") or headers.get("License") or "").strip().splitlines()
    return [name, version, licence[0][:_LICENCE] if licence else ""] if name and version else None


def _npm(data: bytes) -> list[str] | None:
    try:
        value = json.loads(data.decode("utf-8-sig"))  # whatever npm itself takes: a BOM, keys twice, large numbers
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    name, version, licence = (value.get(key) for key in ("name", "version", "license"))
    if not isinstance(name, str) or not isinstance(version, str) or not name or not version:
        return None
    return [name, version, licence if isinstance(licence, str) else ""]
