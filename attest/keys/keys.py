"""Managed keys: ECDSA P-256 with SHA-256, and Ed25519. Bytes in, bytes out.

Promises: one identity per key (SHA-256 over the DER SubjectPublicKeyInfo), PKCS#8 PEM with
or without a passphrase, and no other type or curve to sign with, since common verifiers of sigstore
bundles hash with SHA-256 whatever the curve. What others signed is verified by P-384, P-521 and RSA
keys too, with the hash of the curve or SHA-256, PKCS#1 v1.5 or PSS. Leaves to others: where a key lives (`signers`)
and whom it belongs to (`trust_roots`).

    key = generate("ed25519")
    verify_signature(key.public_key(), sign(key, b"data"), b"data")
"""

from __future__ import annotations

from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature

from attest.core import spki
from attest.errors import BadInput, FormatError, SignerError, VerificationError
from attest.keys import identities

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey

ECDSA_P256 = "ecdsa-p256"
ED25519 = "ed25519"
ALGORITHMS = (ECDSA_P256, ED25519)
"""To sign with."""

LEAST_RSA, MOST_RSA = 2048, 8192
"""Bits of a modulus."""

MAX_PEM = 16 * 1024

_ACCEPTED = f"casstore takes {' and '.join(ALGORITHMS)} keys: casstore keys generate"
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_ECDSA = ec.ECDSA(hashes.SHA256())
_CURVE_HASHES: dict[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}
"""What sigstore's registry has each curve sign with."""
_CURVES: dict[str, tuple[str, ec.ECDSA]] = {
    "secp256r1": (ECDSA_P256, _ECDSA),
    "secp384r1": ("ecdsa-p384", ec.ECDSA(_CURVE_HASHES["secp384r1"])),
    "secp521r1": ("ecdsa-p521", ec.ECDSA(_CURVE_HASHES["secp521r1"])),
}
_DETAILS = {
    ECDSA_P256: "PKIX_ECDSA_P256_SHA_256",
    "ecdsa-p384": "PKIX_ECDSA_P384_SHA_384",
    "ecdsa-p521": "PKIX_ECDSA_P521_SHA_512",
    ED25519: "PKIX_ED25519",
}


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
    """`ecdsa-p256`, `ed25519`; to verify with also `ecdsa-p384`, `ecdsa-p521`, `rsa-<bits>`. Raises BadInput."""
    if isinstance(key, ed25519.Ed25519PrivateKey | ed25519.Ed25519PublicKey):
        return ED25519
    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        if key.curve.name in _CURVES:
            return _CURVES[key.curve.name][0]
        raise BadInput(f"a key on the curve {key.curve.name} is not taken", hint=_ACCEPTED)
    if isinstance(key, rsa.RSAPublicKey):
        if LEAST_RSA <= key.key_size <= MOST_RSA:
            return f"rsa-{key.key_size}"
        raise BadInput(f"an RSA key of {key.key_size} bits is not taken", hint=f"{LEAST_RSA} to {MOST_RSA} are")
    raise BadInput(f"a key of type {type(key).__name__} is not taken", hint=_ACCEPTED)


def taken(key: object) -> PublicKey:
    """A public key of a type to verify with. Raises BadInput."""
    algorithm_of(key)  # type: ignore[arg-type]  # the union is what it checks
    return key  # type: ignore[return-value]


def check_signs(public: PublicKey) -> None:
    """Raises BadInput for a key that others may verify with and we do not sign with."""
    if algorithm_of(public) not in ALGORITHMS:
        raise BadInput(f"nothing is signed with a key of type {algorithm_of(public)}", hint=_ACCEPTED)


def details_of(public: PublicKey) -> str:
    """Sigstore's name of key type and hash; empty where it has none that we verify."""
    return _DETAILS.get(algorithm_of(public), "")


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
        check_signs(key.public_key())  # type: ignore[arg-type]  # the union is what it checks
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
        if b"PRIVATE KEY" in pem[:400]:
            raise FormatError("this is a private key, where a public one is wanted", hint="name FILE.pub") from exc
        if b"-----BEGIN PUBLIC KEY-----" in pem[:400]:
            told = f"the public key cannot be read: {_first_line(exc)}"
            raise FormatError(told, hint="its file was changed: get it anew") from exc
        if (known := _named(pem)) is not None:
            raise FormatError(f"this is {known[0]}, not a public key in PEM", hint=known[1]) from exc
        raise FormatError(f"not a public key in PEM: {_first_line(exc)}", hint=_ACCEPTED) from exc
    return taken(public)


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
    return taken(public)


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
    return low_s(key.sign(data, _ECDSA_SIGNING))


def low_s(signature: bytes) -> bytes:
    """An ECDSA P-256 signature with the lower of its two values of s: one of the two forms that everybody can make.

    Readers take both; what is no such signature is handed back as it is.
    """
    try:
        r, s = decode_dss_signature(signature)
    except ValueError:
        return signature
    return signature if s <= P256_ORDER // 2 else encode_dss_signature(r, P256_ORDER - s)


def verify_signature(public: PublicKey, signature: bytes, data: bytes) -> None:
    """Raises VerificationError unless the signature is this key's over exactly this data."""
    try:
        if isinstance(public, ed25519.Ed25519PublicKey):
            public.verify(signature, data)
        elif isinstance(public, rsa.RSAPublicKey):
            _verify_rsa(public, signature, data, hashes.SHA256())
        elif isinstance(public.curve, ec.SECP256R1):
            public.verify(signature, data, _ECDSA)
        else:
            _verify_curve(public, signature, data)
    except InvalidSignature as exc:
        raise VerificationError(
            f"the signature does not match the key {identities.short(identity_of(public))}",
            hint="the bytes were changed or another key signed them: get the file again, or name the right key",
        ) from exc


