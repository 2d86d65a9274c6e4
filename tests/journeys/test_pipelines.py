"""The GitHub Action and the GitLab template: pinned, clean shell, and their own steps release for real."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import pipelines
from tests.support.pipelines import ACTION, ROOT, TEMPLATE, action_inputs, action_steps, job_script

BIN = Path(sys.executable).parent

TOML = """
[components.app]
include = ["out/**"]
build = ["sh", "-c", "mkdir -p out && cat app.txt > out/app"]
inputs = ["app.txt"]
[components.docs]
include = ["docs/**"]
[products.app]
components = ["app", "docs"]
format = "tar.gz"
[gates]
budget = { files = 10 }
[channels.dev]
approvals = 0
[channels.prod]
from = "dev"
approvals = 1
separate_duties = false
[destinations.site]
url = "site"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A fresh folder with a configuration, files, an owner's key and a store."""
    folder = tmp_path / "project"
    (folder / "docs").mkdir(parents=True)
    (folder / "casstore.toml").write_text(TOML)
    (folder / "app.txt").write_text("the app\n")
    (folder / "docs" / "read.me").write_text("read me\n")
    casstore(folder, "keys", "generate", str(tmp_path / "owner.pem"), "--algorithm", "ed25519")
    casstore(folder, "init", "--key", str(tmp_path / "owner.pem"))
    return folder


def environment(**more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "PATH": f"{BIN}:{os.environ['PATH']}", "CASSTORE_PASSWORD": "words", **more}


def casstore(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [str(BIN / "casstore"), *words], cwd=folder, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class Runner:
    """What the forge does: a temporary folder, a file of variables and one of outputs, bash with -e."""

    def __init__(self, tmp_path: Path) -> None:
        self.temp = tmp_path / "runner"
        self.temp.mkdir()
        self.files = {name: self.temp / name.lower() for name in ("GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH")}
        for path in self.files.values():
            path.touch()
        self.ran: list[str] = []

    def run(self, folder: Path, **given: str) -> subprocess.CompletedProcess[str]:
        """All steps until one fails; the last result but for those that always run."""
        inputs = action_inputs(install="false", password="words", **given)
        last = subprocess.CompletedProcess([], 0, "", "")
        for step in action_steps():
            if not step.wanted(inputs) or (last.returncode and step.condition != "always()"):
                continue
            set_before = dict(line.split("=", 1) for line in self.files["GITHUB_ENV"].read_text().splitlines())
            files = {name: str(path) for name, path in self.files.items()}
            env = environment(RUNNER_TEMP=str(self.temp), **files, **set_before, **step.environment(inputs))
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step.script],
                cwd=folder,
                env=env,
                capture_output=True,
                text=True,
            )
            self.ran.append(step.name)
            last = last if step.condition == "always()" else done
        return last


def test_the_actions_own_steps_release_for_real(project: Path, tmp_path: Path) -> None:
    runner = Runner(tmp_path)
    key = (tmp_path / "owner.pem").read_text()
    assert key.startswith("-----BEGIN")
    done = runner.run(project, run="put release", version="1.0.0", key=key)
    assert done.returncode == 0, done.stderr
    assert (project / "dist/1.0.0/app-1.0.0.tar.gz").is_file() and (project / "dist/1.0.0/SHA256SUMS").is_file()
    assert not (runner.temp / "casstore-keys").exists(), "keys are forgotten"
    done = runner.run(project, run="promote", version="1.0.0", channel="dev", key=key)
    assert done.returncode == 0, done.stderr
    every = "approve promote publish verify"
    site = str(project / "site")
    done = runner.run(project, run=every, version="1.0.0", channel="prod", destination="site", source=site, key=key)
    assert done.returncode == 0, done.stderr
    assert "valid" in done.stdout
    assert set(runner.ran) == {step.name for step in action_steps() if "install" not in step.name}, "every step ran"
    (move,) = json.loads(casstore(project, "channel", "log", "prod", "--json"))["history"]
    assert move["version"] == "1.0.0"


