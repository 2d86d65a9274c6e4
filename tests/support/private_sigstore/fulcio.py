"""Fulcio and its certificate log: an identity token and a CSR in, a certificate of ten minutes out.

Source: https://github.com/sigstore/fulcio/blob/main/docs/certificate-specification.md and RFC 6962.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from . import der
from .authorities import Authority, certificate_authority, usage
from .clock import Clock
from .errors import Refused

LIFE = timedelta(minutes=10)
_ARC = "1.3.6.1.4.1.57264.1."
_SCT_LIST = ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_CLAIMS = {"event_name": (2, 20), "sha": (3, 13), "workflow": (4,), "repository": (5,), "ref": (6, 14),
           "job_workflow_ref": (9,), "runner_environment": (11,), "workflow_ref": (18,), "run_url": (21,)}  # fmt: skip
"""A CI system's claims and the numbers of the extensions that they become."""


def spki(public: Any) -> bytes:
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


class Oidc:
    """The issuer of identity tokens, on real time: clients check a token by their own clock."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.key = ed25519.Ed25519PrivateKey.generate()

    def token(self, *, seconds: int = 600, audience: str = "sigstore", **claims: Any) -> str:
        now = int(datetime.now(UTC).timestamp())
        times = {"iat": now, "nbf": now - 5, "exp": now + seconds}
        return jwt.encode({"iss": self.issuer, "aud": audience, **times, **claims}, self.key, algorithm="EdDSA")

    def check(self, token: str) -> Mapping[str, Any]:
        try:
            return jwt.decode(
                token, self.key.public_key(), algorithms=["EdDSA"], audience="sigstore", issuer=self.issuer, leeway=5
            )
        except jwt.PyJWTError as exc:
            raise Refused(f"identity token: {exc}") from exc


class Fulcio:
    """The CA and its log. `lies`: `other-key`, `other-subject`, `no-sct`, `bad-sct`, `expired`."""

    def __init__(self, clock: Clock, oidc: Oidc, start: datetime) -> None:
        self.clock, self.oidc = clock, oidc
        self.lies: set[str] = set()
        self.life = LIFE
        self.sct_extensions = b""
        """What the certificate log adds to its promise."""
        self.authority: Authority = certificate_authority("fulcio", start)
        self.ct_key = ec.generate_private_key(ec.SECP256R1())

    def signing_certificate(self, body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
        """POST /api/v2/signingCert"""
        claims = self.oidc.check(headers.get("Authorization", "").removeprefix("Bearer "))
        csr = x509.load_pem_x509_csr(base64.b64decode(json.loads(body)["certificateSigningRequest"]))
        if not csr.is_signature_valid:
            raise Refused("the CSR is not signed by its key")
        public = csr.public_key()
        if "other-key" in self.lies:
            public = ec.generate_private_key(ec.SECP256R1()).public_key()
        chain = (self._leaf(public, claims), *self.authority.chain)
        pems = [certificate.public_bytes(Encoding.PEM).decode() for certificate in chain]
        return {"signedCertificateEmbeddedSct": {"chain": {"certificates": pems}}}

    def _leaf(self, public: Any, claims: Mapping[str, Any]) -> x509.Certificate:
        extensions = self._extensions(claims)
        start = self.clock.now() - (timedelta(days=1) if "expired" in self.lies else timedelta(0))
        fixed = {"start": start, "life": self.life, "serial": x509.random_serial_number()}
        issue = self.authority.signer.issue
        bare = issue(x509.Name([]), public, extensions, **fixed)
        if "no-sct" in self.lies:
            return bare
        return issue(x509.Name([]), public, [*extensions, (self._sct(bare.tbs_certificate_bytes), False)], **fixed)

    def _extensions(self, claims: Mapping[str, Any]) -> list[tuple[x509.ExtensionType, bool]]:
        email = claims.get("email")
        who = x509.RFC822Name(email) if email else x509.UniformResourceIdentifier(claims["sub"])
        if "other-subject" in self.lies:
            who = x509.RFC822Name("mallory@example.com")
        return [
            (usage(signs=True), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False),
            (x509.SubjectAlternativeName([who]), True),
            (_extension(1, claims["iss"]), False),
            (_extension(8, claims["iss"]), False),
            *((_extension(n, str(claims[c])), False) for c, numbers in _CLAIMS.items() if c in claims for n in numbers),
        ]

    def _sct(self, tbs: bytes) -> x509.UnrecognizedExtension:
        """RFC 6962 section 3.2: the log's promise over the certificate without this very extension."""
        time = int(self.clock.now().timestamp() * 1000).to_bytes(8, "big")
        issuer = hashlib.sha256(spki(self.authority.signer.key.public_key())).digest()
        if "bad-sct" in self.lies:
            issuer = bytes(32)
        signed = b"\0\0" + time + b"\0\1" + issuer + len(tbs).to_bytes(3, "big") + tbs
        more = len(self.sct_extensions).to_bytes(2, "big") + self.sct_extensions
        signature = self.ct_key.sign(signed + more, ec.ECDSA(hashes.SHA256()))
        log_id = hashlib.sha256(spki(self.ct_key.public_key())).digest()
        sct = b"\0" + log_id + time + more + b"\x04\x03" + _sized(signature)
        return x509.UnrecognizedExtension(_SCT_LIST, der.octets(_sized(_sized(sct))))


def _sized(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def _extension(number: int, text: str) -> x509.UnrecognizedExtension:
    """Extensions up to 6 are raw text, the later ones DER."""
    value = text.encode() if number <= 6 else der.utf8(text)
    return x509.UnrecognizedExtension(ObjectIdentifier(f"{_ARC}{number}"), value)
