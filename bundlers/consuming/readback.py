"""Read a publication as consumers will, before its pointer is moved: what they would refuse is not shown.

Promises: the consumer's own code, from the destination's own bytes, with nothing remembered; only the timestamp is not
there yet and comes as an argument. Archives are not read again: their bytes were hashed when they were written.

    check(destination, timestamp, "prod", first=trust_root_1, at=now)        # or Unreadable
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import datetime

from attest.digests import Digest
from attest.errors import CasstoreError
from bundlers.consuming import sources
from bundlers.consuming.sources import Pinned
from bundlers.consuming.state import SourceState
from bundlers.consuming.verification import verify_channel
from bundlers.consuming.withdrawn import Withdrawn
from bundlers.errors import Unreadable
from bundlers.publishing.layout.destinations import Destination
from bundlers.publishing.writing import TIMESTAMP
from casstore.errors import NoSuchObject


class _Pending:
    """The destination's files, with the timestamp that is to be its pointer."""

    remote = False

    def __init__(self, destination: Destination, timestamp: bytes) -> None:
        self._destination, self._timestamp = destination, timestamp
        self.url = destination.url

    def chunks(self, path: str) -> Iterator[bytes]:
        data = self._timestamp if path == TIMESTAMP else self._destination.read(path)
        if data is None:
            raise NoSuchObject(f"{self.url}/{path}: is not there")
        return iter((data,))

    def part(self, path: str, start: int, end: int) -> Iterator[bytes]:
        return iter((b"".join(self.chunks(path))[start:end],))


def check(
    destination: Destination,
    timestamp: bytes,
    channel: str,
    *,
    first: Digest,
    at: datetime,
    sigstore_root: bytes | None = None,
) -> None:
    """Raises Unreadable with the consumer's own reason. A channel that was withdrawn is read as that."""
    pinned = Pinned(first, None, sigstore_root)
    try:
        with tempfile.TemporaryDirectory(prefix="casstore-read-back-") as folder:
            here = SourceState(folder, destination.url)
            source = sources.refreshed(_Pending(destination, timestamp), here, offline=False, at=at, pinned=pinned)
            verify_channel(
                source,
                channel,
                at=at,
                pins_of=lambda *_: None,
                first_trust_root=first,
                sigstore_root=sigstore_root,
                check_keys=source.check_keys,
            )
    except Withdrawn:
        return
    except CasstoreError as exc:
        raise Unreadable(
            f"{destination.url}: what was written cannot be read as consumers read it, its pointer was not moved:"
            f" {exc.message}",
            hint=exc.hint,
        ) from exc
