"""Identities: who signed, as one text that two keys or two people never share.

A managed key is `key:sha256:<hex of SHA-256 over the DER SubjectPublicKeyInfo>`; a keyless
signer is `oidc:<issuer>#<subject>`, both as its certificate has them. Thresholds count
identities, never signatures and never key ids (DSSE's `keyid` is not authenticated).

    >>> of_oidc("https://accounts.example", "ann@example.com")
    'oidc:https://accounts.example#ann@example.com'
"""

from __future__ import annotations

import hashlib
import re

from attest.errors import BadInput

KEY_PREFIX = "key:sha256:"
OIDC_PREFIX = "oidc:"

_KEY = re.compile(r"key:sha256:[0-9a-f]{64}")
_MAX = 2048


def of_spki(der: bytes) -> str:
    """The identity of a public key, from its DER SubjectPublicKeyInfo."""
    return KEY_PREFIX + hashlib.sha256(der).hexdigest()


def of_oidc(issuer: str, subject: str) -> str:
    """The identity of a keyless signer. Raises BadInput where the text would be ambiguous."""
    return parse(f"{OIDC_PREFIX}{issuer}#{subject}") if "#" not in issuer else _refuse(issuer)


def parse(text: object) -> str:
    """Text to identity. Raises BadInput."""
    if not isinstance(text, str) or len(text) > _MAX or not text.isprintable():
        return _refuse(text)
    if _KEY.fullmatch(text):
        return text
    issuer, separator, subject = text.removeprefix(OIDC_PREFIX).partition("#")
    if not text.startswith(OIDC_PREFIX) or not separator or not issuer or not subject:
        return _refuse(text)
    return text


def is_key(identity: str) -> bool:
    """Whether it is a managed key's."""
    return identity.startswith(KEY_PREFIX)


def issuer_and_subject(identity: str) -> tuple[str, str]:
    """The two halves of a keyless identity (an issuer holds no `#`). Raises BadInput for a key's."""
    if not parse(identity).startswith(OIDC_PREFIX):
        raise BadInput(f"not a keyless identity: {identity}")
    issuer, _, subject = identity.removeprefix(OIDC_PREFIX).partition("#")
    return issuer, subject


def short(identity: str) -> str:
    """For people only: a key's first 12 digits, a keyless signer's subject."""
    if is_key(identity):
        return KEY_PREFIX + identity[len(KEY_PREFIX) :][:12]
    return identity.partition("#")[2] or identity


def _refuse(text: object) -> str:
    raise BadInput(
        f"not an identity: {str(text)[:100]!r}", hint="write key:sha256:<64 hex digits> or oidc:<issuer>#<subject>"
    )
