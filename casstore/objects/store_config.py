"""`casstore.json`: what makes a folder or bucket a store. Created once, never changed.

{"format": "casstore/1", "id": "<32 hex>", "options": {"compression": "fast", "durability": "batch"}, "token": "..."}
"""

from __future__ import annotations

import re
from typing import Any

from attest import canonical
from attest.core.values import dataclass
from attest.errors import BadInput, FormatError, TooNew
from casstore.errors import NoSuchObject, NoSuchStore, StoreDamaged
from casstore.objects import small_records
from casstore.objects.packs import Durability
from casstore.storage.base import Storage

KEY = "casstore.json"
FORMAT = "casstore/1"
LEVELS: dict[str, int] = {"none": 0, "fast": 1, "best": 9}
_FORMATS = re.compile(r"casstore/([0-9]{1,6})")
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """The defaults of a store, kept in `casstore.json`."""

    compression: str = "fast"
    durability: Durability = Durability.BATCH

    def __post_init__(self) -> None:
        if self.compression not in LEVELS:
            raise BadInput(f"unknown compression {self.compression!r}", hint="use none, fast or best")

    @property
    def level(self) -> int:
        """The zstd level; 0 stores raw."""
        return LEVELS[self.compression]


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """A parsed `casstore.json`."""

    store_id: str
    options: StoreOptions

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        options = {"compression": self.options.compression, "durability": str(self.options.durability)}
        return canonical.dumps(small_records.sealed({"format": FORMAT, "id": self.store_id, "options": options}))

    @staticmethod
    def parse(data: bytes, where: str) -> StoreConfig:
        """Raises TooNew, StoreDamaged."""
        try:
            return _parse(canonical.loads_canonical(data, what=where, max_bytes=64 * 1024), where)
        except (FormatError, BadInput) as exc:
            raise StoreDamaged(
                f"{where}: {exc.message}", hint="casstore fsck --repair --from STORE brings it back from another copy"
            ) from exc


def load(storage: Storage) -> StoreConfig:
    """The configuration of the store in this storage. Raises NoSuchStore, TooNew, StoreDamaged."""
    try:
        data = storage.read(KEY)
    except NoSuchObject as exc:
        raise NoSuchStore(f"{storage.url}: there is no store here", hint="make one with: casstore init") from exc
    return StoreConfig.parse(data, f"{storage.url}/{KEY}")


def _parse(value: dict[str, Any], where: str) -> StoreConfig:
    if not small_records.is_sealed(value):
        raise FormatError("is no casstore store, or spoilt: its token is not that of what it says")
    version = _FORMATS.fullmatch(str(value.get("format")))
    if version is None:
        raise FormatError("is no casstore store")
    if int(version[1]) > 1:
        raise TooNew(f"{where}: store format {version[1]}, this program reads 1", hint="use a newer casstore")
    options = value.get("options")
    if set(value) != {"format", "id", "options", "token"} or not isinstance(options, dict):
        raise FormatError("has other keys than format, id, options, token")
    if not isinstance(value["id"], str) or not _ID.fullmatch(value["id"]):
        raise FormatError("its id is not 32 hex digits")
    try:
        durability = Durability(options.get("durability", "batch"))
    except ValueError as exc:
        raise FormatError(f"unknown durability {options.get('durability')!r}") from exc
    return StoreConfig(value["id"], StoreOptions(str(options.get("compression", "fast")), durability))
