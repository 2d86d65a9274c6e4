"""command: a check of the user's own, through the process runner.

    [gates]
    unit-tests = { command = ["pytest", "-q"], timeout = 600, memory = "2GB" }
    smoke = { command = ["python", "ci/smoke.py"], phase = "staged" }

Exit code 0, in time, passes. It is a list of words, never a shell line. It runs in the folder of
casstore.toml, in a folder below it (`folder = "ci"`), or in a new empty one (`folder = ""`), never
inside product content. It reaches no network unless `network = true`, and sees an allowlisted
environment, and beside it

    CASSTORE_VERSION   the version
    CASSTORE_VIEW      a JSON file: version, components (name -> tree), archives (name, path, digest, size)
"""

from __future__ import annotations

import json
import os
import tempfile
from typing import Any

from attest.core.values import dataclass
from attest.errors import BadInput
from bundlers.gates.base import GateResult, Phase, ReleaseView
from bundlers.gates.settings import Size
from bundlers.inspection.secret_forms import redacted
from casstore.machine import runner
from casstore.machine.runner import CommandResult, NetworkUse

NAME = "command"
PHASE = Phase.INPUTS
SUMMARY = "A command of your own ends with exit code 0, in time."

_SHOWN = 600


@dataclass(frozen=True, slots=True)
class Settings:
    """What to run, where, and the limits."""

    command: tuple[str, ...]
    timeout: float = 600.0
    folder: str = "."
    """Below the folder of casstore.toml; an empty text is a new, empty folder."""
    env: tuple[str, ...] = ()
    """Names of further environment variables that it may see."""
    memory: Size | None = None
    """Address space of each process."""
    output: Size | None = None
    """What is kept of its output; by default 1 MiB."""
    network: bool = False
    """Whether it may use the network; otherwise it has an empty loopback of its own, where the system can do that."""
    phase: str = "inputs"
    """`inputs`, `staged` to look at the archives, or `sources`: before the builds of `casstore run`."""


def check(view: ReleaseView, settings: Settings) -> GateResult:
    """Run it once."""
    with tempfile.TemporaryDirectory(prefix="casstore-gate-") as scratch:
        result = runner.run(
            settings.command,
            cwd=_folder(view, settings, scratch),
            env_allow=(*runner.ENVIRONMENT, *settings.env),
            env={"CASSTORE_VERSION": view.version, "CASSTORE_VIEW": _view_file(view, scratch)},
            timeout=settings.timeout,
            max_output=settings.output or runner.MAX_OUTPUT,
            max_memory=settings.memory,
            network=settings.network,
            alone=True,
        )
    return _result(settings, result)


def _folder(view: ReleaseView, settings: Settings, scratch: str) -> str:
    if not settings.folder:
        empty = os.path.join(scratch, "empty")
        os.mkdir(empty)
        return empty
    root = os.path.realpath(view.root)
    found = os.path.realpath(os.path.join(root, settings.folder))
    if os.path.commonpath([root, found]) != root:
        raise BadInput(f"folder = {settings.folder!r} leaves {root}", hint="name a folder below casstore.toml")
    return found


def _view_file(view: ReleaseView, scratch: str) -> str:
    path = os.path.join(scratch, "view.json")
    value: dict[str, Any] = {
        "version": view.version,
        "components": dict(view.trees),
        "archives": [{**archive.to_json(), "path": archive.path} for archive in view.archives.values()],
    }
    with open(path, "x", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
    return path


def _result(settings: Settings, result: CommandResult) -> GateResult:
    words = " ".join(settings.command)
    if result.ok:
        unenforced = result.network is NetworkUse.UNENFORCED
        warnings = (f"'{words}' could reach the network: this system does not let us take it away",)
        return GateResult(True, measured=result.to_json(), warnings=warnings if unenforced else ())
    if result.timed_out:
        message, fix = f"'{words}' did not end within {settings.timeout:g} s", "make it faster, or raise its timeout"
    else:
        message, fix = f"'{words}' ended with exit code {result.exit_code}", "run it by hand and mend what it says"
    if result.network is NetworkUse.NONE:
        fix += "; it had no network, network = true allows it"
    said = (result.stderr.strip() or result.stdout.strip()).decode("utf-8", "backslashreplace")
    tail = redacted(said)[-_SHOWN:]  # before the cut: half a token is known by nobody
    return GateResult(False, (f"{message}: {tail}" if tail else message,), (), fix, result.to_json())
