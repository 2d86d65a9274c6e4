"""A guest on the machine: a build that CI runs, another user beside an installer."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from attest.errors import BadInput
from bundlers.installing.installed import InstalledFolder
from bundlers.installing.place import check_place
from casstore.machine import runner
from cli.main import invoke

SOMEBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")


@as_root
def test_an_installer_writes_into_no_folder_of_another_user(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, SOMEBODY, SOMEBODY)
    with pytest.raises(BadInput, match="another user"):
        InstalledFolder(str(theirs)).prepare()
    with pytest.raises(BadInput, match="another user"):
        InstalledFolder(str(theirs / "tool")).prepare()
    assert list(theirs.iterdir()) == []


@as_root
def test_nor_through_a_folder_inside_that_was_given_away(tmp_path: Path) -> None:
    place = InstalledFolder(str(tmp_path / "tool"))
    place.prepare()
    os.chown(tmp_path / "tool" / "versions", SOMEBODY, SOMEBODY)
    with pytest.raises(BadInput, match="versions: belongs to another user"):
        place.prepare()


def test_nor_where_everybody_may_write(tmp_path: Path) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    with pytest.raises(BadInput, match="every user"):
        InstalledFolder(str(open_to_all / "tool")).prepare()
    open_to_all.chmod(0o1777)  # as /tmp: what lies there is moved by its owner alone
    InstalledFolder(str(open_to_all / "tool")).prepare()
    (open_to_all / "tool").chmod(0o1777)
    with pytest.raises(BadInput, match="every user"):
        check_place(str(open_to_all / "tool"))


def test_nor_through_a_link_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "tool").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "tool" / "versions").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match="no folder of its own"):
        InstalledFolder(str(tmp_path / "tool")).prepare()
    assert list((tmp_path / "elsewhere").iterdir()) == []


TOML = """[store]
url = "./store"
[components.app]
root = "."
include = ["out/**"]
build = [{python!r}, "build.py"]
[products.app]
components = ["app"]
format = "tar.gz"
[channels.dev]
approvals = 0
"""

BUILD = """
import os, subprocess, sys
os.makedirs("out", exist_ok=True)
seen = []
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        seen.append(open(f"/proc/{{pid}}/environ", "rb").read())
    except OSError:
        pass
open("out/loot", "wb").write(b"".join(seen) + repr(dict(os.environ)).encode())
late = "import os, time; os.setsid(); time.sleep(2); open('out/late', 'w').write('still here')"
subprocess.Popen([sys.executable, "-c", late])
"""


def test_a_build_finds_no_key_and_outlives_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not runner.run(["true"], cwd="/", alone=True).alone:
        pytest.skip("this system lets nobody have processes of their own")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CASSTORE_STORE", raising=False)
    monkeypatch.setenv("CASSTORE_PASSWORD", "hunter2-the-passphrase")
    Path("casstore.toml").write_text(TOML.format(python=sys.executable))
    Path("build.py").write_text(BUILD.format())
    assert invoke(["keys", "generate", "key.pem"]) == 0
    assert invoke(["init", "--key", "key.pem"]) == 0
    command = [sys.executable, "-m", "cli.main", "put", "--all", "--release-version", "1.0.0", "--key", "key.pem"]
    put = runner.run(command, cwd=str(tmp_path), env_allow=("PATH", "HOME", "CASSTORE_PASSWORD", "PYTHONPATH"))
    assert put.exit_code == 0, put.stderr
    assert b"hunter2" not in (tmp_path / "out" / "loot").read_bytes()
    time.sleep(2.5)
    assert not (tmp_path / "out" / "late").exists()
