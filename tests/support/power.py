"""A disk of its own whose power can be cut: an ext4 in a file, mounted by loop, shut down by the kernel's own ioctl.

What the kernel has not written to the disk by then is gone; the journal is not flushed either. What
this cannot show is a disk that lies about its own cache.

    disk = Disk(tmp_path)
    ...                          # write below disk.path
    disk.cut()
    disk.path                    # mounted again, as after a restart
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

_SHUTDOWN = 0x8004587D
"""EXT4_IOC_SHUTDOWN, _IOR('X', 125, __u32)."""
_NO_LOG_FLUSH = 2
_SIZE = 256 * 1024 * 1024


class Disk:
    """Use `close` at the end."""

    def __init__(self, folder: Path) -> None:
        _need()
        memory = Path("/dev/shm")
        self._place = Path(tempfile.mkdtemp(prefix="power-cut-", dir=memory if memory.is_dir() else folder))
        self._image = self._place / "disk"
        self.path = folder / "disk"
        self.path.mkdir()
        with self._image.open("wb") as file:
            file.truncate(_SIZE)
        self.cuts = 0
        self._mounted = False
        try:
            _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(self._image))
            self._mount()
        except BaseException:
            self.close()
            raise

    def cut(self) -> None:
        """The power goes, and comes back."""
        self.off()
        self.on()

    def off(self) -> None:
        """The power goes: from now on nothing reaches the disk."""
        top = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(top, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(top)
        self.cuts += 1

    def on(self) -> None:
        """Mounted again, once nobody holds the old mount any more."""
        self._unmount()
        self._mount()

    def close(self) -> None:
        """Nothing is left."""
        if self._mounted:
            self._unmount()
        shutil.rmtree(self._place, ignore_errors=True)

    def _mount(self) -> None:
        _run("mount", "-o", "loop,noatime", "-t", "ext4", str(self._image), str(self.path))
        self._mounted = True

    def _unmount(self) -> None:
        for _ in range(50):
            if subprocess.run(["umount", str(self.path)], capture_output=True).returncode == 0:
                self._mounted = False
                self._wait_until_released()
                return
            time.sleep(0.1)
        pytest.fail(f"{self.path} cannot be unmounted")

    def _wait_until_released(self) -> None:
        """A program with mounts of its own (a build of another test) may hold the dead disk a little longer."""
        for _ in range(300):
            held = [path.read_text().strip() for path in Path("/sys/block").glob("loop*/loop/backing_file")]
            if str(self._image) not in held:
                return
            time.sleep(0.1)
        pytest.fail(f"{self._image} is still held by a mount of another process")


def _need() -> None:
    if os.geteuid() != 0:
        pytest.skip("loop-device: only root can mount one, so no power was cut")
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("no mkfs.ext4 is installed: apt-get install e2fsprogs")
    if not os.path.exists("/dev/loop-control"):
        pytest.skip("loop-device: this machine has none, so no power was cut")


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode and argv[0] == "mount":
        pytest.skip(f"loop-device: cannot be mounted here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
