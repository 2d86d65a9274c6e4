"""Real files for the demo: shared libraries, Windows programs, web assets and texts of installed packages.

The `[demo]` extra installs the packages. Each component is what their own file lists name; nothing
is made up, and nothing is taken that the list does not have.
"""

from __future__ import annotations

import fnmatch
import os
import shutil
from collections.abc import Iterator
from importlib import metadata

from attest.core.values import dataclass
from casstore.errors import NoSuchObject


@dataclass(frozen=True, slots=True)
class Material:
    """Files of one distribution that go into one component."""

    component: str
    distribution: str
    globs: tuple[str, ...]


MATERIALS = (
    Material("core-lib", "cryptography", ("cryptography/*",)),
    Material("core-web", "swagger-ui-bundle", ("swagger_ui_bundle/vendor/swagger-ui-4*",)),
    Material("agent-linux-bin", "psutil", ("psutil/*",)),
    Material("agent-windows-bin", "distlib", ("distlib/*.exe",)),
    Material("agent-windows-bin", "setuptools", ("setuptools/cli-64.exe", "setuptools/gui-64.exe")),
    Material("probe-engine", "hyperscan", ("hyperscan/*", "hyperscan.libs/*")),
    Material("probe-parsers", "dpkt", ("dpkt/*.py",)),
)

LICENCES = ("cryptography", "psutil", "distlib", "setuptools", "hyperscan", "dpkt")
"""Whose licence texts every product ships."""


def gather(folder: str) -> int:
    """Copy all components into `folder`/<component>, as a build would leave them; returns bytes."""
    copied = 0
    for material in MATERIALS:
        for name, source in _files(material):
            copied += _copy(source, os.path.join(folder, material.component, name))
    for distribution in LICENCES:
        for name, source in _licences(distribution):
            copied += _copy(source, os.path.join(folder, "licences", distribution, name))
    return copied


def _files(material: Material) -> Iterator[tuple[str, str]]:
    found = 0
    for item in _distribution(material.distribution).files or ():
        name = item.as_posix()
        if ".pyc" in name or "/tests/" in name or ".." in name:
            continue
        if any(fnmatch.fnmatchcase(name, glob) for glob in material.globs):
            found += 1
            yield name, str(item.locate())
    if not found:
        raise NoSuchObject(f"{material.distribution} has no file that the demo needs", hint="make demo installs it")


def _licences(distribution: str) -> Iterator[tuple[str, str]]:
    for item in _distribution(distribution).files or ():
        if ".dist-info/" in item.as_posix() and "_vendor" not in item.as_posix() and "LICEN" in item.name.upper():
            yield item.name, str(item.locate())


def _distribution(name: str) -> metadata.Distribution:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError as exc:
        raise NoSuchObject(
            f"the demo takes real files from the package {name}, which is not installed",
            hint="install casstore with its [demo] extra, or run: make demo",
        ) from exc


def _copy(source: str, target: str) -> int:
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copyfile(source, target)
    os.chmod(target, 0o755 if target.endswith((".so", ".exe")) else 0o644)
    return os.path.getsize(target)
