"""What in a lock, a Dockerfile or a pipeline is not named by digest: one reader per kind, a line per input; in a cell.

In: the bytes of a file and its name. Out: what is open, in words. A reader raises ValueError for what it cannot
read; that fails as well. Called by the gate `pinned`, through `casstore.hostile`.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

from attest.errors import FormatError
from bundlers.gates.pinning import images, javascript, native, pipelines, python, requirements
from casstore.hostile import Scratch

Reader = Callable[[str], Iterator[str]]

KINDS: Mapping[str, Reader] = {
    "*requirements*.txt": requirements.requirements,
    "*requirements*.in": requirements.requirements,
    "*constraints*.txt": requirements.requirements,
    "package-lock.json": javascript.package_lock,
    "npm-shrinkwrap.json": javascript.package_lock,
    "pnpm-lock.yaml": javascript.pnpm_lock,
    "yarn.lock": javascript.yarn_lock,
    "Cargo.lock": native.cargo_lock,
    "go.sum": native.go_sum,
    "poetry.lock": python.python_lock,
    "uv.lock": python.python_lock,
    "pdm.lock": python.python_lock,
    "pylock*.toml": python.python_lock,
    "Pipfile.lock": python.pipfile_lock,
    "*Dockerfile*": images.dockerfile,
    "*Containerfile*": images.dockerfile,
    "*.yml": pipelines.pipeline,
    "*.yaml": pipelines.pipeline,
}
"""File name -> reader; the first that fits."""


def reader_of(path: str) -> Reader | None:
    """The reader for a file, by its name."""
    name = os.path.basename(path)
    return next((reader for pattern, reader in KINDS.items() if fnmatch.fnmatchcase(name, pattern)), None)


def told(blob: IO[bytes], name: str, _: Scratch, __: Callable[[Any], None]) -> list[str]:
    """What is open in a file of that name. Raises FormatError."""
    reader = reader_of(name)
    if reader is None:
        return [f"no kind of lock file that is known here: {', '.join(KINDS)}"]
    blob.seek(0)
    try:
        return list(reader(blob.read().decode("utf-8")))
    except (ValueError, RecursionError) as exc:
        raise FormatError(f"cannot be read: {exc}") from exc


PARSERS: Mapping[str, Callable[[IO[bytes], Any, Scratch, Callable[[Any], None]], Any]] = {"told": told}