def test_a_failed_gate_stops_the_action_and_leaves_its_blockers(project: Path, tmp_path: Path) -> None:
    (project / "casstore.toml").write_text(TOML.replace("files = 10", "files = 1"))
    runner = Runner(tmp_path)
    done = runner.run(project, version="1.0.0", key=str(tmp_path / "owner.pem"))
    assert done.returncode == 10 and "budget" in done.stderr
    output = dict(line.split("=", 1) for line in runner.files["GITHUB_OUTPUT"].read_text().splitlines())
    assert "budget" in Path(output["blockers"]).read_text()
    assert not list(project.glob("dist/*"))


def test_components_are_words_not_shell(project: Path, tmp_path: Path) -> None:
    runner = Runner(tmp_path)
    given = {"run": "put", "version": "1.0.0", "key": str(tmp_path / "owner.pem")}
    assert runner.run(project, components="app docs", **given).returncode == 0
    done = runner.run(project, components="app;touch${IFS}made $(touch made)", **given)
    assert done.returncode == 8 and not (project / "made").exists()


def test_the_templates_own_jobs_release_for_real(project: Path, tmp_path: Path) -> None:
    ran = []
    wanted = (("put", "dev"), ("release", "dev"), ("promote", "dev"), ("approve", "prod"), ("promote", "prod"))
    for step, channel in (*wanted, ("publish", "prod"), ("verify", "prod")):
        env = environment(
            CASSTORE_VERSION="1.0.0",
            CASSTORE_CHANNEL=channel,
            CASSTORE_DESTINATION="site",
            CASSTORE_SOURCE=str(project / "site"),
            CASSTORE_KEY=str(tmp_path / "owner.pem"),
            CASSTORE_LEDGER_KEY=str(tmp_path / "owner.pem"),
        )
        job = f".casstore-{step}"
        done = subprocess.run(["sh", "-ec", job_script(job)], cwd=project, env=env, capture_output=True, text=True)
        assert done.returncode == 0, f"{job}: {done.stderr}"
        ran.append(job)
    assert set(ran) == set(pipelines.jobs()), "every job ran"
    assert (project / "dist/1.0.0/app-1.0.0.tar.gz").is_file()


def test_everything_is_named_by_a_full_revision() -> None:
    for path in (*ROOT.glob(".github/**/*.yml"), *ROOT.glob(".gitlab/*.yml")):
        for used in re.findall(r"^\s*(?:- )?uses:\s*(\S+)", path.read_text(), re.MULTILINE):
            assert used.startswith("./") or re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", used), f"{path}: {used}"
        assert not re.search(r"^\s*image:", path.read_text(), re.MULTILINE), "an image would need a digest"


def test_no_input_is_written_into_a_script() -> None:
    for step in action_steps():
        assert "${{" not in step.script, step.name


@pytest.mark.parametrize(
    ("schema", "path"),
    [("github-actions", ACTION), ("github-workflows", ROOT / ".github/workflows/ci.yml"), ("gitlab-ci", TEMPLATE)],
)
def test_the_schema_of_the_forge(schema: str, path: Path) -> None:
    done = subprocess.run(
        [str(BIN / "check-jsonschema"), "--builtin-schema", f"vendor.{schema}", str(path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.foreign
def test_the_shell_of_all_steps_is_clean() -> None:
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed")
    scripts = [("bash", step.name, step.script) for step in action_steps()]
    scripts += [("sh", job, job_script(job)) for job in pipelines.jobs()]
    for shell, name, script in scripts:
        done = subprocess.run(["shellcheck", "--shell", shell, "-"], input=script, capture_output=True, text=True)
        assert done.returncode == 0, f"{name}: {done.stdout}"


@pytest.mark.parametrize("name", ["GitHub", "GitLab"])
def test_the_guide_tells_every_input(name: str) -> None:
    guide = (ROOT / "docs/guide/ci.md").read_text()
    if name == "GitHub":
        told = action_inputs()
    else:
        told = dict.fromkeys(re.findall(r"CASSTORE_[A-Z_]+", TEMPLATE.read_text()), "")
    assert not [one for one in told if f"`{one}`" not in guide]
