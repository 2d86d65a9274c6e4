"""Who writes into a workspace and swaps a folder for a link while it is put: nothing from elsewhere is taken in."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from casstore.errors import UnsupportedInput
from casstore.ingest import walk, worker
from casstore.machine import unlinked
from casstore.store.store import Store

SECRET = b"of somebody else"


@pytest.fixture(params=["openat2", "step by step"])
def work(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace, and a folder of another's beside it with the same names."""
    if request.param == "step by step":
        monkeypatch.setattr(unlinked, "_openat2", lambda: None)
    for top, data in (("work", b"ours"), ("elsewhere", SECRET)):
        (tmp_path / top / "lib/inner").mkdir(parents=True)
        (tmp_path / top / "lib/inner/a").write_bytes(data)
        (tmp_path / top / "lib/link").symlink_to(data.decode().replace(" ", "-"))
        (tmp_path / top / "lib/big").write_bytes(data * 600_000)
    return tmp_path / "work"


def swapped(work: Path) -> None:
    """Once."""
    if not (work / "aside").exists():
        (work / "lib").rename(work / "aside")
        (work / "lib").symlink_to(work.parent / "elsewhere/lib")


def put(store: Store, work: Path, how: str) -> None:
    if how == "tree":
        store.put_tree(str(work))
    else:
        store.put_paths(str(work), [b"lib/inner/a", b"lib/link", b"lib/big"])


@pytest.mark.parametrize("how", ["tree", "files"])
@pytest.mark.parametrize("when", ["before a folder is listed", "before a small file is read", "before a large one is"])
def test_a_folder_that_becomes_a_link_is_refused(
    work: Path, tmp_path: Path, how: str, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place: tuple[Any, str] = {
        "before a folder is listed": (walk, "open_unlinked"),
        "before a small file is read": (worker, "read_small"),
        "before a large one is": (worker, "read_large"),
    }[when]
    original: Callable[..., Any] = getattr(*place)

    def first(path: bytes, *rest: Any) -> Any:
        if b"lib" in path[len(os.fsencode(work)) :]:
            swapped(work)
        return original(path, *rest)

    monkeypatch.setattr(*place, first)
    with Store.init(str(tmp_path / "store")) as store:
        with pytest.raises(UnsupportedInput, match=r"lib.*(is no folder any more|is no regular file any more)"):
            put(store, work, how)
        packs = [path.read_bytes() for path in Path(store.url, "packs").rglob("*.pack")]
    assert not any(SECRET in data for data in packs)


def test_a_race_takes_nothing(work: Path, tmp_path: Path) -> None:
    """Swapped to and fro while it is put, again and again: all that is stored is ours."""
    link, stop = work / "swap", threading.Event()
    link.symlink_to(tmp_path / "elsewhere/lib")

    def swap() -> None:
        while not stop.is_set():
            (work / "lib").rename(work / "aside")
            link.rename(work / "lib")
            (work / "lib").rename(link)
            (work / "aside").rename(work / "lib")

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        with Store.init(str(tmp_path / "store")) as store:
            for _ in range(40):
                try:
                    report = store.put_tree(str(work))
                except UnsupportedInput:
                    continue
                for path, entry in store.walk_all(report.tree):
                    assert entry.kind != "file" or store.read(entry.content)[:4] == b"ours", path
    finally:
        stop.set()
        thread.join()


def test_links_above_a_workspace_are_nobodys_attack(work: Path, tmp_path: Path) -> None:
    """A folder that is reached by a link is put as ever."""
    (tmp_path / "way").symlink_to(work.parent)
    with Store.init(str(tmp_path / "store")) as store:
        tree = store.put_tree(str(tmp_path / "way/work")).tree
        assert tree == store.put_tree(str(work)).tree
