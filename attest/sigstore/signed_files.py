"""Several attestations over one payload: what more than one identity must sign (docs/formats/signed-statement.md).

Each signs alone, anywhere; anybody puts the signatures together. Whether enough did is judged elsewhere.

    raw = combine(FORMAT, [bundle, other])
    bundles_of(raw, FORMAT, what="signed statement")
"""

from __future__ import annotations

from collections.abc import Sequence

from attest import canonical
from attest.core import limits
from attest.core.fields import Fields
from attest.errors import FormatError
from attest.sigstore.sigstore_bundles import SigstoreBundle

FORMAT = "casstore-signed-statement/1"
_MARK = b'{"bundles":['


def combine(file_format: str, bundles: Sequence[bytes]) -> bytes:
    """The file, each attestation once, in the order of their bytes."""
    whole = limits.ATTESTATION
    ordered = [canonical.loads_object(raw, what="attestation", max_bytes=whole) for raw in sorted(set(bundles))]
    made = canonical.dumps({"format": file_format, "bundles": ordered})
    limits.check(made, whole, "signed file")
    return made


def bundles_of(raw: bytes, file_format: str, *, what: str) -> list[bytes]:
    """The attestations of such a file. Raises FormatError."""
    value = canonical.loads_canonical(raw, what=what, max_bytes=limits.ATTESTATION)
    f = Fields(value, what, required=("format", "bundles"))
    if f.text("format") != file_format:
        raise FormatError(f"{what}: the format is {f.text('format')[:60]!r}, not {file_format}")
    if not isinstance(value["bundles"], list) or not value["bundles"]:
        raise FormatError(f"{what}: it has no signature")
    return [canonical.dumps(item) for item in value["bundles"]]


def payload_of(raw: bytes, file_format: str, *, what: str) -> bytes:
    """The payload bytes that every signature covers. Raises FormatError."""
    payloads = {
        SigstoreBundle.parse(item).statement_envelope.payload for item in bundles_of(raw, file_format, what=what)
    }
    if len(payloads) != 1:
        raise FormatError(f"{what}: its signatures cover different documents")
    return payloads.pop()


def attestations_of(raw: bytes) -> list[bytes]:
    """Those of a signed statement, or the one attestation that these bytes are. Raises FormatError."""
    if not raw.startswith(_MARK):
        return [raw]
    payload_of(raw, FORMAT, what="signed statement")
    return bundles_of(raw, FORMAT, what="signed statement")
