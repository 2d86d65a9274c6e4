"""Managed keys: ECDSA P-256 with SHA-256, and Ed25519. Bytes in, bytes out.

Promises: one identity per key (SHA-256 over the DER SubjectPublicKeyInfo), PKCS#8 PEM with
or without a passphrase, and no other type or curve, since common verifiers of sigstore
bundles hash with SHA-256 whatever the curve. Leaves to others: where a key lives (`signers`)
and whom it belongs to (`trust_roots`).

    key = generate("ed25519")
    verify_signature(key.public_key(), sign(key, b"data"), b"data")
"""

from __future__ import annotations

from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from attest.core import spki
from attest.errors import BadInput, FormatError, SignerError, VerificationError
from attest.keys import identities

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

ECDSA_P256 = "ecdsa-p256"
ED25519 = "ed25519"
ALGORITHMS = (ECDSA_P256, ED25519)

MAX_PEM = 16 * 1024

_ACCEPTED = f"casstore takes {' and '.join(ALGORITHMS)} keys: casstore keys generate"
_ECDSA = ec.ECDSA(hashes.SHA256())


def _ecdsa_for_signing() -> ec.ECDSA:
    """RFC 6979 where the library has it: then a statement that is signed again gives the same bytes."""
    try:
        return ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    except UnsupportedAlgorithm:
        return _ECDSA


_ECDSA_SIGNING = _ecdsa_for_signing()


def generate(algorithm: str = ECDSA_P256) -> PrivateKey:
    """A fresh private key. Raises BadInput for an unknown algorithm."""
    if algorithm == ECDSA_P256:
        return ec.generate_private_key(ec.SECP256R1())
    if algorithm == ED25519:
        return ed25519.Ed25519PrivateKey.generate()
    raise BadInput(f"unknown key algorithm: {algorithm[:40]!r}", hint=f"choose one of {', '.join(ALGORITHMS)}")


def algorithm_of(key: PrivateKey | PublicKey) -> str:
    """`ecdsa-p256` or `ed25519`. Raises BadInput for any other type or curve."""
    if isinstance(key, ed25519.Ed25519PrivateKey | ed25519.Ed25519PublicKey):
        return ED25519
    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        if isinstance(key.curve, ec.SECP256R1):
            return ECDSA_P256
        raise BadInput(f"a key on the curve {key.curve.name} is not taken", hint=_ACCEPTED)
    raise BadInput(f"a key of type {type(key).__name__} is not taken", hint=_ACCEPTED)


