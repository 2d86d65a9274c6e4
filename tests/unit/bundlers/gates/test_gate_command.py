"""The command gate: the user's own check, in the process runner, under limits."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from attest.digests import sha256
from attest.errors import BadInput
from bundlers.gates.base import Phase, ReleaseView, StagedArchive
from bundlers.gates.builtin.command import Settings, check
from bundlers.gates.settings import Size
from bundlers.products.product_manifests import ProductManifest

MANIFEST = ProductManifest("core", "zip", {}, ())


def view(root: Path) -> ReleaseView:
    archive = StagedArchive("core.zip", str(root / "core.zip"), sha256(b""), 0, MANIFEST)
    return ReleaseView("1.0.0", {"app": sha256(b"t")}, {}, SimpleNamespace(), str(root), {"core": archive})  # type: ignore[arg-type]


def run(root: Path, script: str, **options: Any) -> Any:
    return check(view(root), Settings((sys.executable, "-c", script), **options))


def test_exit_code_decides(tmp_path: Path) -> None:
    assert run(tmp_path, "").passed
    failed = run(tmp_path, "import sys; print('out'); sys.exit('bad\\nthing')")
    assert not failed.passed
    assert "ended with exit code 1: bad\nthing" in failed.messages[0]
    assert failed.measured["exitCode"] == 1


def test_late_command_is_killed(tmp_path: Path) -> None:
    began = time.monotonic()
    result = run(tmp_path, "import time; time.sleep(60)", timeout=0.3)
    assert "did not end within 0.3 s" in result.messages[0]
    assert time.monotonic() - began < 10


def test_no_shell(tmp_path: Path) -> None:
    assert not check(view(tmp_path), Settings(("false", "||", "true"))).passed
    check(view(tmp_path), Settings(("echo", "$(touch made); touch made")))
    assert not (tmp_path / "made").exists()


def test_environment_is_allowlisted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("CI_JOB", "7")
    script = "import os, sys; sys.exit('AWS_SECRET_ACCESS_KEY' in os.environ or os.environ.get('CI_JOB') != '7')"
    assert run(tmp_path, script, env=("CI_JOB",)).passed


def test_it_is_told_what_it_looks_at(tmp_path: Path) -> None:
    script = """
import json, os
seen = json.load(open(os.environ["CASSTORE_VIEW"]))
assert seen["version"] == os.environ["CASSTORE_VERSION"] == "1.0.0"
assert seen["archives"][0]["name"] == "core.zip" and seen["archives"][0]["path"].endswith("/core.zip")
assert set(seen["components"]) == {"app"}
"""
    assert run(tmp_path, script).passed


def test_where_it_runs(tmp_path: Path) -> None:
    (tmp_path / "ci").mkdir()
    (tmp_path / "ci" / "file").touch()
    script = "import os, sys; sys.exit(os.listdir() != {})"
    assert run(tmp_path, script.format(["ci"])).passed
    assert run(tmp_path, script.format(["file"]), folder="ci").passed
    assert run(tmp_path, script.format([]), folder="").passed


@pytest.mark.parametrize("folder", ["..", "/", "out"])
def test_it_does_not_leave_the_project(tmp_path: Path, folder: str) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "out").symlink_to(tmp_path)
    with pytest.raises(BadInput, match="leaves"):
        run(project, "", folder=folder)


def test_memory_is_limited(tmp_path: Path) -> None:
    result = run(tmp_path, "x = bytes(2_000_000_000)", memory=Size(500_000_000))
    assert "MemoryError" in result.messages[0]


def test_output_is_limited(tmp_path: Path) -> None:
    result = run(tmp_path, "import sys; sys.stderr.write('x' * 10_000_000); sys.exit(1)", output=Size(1000))
    assert len(result.messages[0]) < 2000


def test_it_is_asked_for_inputs_by_default() -> None:
    assert Settings(("true",)).phase == Phase.INPUTS
