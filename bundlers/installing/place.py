"""Where an install may write: below folders that nobody else can change under it.

Another user who owns, or may write, a folder on the way can put a link in its place between our look
and our write, and lead an installer with more rights elsewhere.

    check_place("/opt/tool")
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from attest.errors import BadInput

_HINT = "choose a folder that you own and that nobody else may write, or mend its owner and mode"


def check_place(folder: str) -> None:
    """Raises BadInput for a folder, or one on the way to it, that others could change. Windows has other rights."""
    if os.name == "nt":
        return
    me = os.geteuid()
    for path, found in _existing(os.path.realpath(os.path.dirname(folder))):
        _check(path, found, {0, me}, kept_apart=bool(found.st_mode & stat.S_ISVTX))
    for path in (folder, *(os.path.join(folder, name) for name in ("versions", "receipts", "quarantine"))):
        if os.path.lexists(path):
            found = os.lstat(path)
            if not stat.S_ISDIR(found.st_mode):
                raise BadInput(f"{path}: is no folder of its own", hint=_HINT)
            _check(path, found, {me})


def _existing(path: str) -> Iterator[tuple[str, os.stat_result]]:
    while True:
        if os.path.isdir(path):
            yield path, os.lstat(path)
        parent = os.path.dirname(path)
        if parent == path:
            return
        path = parent


def _check(path: str, found: os.stat_result, owners: set[int], *, kept_apart: bool = False) -> None:
    """`kept_apart`: who may write there can move only what is their own, as in /tmp."""
    if found.st_uid not in owners:
        raise BadInput(
            f"{path}: belongs to another user (uid {found.st_uid}), who could lead the install elsewhere", hint=_HINT
        )
    if found.st_mode & stat.S_IWOTH and not kept_apart:
        raise BadInput(f"{path}: every user of this machine may write there", hint=_HINT)
    if found.st_mode & stat.S_IWGRP and not kept_apart and found.st_gid not in (os.getegid(), 0):
        raise BadInput(f"{path}: the group {found.st_gid} may write there, which is not yours alone", hint=_HINT)
