"""Certificates: a root and what it issues, for Fulcio (an intermediate CA) and the TSA (its signer)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Extensions = Sequence[tuple[x509.ExtensionType, bool]]
ORGANIZATION = "private.test"


def name(common: str) -> x509.Name:
    parts = ((NameOID.ORGANIZATION_NAME, ORGANIZATION), (NameOID.COMMON_NAME, common))
    return x509.Name([x509.NameAttribute(kind, text) for kind, text in parts])


def usage(*, signs: bool = False, issues: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs,
        key_cert_sign=issues,
        crl_sign=issues,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


@dataclass(frozen=True)
class Issuer:
    """Who signs certificates: a name and a key."""

    subject: x509.Name
    key: ec.EllipticCurvePrivateKey

    def issue(
        self,
        subject: x509.Name,
        public_key: ec.EllipticCurvePublicKey,
        extensions: Extensions,
        *,
        start: datetime,
        life: timedelta,
        serial: int | None = None,
    ) -> x509.Certificate:
        start = start.replace(microsecond=0)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.subject)
            .public_key(public_key)
            .serial_number(serial or x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + life)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False)
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self.key, hashes.SHA384())


class Authority:
    """A self-signed root and one certificate under it; `signer` holds the key that does the daily work."""

    def __init__(self, what: str, own: Extensions, *, start: datetime, life: timedelta = timedelta(days=3650)) -> None:
        self.start = start
        root = Issuer(name(what), ec.generate_private_key(ec.SECP384R1()))
        self.root = root.issue(root.subject, root.key.public_key(), _ca(1), start=start, life=timedelta(days=3650))
        key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = root.issue(name(f"{what}-signer"), key.public_key(), own, start=start, life=life)
        self.signer = Issuer(self.certificate.subject, key)

    @property
    def chain(self) -> tuple[x509.Certificate, x509.Certificate]:
        return self.certificate, self.root


def certificate_authority(what: str, start: datetime) -> Authority:
    """Fulcio's: the certificate under the root issues others."""
    return Authority(what, _ca(0), start=start)


def stamping_authority(what: str, start: datetime, life: timedelta = timedelta(days=3650)) -> Authority:
    """The TSA's: the certificate under the root signs time stamps."""
    own = [(usage(signs=True), True), (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), True)]
    return Authority(what, own, start=start, life=life)


def _ca(depth: int) -> Extensions:
    return [(x509.BasicConstraints(True, depth), True), (usage(issues=True), True)]
