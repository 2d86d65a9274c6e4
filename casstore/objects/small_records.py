"""The check value of a small record: its `token` is made of the rest.

Of a ledger entry, a pin, a step of a collection, `casstore.json`; of a receipt, a consumer's and a witness's memory.

A flipped bit makes another well-formed digest; with the token it shows. A `nonce` keeps two of them apart.

    value = sealed({"format": "casstore-pin/1", ..., "nonce": "<32 hex>"})
    is_sealed(value)
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from attest import canonical
from attest.core import times
from attest.digests import PREFIX, sha256
from attest.errors import CasstoreError

TOKEN = "token"  # noqa: S105  a name
DIGITS = 32


def sealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """The record with its token."""
    rest = {name: one for name, one in value.items() if name != TOKEN}
    return {**rest, TOKEN: sha256(canonical.dumps(rest)).removeprefix(PREFIX)[:DIGITS]}


def is_sealed(value: Mapping[str, Any]) -> bool:
    """Whether the token is that of the rest."""
    return bool(value.get(TOKEN) == sealed(value)[TOKEN])


def is_young(value: Mapping[str, Any], now: datetime) -> bool:
    """Whether its own `time` is less than an hour ago: somebody may be at work on it."""
    try:
        return timedelta() <= now - times.parse(value.get("time")) < timedelta(hours=1)
    except CasstoreError:
        return False


def is_sealed_bytes(raw: bytes) -> bool:
    """As `is_sealed`, for the canonical bytes of a record whose last field is `token`: nothing is encoded anew."""
    rest, mark, last = raw.rpartition(b',"token":"')
    return bool(mark) and last == sha256(rest + b"}").removeprefix(PREFIX)[:DIGITS].encode() + b'"}'
