"""File systems without links, symbolic links, locks and modes (FAT, exFAT, shares, sticks): each has a way without."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from casstore.fsck import fsck
from casstore.machine import naming
from casstore.machine.modes import keeps_modes, set_mode
from casstore.store.store import Store
from cli.main import invoke
from tests.support.worlds import World

CONFIG = """\
[store]
url = "./store"
[components.a]
include = ["**"]
root = "in"
[products.p]
components = ["a"]
format = "tar.gz"
[channels.dev]
approvals = 0
[destinations.public]
url = "./poor/public"
"""


@pytest.fixture
def poor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose file system knows neither links nor locks nor modes, nor a rename that replaces nothing."""
    top = tmp_path / "poor"
    top.mkdir()

    def on(path: Any, dir_fd: int | None = None) -> bool:
        if not isinstance(path, int):
            there = os.fsdecode(path)
            return os.path.abspath(there if dir_fd is None else f"/proc/self/fd/{dir_fd}").startswith(str(top))
        return os.readlink(f"/proc/self/fd/{path}").startswith(str(top))

    def refusing(call: Any, place: int, code: int = errno.EPERM) -> Any:
        def wrapped(*args: Any, **more: Any) -> Any:
            descriptor = more.get("dir_fd")
            if on(args[place], None if descriptor is None else descriptor) or (
                descriptor is not None and on(descriptor)
            ):
                raise OSError(code, os.strerror(code))
            return call(*args, **more)

        return wrapped

    for name, place in (("link", 1), ("symlink", 1), ("chmod", 0), ("fchmod", 0)):
        monkeypatch.setattr(os, name, refusing(getattr(os, name), place))
    monkeypatch.setattr(fcntl, "flock", refusing(fcntl.flock, 0, errno.ENOLCK))
    moved = naming._moved
    monkeypatch.setattr(naming, "_moved", lambda old, new: not on(new) and moved(old, new))
    return top


def test_a_mode_is_set_where_it_can_be(poor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, kept in ((tmp_path, True), (poor, False)):
        assert keeps_modes(str(folder)) is kept
        (folder / "file").touch(0o644)
        set_mode(str(folder / "file"), 0o755)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o755
    with pytest.raises(OSError, match="not permitted"):
        set_mode(str(poor / "file"), 0o600)
    monkeypatch.setattr(os, "chmod", lambda *_, **__: None)
    set_mode(str(poor / "file"), 0o755)
    with pytest.raises(OSError, match="keeps no modes, others could read it"):
        set_mode(str(poor / "file"), 0o600)


def test_a_name_is_taken_only_where_nothing_has_it(poor: Path) -> None:
    for name in ("one", "two"):
        (poor / name).write_text(name)
    naming.take_name(str(poor / "one"), str(poor / "taken"))
    with pytest.raises(FileExistsError):
        naming.take_name(str(poor / "two"), str(poor / "taken"))
    assert {path.name: path.read_text() for path in poor.iterdir()} == {"taken": "one", "two": "two"}


def test_all_that_leaves_a_store_goes_to_a_stick(
    poor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("CASSTORE_STORE", "CASSTORE_PASSWORD", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(poor / "home"))
    monkeypatch.setenv("CASSTORE_KEY", "poor/key.pem")
    (tmp_path / "casstore.toml").write_text(CONFIG)
    (tmp_path / "in" / "bin").mkdir(parents=True)
    (tmp_path / "in" / "bin" / "tool").touch(0o755)
    install = ["install", "p", "--from", "poor/public", "--channel", "dev", "--into", "poor/opt"]

    def must(*words: str, code: int = 0) -> None:
        assert invoke(list(words)) == code, (words, capsys.readouterr().err)

    must("keys", "generate", "poor/key.pem", "--no-passphrase")
    must("init", "--key", "poor/key.pem")
    for version in ("1.0.0", "1.1.0"):
        (tmp_path / "in" / "version").write_text(version)
        must("put", "--all", "--release-version", version)
        must("release", version, "--out", f"poor/{version}")
        must("promote", version, "--to", "dev")
        must("publish", "dev", "--to", "public")
        must(*install)
        assert (poor / "opt" / "current.txt").read_text().startswith(version)
    for file in (poor / "opt" / "versions").rglob("version"):
        subprocess.run(["chmod", "755", file], check=True)  # as such a file system shows everything
    must("install", "--verify-installed", "--into", "poor/opt")
    must("install", "--rollback", "--into", "poor/opt")
    assert (poor / "opt" / "current.txt").read_text().startswith("1.0.0")
    must("export", "dev", "poor/kit.tar")
    must("export", "dev", "poor/kit.tar", code=9)
    must("verify", "poor/kit.tar", "--offline")
    must("get", "dev/p", "poor/got")
    must("get", "dev/p/version", "poor/file")
    must("attest", "sbom", "dev/p", "--out", "poor/bom.json")
    must("uninstall", "--into", "poor/opt", "--confirm")
    assert not (poor / "opt").exists()
    assert [path.name for path in poor.rglob("*") if "tmp" in path.name and path.is_file()] == []


def test_a_store_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refused)
    world = World.make(str(tmp_path / "store"))
    world.release("1.0.0")
    world.promote("1.0.0", "dev")
    world.store.close()
    with Store.open(world.store.url) as again:
        assert fsck(again).ok


def test_a_key_that_others_can_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made, stick = os.open, str(tmp_path / "stick.pem")
    monkeypatch.setattr(os, "open", lambda path, flags, _=0o777, **more: made(path, flags, 0o644, **more))
    assert invoke(["keys", "generate", stick, "--no-passphrase"]) == 0
    assert "others can read the key" in capsys.readouterr().err
    monkeypatch.undo()
    assert invoke(["keys", "generate", str(tmp_path / "key.pem"), "--no-passphrase"]) == 0
    assert "warning" not in capsys.readouterr().err
