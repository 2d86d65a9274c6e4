"""Which file system a workspace lies on, and whether its times prove that a file is unchanged.

Size, mtime, ctime and inode tell one file from another only within one file system, and only where the system
itself keeps the ctime. Two images with pinned times, mounted one after the other at one place, agree in all
four. So the identity of the file system is part of what a stat cache is named by, and files of images and of
systems that are not known to keep a ctime are read at every put (docs/formats/stat-cache.md).

    identity(b"/work")      # 8 bytes, or None where times prove nothing
"""

from __future__ import annotations

import hashlib
import os
import sys

_KNOWN = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "tmpfs", "zfs", "f2fs", "overlay", "bcachefs"})


def identity(folder: bytes) -> bytes | None:
    """The file system of a folder; None for an image (a loop device) and a system that is not known."""
    try:
        device, system = os.stat(folder).st_dev, os.statvfs(folder).f_fsid
    except OSError:
        return None
    if sys.platform == "linux" and not _believed(device):
        return None
    return hashlib.blake2b(f"{device}:{system}".encode(), digest_size=8).digest()


def _believed(device: int) -> bool:
    """By /proc/self/mountinfo (proc(5)); a device that is not listed there (btrfs has such) goes by its kind alone."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.split() for line in file]
    except OSError:
        return False
    listed = f"{os.major(device)}:{os.minor(device)}"
    found = [fields[fields.index("-") + 1 :] for fields in lines if fields[2] == listed]
    return bool(found) and all(kind in _KNOWN and not source.startswith("/dev/loop") for kind, source, *_ in found)
