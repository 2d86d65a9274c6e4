from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from hypothesis import given
from hypothesis import strategies as st

from attest.core import spki
from attest.keys import keys

SPKI = PublicFormat.SubjectPublicKeyInfo


@pytest.mark.parametrize("algorithm", keys.ALGORITHMS)
def test_it_agrees_with_the_library(algorithm: str) -> None:
    for _ in range(50):
        public = keys.generate(algorithm).public_key()
        der, pem = public.public_bytes(Encoding.DER, SPKI), public.public_bytes(Encoding.PEM, SPKI)
        assert spki.to_der(public) == der
        assert spki.of_der(der) == spki.of_pem(pem) == load_pem_public_key(pem) == public


def test_other_forms_are_left_to_the_library() -> None:
    public = keys.generate().public_key()
    pem = public.public_bytes(Encoding.PEM, SPKI)
    others = [b"", b"x", pem.replace(b"\n", b"\r\n"), b"text\n" + pem, pem + pem, pem.replace(b"PUBLIC", b"PRIVATE")]
    assert [spki.of_pem(other) for other in others] == [None] * len(others)
    curve = ec.generate_private_key(ec.SECP384R1()).public_key()
    assert spki.to_der(curve) is None and spki.of_der(curve.public_bytes(Encoding.DER, SPKI)) is None
    assert keys.public_from_pem(pem.replace(b"\n", b"\r\n")) == public


def test_a_point_that_is_not_on_the_curve_is_no_key() -> None:
    der = bytearray(keys.public_to_der(keys.generate().public_key()))
    der[-1] ^= 1
    assert spki.of_der(bytes(der)) is None


@given(st.binary(max_size=200))
def test_any_bytes_are_a_key_only_where_the_library_says_so(data: bytes) -> None:
    found = spki.of_der(data)
    assert found is None or found.public_bytes(Encoding.DER, SPKI) == data
