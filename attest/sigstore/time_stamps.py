"""RFC 3161 time stamps over a signature: whose are they, and which time do they prove?

Promises: a time counts only when an authority of the trusted root made the stamp over these very
bytes, inside the window in which the root says the authority is good. Parsing and the CMS signature
are rfc3161-client's (`[keyless]` extra). Leaves to others: asking an authority (`signers.logged`).

    proven(stamp_der, signature, root.stamp_authorities)      # a datetime, or None

Source: https://www.rfc-editor.org/rfc/rfc3161
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from attest.errors import FormatError, NotInstalled
from attest.sigstore.sigstore_bundles import SigstoreBundle
from attest.sigstore.sigstore_roots import Instance, StampAuthority

MAX_STAMPS = 32
MAX_STAMP = 64 * 1024


def proven(stamp: bytes, signature: bytes, authorities: Iterable[StampAuthority]) -> datetime | None:
    """The stamp's time where one of the authorities vouches for it. Raises FormatError for what is no stamp."""
    answer = decode(stamp)
    for authority in authorities:
        time = time_of(answer, signature, authority.chain)
        if time is not None and authority.window.holds([time]):
            return time
    return None


def times_of(bundle: SigstoreBundle, instance: Instance) -> list[datetime]:
    """The times of a bundle's stamps for which an authority of the instance vouches. Raises FormatError."""
    stamps = bundle.stamps
    if len(stamps) > MAX_STAMPS:
        raise FormatError(f"{len(stamps)} time stamps, more than the limit of {MAX_STAMPS}")
    if len(set(stamps)) != len(stamps):
        raise FormatError("sigstore bundle: the same time stamp stands twice")
    found = [proven(stamp, bundle.signature, instance.stamp_authorities) for stamp in stamps]
    return [time for time in found if time is not None]


def decode(stamp: bytes) -> Any:
    """The response object of rfc3161-client. Raises FormatError; NotInstalled."""
    try:
        from rfc3161_client import decode_timestamp_response
    except ImportError as exc:
        raise NotInstalled("time stamps are read by rfc3161-client, which is not installed") from exc
    if len(stamp) > MAX_STAMP:
        raise FormatError(f"time stamp: {len(stamp)} bytes, more than the limit of {MAX_STAMP}")
    try:
        return decode_timestamp_response(stamp)
    except ValueError as exc:
        raise FormatError("time stamp: not an RFC 3161 response") from exc


def time_of(answer: Any, signature: bytes, chain: Sequence[bytes]) -> datetime | None:
    """The time in a response where the first certificate of the chain signed it over this signature."""
    from rfc3161_client import VerificationError as StampError

    try:
        time: datetime = answer.tst_info.gen_time
        _verifier(tuple(chain)).verify_message(answer, signature)
    except (StampError, ValueError):  # ValueError: the authority refused, and the response holds no stamp
        return None
    return time


@lru_cache(maxsize=64)
def _verifier(chain: tuple[bytes, ...]) -> Any:
    from cryptography.x509 import load_der_x509_certificate
    from rfc3161_client import VerifierBuilder

    first, *between, last = [load_der_x509_certificate(der) for der in chain]
    builder = VerifierBuilder().tsa_certificate(first).add_root_certificate(last)
    for certificate in between:
        builder = builder.add_intermediate_certificate(certificate)
    return builder.build()
