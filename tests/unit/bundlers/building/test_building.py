"""A component's build: a clean room, its inputs by digest, no network, and what gates make of the record."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from bundlers.building import build_inputs
from bundlers.building.building import Build, BuildChangedInputs, BuildFailed, build
from bundlers.gates.base import ReleaseView
from bundlers.gates.builtin.pinned import Settings, check
from casstore import config as configs
from casstore.gc.naming import named_by_attestation
from casstore.machine import runner, seclusion
from casstore.machine.runner import NetworkUse
from casstore.store.attestations import find
from tests.support.lines import GATES, TOML, Line

SOURCES = {"src/main.c": b"int main;\n", "src/deep/more.c": b"more\n", "Makefile": b"all:\n", "notes.txt": b"x"}


def toml(script: str, more: str = "") -> str:
    words = ", ".join(f"'''{word}'''" for word in (sys.executable, "-c", script))
    return TOML.replace("[components.core-bin]", f"[components.core-bin]\nbuild = [{words}]\n{more}", 1)


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Line:
    for system in ("GITHUB_ACTIONS", "GITLAB_CI"):
        monkeypatch.delenv(system, raising=False)
    line = Line.make(tmp_path)
    line.write(SOURCES)
    return line


def built(line: Line, script: str, more: str = "") -> Build:
    line.configure(toml(script, more))
    with ExitStack() as held:
        return build(line.config, "core-bin", version="1.0.0", root=str(line.root), held=held)


def git(line: Line, *words: str) -> None:
    subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@example.org", *words], cwd=line.root, check=True)


def recorded(line: Line, tree: str) -> dict[str, Any]:
    (found,) = find(line.store, tree)  # type: ignore[arg-type]
    return found.statement.predicate["buildDefinition"]


@pytest.fixture
def secluded() -> None:
    """Skips, loudly, where this system gives no network namespace to anybody."""
    if runner.run(["true"], cwd="/", network=False).network is not NetworkUse.NONE:
        pytest.skip("this system lets nobody take a network away")


def test_the_environment_is_clean(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASSTORE_PASSWORD", "secret")
    monkeypatch.setenv("CFLAGS", "-O3")
    monkeypatch.setenv("LD_PRELOAD", "")
    script = "import os; print(sorted(os.environ)); print(os.listdir(os.environ['HOME']), os.environ['HOME'])"
    done = built(line, script)
    assert b"CASSTORE_PASSWORD" not in done.command.stdout and b"CFLAGS" not in done.command.stdout
    assert b"LD_PRELOAD" not in done.command.stdout
    shown, home = done.command.stdout.decode().splitlines()
    assert {"CASSTORE_COMPONENT", "CASSTORE_VERSION", "HOME", "PATH", "TMPDIR"} <= set(done.environment)
    assert set(done.environment) <= set(eval(shown))
    assert home.startswith("[] ") and home != f"[] {os.environ.get('HOME')}", "an empty home of its own"
    assert not os.path.exists(home.removeprefix("[] ")), "which is gone afterwards"


def test_more_of_the_environment_by_name(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFLAGS", "-O3")
    script = "import os; print(os.environ['CFLAGS'], os.environ['HOME'])"
    done = built(line, script, 'build_env = ["CFLAGS", "HOME"]')
    assert done.command.stdout.decode().split() == ["-O3", os.environ["HOME"]]
    assert "CFLAGS" in done.environment


@pytest.mark.usefixtures("secluded")
def test_a_build_that_opens_a_socket_fails(line: Line) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        script = f"import socket; socket.create_connection({server.getsockname()!r}, 5)"
        with pytest.raises(BuildFailed, match=r"its build, without network, ended with exit code 1: .*refused"):
            built(line, script)
        done = built(line, script, "build_network = true")
    assert done.command.network is NetworkUse.ALLOWED


@pytest.mark.usefixtures("secluded")
def test_a_build_has_a_loopback_of_its_own(line: Line) -> None:
    script = "import socket; s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname(), 5)"
    assert built(line, script).command.network is NetworkUse.NONE


def test_inputs_are_what_the_configuration_names(line: Line) -> None:
    done = built(line, "", 'inputs = ["src/**", "Makefile"]')
    assert list(done.inputs.files) == [b"Makefile", b"src/deep/more.c", b"src/main.c"]
    lines = "".join(f"{hashlib.sha256(SOURCES[n]).hexdigest()}  {n}\n" for n in sorted(SOURCES) if n != "notes.txt")
    assert done.inputs.listing.decode() == lines
    assert done.inputs.to_json() == {"by": "globs", "files": 3, "bytes": 20, "digest": done.inputs.digest}


@pytest.mark.skipif(not shutil.which("sha256sum"), reason="sha256sum is not here")
def test_anyone_can_make_the_digest_anew(line: Line) -> None:
    line.write({"src/odd\nname\\x": b"odd"})
    git(line, "init", "-q")
    git(line, "add", "src", "Makefile")
    done = built(line, "")
    assert done.inputs.by == "git"
    shell = "git ls-files -z | LC_ALL=C sort -z | xargs -0 sha256sum"
    shown = subprocess.run(["sh", "-c", shell], cwd=line.root, capture_output=True, check=True).stdout
    assert shown == done.inputs.listing


def test_inputs_are_what_git_tracks(line: Line) -> None:
    git(line, "init", "-q")
    git(line, "add", "src", "core/etc")
    (line.root / "src/link").symlink_to("main.c")
    git(line, "add", "src/link")
    os.unlink(line.root / "src/deep/more.c")
    done = built(line, "")
    assert list(done.inputs.files) == [b"core/etc/core.conf", b"src/link", b"src/main.c"]
    assert done.inputs.files[b"src/link"] == hashlib.sha256(b"main.c").hexdigest()


def test_without_git_inputs_are_all_files_but_what_is_shipped(line: Line) -> None:
    done = built(line, "")
    assert done.inputs.by == "folder"
    assert set(done.inputs.files) == {os.fsencode(name) for name in (*SOURCES, "casstore.toml")}


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("open('src/main.c', 'a').write(' ')", "src/main.c was changed"),
        ("import os; os.unlink('Makefile')", "Makefile was removed"),
        ("import os; os.unlink('Makefile'); os.symlink('notes.txt', 'Makefile')", "Makefile was changed"),
        ("import shutil; shutil.rmtree('src')", "src/deep/more.c was removed, src/main.c was removed"),
    ],
)
def test_a_build_that_changes_its_inputs_is_refused(line: Line, script: str, said: str) -> None:
    line.configure(toml(script))
    before = len(line.store.digests())
    with pytest.raises(BuildChangedInputs, match=f"core-bin: its build changed its own inputs: {said}"):
        line.put("1.0.0", "core-bin")
    assert line.state.count == 1 and len(line.store.digests()) == before, "nothing was recorded"


def test_many_changed_inputs_are_counted(line: Line) -> None:
    line.write({f"many/{n:02}": b"" for n in range(20)})
    with pytest.raises(BuildChangedInputs, match=r"many/04 was removed \(and 15 more\)"):
        built(line, "import shutil; shutil.rmtree('many')")


def test_a_build_may_make_new_files_next_to_its_inputs(line: Line) -> None:
    built(line, "open('src/main.o', 'w')", 'inputs = ["src/**"]')


def test_globs_without_a_file(line: Line) -> None:
    with pytest.raises(Exception, match="matches its inputs"):
        built(line, "", 'inputs = ["sources/**"]')


def test_all_of_it_is_in_the_provenance(line: Line) -> None:
    line.configure(toml("x = bytes(50_000_000)"))
    report = line.put("1.0.0", "core-bin")
    (item,) = report.components
    assert item.build is not None
    definition = recorded(line, item.report.tree)
    row = definition["internalParameters"]["builds"]["core-bin"]
    assert row["network"] in ("none", "unenforced") and row["seconds"] > 0 and row["maxRssBytes"] > 50_000_000
    assert row["inputs"] == {**item.build.inputs.to_json(), "tree": item.build.sources} and "PATH" in row["environment"]
    named = {d.get("name"): d["digest"].get("sha256") for d in definition["resolvedDependencies"]}
    assert f"sha256:{named['inputs/core-bin']}" == item.build.inputs.digest
    assert line.store.read(item.build.inputs.digest) == item.build.inputs.listing
    assert item.to_json()["build"]["inputs"]["files"] == len(item.build.inputs.files)


def test_the_list_of_inputs_is_kept_as_long_as_the_provenance(line: Line) -> None:
    line.configure(toml(""))
    report = line.put("1.0.0", "core-bin")
    assert report.components[0].build is not None
    named = dict(named_by_attestation(line.store.read(report.statement)))
    assert {report.components[0].build.inputs.digest, report.components[0].build.sources} <= named.keys()


def test_time_and_memory_of_the_build_break_the_budget(line: Line) -> None:
    limits = GATES.replace('archive = "10MB"', 'build_seconds = 0.4, build_memory = "40MB", archive = "10MB"')
    line.configure(toml("import time; x = bytes(60_000_000); time.sleep(0.5)") + limits)
    line.put("1.0.0")
    with pytest.raises(Exception, match="budget") as caught:
        line.ship("1.0.0")
    told = " ".join(message for blocker in caught.value.blockers for message in [blocker.message])  # type: ignore[attr-defined]
    assert re.search(r"core-bin: its build took [0-9.]+ s, the budget is 0.4 s", told)
    assert "of memory, the budget is 40000000" in told


def view(line: Line, tree: str) -> ReleaseView:
    provenance = {"core-bin": {"buildDefinition": recorded(line, tree)}}
    return ReleaseView("1.0.0", {"core-bin": tree}, {}, line.store, str(line.root), provenance=provenance)  # type: ignore[dict-item]


@pytest.mark.usefixtures("secluded")
@pytest.mark.parametrize(
    ("more", "said"), [("", None), ("build_network = true", "core-bin: its build had a network (allowed)")]
)
def test_pinned_reads_the_record(line: Line, more: str, said: str | None) -> None:
    line.configure(toml("", more))
    (item,) = line.put("1.0.0", "core-bin").components
    assert check(view(line, item.report.tree), Settings(build=True)).messages == ((said,) if said else ())


def test_pinned_takes_what_was_not_enforced_for_open(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seclusion, "supported", lambda: False)
    line.configure(toml(""))
    (item,) = line.put("1.0.0", "core-bin").components
    result = check(view(line, item.report.tree), Settings(build=True))
    assert result.messages == ("core-bin: its build had a network (unenforced)",)


def test_pinned_wants_a_record(line: Line) -> None:
    built_elsewhere = {"externalParameters": {"components": {"core-bin": {"build": ["make"]}}}}
    for definition, said in (({}, "does not say how it was made"), (built_elsewhere, "nobody recorded its build's")):
        provenance = {"core-bin": {"buildDefinition": definition}}
        looked = ReleaseView("1", {"core-bin": "x"}, {}, line.store, "", provenance=provenance)  # type: ignore[dict-item,arg-type]
        assert any(said in message for message in check(looked, Settings(build=True)).messages)


def test_put_without_a_build_needs_no_record_of_one(line: Line) -> None:
    line.configure(TOML)
    (item,) = line.put("1.0.0", "core-bin").components
    assert check(view(line, item.report.tree), Settings(build=True)).passed


def test_a_folder_of_many_files_is_recorded_in_order(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"{number}").write_bytes(b"%d" % number)
    (tmp_path / "casstore.toml").write_text('[components.a]\ninclude = ["out/**"]\n')
    config = configs.load(str(tmp_path / "casstore.toml"), str(tmp_path))
    found = build_inputs.record(build_inputs.select(config, "a", str(tmp_path)), str(tmp_path))
    assert list(found.files) == sorted(found.files) and len(found.files) == 301
