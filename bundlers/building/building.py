"""A component's build: one command in a clean room, with everything about it measured.

Promises: where its `inputs` are named it runs in a new folder that has nothing but these, and sees nothing else
but the system's tools and those that it names (`sealing`); else in the project's folder. It has a home and a
folder for temporary files of its own, which are removed; it sees of our environment only what is allowed by name;
it reaches no network unless the component says `build_network = true`; its inputs are hashed before and after, and
a build that changes one is refused. Leaves to others: storing what it made, and signing.

    done = build(config, "core-bin", version="1.4.0", root=".", held=held)
    done.inputs.digest, done.command.network, done.command.seconds
"""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from typing import Any

from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import CasstoreError
from bundlers.building import build_inputs, sealing
from bundlers.building.build_inputs import BY_GLOBS, BuildInputs, Selected
from bundlers.building.sealing import Tool
from casstore.config import Component, Config
from casstore.machine import runner
from casstore.machine.runner import CommandResult

ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TZ", "SOURCE_DATE_EPOCH")
"""What a build sees of our environment, beside what `build_env` names."""

_SHOWN = 5
_TAIL = 300


class BuildFailed(CasstoreError):
    """A component's build command failed; nothing was stored."""


class BuildChangedInputs(CasstoreError):
    """A build changed what it was built from; nothing was stored."""

    hint = "let it write elsewhere, or name in `inputs` what it is really built from"


@dataclass(frozen=True, slots=True)
class Build:
    """A build that ended well."""

    command: CommandResult
    inputs: BuildInputs
    environment: tuple[str, ...]
    """Names of the variables that it saw."""
    sources: Digest | None = None
    """The tree of its inputs, as they are kept for who builds it again."""
    root: str = ""
    """Where its outputs lie; empty: in the folder that it was given."""
    tools: tuple[Tool, ...] = ()
    """What it was shown beside the system."""

    @property
    def sees(self) -> str:
        """What of the file system it saw: its `inputs` alone, `all`, or `unenforced`: all, though it was not to."""
        if not self.root:
            return "all"
        return "inputs" if self.command.secluded else "unenforced"

    def to_json(self) -> dict[str, Any]:
        """For provenance (`internalParameters.builds`) and `--json`."""
        return {
            **self.command.to_json(),
            "environment": list(self.environment),
            "inputs": self.inputs.record(self.sources),
            "sees": self.sees,
            **({"tools": [tool.to_json() for tool in self.tools]} if self.tools else {}),
        }


def build(config: Config, name: str, *, version: str, root: str, held: ExitStack) -> Build:
    """Run the build of a component. Raises BuildFailed, BuildChangedInputs, NoSuchObject.

    `held`: what the outputs lie in goes away when it is closed.
    """
    selected = build_inputs.select(config, name, root)
    return run(config.components[name], name, selected, version=version, root=root, held=held)


def run(component: Component, name: str, selected: Selected, *, version: str, root: str, held: ExitStack) -> Build:
    """Run a component's command over these inputs. Raises BuildFailed, BuildChangedInputs."""
    before = build_inputs.record(selected, root)
    place = None
    if selected.by == BY_GLOBS:
        place = sealing.place(before, component.build[0], component.build_tools, root, held)
    folder = place.root if place else root
    with ExitStack() as stack:
        scratch = place.scratch if place else _temporary(stack)
        told = {"CASSTORE_COMPONENT": name, "CASSTORE_VERSION": version, **_own_folders(scratch, component)}
        allowed = (*ENVIRONMENT, *component.build_env)
        result = runner.run(
            component.build,
            cwd=folder,
            timeout=component.build_timeout,
            env_allow=allowed,
            env=told,
            network=component.build_network,
            alone=True,
            view=stack.enter_context(place.view(network=component.build_network)) if place else None,
        )
    _check(name, component, result, place.asked_for(result.stdout + result.stderr) if place else ())
    if differs := build_inputs.changed(before, build_inputs.record(selected, folder)):
        more = f" (and {len(differs) - _SHOWN} more)" if len(differs) > _SHOWN else ""
        raise BuildChangedInputs(
            f"component {name}: its build changed its own inputs: {', '.join(differs[:_SHOWN])}{more}"
        )
    seen = {*told, *(variable for variable in allowed if variable in os.environ)}
    tools = place.tools if place else ()
    return Build(result, before, tuple(sorted(seen)), root=place.root if place else "", tools=tools)


def _temporary(stack: ExitStack) -> str:
    made = tempfile.TemporaryDirectory(prefix="casstore-build-", ignore_cleanup_errors=True)
    return stack.enter_context(made)


def _own_folders(scratch: str, component: Component) -> dict[str, str]:
    """An empty home and an empty folder for temporary files, but for those that the component takes from us."""
    folders = {name: os.path.join(scratch, name.lower()) for name in ("HOME", "TMPDIR")}
    for folder in folders.values():
        os.mkdir(folder)
    return {name: folder for name, folder in folders.items() if name not in component.build_env}


def _check(name: str, component: Component, result: CommandResult, asked: tuple[str, ...]) -> None:
    if result.ok:
        return
    said = result.stderr or result.stdout
    words = said[-_TAIL:].decode("utf-8", "backslashreplace").split()
    cut = len(said) > _TAIL and len(words) > 1  # in the middle of a word, maybe of a token
    tail = " ".join(words[1:] if cut else words)
    how = "did not end in time" if result.timed_out else f"ended with exit code {result.exit_code}"
    without = ", without network," if result.network is runner.NetworkUse.NONE else ""
    hint = " ".join(component.build)
    if asked:
        hint = f"it sees its inputs alone, and asked for {', '.join(asked)}: name that in inputs, or in build_tools"
    raise BuildFailed(f"component {name}: its build{without} {how}" + (f": {tail}" if tail else ""), hint=hint)
