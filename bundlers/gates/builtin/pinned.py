"""pinned: every input of the build is named by digest, in the lock files of the project.

    [gates]
    pinned = { files = ["requirements.txt", "web/package-lock.json", "Dockerfile", ".github/workflows/*.yml"] }

Globs are relative to the folder of casstore.toml; one that names no file fails, as does a file
whose kind is not known here (`bundlers.gates.pinning` has the kinds). `revision = true` also asks that each
component was put from a Git revision without changed files, as its provenance records it, and
`build = true` that each component which was built had no network and has its inputs recorded by
digest there: what was not enforced counts as not so.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Mapping
from typing import Any

from attest.core.values import dataclass
from attest.errors import BadInput, FormatError
from attest.statements.predicates.slsa_provenance import INPUTS
from bundlers.gates.base import GateResult, Phase, ReleaseView
from casstore.errors import OverBudget
from casstore.hostile import Budget, Door

NAME = "pinned"
PHASE = Phase.INPUTS
SUMMARY = "Every input of the build is named by digest in the project's lock files."

DOOR = Door("bundlers.gates.pinning")
_MAX_FILE = 64 * 1024 * 1024
_FIX = "write it with digests: pip-compile --generate-hashes, npm install, image@sha256:..., uses: NAME@<full SHA>"


@dataclass(frozen=True, slots=True)
class Settings:
    """What to read."""

    files: tuple[str, ...] = ()
    revision: bool = False
    build: bool = False
    """Whether every recorded build must have had its inputs by digest, and no network."""


def check(view: ReleaseView, settings: Settings) -> GateResult:
    """All lock files, the revisions of all components, and their builds."""
    if settings == Settings():
        raise BadInput("it has nothing to read", hint='write pinned = { files = ["requirements.txt"] }')
    found = [
        *_files(view, settings),
        *(_revisions(view) if settings.revision else ()),
        *(_builds(view) if settings.build else ()),
    ]
    messages = tuple(f"{name}: {told}" for name, told in found)
    return GateResult(not found, messages, tuple(dict.fromkeys(name for name, _ in found)), _FIX)


def _files(view: ReleaseView, settings: Settings) -> Iterator[tuple[str, str]]:
    for pattern in settings.files:
        if os.path.isabs(pattern) or ".." in pattern.split("/"):
            raise BadInput(f"files: {pattern!r} leaves the project", hint="name files below casstore.toml")
        names = sorted(glob.glob(pattern, root_dir=view.root, recursive=True, include_hidden=True))
        if not names:
            yield pattern, "there is no such file"
        for name in names:
            yield from ((name, told) for told in _file(os.path.join(view.root, name)))


def _file(path: str) -> Iterator[str]:
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > _MAX_FILE:
                yield f"cannot be read: it is larger than {_MAX_FILE} bytes"
                return
            (told,) = DOOR.ask("told", file, size, os.path.basename(path), Budget())
    except OSError as exc:
        yield f"cannot be read: {exc}"
    except (FormatError, OverBudget) as exc:
        yield exc.message
    else:
        yield from told


def _revisions(view: ReleaseView) -> Iterator[tuple[str, str]]:
    for component in sorted(view.trees):
        definition = view.provenance.get(component, {}).get("buildDefinition", {})
        revision = definition.get("internalParameters", {}).get("revision")
        if not revision:
            yield component, "its provenance names no Git revision"
        elif revision.get("dirty"):
            yield component, f"was put from a folder that differs from revision {revision.get('commit')}"


def _builds(view: ReleaseView) -> Iterator[tuple[str, str]]:
    for component in sorted(view.trees):
        definition = view.provenance.get(component, {}).get("buildDefinition", {})
        told = definition.get("externalParameters", {}).get("components", {}).get(component)
        if told is None:
            yield component, "its provenance does not say how it was made"
        elif told.get("build"):
            yield from ((component, problem) for problem in _unpinned(definition, component))


def _unpinned(definition: Mapping[str, Any], component: str) -> Iterator[str]:
    """What of a recorded build is open: inputs without a digest, a network."""
    build = definition.get("internalParameters", {}).get("builds", {}).get(component, {})
    network = build.get("network", "unknown")
    if network != "none":
        yield f"its build had a network ({network})" if network != "unknown" else "nobody recorded its build's network"
    names = {row.get("name") for row in definition.get("resolvedDependencies", []) if row.get("digest")}
    if INPUTS + component not in names:
        yield "its build's inputs are not recorded by digest"
