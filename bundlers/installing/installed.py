"""The folder of one installed product: versions, receipts, and the one pointer that is switched.

Promises: `switch` is one rename, so a reader and a crash see the old version or the new one; a
version's receipt is complete before it can be current. On systems and file systems without symbolic
links the pointer is the file `current.txt`. Leaves to others: what is installed (`install`).

    folder = InstalledFolder("/opt/core")
    folder.switch("1.2.0-e1c3a5b7d9f1")
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator

from attest.digests import Digest, from_hex
from attest.errors import BadInput, FormatError
from bundlers.consuming.state import read_file, write_file
from bundlers.installing.extract import PARTIAL
from bundlers.installing.place import check_place
from bundlers.installing.receipts import Receipt, check_name
from bundlers.products import product_manifests
from bundlers.products.product_manifests import ProductManifest
from casstore.errors import Conflict, NoSuchObject
from casstore.machine import locks
from casstore.machine.naming import NO_LINKS
from casstore.storage.base import os_error
from casstore.storage.file import make_folder, sync_folder

_PIECE = 1024 * 1024
_FOLDER = 0o755
"""What is installed is there to be used, whatever the umask of who installs."""
_OURS = frozenset({"current", "current.txt", "previous", "previous.txt", "versions", "receipts", "quarantine", ".lock"})


PART = ".part"
"""An archive that is being fetched."""
GONE = ".gone"
"""A version that is being deleted."""

UNPROVEN, UNHEALTHY, WITHDRAWN = "unproven", "unhealthy", "withdrawn"
"""Marks of a version: its health check did not end yet, or failed; it may be used no more."""


class InstalledFolder:
    """DIR of `casstore install --into DIR`; `links=False` forces the pointer file."""

    def __init__(self, folder: str, *, links: bool = os.name != "nt") -> None:
        self.folder = os.path.abspath(folder)
        self.links = links

    def prepare(self) -> None:
        """Make the folder. Raises Conflict when it holds something else, BadInput when it is a file."""
        if os.path.lexists(self.folder) and not os.path.isdir(self.folder):
            raise BadInput(f"{self.folder}: is no folder")
        check_place(self.folder)
        try:
            make_folder(self.folder, _FOLDER)
            foreign = self.foreign()
            for name in ("versions", "receipts", "quarantine"):
                if not foreign:
                    make_folder(os.path.join(self.folder, name), _FOLDER)
        except OSError as exc:
            raise os_error(exc, self.folder, writing=True) from exc
        if foreign:
            raise Conflict(
                f"{self.folder}: holds {foreign[0]!r}, which no install made", hint="install into an empty folder"
            )

    def foreign(self) -> list[str]:
        """What lies there and was no install's."""
        return sorted(n for n in os.listdir(self.folder) if n not in _OURS and not n.startswith(".tmp-"))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One installer at a time, who takes away what a killed one left; without file locks neither is done."""
        with open(os.path.join(self.folder, ".lock"), "ab") as file:
            try:
                locks.take(file.fileno(), wait=False)
            except BlockingIOError as exc:
                raise Conflict(f"{self.folder}: another install is running here", hint="wait for it") from exc
            except (locks.NoLocks, OSError):
                pass  # the switch is one rename all the same
            else:
                self._sweep()
            yield

    def _sweep(self) -> None:
        """Half-unpacked versions, half-fetched archives, unused pointers: under the lock nobody is at work on them."""
        for place, is_ours in (
            ("versions", lambda name: name.endswith(PARTIAL)),
            ("quarantine", lambda name: name.endswith((PART, GONE))),
            ("receipts", lambda name: name.startswith(".tmp-")),
            ("", lambda name: name.startswith(".tmp-")),
        ):
            folder = os.path.join(self.folder, place)
            with contextlib.suppress(OSError):
                for name in filter(is_ours, os.listdir(folder)):
                    _remove(os.path.join(folder, name))

    def current(self) -> str | None:
        """The name of the version in force, or None."""
        return self._pointed("current")

    def previous(self) -> str | None:
        """The version before, by the receipt in force."""
        name = self.current()
        before = self.receipt(name).previous if name else None
        return before if before is not None and os.path.isdir(self.path(before)) else None

    def names(self) -> list[str]:
        """The versions that lie there whole, with their receipts."""
        try:
            found = os.listdir(os.path.join(self.folder, "receipts"))
        except FileNotFoundError:
            return []
        named = (name.removesuffix(".json") for name in found if name.endswith(".json") and not name.startswith("."))
        return sorted(n for n in named if not n.endswith(".product-manifest") and os.path.isdir(self.path(n)))

    def receipt(self, name: str) -> Receipt:
        """A version's receipt. Raises NoSuchObject, FormatError."""
        data = read_file(self._receipt_path(name))
        if data is None:
            raise NoSuchObject(f"{self._receipt_path(name)}: no such receipt", hint="install again into this folder")
        receipt = Receipt.parse(data)
        if receipt.name != name:
            raise FormatError(f"{self._receipt_path(name)}: is the receipt of {receipt.name}")
        return receipt

    def manifest(self, name: str) -> ProductManifest | None:
        """The ProductManifest that was kept beside a receipt. Raises FormatError."""
        try:
            with open(self._manifest_path(name), "rb") as file:
                return product_manifests.read(iter(lambda: file.read(_PIECE), b""))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as exc:
            raise os_error(exc, self._manifest_path(name), writing=False) from exc

    def manifest_digest(self, name: str) -> Digest | None:
        """The digest of its bytes, whatever they are."""
        try:
            with open(self._manifest_path(name), "rb") as file:
                return from_hex(hashlib.file_digest(file, "sha256").hexdigest())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as exc:
            raise os_error(exc, self._manifest_path(name), writing=False) from exc

    def keep(self, receipt: Receipt, manifest: ProductManifest) -> None:
        """Write receipt and ProductManifest, durable on return."""
        write_file(self._manifest_path(receipt.name), manifest.pieces())
        write_file(self._receipt_path(receipt.name), receipt.to_bytes())

    def mark(self, name: str, mark: str, why: str = "") -> None:
        """Note something about a version, durable on return."""
        write_file(self._mark_path(name, mark), why.encode("utf-8", "replace"))

    def marked(self, name: str, mark: str) -> str | None:
        """What was noted; None where nothing was."""
        data = read_file(self._mark_path(name, mark))
        return None if data is None else data.decode("utf-8", "replace")

    def unmark(self, name: str, *marks: str) -> None:
        """Take notes away."""
        for mark in marks:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._mark_path(name, mark))

    def _mark_path(self, name: str, mark: str) -> str:
        return os.path.join(self.folder, "receipts", f"{check_name(name)}.{mark}")

    def renew(self, receipt: Receipt) -> None:
        """Another receipt for a version that lies there."""
        write_file(self._receipt_path(receipt.name), receipt.to_bytes())

    def remove(self, name: str) -> None:
        """Take a version away that is not in force."""
        target = self.quarantine(f"{check_name(name)}-{secrets.token_hex(4)}{GONE}")
        try:
            if os.path.lexists(self.path(name)):
                os.rename(self.path(name), target)
            for path in (self._receipt_path(name), self._manifest_path(name)):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
            self.unmark(name, UNPROVEN, UNHEALTHY, WITHDRAWN)
        except OSError as exc:
            raise os_error(exc, self.path(name), writing=True) from exc
        _remove(target)

    def unpoint(self, pointer: str) -> None:
        """Nothing is in force, or before."""
        for path in (os.path.join(self.folder, pointer), os.path.join(self.folder, f"{pointer}.txt")):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        sync_folder(self.folder)

    def clear(self) -> None:
        """Take away what installs made, and the folder where nothing else lies in it."""
        for name in sorted(_OURS):
            _remove(os.path.join(self.folder, name))
        with contextlib.suppress(OSError):
            os.rmdir(self.folder)

    def path(self, name: str) -> str:
        """Where a version's files are."""
        return os.path.join(self.folder, "versions", check_name(name))

    def quarantine(self, name: str) -> str:
        """Where an unverified archive is written."""
        return os.path.join(self.folder, "quarantine", name)

    def switch(self, name: str) -> None:
        """Make a version current by one rename; `previous` follows, for people."""
        before = self.current()
        self._point("current", name)
        if before is not None and before != name:
            self._point("previous", before)

    def mend_previous(self) -> None:
        """Point `previous` where the receipt in force says; a crash may have left it behind."""
        wanted = self.previous()
        if wanted is not None and self._pointed("previous") != wanted and os.path.isdir(self.path(wanted)):
            self._point("previous", wanted)

    def _pointed(self, pointer: str) -> str | None:
        path = os.path.join(self.folder, pointer)
        if os.path.islink(path):
            folder, name = os.path.split(os.readlink(path))
            if folder != "versions":
                raise Conflict(f"{path}: points to {os.readlink(path)!r}, which no install made")
            return check_name(name)
        if os.path.lexists(path):
            raise Conflict(f"{path}: is no symbolic link, so no install made it")
        data = read_file(f"{path}.txt")
        return None if data is None else check_name(data.decode("ascii", "replace").strip())

    def _point(self, pointer: str, name: str) -> None:
        path = os.path.join(self.folder, pointer)
        target = os.path.join("versions", check_name(name))
        if not self.links:
            write_file(f"{path}.txt", f"{name}\n".encode())
            return
        temp = os.path.join(self.folder, f".tmp-{secrets.token_hex(6)}")
        try:
            os.symlink(target, temp)
            os.replace(temp, path)
            sync_folder(self.folder)
        except OSError as exc:
            with contextlib.suppress(OSError):
                os.unlink(temp)
            if exc.errno in NO_LINKS and not os.path.lexists(path):
                self.links = False
                self._point(pointer, name)
                return
            raise os_error(exc, path, writing=True) from exc

    def _receipt_path(self, name: str) -> str:
        return os.path.join(self.folder, "receipts", f"{check_name(name)}.json")

    def _manifest_path(self, name: str) -> str:
        return os.path.join(self.folder, "receipts", f"{check_name(name)}.product-manifest.json")


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            os.unlink(path)
