"""The locks of Python's tools: poetry, uv, pdm, pylock (PEP 751), pipenv; each file of each package with its hash."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from bundlers.gates.pinning import forms
from casstore.machine import toml_text

_OWN = ("editable", "virtual", "directory", "workspace")
_HASH = re.compile(r"sha(?:256:[0-9a-f]{64}|384:[0-9a-f]{96}|512:[0-9a-f]{128})")


def python_lock(text: str) -> Iterator[str]:
    """poetry.lock, uv.lock, pdm.lock, pylock.toml."""
    value = toml_text.parse(text)
    for row in [*value.get("package", []), *value.get("packages", [])]:
        source = row.get("source", {})
        if any(key in source for key in _OWN) or source.get("type") == "directory" or "directory" in row:
            continue  # a folder of the project itself
        reference = _git_of(row, source)
        if reference is not None:
            if not forms.is_revision(reference):
                yield f"{row.get('name')} names no full Git revision"
            continue
        archive = [row["archive"]] if isinstance(row.get("archive"), dict) else []
        sdist = [row["sdist"]] if row.get("sdist") else []
        files = [*row.get("files", []), *row.get("wheels", []), *sdist, *archive]
        if not files or not all(_hashed(file) for file in files):
            yield f"{row.get('name')} has a file without a hash"


def pipfile_lock(text: str) -> Iterator[str]:
    """Pipfile.lock: `hashes`, or a full revision; no path."""
    value = json.loads(text)
    if not isinstance(value, dict) or "_meta" not in value:
        raise ValueError("it is no Pipfile.lock")
    for section in (rows for name, rows in value.items() if name != "_meta"):
        for name, row in section.items():
            hashes = row.get("hashes") or []
            hashed = bool(hashes) and all(_HASH.fullmatch(str(one)) for one in hashes)
            if not hashed and not forms.is_revision(str(row.get("ref", ""))):
                yield f"{name} has no hashes"


def _git_of(row: Mapping[str, Any], source: Mapping[str, Any]) -> str | None:
    if source.get("type") == "git":
        return str(source.get("resolved_reference", ""))
    if "git" in source:
        return str(source["git"]).rpartition("#")[2]
    if "git" in row:  # pdm
        return str(row.get("revision", ""))
    return str(row["vcs"].get("commit-id", "")) if "vcs" in row else None


def _hashed(file: Mapping[str, Any]) -> bool:
    given = [str(file.get("hash", "")), *(f"{name}:{value}" for name, value in file.get("hashes", {}).items())]
    return any(_HASH.fullmatch(one) for one in given)
