"""A time stamp authority: RFC 3161 requests in, CMS SignedData out (RFC 5652, RFC 5816)."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from . import der
from .authorities import stamping_authority
from .clock import Clock

_SHA256 = der.sequence(der.oid("2.16.840.1.101.3.4.2.1"))
_TST_INFO = der.oid("1.2.840.113549.1.9.16.1.4")
_PKCS9 = "1.2.840.113549.1.9."


class StampingAuthority:
    """`lies`: `other-data` (a stamp over something else), `bad-signature`, `rejects`."""

    def __init__(self, clock: Clock, start: datetime, life: timedelta = timedelta(days=3650)) -> None:
        self.clock = clock
        self.lies: set[str] = set()
        self.embeds = True
        """Whether the authority's certificate stands in its stamps."""
        self.authority = stamping_authority("tsa", start, life)

    def stamp(self, body: bytes, _headers: Mapping[str, str]) -> bytes:
        """POST /api/v1/timestamp"""
        if "rejects" in self.lies:
            return der.sequence(der.sequence(der.integer(2)))
        (_, request, _), *_ = der.elements(body)
        parts = list(der.elements(request))
        imprint = parts[1][2]
        if "other-data" in self.lies:
            imprint = der.sequence(_SHA256, der.octets(bytes(32)))
        nonce = next((whole for tag, _, whole in parts[2:] if tag == 0x02), b"")
        signed = der.sequence(der.oid("1.2.840.113549.1.7.2"), der.tlv(0xA0, self._signed_data(imprint, nonce)))
        return der.sequence(der.sequence(der.integer(0)), signed)

    def _signed_data(self, imprint: bytes, nonce: bytes) -> bytes:
        now, certificate = self.clock.now(), self.authority.certificate
        info = der.sequence(
            der.integer(1),
            der.oid("1.3.6.1.4.1.57264.2"),
            imprint,
            der.integer(secrets.randbits(63)),
            der.tlv(0x18, now.strftime("%Y%m%d%H%M%SZ").encode()),
            der.sequence(der.integer(1)),
            nonce,
        )
        raw = certificate.public_bytes(Encoding.DER)
        content = der.sequence(_TST_INFO, der.tlv(0xA0, der.octets(info)))
        issuer = der.sequence(certificate.issuer.public_bytes(), der.integer(certificate.serial_number))
        signer = self._signer_info(issuer, _attributes(info, raw, now))
        inside = (der.tlv(0xA0, raw),) if self.embeds else ()
        return der.sequence(der.integer(3), der.set_of(_SHA256), content, *inside, der.set_of(signer))

    def _signer_info(self, issuer: bytes, attributes: list[bytes]) -> bytes:
        signed = der.set_of(*attributes) + (b"x" if "bad-signature" in self.lies else b"")
        signature = self.authority.signer.key.sign(signed, ec.ECDSA(hashes.SHA256()))
        algorithm = der.sequence(der.oid("1.2.840.10045.4.3.2"))
        return der.sequence(
            der.integer(1), issuer, _SHA256, der.tlv(0xA0, *sorted(attributes)), algorithm, der.octets(signature)
        )


def _attributes(info: bytes, certificate: bytes, now: datetime) -> list[bytes]:
    own = der.sequence(der.sequence(der.sequence(der.octets(hashlib.sha256(certificate).digest()))))
    return [
        _attribute("3", _TST_INFO),
        _attribute("4", der.octets(hashlib.sha256(info).digest())),
        _attribute("5", der.tlv(0x17, now.strftime("%y%m%d%H%M%SZ").encode())),
        _attribute("16.2.47", own),
    ]


def _attribute(number: str, value: bytes) -> bytes:
    return der.sequence(der.oid(_PKCS9 + number), der.set_of(value))
