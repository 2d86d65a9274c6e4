"""Keyless signatures: judged by the unchanged sigstore-python, offline, at their own time.

Promises: opens no socket, no file and no cache; a part of the trusted root counts only inside
its validity window (`validity_windows`). Leaves to others: what the payload means and whether
the identity is trusted (`verify`).

    found = verify_keyless(raw, trusted_root_json=root, at=now)
    found.identity        # 'oidc:https://accounts.example#ann@example.com'

Source: https://github.com/sigstore/architecture-docs/blob/main/client-spec.md
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from attest import canonical
from attest.core import times
from attest.digests import Digest, to_raw
from attest.errors import CasstoreError, NotInstalled, TrustError, VerificationError
from attest.keys import identities
from attest.sigstore import validity_windows

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from sigstore_models.trustroot.v1 import TrustedRoot

CLOCK_LEEWAY = timedelta(minutes=5)
"""How far a proven signing time may lie after the time of judgement, since clocks differ."""

_ISSUER_V1 = "1.3.6.1.4.1.57264.1.1"
_ISSUER_V2 = "1.3.6.1.4.1.57264.1.8"
_USERNAME = "1.3.6.1.4.1.57264.1.7"

_Check = Callable[[Any, Any, Any], tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class KeylessSignature:
    """What a keyless bundle proves."""

    payload: bytes
    """The DSSE payload; empty for a signature over an artifact itself."""
    payload_type: str
    identity: str
    signed_at: datetime
    """The earliest proven time at which the signature existed."""


def verify_keyless(raw: bytes, *, trusted_root_json: bytes, at: datetime) -> KeylessSignature:
    """Verify a bundle with a DSSE envelope; payload type and subjects are the caller's to check.

    Raises FormatError, VerificationError, NotInstalled; TrustError where the trusted root cannot vouch for it.
    """

    def check(verifier: Any, bundle: Any, policy: Any) -> tuple[str, bytes]:
        payload_type, payload = verifier.verify_dsse(bundle, policy)
        return payload_type, payload

    return _verify(raw, trusted_root_json, at, check)


def verify_keyless_artifact(
    raw: bytes, artifact: Digest, *, trusted_root_json: bytes, at: datetime
) -> KeylessSignature:
    """Verify a bundle that signs an artifact itself (foreign files only). Raises as `verify_keyless`."""

    def check(verifier: Any, bundle: Any, policy: Any) -> tuple[str, bytes]:
        from sigstore.hashes import Hashed
        from sigstore_models.common.v1 import HashAlgorithm

        hashed = Hashed(algorithm=HashAlgorithm.SHA2_256, digest=to_raw(artifact))
        verifier.verify_artifact(hashed, bundle, policy)
        return "", b""

    return _verify(raw, trusted_root_json, at, check)


def stamp_times(raw: bytes, root_json: bytes) -> list[datetime]:
    """The times of a bundle's stamps that the trusted root vouches for; the signature itself is not judged."""
    root = _load_root(bytes(root_json))
    from sigstore import models

    return validity_windows.stamp_times(models.Bundle.from_json(raw), root)


def _verify(raw: bytes, root_json: bytes, at: datetime, check: _Check) -> KeylessSignature:
    # The strict reader goes first: duplicate keys and the like never reach a laxer one.
    canonical.loads_object(raw, what="sigstore bundle")
    root = _load_root(bytes(root_json))
    try:
        return _judge(raw, root, at, check)
    except CasstoreError:
        raise
    except Exception as exc:  # the door: whatever a foreign library raises here is a refusal
        raise VerificationError(
            f"the keyless signature is refused: {_one_line(exc)}",
            hint="get the attestation again, or the trusted_root.json of the instance that signed it",
        ) from exc


def _judge(raw: bytes, root: TrustedRoot, at: datetime, check: _Check) -> KeylessSignature:
    from sigstore import models
    from sigstore.verify import Verifier, policy

    bundle = models.Bundle.from_json(raw)
    signed = validity_windows.proven_times(bundle, root)
    _check_not_after(max(signed), at)
    valid = models.TrustedRoot(validity_windows.valid_parts(root, bundle, signed))
    issuer, subject = issuer_and_subject(bundle.signing_certificate)
    same_reading = policy.Identity(identity=subject, issuer=issuer)
    payload_type, payload = check(Verifier(trusted_root=valid), bundle, same_reading)
    return KeylessSignature(payload, payload_type, identities.of_oidc(issuer, subject), min(signed))


def _check_not_after(signed: datetime, at: datetime) -> None:
    if signed > at + CLOCK_LEEWAY:
        raise VerificationError(
            f"it was signed at {times.format(signed)}, after the time of judgement {times.format(at)}",
            hint="check this machine's clock",
        )


def issuer_and_subject(certificate: Certificate) -> tuple[str, str]:
    """Issuer and subject as the certificate names them; exactly one of each. Raises VerificationError."""
    from cryptography import x509

    values = {e.oid.dotted_string: e.value.public_bytes() for e in certificate.extensions if _is_opaque(e)}
    found = {_utf8(values[_ISSUER_V1])} if _ISSUER_V1 in values else set()
    if _ISSUER_V2 in values:
        found.add(_der_utf8(values[_ISSUER_V2]))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    subjects = [_subject(name) for name in names]
    if len(found) != 1 or len(subjects) != 1:
        raise VerificationError(
            f"the certificate names {len(found)} issuers and {len(subjects)} subjects, one of each is wanted"
        )
    return found.pop(), subjects[0]


def _subject(name: Any) -> str:
    from cryptography import x509

    if isinstance(name, x509.RFC822Name | x509.UniformResourceIdentifier):
        return name.value
    if isinstance(name, x509.OtherName) and name.type_id.dotted_string == _USERNAME:
        return _utf8(name.value)
    raise VerificationError(f"the certificate names its subject by {type(name).__name__}, which is not taken")


def _is_opaque(extension: Any) -> bool:
    from cryptography import x509

    return isinstance(extension.value, x509.UnrecognizedExtension)


def _der_utf8(der: bytes) -> str:
    """A DER UTF8String (tag 0x0C) in short or one- or two-byte long form."""
    header = 2 if len(der) > 1 and der[1] < 0x80 else 2 + (der[1] & 0x7F if len(der) > 1 else 0)
    length = der[1] if header == 2 and len(der) > 1 else int.from_bytes(der[2:header], "big")
    if der[:1] != b"\x0c" or header > 4 or len(der) != header + length:
        raise VerificationError("the certificate's issuer extension is no UTF8String")
    return _utf8(der[header:])


def _utf8(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as exc:
        raise VerificationError("the certificate's issuer or subject is not UTF-8") from exc


@lru_cache(maxsize=8)
def _load_root(root_json: bytes) -> TrustedRoot:
    canonical.loads_object(root_json, what="sigstore trusted root")
    try:
        import sigstore.verify  # noqa: F401 - all that `_judge` needs, asked for before anything is judged
        from sigstore_models.trustroot.v1 import TrustedRoot
    except ImportError as exc:
        raise NotInstalled(
            "keyless signatures are verified by sigstore-python, which is not installed",
            hint='pip install "casstore[keyless]"',
        ) from exc
    try:
        return TrustedRoot.from_json(root_json)
    except ValueError as exc:
        raise TrustError(
            f"the sigstore trusted root cannot be used: {_one_line(exc)}", hint="a trusted_root.json is wanted"
        ) from exc


def _one_line(exc: Exception) -> str:
    return " ".join(str(exc).split())[:300] or type(exc).__name__
