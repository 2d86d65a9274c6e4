"""Where the lines of witnesses are looked for: their own places, and publications.

places = read_from(["https://w1.example.org/casstore", "./public"], network=guard)
places[0]("ledger/cosignatures/42/1f3a90bc")
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bundlers.consuming.readers import open_reader, read_all
from bundlers.publishing.cosigned import ReadLine
from casstore.errors import NoSuchObject, NoSuchStore, StorageUnavailable

if TYPE_CHECKING:
    from casstore.network.network import NetworkGuard

MAX_LINE = 64 * 1024


def read_from(urls: Iterable[str], *, network: NetworkGuard | None) -> tuple[ReadLine, ...]:
    """A reader for each place; one that stays away has nothing. Raises PolicyViolation."""
    return tuple(_reader(url, network) for url in urls)


def _reader(url: str, network: NetworkGuard | None) -> ReadLine:
    def read(path: str) -> bytes | None:
        try:
            return read_all(open_reader(url, network=network), path, max_bytes=MAX_LINE)
        except (NoSuchObject, NoSuchStore, StorageUnavailable):
            return None

    return read
