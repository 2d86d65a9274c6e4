from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from attest.errors import BadInput, FormatError, VerificationError
from attest.keys import keys
from attest.log import checkpoints, cosignatures
from attest.log.checkpoints import Checkpoint
from attest.log.cosignatures import WitnessKey

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
NAME = "witness.example/w1"
RAW = KEY.public_key().public_bytes_raw()
WITNESS = WitnessKey(NAME, KEY.public_key())
POINT = Checkpoint("log.example/x", 7, hashlib.sha256(b"root").digest())


def vkey(name: str = NAME, kind: int = 4, raw: bytes = RAW, key_id: str = "") -> str:
    found = key_id or hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + raw).digest()[:4].hex()
    return f"{name}+{found}+{base64.b64encode(bytes([kind]) + raw).decode()}"


def line_at(seconds: int) -> bytes:
    signature = KEY.sign(b"cosignature/v1\ntime %d\n" % seconds + POINT.to_text().encode())
    raw = WITNESS.key_id + seconds.to_bytes(8, "big") + signature
    return POINT.to_text().encode() + b"\n" + checkpoints.line(NAME, raw)


def test_the_key_of_a_witness_as_its_operator_tells_it() -> None:
    found = WitnessKey.of_verifier_text(vkey())
    assert (found.name, keys.public_to_der(found.public)) == (NAME, keys.public_to_der(KEY.public_key()))
    assert cosignatures.is_verifier_text(vkey()) and not cosignatures.is_verifier_text("w1.example.org=w1.pem.pub")


@pytest.mark.parametrize(
    "text",
    [
        vkey(kind=1),  # a log's key: it would sign notes, not cosignatures
        vkey(kind=6, raw=bytes(1312)),  # ML-DSA-44
        vkey(raw=RAW[:31]),
        vkey(raw=RAW + b"\0"),
        vkey(key_id="00000000"),
        vkey(name="other.example", key_id=WITNESS.key_id.hex()),
        "w1+12345678+!!!!",
        "w1",
        "",
    ],
)
def test_what_is_no_key_of_a_witness(text: str) -> None:
    with pytest.raises(BadInput):
        WitnessKey.of_verifier_text(text)


def test_the_time_of_a_line() -> None:
    assert cosignatures.time_of(line_at(1_772_355_600), WITNESS, POINT) == datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


def test_a_line_says_when_it_was_made() -> None:
    """0 stands for a line without a time: a statement about this tree alone, not that it goes on from others."""
    with pytest.raises(VerificationError, match="does not say when"):
        cosignatures.time_of(line_at(0), WITNESS, POINT)
    for beyond in (2**63, 2**64 - 1, 10**15):
        with pytest.raises(FormatError, match="no time"):
            cosignatures.time_of(line_at(beyond), WITNESS, POINT)
