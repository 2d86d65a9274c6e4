"""A rebuild: recorded inputs and arguments, the same bytes or nothing signed; what counts as a second build."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from attest.errors import BadInput, PolicyDenied
from attest.keys import keys
from attest.trust.policies import ChannelPolicy
from bundlers.building import building
from bundlers.errors import RebuildDiffers
from bundlers.releases.rebuilding import Given, RebuildReport, rebuild
from casstore.errors import MoveDenied
from casstore.promotion import promote
from cli.main import invoke
from tests.support.lines import Line
from tests.support.worlds import CHANNELS, signer

SCRIPT = """
import os
os.makedirs("out", exist_ok=True)
open("out/tool", "w").write(open("src/tool.txt").read().upper())
"""
TOML = f"""
[store]
url = "../store"
[components.tool]
include = ["out/**"]
inputs = ["src/**", "make.py"]
build = [{json.dumps(sys.executable)}, "make.py"]
[products.tool]
components = ["tool"]
format = "tar.gz"
"""
REBUILT = {**CHANNELS, "rebuilt": ChannelPolicy(None, 0, ("slsa-provenance",), rebuilds=2)}


def made(tmp_path: Path, toml: str = TOML, script: str = SCRIPT) -> Line:
    files = {"src/tool.txt": b"hello\n", "make.py": script.encode()}
    line = Line.make(tmp_path, toml=toml, files=files, channels=REBUILT)
    line.put("1.0.0")
    line.ship("1.0.0")
    return line


def again(line: Line, *names: str, by: str = "builder-bob") -> RebuildReport:
    return rebuild(line.store, line.ledger, "1.0.0", names, signer=signer(by), now=line.now)


def promoted(line: Line) -> bool:
    pam = signer("pam")
    return promote(line.store, line.ledger, "1.0.0", channel="rebuilt", signer=pam, now=line.now).moved


def test_a_second_builder_with_the_same_bytes_fulfils_the_policy(tmp_path: Path) -> None:
    line = made(tmp_path)
    with pytest.raises(MoveDenied, match="2 distinct builders"):
        promoted(line)
    report = again(line)
    assert (report.components, report.archives, report.idle) == (("tool",), ("tool-1.0.0.tar.gz",), ())
    assert promoted(line)


def test_it_needs_no_working_folder(tmp_path: Path) -> None:
    line = made(tmp_path)
    (line.root / "src" / "tool.txt").write_text("something else by now\n")
    assert again(line).components == ("tool",)


def test_a_copy_of_the_output_is_no_second_build(tmp_path: Path) -> None:
    """The second builder puts what the first one made: by its own casstore.toml there was no build, or another."""
    line = made(tmp_path)
    line.store.checkout(line.state.components["1.0.0", "tool"], str(tmp_path / "copied"))
    shutil.copytree(tmp_path / "copied" / "out", line.root / "out")
    for build in ("", f'build = [{json.dumps(sys.executable)}, "-c", "pass"]\ninputs = ["src/**", "out/**"]'):
        copied = TOML.replace(
            f'inputs = ["src/**", "make.py"]\nbuild = [{json.dumps(sys.executable)}, "make.py"]', build
        )
        assert copied != TOML
        line.configure(copied)
        line.put("copy" + str(len(build)) + ".0", by="builder-bob")
        with pytest.raises(MoveDenied, match="2 distinct builders of the same arguments and inputs"):
            promoted(line)


def test_a_component_without_a_build_does_not_count(tmp_path: Path) -> None:
    toml = TOML.replace(f'build = [{json.dumps(sys.executable)}, "make.py"]', "").replace("out/**", "src/**")
    line = made(tmp_path, toml)
    assert again(line).idle == ("tool",)
    with pytest.raises(MoveDenied, match="tool has no build, so there is nothing to rebuild"):
        promoted(line)


def test_other_bytes_are_named_and_nothing_is_signed(tmp_path: Path) -> None:
    line = made(tmp_path, script=SCRIPT + "open('out/stamp', 'w').write(repr(__import__('time').time_ns()))\n")
    count = line.state.count
    with pytest.raises(RebuildDiffers, match=r"component tool: built again it is .* out/stamp"):
        again(line)
    assert line.state.count == count


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("build_network = true", "was built with the network"),
        ('build_env = ["AWS_SECRET_ACCESS_KEY"]', "was built with the variable AWS_SECRET_ACCESS_KEY"),
        ('build_tools = ["/var/lib"]', "was built with the tool /var/lib"),
        ('root = ".."', "lies outside of its inputs"),
    ],
)
def test_another_builders_record_takes_nothing_from_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str, told: str
) -> None:
    """The first builder writes down what the second one's machine shall give away: nothing runs."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    toml = TOML.replace("[components.tool]\n", f"[components.tool]\n{more}\n")
    if more.startswith("root"):
        toml = toml.replace('include = ["out/**"]', 'include = ["inputs/out/**"]')
    line = made(tmp_path, toml)
    monkeypatch.setattr(building, "run", lambda *_, **__: pytest.fail("it ran"))
    with pytest.raises(BadInput, match=told):
        again(line)


def test_what_it_had_there_it_may_be_given_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAVOUR", "sweet")
    line = made(tmp_path, TOML.replace("[components.tool]\n", '[components.tool]\nbuild_env = ["FLAVOUR"]\n'))
    bob, given = signer("builder-bob"), Given(variables=("FLAVOUR",))
    report = rebuild(line.store, line.ledger, "1.0.0", signer=bob, now=line.now, given=given)
    assert report.components == ("tool",)


def test_who_is_no_builder_rebuilds_nothing(tmp_path: Path) -> None:
    line = made(tmp_path)
    with pytest.raises(PolicyDenied, match="builder"):
        again(line, by="ann")


def test_by_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    line = made(tmp_path)
    monkeypatch.chdir(line.root)
    for name, who in (("bob", "builder-bob"), ("pam", "pam")):
        Path(f"{name}.pem").write_bytes(keys.private_to_pem(signer(who).key, None))  # type: ignore[attr-defined]
    monkeypatch.setenv("CASSTORE_TESTING", "1")
    monkeypatch.setenv("CASSTORE_NOW", line.now.isoformat())
    assert invoke(["get", line.state.components["1.0.0", "tool"], "copied"]) == 0
    shutil.copytree("copied/out", "out")
    line.configure(
        TOML.replace(f'inputs = ["src/**", "make.py"]\nbuild = [{json.dumps(sys.executable)}, "make.py"]', "")
    )
    assert invoke(["put", "tool", "--release-version", "copy.0", "--key", "bob.pem"]) == 0
    assert invoke(["promote", "1.0.0", "--to", "rebuilt", "--key", "pam.pem"]) == 4
    assert "2 distinct builders of the same arguments and inputs are needed" in capsys.readouterr().err
    assert invoke(["rebuild", "1.0.0", "--key", "bob.pem"]) == 0
    assert "component tool: the same" in capsys.readouterr().out
    assert invoke(["promote", "1.0.0", "--to", "rebuilt", "--key", "pam.pem"]) == 0
    assert invoke(["rebuild", "1.0.0", "--component", "nothing", "--key", "bob.pem"]) == 8
