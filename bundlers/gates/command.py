"""command: the user's own check, through the process runner.

    [gates]
    unit-tests = { command = ["pytest", "-q"], timeout = 600 }

It runs in the folder of casstore.toml, never inside product content, without a shell, with an
allowlisted environment plus CASSTORE_VERSION; exit code 0 passes.
"""

from __future__ import annotations

from dataclasses import dataclass

from bundlers.gates.base import GateResult, Phase, ReleaseView
from casstore import runner

NAME = "command"
PHASE = Phase.INPUTS
SUMMARY = "A command of your own ends with exit code 0, in time."

_SHOWN = 400


@dataclass(frozen=True, slots=True)
class Settings:
    """What to run, and the limits."""

    command: tuple[str, ...]
    timeout: int | float = 600
    env: tuple[str, ...] = ()
    """Names of further environment variables that it may see."""


def check(view: ReleaseView, settings: Settings) -> GateResult:
    """Run it once."""
    result = runner.run(
        settings.command,
        cwd=view.root,
        env_allow=(*runner.ENVIRONMENT, *settings.env),
        env={"CASSTORE_VERSION": view.version},
        timeout=float(settings.timeout),
    )
    words = " ".join(settings.command)
    if result.ok:
        return GateResult(True, (), measured=result.to_json())
    if result.timed_out:
        return GateResult(False, (f"'{words}' did not end within {settings.timeout} s",), measured=result.to_json())
    tail = (result.stderr.strip() or result.stdout.strip())[-_SHOWN:].decode("utf-8", "backslashreplace")
    message = f"'{words}' ended with exit code {result.exit_code}" + (f": {' '.join(tail.split())}" if tail else "")
    return GateResult(False, (message,), (), f"run it in {view.root} and mend what it says", result.to_json())
