"""Gives a file or folder of ours its mode, also where a file system keeps none (FAT, exFAT, some shares and sticks).

There a chmod is refused, or does nothing. What everybody may read is left as it is; what others must not read is
refused, for it would be read.

    set_mode(descriptor, 0o600)       # raises OSError: EPERM where others could read it
"""

from __future__ import annotations

import errno
import os
import stat

_NO_MODES = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL})


def set_mode(what: int | str | bytes, mode: int, *, dir_fd: int | None = None) -> None:
    """Of an open file, or of a path. Raises OSError."""
    private = not mode & stat.S_IROTH
    try:
        os.chmod(what, mode, dir_fd=dir_fd)
    except OSError as exc:
        if private or exc.errno not in _NO_MODES:
            raise
    if private and stat.S_IMODE(os.stat(what, dir_fd=dir_fd).st_mode) & ~mode & 0o077:
        raise PermissionError(errno.EPERM, "this file system keeps no modes, others could read it")


def keeps_modes(folder: str) -> bool:
    """Whether a file in this folder can be executable or not; said of a folder where nothing can be written, too."""
    import tempfile

    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            found = []
            for mode in (0o700, 0o600):
                os.fchmod(file.fileno(), mode)
                found.append(os.fstat(file.fileno()).st_mode & stat.S_IXUSR)
            return found == [stat.S_IXUSR, 0]
    except OSError as exc:
        return exc.errno not in _NO_MODES
