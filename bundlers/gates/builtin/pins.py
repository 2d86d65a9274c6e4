"""What in a lock file is not named by digest: one reader per kind, each yields one line per input.

A reader raises ValueError for what it cannot read; that fails as well.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Reader = Callable[[str], Iterator[str]]

_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_HASHES = re.compile(r"--hash[= ]sha(?:256:[0-9a-f]{64}|384:[0-9a-f]{96}|512:[0-9a-f]{128})\b")
_DIRECT = re.compile(r"#sha256=[0-9a-f]{64}\b|@ git\+\S+@[0-9a-f]{40}\b")
_IMAGE = re.compile(r"@sha256:[0-9a-f]{64}$")
_FROM = re.compile(r"(?im)^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?")
_USES = re.compile(r"""(?m)^\s*(?:-\s+)?uses:\s*["']?([^\s"'#]+)""")
_YAML_IMAGE = re.compile(r"""(?m)^\s*(?:-\s+)?image:\s*["']?([^\s"'#]+)""")


def requirements(text: str) -> Iterator[str]:
    """pip's requirements with `--hash`."""
    joined = re.sub(r"\\\r?\n", " ", text)
    for line in (re.sub(r"(^|\s)#.*", "", line).strip() for line in joined.splitlines()):
        if not line or line.startswith(("--", "-i ", "-f ")):
            continue
        if line.startswith(("-r", "-c", "-e")):
            yield f"{line[:80]!r} leads to another file or folder, which is not named by digest"
        elif not _HASHES.search(line) and not _DIRECT.search(line):
            yield f"{line.split(' ')[0][:80]} has no --hash"


def package_lock(text: str) -> Iterator[str]:
    """npm's package-lock.json (version 2 and 3), npm-shrinkwrap.json."""
    packages = _object(json.loads(text)).get("packages")
    if not isinstance(packages, dict):
        raise ValueError("it has no packages: write it with npm 7 or newer")
    for name, row in packages.items():
        if "node_modules/" not in name or row.get("link") or row.get("inBundle"):
            continue  # the project itself, its workspaces, and what lies inside a package that has a digest
        if not str(row.get("integrity", "")).startswith(("sha512-", "sha384-", "sha256-")):
            yield f"{name} has no sha512 integrity"


def cargo_lock(text: str) -> Iterator[str]:
    """Cargo.lock: a checksum, or a Git revision in full."""
    for row in tomllib.loads(text).get("package", []):
        source = row.get("source", "")
        if source.startswith("git+"):
            if not _SHA.fullmatch(source.rpartition("#")[2]):
                yield f"{row.get('name')} names no full Git revision"
        elif source and not re.fullmatch(r"[0-9a-f]{64}", str(row.get("checksum", ""))):
            yield f"{row.get('name')} has no checksum"


def python_lock(text: str) -> Iterator[str]:
    """poetry.lock, uv.lock, pdm.lock, pylock.toml: each file of each package with its hash."""
    value = tomllib.loads(text)
    for row in [*value.get("package", []), *value.get("packages", [])]:
        source = row.get("source", {})
        if any(key in source for key in ("editable", "virtual", "directory", "workspace")) or "directory" in row:
            continue  # a folder of the project itself
        reference = _git_of(row, source)
        if reference is not None:
            if not _SHA.fullmatch(reference):
                yield f"{row.get('name')} names no full Git revision"
            continue
        files = [*row.get("files", []), *row.get("wheels", []), *([row["sdist"]] if row.get("sdist") else [])]
        if not files or not all(_hashed(file) for file in files):
            yield f"{row.get('name')} has a file without a hash"


def _git_of(row: Mapping[str, Any], source: Mapping[str, Any]) -> str | None:
    if source.get("type") == "git":
        return str(source.get("resolved_reference", ""))
    if "git" in source:
        return str(source["git"]).rpartition("#")[2]
    return str(row["vcs"].get("commit-id", "")) if "vcs" in row else None


def _hashed(file: Mapping[str, Any]) -> bool:
    given = [str(file.get("hash", "")), *(f"{name}:{value}" for name, value in file.get("hashes", {}).items())]
    return any(re.fullmatch(r"sha(?:256|384|512):[0-9a-f]{64,128}", one) for one in given)


def go_sum(text: str) -> Iterator[str]:
    """go.sum: every line ends with h1."""
    lines = text.splitlines()
    for line in lines:
        if line.strip() and not re.fullmatch(r"\S+ \S+ h1:[A-Za-z0-9+/]{43}=", line.strip()):
            yield f"{line[:80]!r} has no h1 hash"


def dockerfile(text: str) -> Iterator[str]:
    """Dockerfile: images by digest; an earlier stage and `scratch` need none."""
    stages: set[str] = set()
    for match in _FROM.finditer(text):
        image, stage = match[1], (match[2] or "").lower()
        if image.lower() != "scratch" and image.lower() not in stages and not _IMAGE.search(image):
            yield f"the image {image[:120]} is not named by digest"
        stages.add(stage)


def workflow(text: str) -> Iterator[str]:
    """GitHub and GitLab pipelines: actions by full revision, images by digest."""
    for used in (match[1] for match in _USES.finditer(text)):
        if used.startswith("./"):
            continue
        name, _, reference = used.rpartition("@")
        if used.startswith("docker://") and _IMAGE.search(used):
            continue
        if not name or not _SHA.fullmatch(reference):
            yield f"{used[:120]} is not named by a full revision"
    for image in (match[1] for match in _YAML_IMAGE.finditer(text)):
        if not _IMAGE.search(image):
            yield f"the image {image[:120]} is not named by digest"


def _object(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")
    return value


KINDS: Mapping[str, Reader] = {
    "*requirements*.txt": requirements,
    "package-lock.json": package_lock,
    "npm-shrinkwrap.json": package_lock,
    "Cargo.lock": cargo_lock,
    "poetry.lock": python_lock,
    "uv.lock": python_lock,
    "pdm.lock": python_lock,
    "pylock*.toml": python_lock,
    "go.sum": go_sum,
    "*Dockerfile*": dockerfile,
    "*Containerfile*": dockerfile,
    "*.yml": workflow,
    "*.yaml": workflow,
}
"""File name -> reader."""


def reader_of(path: str) -> Reader | None:
    """The reader for a file, by its name."""
    name = os.path.basename(path)
    return next((reader for pattern, reader in KINDS.items() if fnmatch.fnmatchcase(name, pattern)), None)
