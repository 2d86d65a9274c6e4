"""The pipelines that we offer to others, as scripts: what a CI system would hand to a shell.

for step in action_steps(): step.name, step.script, step.environment(inputs)
job_script(jobs, ".casstore-put")
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
ACTION = ROOT / ".github" / "actions" / "casstore-release" / "action.yml"
TEMPLATE = ROOT / ".gitlab" / "casstore-release.yml"
_INPUT = re.compile(r"\$\{\{ inputs\.([a-z-]+) \}\}")
_WANTED = re.compile(r"contains\(format\(' \{0\} ', inputs\.run\), ' ([a-z]+) '\)")


def load(path: Path) -> Any:
    """A YAML file as plain values."""
    return YAML(typ="safe").load(path.read_text())


@dataclass(frozen=True)
class Step:
    """One shell step of the action."""

    name: str
    condition: str
    script: str
    env: Mapping[str, str]

    def environment(self, inputs: Mapping[str, str]) -> dict[str, str]:
        """Its variables, inputs filled in."""
        return {name: _INPUT.sub(lambda match: inputs[match[1]], text) for name, text in self.env.items()}

    def wanted(self, inputs: Mapping[str, str]) -> bool:
        """Its `if`, for the conditions that our action has. Raises for any other."""
        if match := _WANTED.fullmatch(self.condition):
            return match[1] in inputs["run"].split()
        return {"": True, "always()": True, "inputs.install == 'true'": inputs["install"] == "true"}[self.condition]


def action_inputs(**given: str) -> dict[str, str]:
    """The action's inputs with their defaults."""
    inputs = {name: row["default"] for name, row in load(ACTION)["inputs"].items()}
    assert given.keys() <= inputs.keys()
    return {**inputs, **given}


def action_steps() -> list[Step]:
    """The steps that are scripts."""
    rows = [row for row in load(ACTION)["runs"]["steps"] if "run" in row]
    assert all(row["shell"] == "bash" for row in rows)
    return [Step(row["name"], str(row.get("if", "")), row["run"], row.get("env", {})) for row in rows]


def job_script(job: str) -> str:
    """A job of the GitLab template, as one script: what it extends goes first."""
    jobs = load(TEMPLATE)
    base = jobs[jobs[job]["extends"]]
    return "\n".join([*base["before_script"], *jobs[job]["script"]]) + "\n"


def jobs() -> list[str]:
    """The jobs of the template that have a script."""
    return [name for name, row in load(TEMPLATE).items() if "script" in row]
