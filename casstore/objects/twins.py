"""Small records that no other one names lie twice, `KEY` and `KEY.copy`: one of them gone or damaged loses nothing.

A pin, a checkpoint and a step of an unsigned collection are such: where one file goes, nothing else knows of it. The
first of the two decides races; `fsck` makes a lost or damaged one anew from the other.

    create(storage, "pins/8f14...", data)          # True: ours is there
    read(storage, "pins/8f14...", parse)           # of the two what `parse` takes
    names(storage, "pins/", re.compile("[0-9a-f]{32}"))
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TypeVar

from attest.errors import CasstoreError
from casstore.errors import NoSuchObject
from casstore.storage.base import Storage

COPY = ".copy"
_T = TypeVar("_T")


def create(storage: Storage, key: str, data: bytes) -> bool:
    """Put if absent, and its copy beside. False: other bytes are there."""
    if not storage.create(key, data):
        return False
    storage.create(key + COPY, data)
    return True


def read(storage: Storage, key: str, parse: Callable[[bytes], _T]) -> _T:
    """What the first of the two says that can be read. Raises NoSuchObject for neither, what `parse` raises."""
    gone: NoSuchObject | None = None
    wrong: CasstoreError | None = None
    for one in (key, key + COPY):
        try:
            raw = storage.read(one)
        except NoSuchObject as exc:
            gone = gone or exc
            continue
        try:
            return parse(raw)
        except CasstoreError as exc:
            wrong = wrong or exc
    raise wrong or gone or NoSuchObject(key)


def names(storage: Storage, prefix: str, pattern: re.Pattern[str]) -> list[str]:
    """The keys of which one of the two is there, sorted; what lies beside them is a stranger's. A listing."""
    found = {key.removesuffix(COPY) for key in storage.list(prefix)}
    return sorted(key for key in found if pattern.fullmatch(key.removeprefix(prefix)))


def delete(storage: Storage, keys: Iterable[str]) -> None:
    """Both. Who is killed between leaves one, and the record is there still."""
    both = list(keys)
    storage.delete([*both, *(key + COPY for key in both)])