def private_to_pem(key: PrivateKey, password: bytes | None) -> bytes:
    """PKCS#8 PEM, encrypted where a passphrase is given. Raises BadInput for an empty one."""
    if password is not None and not password:
        raise BadInput("the passphrase is empty", hint="give one, or none at all")
    from cryptography.hazmat.primitives import serialization

    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def private_from_pem(pem: bytes, password: bytes | None) -> PrivateKey:
    """PEM to private key. Raises SignerError for a wrong, missing or needless passphrase and for other PEM."""
    if len(pem) > MAX_PEM:
        raise SignerError(f"the key file has {len(pem)} bytes, more than the limit of {MAX_PEM}")
    from cryptography.hazmat.primitives import serialization

    try:
        key = serialization.load_pem_private_key(pem, password or None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise _unreadable(pem, password, exc) from exc
    try:
        algorithm_of(key)  # type: ignore[arg-type]  # the union is what it checks
    except BadInput as exc:
        raise SignerError(exc.message, hint=exc.hint) from exc
    return key  # type: ignore[return-value]


def is_encrypted(pem: bytes) -> bool:
    """Whether a private key's PEM asks for a passphrase."""
    return b"ENCRYPTED" in pem[:MAX_PEM]


def public_to_pem(public: PublicKey) -> bytes:
    """SubjectPublicKeyInfo PEM, as openssl and cosign read it."""
    from cryptography.hazmat.primitives import serialization

    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def public_from_pem(pem: bytes) -> PublicKey:
    """PEM to public key. Raises FormatError for what is no PEM, BadInput for other types and curves."""
    return _public_from_pem(bytes(pem))


@lru_cache(maxsize=256)
def _public_from_pem(pem: bytes) -> PublicKey:
    # Remembered: a release has thousands of attestations by few keys, and parsing costs as much as verifying.
    if len(pem) > MAX_PEM:
        raise FormatError(f"the public key has {len(pem)} bytes, more than the limit of {MAX_PEM}")
    usual = spki.of_pem(pem)
    if usual is not None:
        return usual
    from cryptography.hazmat.primitives import serialization

    try:
        public = serialization.load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise FormatError(f"not a public key in PEM: {_first_line(exc)}", hint=_ACCEPTED) from exc
    algorithm_of(public)  # type: ignore[arg-type]  # the union is what it checks
    return public  # type: ignore[return-value]


def public_from_der(der: bytes) -> PublicKey:
    """DER SubjectPublicKeyInfo to public key. Raises FormatError for what is no key, BadInput for other types."""
    if len(der) > MAX_PEM:
        raise FormatError(f"the public key has {len(der)} bytes, more than the limit of {MAX_PEM}")
    usual = spki.of_der(der)
    if usual is not None:
        return usual
    from cryptography.hazmat.primitives import serialization

    try:
        public = serialization.load_der_public_key(der)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise FormatError(f"not a public key in DER: {_first_line(exc)}", hint=_ACCEPTED) from exc
    algorithm_of(public)  # type: ignore[arg-type]  # the union is what it checks
    return public  # type: ignore[return-value]


def public_to_der(public: PublicKey) -> bytes:
    """DER SubjectPublicKeyInfo: the bytes whose hash is the identity."""
    usual = spki.to_der(public)
    if usual is not None:
        return usual
    from cryptography.hazmat.primitives import serialization

    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def identity_of(public: PublicKey) -> str:
    """`key:sha256:<hex>`: the same for the same key, under whatever name it is listed."""
    return identities.of_spki(public_to_der(public))


def identity_of_pem(pem: bytes) -> str:
    """The identity of a PEM public key."""
    return identity_of(public_from_pem(pem))


def sign(key: PrivateKey, data: bytes) -> bytes:
    """The raw signature: ECDSA in DER over SHA-256, or Ed25519's 64 bytes."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    return key.sign(data, _ECDSA_SIGNING)


def verify_signature(public: PublicKey, signature: bytes, data: bytes) -> None:
    """Raises VerificationError unless the signature is this key's over exactly this data."""
    try:
        if isinstance(public, ed25519.Ed25519PublicKey):
            public.verify(signature, data)
        else:
            public.verify(signature, data, _ECDSA)
    except InvalidSignature as exc:
        raise VerificationError(
            f"the signature does not match the key {identities.short(identity_of(public))}",
            hint="the bytes were changed or another key signed them: get the file again, or name the right key",
        ) from exc


def verify_artifact(public: PublicKey, signature: bytes, sha256: bytes, content: bytes | None) -> None:
    """As `verify_signature`, over an artifact of which ECDSA needs the SHA-256 alone and Ed25519 all bytes.

    Raises BadInput where the bytes are needed and not given.
    """
    if isinstance(public, ed25519.Ed25519PublicKey):
        if content is None:
            raise BadInput("an Ed25519 signature is verified over the file, not its digest", hint="give the file")
        return verify_signature(public, signature, content)
    try:
        public.verify(signature, sha256, ec.ECDSA(Prehashed(hashes.SHA256())))
    except InvalidSignature as exc:
        raise VerificationError(
            f"the signature does not match the key {identities.short(identity_of(public))}",
            hint="the file was changed or another key signed it: get both again, or name the right key",
        ) from exc
    return None


def _unreadable(pem: bytes, password: bytes | None, exc: Exception) -> SignerError:
    if is_encrypted(pem) and not password:
        return SignerError("the key is encrypted and no passphrase was given", hint="set CASSTORE_PASSWORD")
    if is_encrypted(pem):
        return SignerError("the key cannot be opened: wrong passphrase, or a damaged file")
    if password:
        return SignerError("a passphrase was given, but the key is not encrypted or not a PEM private key")
    return SignerError(f"not a private key in PEM: {_first_line(exc)}", hint=_ACCEPTED)


def _first_line(exc: Exception) -> str:
    return (str(exc).splitlines() or [type(exc).__name__])[0][:160]
