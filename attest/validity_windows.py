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
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from attest import times as time_text
from attest.errors import TrustError, VerificationError

if TYPE_CHECKING:
    from sigstore.models import Bundle
    from sigstore_models.trustroot.v1 import CertificateAuthority, TrustedRoot

MAX_TIMESTAMPS = 32


def proven_times(bundle: Bundle, root: TrustedRoot) -> list[datetime]:
    """Times at which the signature is proven to have existed. Raises VerificationError for none."""
    found = [time for stamp in _stamps(bundle) if (time := _verified_stamp(stamp, bundle.signature, root)) is not None]
    promised = _promised_time(bundle)
    if promised is not None:
        found.append(promised)
    if not found:
        raise VerificationError(
            "no proven signing time: neither a log's promise nor a time stamp that the trusted root vouches for",
            hint="give the trusted_root.json of the instance that signed it",
        )
    return found


def valid_parts(root: TrustedRoot, bundle: Bundle, signed: Sequence[datetime]) -> TrustedRoot:
    """The root without what was not valid when it was used. Raises TrustError where nothing is left.

    Time stamp authorities stay: their windows decided in `proven_times` which stamps count.
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
        }
    )


def _stamps(bundle: Bundle) -> list[Any]:
    data = bundle.verification_material.timestamp_verification_data
    stamps = [] if data is None else list(data.rfc3161_timestamps)
    if len(stamps) > MAX_TIMESTAMPS:
        raise VerificationError(f"{len(stamps)} time stamps, more than the limit of {MAX_TIMESTAMPS}")
    return stamps


def _promised_time(bundle: Bundle) -> datetime | None:
    entry = bundle.log_entry._inner
    if entry.integrated_time and entry.inclusion_promise:
        return datetime.fromtimestamp(entry.integrated_time, UTC)
    return None


def _verified_stamp(stamp: Any, signature: bytes, root: TrustedRoot) -> datetime | None:
    """The stamp's time where a time stamp authority of the root made it inside its window."""
    time: datetime = stamp.tst_info.gen_time
    for authority in root.timestamp_authorities:
        if _holds(authority.valid_for, [time]) and _stamp_matches(stamp, signature, authority):
            return time
    return None


def _stamp_matches(stamp: Any, signature: bytes, authority: CertificateAuthority) -> bool:
    from cryptography.x509 import load_der_x509_certificate
    from rfc3161_client import VerificationError as StampError
    from rfc3161_client import VerifierBuilder

    chain = [load_der_x509_certificate(c.raw_bytes) for c in authority.cert_chain.certificates]
    if len(chain) < 2:
        return False
    builder = VerifierBuilder().tsa_certificate(chain[0]).add_root_certificate(chain[-1])
    for intermediate in chain[1:-1]:
        builder = builder.add_intermediate_certificate(intermediate)
    try:
        builder.build().verify_message(stamp, signature)
    except StampError:
        return False
    return True


def _sct_times(certificate: Any) -> list[datetime]:
    from cryptography.x509 import PrecertificateSignedCertificateTimestamps

    scts = certificate.extensions.get_extension_for_class(PrecertificateSignedCertificateTimestamps).value
    return [sct.timestamp.replace(tzinfo=UTC) for sct in scts]


def _authorities(parts: Iterable[Any], moments: Sequence[datetime], what: str) -> list[Any]:
    return _some([part for part in parts if _holds(part.valid_for, moments)], moments, what)


def _logs(parts: Iterable[Any], moments: Sequence[datetime], what: str) -> list[Any]:
    return _some([part for part in parts if _holds(part.public_key.valid_for, moments)], moments, what)


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
