"""The two public keys that we take, straight from their one usual encoding.

`cryptography.hazmat.primitives.serialization` also brings OpenSSH's formats, a third of the time that
importing `attest.trust.verify` would take. P-256 (uncompressed point) and Ed25519 keys have a DER
SubjectPublicKeyInfo of a fixed prefix and the key; anything else is left to the library.

    of_pem(pem)        # a key, or None: ask the library

Source: RFC 5480 section 2, RFC 8410 section 4, RFC 7468 section 13.
"""

from __future__ import annotations

import base64
import binascii
import re

from cryptography.hazmat.primitives.asymmetric import ec, ed25519

_P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
_ED25519 = bytes.fromhex("302a300506032b6570032100")
_PEM = re.compile(rb"-----BEGIN PUBLIC KEY-----\n((?:[A-Za-z0-9+/]{1,64}={0,2}\n){1,3})-----END PUBLIC KEY-----\n?")

Key = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


def of_pem(pem: bytes) -> Key | None:
    """The key in a PEM of the usual form; None for any other."""
    found = _PEM.fullmatch(pem)
    if found is None:
        return None
    try:
        return of_der(base64.b64decode(found[1].replace(b"\n", b""), validate=True))
    except binascii.Error:
        return None


def of_der(der: bytes) -> Key | None:
    """The key in a DER of the usual form; None for any other."""
    try:
        if len(der) == len(_P256) + 65 and der.startswith(_P256 + b"\x04"):
            return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), der[len(_P256) :])
        if len(der) == len(_ED25519) + 32 and der.startswith(_ED25519):
            return ed25519.Ed25519PublicKey.from_public_bytes(der[len(_ED25519) :])
    except ValueError:  # not a point of the curve: the library says so in its own words
        return None
    return None


def to_der(public: object) -> bytes | None:
    """The usual DER of a key; None for another type or curve."""
    if isinstance(public, ed25519.Ed25519PublicKey):
        return _ED25519 + public.public_bytes_raw()
    if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
        return None
    point = public.public_numbers()
    return _P256 + b"\x04" + point.x.to_bytes(32, "big") + point.y.to_bytes(32, "big")
