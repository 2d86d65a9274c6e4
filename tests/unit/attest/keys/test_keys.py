from __future__ import annotations

import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, padding, rsa

from attest.errors import BadInput, FormatError, SignerError, VerificationError
from attest.keys import keys


@pytest.fixture(params=keys.ALGORITHMS)
def key(request: pytest.FixtureRequest) -> keys.PrivateKey:
    return keys.generate(request.param)


def test_signs_and_verifies(key: keys.PrivateKey) -> None:
    signature = keys.sign(key, b"data")
    keys.verify_signature(key.public_key(), signature, b"data")
    other = keys.generate(keys.algorithm_of(key))
    for public, changed, data in (
        (key.public_key(), signature, b"datA"),
        (key.public_key(), signature[:-1] + bytes([signature[-1] ^ 1]), b"data"),
        (key.public_key(), signature + b"\0", b"data"),
        (key.public_key(), b"", b"data"),
        (other.public_key(), signature, b"data"),
    ):
        with pytest.raises(VerificationError, match="does not match the key") as caught:
            keys.verify_signature(public, changed, data)
        assert caught.value.hint


def test_the_same_data_gives_the_same_signature(key: keys.PrivateKey) -> None:
    assert keys.sign(key, b"data") == keys.sign(key, b"data")


@pytest.mark.parametrize("password", [None, b"correct horse"])
def test_private_pem_there_and_back(key: keys.PrivateKey, password: bytes | None) -> None:
    pem = keys.private_to_pem(key, password)
    assert keys.is_encrypted(pem) == (password is not None)
    again = keys.private_from_pem(pem, password)
    assert keys.identity_of(again.public_key()) == keys.identity_of(key.public_key())


def test_identity_is_the_hash_of_the_spki(key: keys.PrivateKey) -> None:
    pem = keys.public_to_pem(key.public_key())
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert keys.identity_of_pem(pem) == "key:sha256:" + hashlib.sha256(der).hexdigest()
    assert keys.identity_of_pem(b"a comment\n" + pem) == keys.identity_of_pem(pem)


@pytest.mark.parametrize(
    ("made_with", "given", "why"),
    [
        (b"secret", None, "no passphrase was given"),
        (b"secret", b"", "no passphrase was given"),
        (b"secret", b"Secret", "wrong passphrase"),
        (None, b"secret", "not encrypted"),
    ],
)
def test_a_wrong_passphrase_is_told(made_with: bytes | None, given: bytes | None, why: str) -> None:
    pem = keys.private_to_pem(keys.generate(), made_with)
    with pytest.raises(SignerError, match=why) as caught:
        keys.private_from_pem(pem, given)
    assert "secret" not in str(caught.value).lower()


@pytest.mark.parametrize("pem", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_what_is_no_private_key_is_told(pem: bytes) -> None:
    with pytest.raises(SignerError, match="not a private key in PEM"):
        keys.private_from_pem(pem, None)


def others_keys() -> list[Any]:
    curves = (ec.SECP384R1(), ec.SECP521R1())
    return [*map(ec.generate_private_key, curves), rsa.generate_private_key(65537, 2048)]


def foreign_keys() -> list[Any]:
    return [
        ec.generate_private_key(ec.SECP256K1()),
        rsa.generate_private_key(65537, 1024),
        ed448.Ed448PrivateKey.generate(),
    ]


def test_other_types_and_curves_are_refused() -> None:
    for key in foreign_keys():
        with pytest.raises(SignerError, match="is not taken"):
            keys.private_from_pem(keys.private_to_pem(key, None), None)
        with pytest.raises(BadInput, match="is not taken"):
            keys.public_from_pem(keys.public_to_pem(key.public_key()))


def test_keys_of_others_verify_and_never_sign() -> None:
    for key in others_keys():
        with pytest.raises(SignerError, match="nothing is signed with a key of type"):
            keys.private_from_pem(keys.private_to_pem(key, None), None)
        public = keys.public_from_pem(keys.public_to_pem(key.public_key()))
        assert keys.algorithm_of(public) in ("ecdsa-p384", "ecdsa-p521", "rsa-2048")
        for signature in signatures(key, b"data"):
            keys.verify_signature(public, signature, b"data")
            with pytest.raises(VerificationError):
                keys.verify_signature(public, signature, b"other")
            keys.verify_artifact(public, signature, hashlib.sha256(b"data").digest(), b"data")
            with pytest.raises(VerificationError):
                keys.verify_artifact(public, signature, hashlib.sha256(b"other").digest(), b"other")


def signatures(key: Any, data: bytes) -> list[bytes]:
    """As cosign (SHA-256 whatever the key), sigstore's registry (the curve's hash) and securesystemslib (PSS) sign."""
    if isinstance(key, rsa.RSAPrivateKey):
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
        return [key.sign(data, padding.PKCS1v15(), hashes.SHA256()), key.sign(data, pss, hashes.SHA256())]
    own = hashes.SHA384() if key.curve.name == "secp384r1" else hashes.SHA512()
    return [key.sign(data, ec.ECDSA(kind)) for kind in (hashes.SHA256(), own)]


def test_a_weak_hash_is_no_signature_of_a_strong_key() -> None:
    key = rsa.generate_private_key(65537, 2048)
    with pytest.raises(VerificationError):
        keys.verify_signature(key.public_key(), key.sign(b"d", padding.PKCS1v15(), hashes.SHA1()), b"d")


def test_a_private_key_is_no_public_key() -> None:
    with pytest.raises(FormatError, match="where a public one is wanted"):
        keys.public_from_pem(keys.private_to_pem(keys.generate(), None))


@pytest.mark.parametrize("pem", [b"", b"x" * 20_000, b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_what_is_no_public_key_is_told(pem: bytes) -> None:
    with pytest.raises(FormatError):
        keys.public_from_pem(pem)


def test_oversized_private_key_is_not_parsed() -> None:
    with pytest.raises(SignerError, match="more than the limit"):
        keys.private_from_pem(b"x" * 20_000, None)


def test_unknown_algorithm_and_empty_passphrase() -> None:
    with pytest.raises(BadInput, match="unknown key algorithm"):
        keys.generate("rsa")
    with pytest.raises(BadInput, match="empty"):
        keys.private_to_pem(keys.generate(), b"")
