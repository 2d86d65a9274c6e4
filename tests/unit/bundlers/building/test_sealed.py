"""Builds whose inputs are named see nothing else: what they ask for and do not get is named, and recorded."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from bundlers.building import building
from bundlers.building.build_inputs import BY_GLOBS, Selected
from bundlers.building.building import Build, BuildFailed
from casstore.config import Component
from casstore.machine import runner, seclusion
from casstore.machine.views import prepared
from cli.main import invoke

Run = Callable[..., Build]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "home" / "project"
    (place / "src").mkdir(parents=True)
    (place / "src" / "a").write_text("a\n")
    (place / "secret").write_text("not for builds\n")
    (tmp_path / "home" / "tool.sh").write_text("echo a tool\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return place


@pytest.fixture
def run(project: Path) -> Run:
    def run(script: str, **more: object) -> Build:
        table = Component(include=["out/**"], build=["sh", "-c", script], inputs=["src/**"], **more)
        selected = Selected((b"src/a",), BY_GLOBS)
        with ExitStack() as held:
            return building.run(table, "tool", selected, version="1", root=str(project), held=held)

    return run


@pytest.fixture
def sealed() -> None:
    """Skips, loudly, where this system gives no mounts of its own."""
    with prepared([], cwd="/") as view:
        if not runner.run(["true"], cwd="/", alone=True, view=view).secluded:
            pytest.skip("this system lets nobody have mounts of their own")


def never(*commands: str) -> str:
    """Each must fail: in the middle of a script nothing else asks."""
    return "; ".join(f"if {one} 2>/dev/null; then echo {one} >&2; exit 9; fi" for one in commands)


@pytest.mark.usefixtures("sealed")
def test_it_sees_its_inputs_and_the_system_alone(run: Run, project: Path) -> None:
    there = never("test -e secret", f"test -e {project}", f"test -e {project.parent}/tool.sh")
    written = never("touch /usr/x", "touch /x")
    done = run(f"set -e; mkdir out; cat src/a; {there}; {written}; ls /usr; echo t > /tmp/t; test -w out")
    assert done.sees == "inputs" and done.command.stdout.startswith(b"a\n") and b"bin" in done.command.stdout
    assert done.to_json()["sees"] == "inputs" and not (project / "out").exists() and not Path("/tmp/t").exists()


@pytest.mark.usefixtures("sealed")
def test_what_it_asked_for_and_did_not_get_is_named(run: Run, project: Path) -> None:
    with pytest.raises(BuildFailed) as failed:
        run("cat secret")
    assert failed.value.hint == "it sees its inputs alone, and asked for secret: name that in inputs, or in build_tools"
    with pytest.raises(BuildFailed) as failed:
        run(f"sh {project.parent}/tool.sh")
    assert f"asked for {project.parent}/tool.sh" in failed.value.hint
    with pytest.raises(BuildFailed) as failed:
        run("cat nowhere; false")
    assert "asked for" not in failed.value.hint


@pytest.mark.usefixtures("sealed")
def test_a_named_tool_is_shown_read_only_and_recorded(run: Run, project: Path) -> None:
    tool = project.parent / "tool.sh"
    done = run(f"mkdir out && sh {tool} && ! echo x >> {tool}", build_tools=["~/tool.sh"])
    assert b"a tool" in done.command.stdout and tool.read_text() == "echo a tool\n"
    (row,) = done.to_json()["tools"]
    assert row["name"] == "~/tool.sh" and row["digest"].startswith("sha256:")
    tool.write_text("echo another\n")
    assert run("mkdir out", build_tools=["~/tool.sh"]).to_json()["tools"] != [row]


@pytest.mark.parametrize("alone", [True, False])
def test_without_mounts_of_its_own_nothing_else_can_be_opened(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch, alone: bool
) -> None:
    """By Landlock: also where nobody may have namespaces at all, as in many containers."""
    if ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1) < 3:
        pytest.skip("NO LANDLOCK: a build that may have no mounts is not tried")

    def refused(**asked: object) -> None:
        if not alone or asked.get("view") is not None:
            raise OSError(1, "not permitted")
        entered(**asked)  # type: ignore[arg-type]

    entered = seclusion.enter
    monkeypatch.setattr(seclusion, "enter", refused)
    hidden = (project / "secret", project / "src" / "a", project.parent / "tool.sh")
    tries = never(*(f"cat {path}" for path in hidden), f"touch {project}/x", f"ls {project}")
    done = run(f"set -e; mkdir out; cat src/a; {tries}; echo 1 >/dev/null; ls /usr >/dev/null")
    assert (done.sees, done.command.alone) == ("inputs", alone) and done.command.stdout.startswith(b"a\n")
    assert run("set -e; mkdir out; echo t > $TMPDIR/t; cp src/a out/a; cat out/a").command.stdout == b"a\n"
    with pytest.raises(BuildFailed) as failed:
        run(f"sh {hidden[2]}")
    assert f"asked for {hidden[2]}" in failed.value.hint


def test_where_the_system_hides_nothing_that_is_told_and_recorded(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seclusion, "supported", lambda: False)
    done = run("mkdir out && test ! -e secret")
    assert done.sees == "unenforced" and done.to_json()["sees"] == "unenforced"


def test_put_says_what_a_build_saw(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project)
    for name in ("CASSTORE_STORE", "CASSTORE_KEY", "CASSTORE_PASSWORD", "XDG_CACHE_HOME", "XDG_STATE_HOME", "CI"):
        monkeypatch.delenv(name, raising=False)
    text = """
[store]
url = "./store"
[components.tool]
include = ["out/**"]
build = ["sh", "-c", "mkdir out && cp src/a out/a"]
inputs = ["src/**"]
[products.app]
components = ["tool"]
format = "zip"
[channels.dev]
approvals = 0
"""
    Path("casstore.toml").write_text(text)
    assert invoke(["keys", "generate", "key.pem", "--no-passphrase"]) == 0
    assert invoke(["init", "--key", "key.pem"]) == 0
    monkeypatch.setattr(seclusion, "supported", lambda: False)
    capsys.readouterr()
    assert invoke(["put", "--all", "--release-version", "1.0.0", "--key", "key.pem", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["components"]
    assert row["build"]["sees"] == "unenforced"
    assert not Path("out").exists()
