"""The one table of sizes (docs/formats/limits.md): what a writer may write, a reader reads.

Promises: a writer asks before it signs or appends, with the very number that readers refuse by. Leaves to others:
limits of what is no format of ours (settings of gates, answers of services).

    check(payload, STATEMENT, "statement")           # or BadInput
"""

from __future__ import annotations

from collections.abc import Sized

from attest import canonical
from attest.errors import BadInput, FormatError

MIB = 1024 * 1024

DOCUMENT = canonical.MAX_BYTES
"""A JSON document that has no row of its own."""
STATEMENT = 64 * MIB
"""A signed payload: what an attestation says, its predicate above all."""
ATTESTATION = 96 * MIB
"""A bundle around a statement, in base64, and what proves its time; a signed file of several."""
PRODUCT_MANIFEST = 256 * MIB
"""About two million files."""
MANIFEST_ROW = MIB
"""Of a ProductManifest: the row of one file."""
TREE = 256 * MIB
"""One folder."""
VALUES_OF_LISTS = PRODUCT_MANIFEST // 16
"""Of lists of files; in all others canonical.MAX_VALUES."""
LEDGER_PROOF = 64 * MIB
OBJECT = 256 * MIB
"""What a reader takes into memory: any published file but archives, any object that is judged."""
PACKED_OBJECT = MIB
"""A larger one is published on its own."""
OBJECTS_TAR = 16 * MIB
"""What is in one tar of objects."""
TUF_ROOT = 512_000
TUF_TIMESTAMP = 16_384
TUF_SNAPSHOT = 2_000_000
TUF_TARGETS = 64 * MIB


_SMALLER = "make it smaller: readers would refuse it"


def check(data: Sized, limit: int, what: str) -> None:
    """Raises BadInput for what no reader would take."""
    if isinstance(data, bytes) and limit in (STATEMENT, ATTESTATION, LEDGER_PROOF):
        try:
            canonical.check_count(data, what)
        except FormatError as exc:
            raise BadInput(f"{exc.message}; nothing was signed or written", hint=_SMALLER) from exc
    if len(data) > limit:
        raise BadInput(
            f"{what}: {len(data)} bytes, more than the limit of {limit}; nothing was signed or written",
            hint=_SMALLER,
        )
