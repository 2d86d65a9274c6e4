"""Whom a certificate names, by made ones: what genuine files seldom have."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from attest.errors import CasstoreError
from attest.sigstore import certificates

AT = datetime(2026, 9, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "subject"),
    [(b"\x0c\x12foo!accounts.local", "foo!accounts.local"), (b"\x04\x03foo", None), (b"\x0c\x01\xff", None)],
    ids=["utf8", "octets", "no-utf8"],
)
def test_a_name_that_an_instance_gives_its_people_is_read_as_der(value: bytes, subject: str | None) -> None:
    """Fulcio's user names stand in a SAN of kind otherName, as a UTF8String."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.7"), value)
    issuer = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1"), b"https://oidc.local")
    made = (
        x509.CertificateBuilder(x509.Name([]), x509.Name([]), key.public_key(), 1, AT, AT)
        .add_extension(x509.SubjectAlternativeName([name]), critical=True)
        .add_extension(issuer, critical=False)
        .sign(key, hashes.SHA256())
    )
    if subject is not None:
        assert certificates.issuer_and_subject(made) == ("https://oidc.local", subject)
        return
    with pytest.raises(CasstoreError):
        certificates.issuer_and_subject(made)
