"""The validity windows of a sigstore trusted root, which sigstore-python does not check.

sigstore-python ignores `validFor.end` of certificate authorities, certificate logs and
transparency logs: a key that was rotated out would stay good for ever. Here every part is
dropped whose window does not hold the times at which it was used, and the verifier sees only
the rest. `validFor` is a closed interval (protobuf-specs, TimeRange).

The times are those that the verification itself proves: an RFC 3161 stamp is checked here
before its time is used, a log's integrated time counts only beside the log's signed promise
(which the verifier checks), and the certificate's own times are covered by its chain and SCT.

    times = proven_times(bundle, root)
    verifier = Verifier(trusted_root=TrustedRoot(valid_parts(root, bundle, times)))
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from attest.core import times as time_text
from attest.errors import TrustError, VerificationError
from attest.sigstore import time_stamps

if TYPE_CHECKING:
    from sigstore.models import Bundle
    from sigstore_models.trustroot.v1 import TrustedRoot


def proven_times(bundle: Bundle, root: TrustedRoot) -> list[datetime]:
    """Times at which the signature is proven to have existed. Raises VerificationError for none."""
    found = stamp_times(bundle, root)
    promised = _promised_time(bundle)
    if promised is not None:
        found.append(promised)
    if not found:
        raise VerificationError(
            "no proven signing time: neither a log's promise nor a time stamp that the trusted root vouches for",
            hint="give the trusted_root.json of the instance that signed it",
        )
    return found


def stamp_times(bundle: Bundle, root: TrustedRoot) -> list[datetime]:
    """The times of the RFC 3161 stamps that an authority of the root made inside its window."""
    found = [_verified_stamp(stamp, bundle.signature, root) for stamp in _stamps(bundle)]
    return [time for time in found if time is not None]


def valid_parts(root: TrustedRoot, bundle: Bundle, signed: Sequence[datetime]) -> TrustedRoot:
    """The root without what was not valid when it was used. Raises TrustError where nothing is left.

    Time stamp authorities stay: their windows decided in `proven_times` which stamps count. sigstore-python
    takes the end of theirs as outside, so it is moved behind the last moment that is inside.
    """
    certificate = bundle.signing_certificate
    promised = _promised_time(bundle)
    logged = list(signed) if promised is None else [promised]
    issued = [certificate.not_valid_before_utc, *signed]
    return root.model_copy(
        update={
            "certificate_authorities": _authorities(root.certificate_authorities, issued, "certificate authority"),
            "ctlogs": _logs(root.ctlogs, _sct_times(certificate), "certificate log"),
            "tlogs": _logs(root.tlogs, logged, "transparency log"),
            "timestamp_authorities": [_closed(authority) for authority in root.timestamp_authorities],
        }
    )


def _stamps(bundle: Bundle) -> list[Any]:
    data = bundle.verification_material.timestamp_verification_data
    stamps = [] if data is None else list(data.rfc3161_timestamps)
    if len(stamps) > time_stamps.MAX_STAMPS:
        raise VerificationError(f"{len(stamps)} time stamps, more than the limit of {time_stamps.MAX_STAMPS}")
    return stamps


def _promised_time(bundle: Bundle) -> datetime | None:
    entry = bundle.log_entry._inner
    if entry.integrated_time and entry.inclusion_promise:
        return datetime.fromtimestamp(entry.integrated_time, UTC)
    return None


def _verified_stamp(stamp: Any, signature: bytes, root: TrustedRoot) -> datetime | None:
    """The stamp's time where a time stamp authority of the root made it inside its window."""
    for authority in root.timestamp_authorities:
        chain = [certificate.raw_bytes for certificate in authority.cert_chain.certificates]
        time = time_stamps.time_of(stamp, signature, chain) if len(chain) > 1 else None
        if time is not None and _holds(authority.valid_for, [time]):
            return time
    return None


def _sct_times(certificate: Any) -> list[datetime]:
    from cryptography.x509 import PrecertificateSignedCertificateTimestamps

    scts = certificate.extensions.get_extension_for_class(PrecertificateSignedCertificateTimestamps).value
    return [sct.timestamp.replace(tzinfo=UTC) for sct in scts]


def _authorities(parts: Iterable[Any], moments: Sequence[datetime], what: str) -> list[Any]:
    return _some([part for part in parts if _holds(part.valid_for, moments)], moments, what)


def _logs(parts: Iterable[Any], moments: Sequence[datetime], what: str) -> list[Any]:
    return _some([part for part in parts if _holds(part.public_key.valid_for, moments)], moments, what)


def _closed(authority: Any) -> Any:
    window = authority.valid_for
    if window is None or window.end is None:
        return authority
    later = window.model_copy(update={"end": window.end + timedelta(microseconds=1)})
    return authority.model_copy(update={"valid_for": later})


def _some(kept: list[Any], moments: Sequence[datetime], what: str) -> list[Any]:
    if not kept:
        raise TrustError(
            f"the sigstore trusted root has no {what} that was valid at {time_text.format(min(moments))}",
            hint="the signature was made outside the validity window; a newer trusted_root.json may name the part",
        )
    return kept


def _holds(window: Any, moments: Sequence[datetime]) -> bool:
    """Whether a closed window holds all moments; a part without a window is always valid (as in sigstore)."""
    if window is None:
        return True
    return all(window.start <= moment and (window.end is None or moment <= window.end) for moment in moments)
