"""The machine of whoever types: another umask, no home, a store that a group shares, an editor that writes a BOM."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from casstore import config
from casstore.index.places import index_folder
from casstore.machine import config_files
from casstore.store.store import Store
from tests.support.small_line import BEGIN, STEPS, Place


def run(place: Place, umask: int, *words: str) -> subprocess.CompletedProcess[str]:
    before = os.umask(umask)
    try:
        return place.run(*words)
    finally:
        os.umask(before)


def test_what_is_released_published_and_installed_under_umask_077_can_be_read(tmp_path: Path) -> None:
    place = Place.make(tmp_path)
    for words in (*BEGIN, *(step.words for name, step in STEPS.items() if name != "get")):
        done = run(place, 0o077, *words)
        assert done.returncode == 0, done.stderr
    for top in ("dist/1", "public", "installed/versions"):
        for path in (tmp_path / top, *(tmp_path / top).rglob("*")):
            mode = stat.S_IMODE(path.stat().st_mode)
            assert mode == (0o755 if path.is_dir() else 0o644), (path, oct(mode))
    assert stat.S_IMODE((tmp_path / "installed").stat().st_mode) == 0o755


def test_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    place = Place.make(tmp_path)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    place.environment = {**kept, "HOME": "/dev/null/none", "CASSTORE_KEY": str(tmp_path / "key.pem")}
    for words in (*BEGIN, *(STEPS[name].words for name in ("put", "release", "promote", "publish"))):
        place.must(*words)
    for words in (("ls",), ("fsck",), ("ledger", "verify")):
        place.must(*words)
    refused = place.run("verify", "./public", "--channel", "dev")
    assert refused.returncode == 12
    assert "hint: pins are kept in --state FOLDER" in refused.stderr
    place.must("verify", "./public", "--channel", "dev", "--state", str(tmp_path / "state"))


def test_the_index_of_a_store_that_a_group_shares_can_be_written_by_the_group(tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        with Store.init(str(tmp_path / "store")) as store:
            store.put_bytes(b"x")
            modes = {path: path.stat().st_mode for path in Path(store.catalog.folder).rglob("*")}
    finally:
        os.umask(before)
    shut = [path.name for path, mode in modes.items() if path.parent.name != "stat" and mode & 0o060 != 0o060]
    assert shut == []


def as_user(user: int, group: int, work: Callable[[], None]) -> int:
    """The exit code of a child that is this user."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.umask(0o002)
            os.setgroups([group])
            os.setgid(group)
            os.setuid(user)
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
@pytest.mark.parametrize("shared", [True, False], ids=["group may write", "group may read"])
def test_two_members_of_a_group(shared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one reads and puts; where the first one's umask leaves only reading, she reads with her own index."""
    import tempfile

    import casstore.index.index
    import casstore.objects.pack_writer  # noqa: F401

    top = Path(tempfile.mkdtemp(prefix="casstore-group-"))
    try:
        os.chown(top, -1, 4242)
        top.chmod(0o2775)
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setenv("HOME", "/nowhere")
        monkeypatch.setenv("XDG_STATE_HOME", "/nowhere")
        url = str(top / "store")

        def first() -> None:
            with Store.init(url) as store:
                store.put_bytes(b"of the first")
            if not shared:
                for path in (Path(url), *Path(url).rglob("*")):
                    path.chmod(path.stat().st_mode & ~0o020)

        def second() -> None:
            with Store.open(url) as store:
                assert len(store.digests()) == 1
                if shared:
                    store.put_bytes(b"of the second")

        assert as_user(4001, 4242, first) == 0
        assert as_user(4002, 4242, second) == 0
        with Store.open(url, read_only=True) as store:
            assert len(store.digests()) == (2 if shared else 1)
    finally:
        shutil.rmtree(top)


def test_an_index_that_shuts_us_out_is_kept_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with Store.init(str(tmp_path / "store")) as store:
        beside, own = store.catalog.folder, store.store_id
    assert index_folder(str(tmp_path / "store"), own) == beside
    real = os.access
    shut = os.path.join(beside, "lock")
    monkeypatch.setattr(os, "access", lambda path, mode: path != shut and real(path, mode))
    assert index_folder(str(tmp_path / "store"), own) == str(tmp_path / "cache" / "casstore" / own / "index")


def test_a_byte_order_mark_and_a_home_in_a_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    path = tmp_path / "casstore.toml"
    path.write_bytes(b'\xef\xbb\xbf[store]\nurl = "~/store"\n[destinations.site]\nurl = "~/site"\n')
    few = config_files.few_settings(str(path))
    assert few is not None
    assert few.store_url == str(tmp_path / "me" / "store")
    found = config.load(str(path), str(tmp_path))
    assert found.store_url == few.store_url
    assert found.absolute(found.destinations["site"].url) == str(tmp_path / "me" / "site")
