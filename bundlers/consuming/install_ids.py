"""The install id: which shares of channels reach an installation (docs/formats/consumer-state.md, "The draw").

data = made()
parse(data)             # 32 bytes
"""

from __future__ import annotations

import re
import secrets

from attest import canonical
from attest.core.fields import Fields
from attest.errors import FormatError
from casstore.objects import small_records

FORMAT = "casstore-install-id/1"
_ID = re.compile(r"[0-9a-f]{64}")


def made() -> bytes:
    """A new one, drawn at random."""
    return canonical.dumps(small_records.sealed({"format": FORMAT, "id": secrets.token_hex(32)}))


def parse(data: bytes) -> bytes:
    """Its 32 bytes. Raises FormatError."""
    value = canonical.loads_canonical(data, what="install id")
    if not small_records.is_sealed(value):
        raise FormatError("install id: its token is not that of what it says")
    f = Fields(value, "install id", required=("format", "id", "token"))
    if f.text("format") != FORMAT or not _ID.fullmatch(f.text("id")):
        raise FormatError(f"install id: it is no {FORMAT} of 64 hex digits")
    return bytes.fromhex(f.text("id"))
