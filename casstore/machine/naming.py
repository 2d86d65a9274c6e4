"""Gives a finished file its name, whole, and only where nothing has it: also where a file system has no hard links.

`link` refuses a name that is taken. FAT, exFAT and some network shares have no links; there the kernel's rename that
replaces nothing does the same (Linux: renameat2 with RENAME_NOREPLACE, macOS: renamex_np with RENAME_EXCL). After it
the temporary name is gone, after a link it is still there.

Where the kernel has neither (file systems of programs: exfat-fuse, sshfs), no store can be kept; what nobody races for
still gets its name.

    give_name("/store/.tmp-1", "/store/entry")          # raises FileExistsError
    take_name("/home/ann/.kit.tmp", "/home/ann/kit.tar")
"""

from __future__ import annotations

import errno
import os
import sys

NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOTSUP})
_HERE, _NOREPLACE, _EXCL = -100, 1, 4
"""AT_FDCWD, RENAME_NOREPLACE; RENAME_EXCL."""


def give_name(temporary: str, path: str) -> None:
    """Raises FileExistsError where the name is taken, OSError with one of NO_LINKS where there is no way."""
    try:
        os.link(temporary, path)
    except OSError as exc:
        if exc.errno not in NO_LINKS or not _moved(temporary, path):
            raise


def take_name(temporary: str, path: str) -> None:
    """As `give_name`; where there is no way, an empty file takes the name first, and the finished one its place.

    Whoever is killed between the two leaves an empty file. Raises FileExistsError, OSError.
    """
    try:
        give_name(temporary, path)
    except OSError as exc:
        if exc.errno not in NO_LINKS:
            raise
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        os.replace(temporary, path)


def _moved(temporary: str, path: str) -> bool:
    """Whether the file has the name now; False where the kernel or the file system knows no such rename."""
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    old, new = os.fsencode(temporary), os.fsencode(path)
    try:
        if sys.platform == "darwin":
            failed = library.renamex_np(old, new, _EXCL)
        else:
            failed = library.renameat2(_HERE, old, _HERE, new, _NOREPLACE)
    except AttributeError:
        return False
    code = ctypes.get_errno()
    if failed and code == errno.EEXIST:
        raise FileExistsError(code, os.strerror(code), path)
    if failed and code not in (*NO_LINKS, errno.EINVAL):
        raise OSError(code, os.strerror(code), path)
    return not failed
