"""Counts the files of a workspace beside the put, so that whoever watches learns how much is left.

Only for people who watch: it looks at every file once more. What it cannot read it leaves
out; the put itself refuses that by name.

    with counted(b"/work", selection, progress):
        ...
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from casstore.ingest.globs import Selection
    from casstore.machine.progress import Progress


@contextmanager
def counted(root: bytes, selection: Selection, progress: Progress) -> Iterator[None]:
    """While the block runs, `progress.expect` is told the totals as soon as they are known, if anyone watches."""
    if not progress.shown:
        yield
        return
    stop = threading.Event()
    thread = threading.Thread(target=_count, args=(root, selection, progress, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _count(root: bytes, selection: Selection, progress: Progress, stop: threading.Event) -> None:
    files = size = 0
    folders = [b""]
    while folders and not stop.is_set():
        folder = folders.pop()
        for name, entry in _entries(root, folder):
            if entry.is_dir(follow_symlinks=False):
                if selection.enters(name):
                    folders.append(name)
            elif entry.is_file(follow_symlinks=False) and selection.takes(name):
                files += 1
                size += _size(entry)
    if not stop.is_set():
        progress.expect(files, size)


def _entries(root: bytes, folder: bytes) -> list[tuple[bytes, os.DirEntry[bytes]]]:
    try:
        with os.scandir(root + b"/" + folder) as listing:
            return [(folder + b"/" + entry.name if folder else entry.name, entry) for entry in listing]
    except OSError:
        return []


def _size(entry: os.DirEntry[bytes]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except OSError:
        return 0
