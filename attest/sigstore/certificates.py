"""Signing certificates of a sigstore instance: issued by it, logged by it, good for signing, and whom they name.

Promises: a chain is built by `cryptography`'s verifier from the authorities of one instance alone, at each
proven time, and an authority counts only inside its window; a certificate log's promise (SCT) is demanded
where the instance names such logs. Leaves to others: the signature that the key made (`keyless`).

    chain, authority = issued(der, instance, [signed_at])          # VerificationError, TrustError
    issuer_and_subject(chain[0], authority.uri)

Source: https://github.com/sigstore/fulcio/blob/main/docs/certificate-specification.md , RFC 6962 section 3.2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache, wraps
from itertools import pairwise
from types import MappingProxyType
from typing import Any, ParamSpec, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from attest.core import times
from attest.errors import CasstoreError, FormatError, TrustError
from attest.errors import VerificationError as Refused
from attest.keys import keys
from attest.keys.keys import PublicKey
from attest.sigstore.sigstore_roots import CertificateAuthority, Instance

_OID = "1.3.6.1.4.1.57264.1."
_ISSUER_V1, _ISSUER_V2, _USERNAME = f"{_OID}1", f"{_OID}8", f"{_OID}7"

CLAIMS: Mapping[str, str] = MappingProxyType(
    {
        "buildSignerUri": f"{_OID}9",
        "buildSignerDigest": f"{_OID}10",
        "runnerEnvironment": f"{_OID}11",
        "sourceRepositoryUri": f"{_OID}12",
        "sourceRepositoryDigest": f"{_OID}13",
        "sourceRepositoryRef": f"{_OID}14",
        "sourceRepositoryId": f"{_OID}15",
        "sourceRepositoryOwnerUri": f"{_OID}16",
        "sourceRepositoryOwnerId": f"{_OID}17",
        "buildConfigUri": f"{_OID}18",
        "buildConfigDigest": f"{_OID}19",
        "buildTrigger": f"{_OID}20",
        "runInvocationUri": f"{_OID}21",
        "sourceRepositoryVisibility": f"{_OID}22",
    }
)
"""Fulcio's names of what a CI system vouched for -> extension."""

_BY_AUTHORITY = "ca:"
_BY_CONDITIONS = "claims:"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


_P = ParamSpec("_P")
_T = TypeVar("_T")