def _verify_curve(public: ec.EllipticCurvePublicKey, signature: bytes, data: bytes) -> None:
    """With the curve's own hash, as sigstore's registry has it, or SHA-256, as cosign signs with any key."""
    try:
        public.verify(signature, data, _CURVES[public.curve.name][1])
    except InvalidSignature:
        public.verify(signature, data, _ECDSA)


def _verify_rsa(
    public: rsa.RSAPublicKey, signature: bytes, data: bytes, kind: hashes.HashAlgorithm | Prehashed
) -> None:
    """PKCS#1 v1.5, which sigstore's registry and cosign have, or PSS, which securesystemslib has."""
    try:
        public.verify(signature, data, padding.PKCS1v15(), kind)
    except InvalidSignature:
        public.verify(signature, data, padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO), kind)


def verify_artifact(public: PublicKey, signature: bytes, digest: bytes, content: bytes | None) -> None:
    """As `verify_signature`, over an artifact of which ECDSA needs the digest alone and Ed25519 all bytes.

    `digest` is a SHA-256, or that of the curve's own hash. Raises BadInput where the bytes are needed and not given.
    """
    if isinstance(public, ed25519.Ed25519PublicKey):
        if content is None:
            raise BadInput("an Ed25519 signature is verified over the file, not its digest", hint="give the file")
        return verify_signature(public, signature, content)
    kind: hashes.HashAlgorithm = hashes.SHA256()
    if len(digest) != kind.digest_size and not isinstance(public, rsa.RSAPublicKey):
        kind = _CURVE_HASHES[public.curve.name]
    if len(digest) != kind.digest_size:
        raise VerificationError(f"a digest of {len(digest)} bytes is none that such a key signs")
    if content is not None and kind.digest_size == 32 and not algorithm_of(public).startswith(("rsa", ECDSA_P256)):
        return verify_signature(public, signature, content)  # the curve's own hash needs the bytes
    try:
        if isinstance(public, rsa.RSAPublicKey):
            _verify_rsa(public, signature, digest, Prehashed(kind))
        else:
            public.verify(signature, digest, ec.ECDSA(Prehashed(kind)))
    except InvalidSignature as exc:
        raise VerificationError(
            f"the signature does not match the key {identities.short(identity_of(public))}",
            hint="the file was changed or another key signed it: get both again, or name the right key",
        ) from exc
    return None


_NAMED = (
    (b"BEGIN OPENSSH PRIVATE KEY", "an OpenSSH private key", "make one here: casstore keys generate"),
    (b"BEGIN SSH2 ", "a private key in the form of RFC 4716 (SSH2)", "make one here: casstore keys generate"),
    (b"PuTTY-User-Key-File", "a PuTTY private key", "make one here: casstore keys generate"),
    (b"BEGIN PGP ", "an OpenPGP key", "casstore signs with ed25519 and ECDSA P-256 keys: casstore keys generate"),
    (b"BEGIN ENCRYPTED SIGSTORE", "a cosign private key", "make one here, or give its KMS: casstore keys generate"),
    (b"BEGIN ENCRYPTED COSIGN", "a cosign private key", "make one here, or give its KMS: casstore keys generate"),
    (b"BEGIN PUBLIC KEY", "a public key", "name the private key: the same file without .pub"),
    (b"BEGIN CERTIFICATE", "a certificate", "name the private key that belongs to it"),
    (b"ssh-", "an OpenSSH public key", "a key in PEM is wanted: casstore keys generate"),
    (b"ecdsa-sha2-", "an OpenSSH public key", "a key in PEM is wanted: casstore keys generate"),
    (b"untrusted comment:", "a minisign or signify key", "a key in PEM is wanted: casstore keys generate"),
    (
        b"AGE-SECRET-KEY-",
        "an age key, which encrypts and cannot sign",
        "a key in PEM is wanted: casstore keys generate",
    ),
)


def _named(data: bytes) -> tuple[str, str] | None:
    """What some bytes are that are no key for us, and what to do."""
    head = data[:400].lstrip(b"\xef\xbb\xbf \r\n\t")
    for mark, what, hint in _NAMED:
        if head.startswith(mark) or (b"BEGIN" in mark and head.startswith(b"----") and mark in head):
            return what, hint
    return None


def _unreadable(pem: bytes, password: bytes | None, exc: Exception) -> SignerError:
    if (known := _named(pem)) is not None:
        return SignerError(f"this is {known[0]}, not a private key in PEM (PKCS#8)", hint=known[1])
    if is_encrypted(pem) and not password:
        return SignerError("the key is encrypted and no passphrase was given", hint="set CASSTORE_PASSWORD")
    if is_encrypted(pem):
        return SignerError("the key cannot be opened: wrong passphrase, or a damaged file")
    if password:
        return SignerError("a passphrase was given, but the key is not encrypted or not a PEM private key")
    return SignerError(f"not a private key in PEM: {_first_line(exc)}", hint=_ACCEPTED)


def _first_line(exc: Exception) -> str:
    return (str(exc).splitlines() or [type(exc).__name__])[0].partition(". See http")[0][:160]
