"""Mends small records from another store: entries that the chain proves, records that prove themselves, the store's id.

What stood there is copied to `quarantine/` first.

    mended = mend_records(store, source, report.damaged)
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Collection

from attest import canonical, digests
from attest.digests import PREFIX
from attest.errors import CasstoreError
from casstore.errors import NoSuchObject, NoSuchStore, NotWritable, StoreDamaged
from casstore.fsck.records import named_ids, raw_of, wrong_entry
from casstore.fsck.report import Damage, Mended
from casstore.fsck.whole_pack import QUARANTINE
from casstore.ledger import entries
from casstore.ledger.book.cache import cache_of
from casstore.ledger.book.listing import ledger_names
from casstore.objects import mended, small_records, store_config, twins
from casstore.objects.packs import wrapped
from casstore.objects.store_config import StoreConfig
from casstore.storage.base import Storage
from casstore.store.store import Store


def mend_records(store: Store, source: Store, damaged: Collection[Damage]) -> list[Mended]:
    """What could be had; in the order of their keys, so that an entry can follow the one before it."""
    done = []
    for key in sorted({one.record for one in damaged if one.record is not None}):
        good, now = _good(store, source, key), raw_of(store, key)
        if good is not None and good != now:
            write_over(store, key, good)
            done.append(Mended(None, None, f"taken from {source.url}", key))
    return done


def _good(store: Store, source: Store, key: str) -> bytes | None:
    """The bytes that belong under this key, as far as that can be proven."""
    if key == store_config.KEY:
        return _config(store, source)
    raw = raw_of(source, key)
    if raw is None:
        return None
    first, *rest = key.split("/")
    if first == "ledgers" and len(rest) == 2:
        return raw if _fits(store, rest[0], int(rest[1]), raw) else None
    if first == "ledgers":
        return raw  # a signed checkpoint: the next check holds it against the entries
    with contextlib.suppress(CasstoreError):
        if first == mended.FOLDER:
            mended.parse(raw, bytes.fromhex(rest[0]))
            return raw
        value = canonical.loads_canonical(raw, what="record")
        names = (value["token"], str(value.get("number")).zfill(20))
        if small_records.is_sealed(value) and rest[0].removesuffix(twins.COPY) in names:
            return raw
    return None


def _fits(store: Store, ledger: str, number: int, raw: bytes) -> bool:
    """Whether it stands between the neighbours that are here, and is what this machine saw."""
    before = raw_of(store, entries.key(ledger, number - 1)) if number else None
    after = raw_of(store, entries.key(ledger, number + 1))
    seen = cache_of(store, ledger).load(number)
    return wrong_entry(raw, number, before, after, seen[0] if seen else None) is None


def _config(store: Store, source: Store) -> bytes | None:
    """With the id that the first trust root names."""
    told = set(named_ids(store))
    if len(told) != 1:
        return None
    with contextlib.suppress(NoSuchObject, StoreDamaged):
        raw = source.storage.read(store_config.KEY)
        if StoreConfig.parse(raw, source.url).store_id in told:
            return raw
    return StoreConfig(told.pop(), store.options).to_bytes()


def mend_config(storage: Storage, source: Store) -> bool:
    """Write a `casstore.json` that cannot be read again: this store's first trust root names the source's id.

    Where there is no ledger, a pack that both have says that one is a copy of the other: its name comes never again.
    """
    try:
        store_config.load(storage)
    except (NoSuchStore, StoreDamaged):
        pass
    else:
        return False
    good = source.storage.read(store_config.KEY)
    config = StoreConfig.parse(good, source.url)
    with tempfile.TemporaryDirectory() as private, Store(storage, config, private=private) as store:
        told = set(named_ids(store))
        if config.store_id not in told and (told or not _is_copy(store, source)):
            return False
        write_over(store, store_config.KEY, good)
    return True


def _is_copy(store: Store, source: Store) -> bool:
    if ledger_names(store):
        return False
    names = list(store.packs.names())
    return not names or any(source.packs.size(name) is not None for name in names)


def _short(raw: bytes) -> str:
    return digests.sha256(raw).removeprefix(PREFIX)[:16]


def write_over(store: Store, key: str, good: bytes) -> None:
    """Write what belongs under a key; what stood there goes to quarantine first. Raises NotWritable."""
    if store.read_only:
        raise NotWritable(f"{store.url}: opened for reading only, it cannot be mended")
    now = raw_of(store, key)
    if now is not None:
        _write(store, f"{QUARANTINE}/{key.replace('/', '-')}-{_short(now)}", now)
    _write(store, key, good)


def _write(store: Store, key: str, raw: bytes) -> None:
    path = store.packs.new_path()
    with wrapped(path):
        try:
            with open(path, "xb") as file:
                file.write(raw)
            store.storage.mend(key, path, digests.sha256(raw))
        finally:
            with contextlib.suppress(OSError):
                os.unlink(path)