def _door(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Whatever the library raises over bytes that anybody wrote is a refusal, never a crash."""

    @wraps(function)
    def guarded(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return function(*args, **kwargs)
        except CasstoreError:
            raise
        except Exception as exc:
            said = " ".join(str(exc).split()).partition(" (encountered")[0][:160]
            raise Refused(f"the certificate cannot be read: {said or type(exc).__name__}") from exc

    return guarded


@lru_cache(maxsize=256)
def load(der: bytes) -> x509.Certificate:
    """DER to certificate. Raises FormatError."""
    try:
        return x509.load_der_x509_certificate(der)
    except Exception as exc:  # ValueError, InvalidVersion, UnsupportedAlgorithm
        raise FormatError("sigstore bundle: a certificate that cannot be read") from exc


@_door
def issued(
    der: bytes, instance: Instance, moments: Sequence[datetime]
) -> tuple[list[x509.Certificate], CertificateAuthority]:
    """The certificate and those above it, valid at all moments, and whose. Raises VerificationError, TrustError."""
    leaf = load(der)
    used = [leaf.not_valid_before_utc, *moments]
    inside = [authority for authority in instance.authorities if authority.window.holds(used)]
    if not inside:
        raise TrustError(
            f"the sigstore trusted root has no certificate authority that was valid at {times.format(min(used))}",
            hint="the signature was made outside the validity window; a newer trusted_root.json may name the part",
        )
    chain, authority = _chain(leaf, inside, min(moments))
    for moment in moments:
        if moment != min(moments):
            chain, authority = _chain(leaf, [authority], moment)
        if not leaf.not_valid_before_utc <= moment <= leaf.not_valid_after_utc:
            raise Refused(f"the certificate was not valid at {times.format(moment)}, when it signed")
    _check_usage(leaf)
    if instance.asks_promise:
        _check_promise(leaf, chain[1], instance)
    return chain, authority


@_door
def check_order(chain: Sequence[bytes]) -> None:
    """Raises VerificationError for a chain of which one does not certify the one before it (protobuf-specs).

    All but the first are left aside after that: what vouches for it stands in the trusted root. Bundles of early
    2023 end in the instance's own root.
    """
    for lower, upper in pairwise(chain):
        if not _directly_issued(load(lower), load(upper)):
            raise Refused("the bundle's certificates are no chain: one does not certify the one before it")


@_door
def issuers(der: bytes, instance: Instance) -> bool:
    """Whether an authority of the instance made this certificate, at whatever time: which instance to ask."""
    leaf = load(der)
    return any(
        _directly_issued(leaf, load(certificate))
        for authority in instance.authorities
        for certificate in authority.chain
    )


@_door
def public_key(leaf: x509.Certificate) -> PublicKey:
    """The key that signed. Raises BadInput for a type that is not taken."""
    return keys.taken(leaf.public_key())


@_door
def issuer_and_subject(certificate: x509.Certificate, authority: str = "") -> tuple[str, str]:
    """Issuer and subject as the certificate names them; exactly one of each. Raises VerificationError.

    A certificate without an issuer of tokens (GitHub's release attestations) is vouched for by its authority
    alone: the issuer is `ca:` and the authority's name in the trusted root, which no token's issuer can be.
    """
    values = _values(certificate)
    found = {_utf8(values[_ISSUER_V1])} if _ISSUER_V1 in values else set()
    if _ISSUER_V2 in values:
        found.add(_der_utf8(values[_ISSUER_V2]))
    if any(issuer.startswith(_BY_AUTHORITY) for issuer in found):
        raise Refused("the certificate's issuer is written as only an authority's may be")
    if not found and authority:
        found.add(f"{_BY_AUTHORITY}{authority}")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    subjects = [_subject(name) for name in names]
    if any(subject.startswith(_BY_CONDITIONS) for subject in subjects):
        raise Refused("the certificate's subject is written as only a trust root's conditions may be")
    if len(found) != 1 or len(subjects) != 1:
        raise Refused(f"the certificate names {len(found)} issuers and {len(subjects)} subjects, one of each is wanted")
    return found.pop(), subjects[0]


@_door
def claims_of(certificate: x509.Certificate) -> dict[str, str]:
    """What the CI system vouched for, by `CLAIMS`; empty for a person. Raises VerificationError."""
    values = _values(certificate)
    return {name: _der_utf8(values[oid]) for name, oid in CLAIMS.items() if oid in values}


@lru_cache(maxsize=64)
def _values(certificate: x509.Certificate) -> Mapping[str, bytes]:
    return {
        extension.oid.dotted_string: extension.value.public_bytes()
        for extension in certificate.extensions
        if isinstance(extension.value, x509.UnrecognizedExtension)
    }


def _chain(
    leaf: x509.Certificate, authorities: Sequence[CertificateAuthority], at: datetime
) -> tuple[list[x509.Certificate], CertificateAuthority]:
    why = "no authority of the trusted root issued it"
    for authority in authorities:
        above = [load(der) for der in authority.chain]
        try:
            _check_authority(authority.chain, at)
            return list(_policy(authority.chain, at).verify(leaf, []).chain), authority
        except (VerificationError, ValueError) as exc:
            if any(_directly_issued(leaf, certificate) for certificate in above):
                why = " ".join(str(exc).split()).partition(" (encountered")[0][:200]
        except x509.UnsupportedGeneralNameType as exc:
            raise Refused("the certificate names its subject by another kind of name, which is not taken") from exc
    raise Refused(f"the certificate chain does not hold at {times.format(at)}: {why}")


def _check_authority(chain: tuple[bytes, ...], at: datetime) -> None:
    """All certificates of the authority are anchors, as in sigstore's clients; each must be valid then. ValueError."""
    _check_anchors(chain)
    for certificate in map(load, chain):
        if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
            raise ValueError(f"{certificate.subject.rfc4514_string()} was not valid then")


@lru_cache(maxsize=64)
def _check_anchors(chain: tuple[bytes, ...]) -> None:
    """Each certifies the one before it; once, since the trusted root is pinned. Raises ValueError."""
    for lower, upper in pairwise(chain):
        if not _directly_issued(load(lower), load(upper)):
            raise ValueError("the authority's certificates in the trusted root are no chain")


@lru_cache(maxsize=64)
def _store(chain: tuple[bytes, ...]) -> Store:
    return Store([load(der) for der in chain])


def _policy(chain: tuple[bytes, ...], at: datetime) -> Any:
    """Code signing is no usage that a web client has; it is asked for in `_check_usage`."""
    may = (x509.ExtendedKeyUsage, Criticality.NON_CRITICAL, None)
    return (
        PolicyBuilder()
        .store(_store(chain))
        .time(at)
        .extension_policies(
            ca_policy=ExtensionPolicy.webpki_defaults_ca().may_be_present(*may),
            ee_policy=ExtensionPolicy.webpki_defaults_ee().may_be_present(*may),
        )
        .build_client_verifier()
    )


def _directly_issued(leaf: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(issuer)
    except Exception:
        return False
    return True


def _check_usage(leaf: x509.Certificate) -> None:
    try:
        usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
        purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound as exc:
        raise Refused("the certificate does not say what its key is for") from exc
    if not usage.digital_signature or ExtendedKeyUsageOID.CODE_SIGNING not in purposes:
        raise Refused("the certificate is not for signing code")


def _check_promise(leaf: x509.Certificate, issuer: x509.Certificate, instance: Instance) -> None:
    """The one signed certificate timestamp, by a log of the instance inside its window."""
    try:
        found = leaf.extensions.get_extension_for_class(x509.PrecertificateSignedCertificateTimestamps).value
    except x509.ExtensionNotFound as exc:
        raise Refused("the certificate bears no promise of a certificate log") from exc
    promises = list(found)
    if len(promises) != 1:
        raise Refused(f"the certificate bears {len(promises)} promises of certificate logs, one is wanted")
    promise = promises[0]
    at = promise.timestamp.replace(tzinfo=UTC)
    log = instance.certificate_log(promise.log_id, [at])
    if not isinstance(promise.signature_hash_algorithm, hashes.SHA256):
        raise Refused("the certificate log's promise is not over SHA-256")
    try:
        keys.verify_signature(log.public, promise.signature, _promised(promise, leaf, issuer, at))
    except CasstoreError as exc:
        raise Refused("the certificate log's promise does not hold") from exc


def _promised(promise: Any, leaf: x509.Certificate, issuer: x509.Certificate, at: datetime) -> bytes:
    """RFC 6962: version, kind, time, `precert_entry`, the issuer's key, the certificate without promises."""
    tbs, extensions = leaf.tbs_precertificate_bytes, promise.extension_bytes
    return b"".join(
        (
            b"\0\0",
            ((at - _EPOCH) // timedelta(milliseconds=1)).to_bytes(8, "big"),
            b"\0\1",
            _key_hash(issuer),
            len(tbs).to_bytes(3, "big"),
            tbs,
            len(extensions).to_bytes(2, "big"),
            extensions,
        )
    )


def _key_hash(certificate: x509.Certificate) -> bytes:
    import hashlib

    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    der = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).digest()


def _subject(name: Any) -> str:
    if isinstance(name, x509.RFC822Name | x509.UniformResourceIdentifier):
        return name.value
    if isinstance(name, x509.OtherName) and name.type_id.dotted_string == _USERNAME:
        return _der_utf8(name.value)
    raise Refused(f"the certificate names its subject by {type(name).__name__}, which is not taken")


def _der_utf8(der: bytes) -> str:
    """A DER UTF8String (tag 0x0C) in short or one- or two-byte long form."""
    header = 2 if len(der) > 1 and der[1] < 0x80 else 2 + (der[1] & 0x7F if len(der) > 1 else 0)
    length = der[1] if header == 2 and len(der) > 1 else int.from_bytes(der[2:header], "big")
    if der[:1] != b"\x0c" or header > 4 or len(der) != header + length:
        raise Refused("an extension of the certificate is no UTF8String")
    return _utf8(der[header:])


def _utf8(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as exc:
        raise Refused("the certificate's issuer or subject is not UTF-8") from exc
