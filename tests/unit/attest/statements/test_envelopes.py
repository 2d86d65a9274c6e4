from __future__ import annotations

from typing import Any

import pytest

from attest.errors import FormatError
from attest.statements import envelopes
from attest.statements.envelopes import Envelope

GOOD = {"payload": "aGVsbG8=", "payloadType": "t", "signatures": [{"keyid": "k", "sig": "c2ln"}]}


def test_the_encoding_of_the_specification() -> None:
    # the example of https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
    encoded = envelopes.pae("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_lengths_are_of_bytes() -> None:
    assert envelopes.pae("ü", "ö\0".encode()) == b"DSSEv1 2 \xc3\xbc 3 \xc3\xb6\x00"


def test_read_and_written() -> None:
    envelope = envelopes.parse(GOOD)
    assert envelope == Envelope("t", b"hello", b"sig", "k")
    assert envelope.to_json() == GOOD


@pytest.mark.parametrize("keyid", [{}, {"keyid": ""}, {"keyid": None}])
def test_keyid_may_be_missing(keyid: dict[str, Any]) -> None:
    envelope = envelopes.parse({**GOOD, "signatures": [{"sig": "c2ln", **keyid}]})
    assert envelope.keyid == ""
    assert envelope.to_json()["signatures"] == [{"keyid": "", "sig": "c2ln"}]


def test_both_base64_alphabets_are_read() -> None:
    assert envelopes.decode_base64("-_-_", "x") == envelopes.decode_base64("+/+/", "x") == b"\xfb\xff\xbf"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"signatures": []}, "0 signatures"),
        ({"signatures": GOOD["signatures"] * 2}, "2 signatures"),  # type: ignore[operator]
        ({"signatures": ["c2ln"]}, "1 signatures"),
        ({"signatures": {"sig": "c2ln"}}, "missing"),
        ({"signatures": [{"sig": "c2ln", "keyid": 5}]}, "keyid is no text"),
        ({"signatures": [{"keyid": "k"}]}, "sig is missing"),
        ({"payload": "a"}, "payload is not base64"),
        ({"payload": "aGVs bG8="}, "payload is not base64"),
        ({"payload": "aGVsbG8"}, "payload is not base64"),
        ({"payload": "aGVsbG8=\n"}, "payload is not base64"),
        ({"payload": "aGVsbG8ü"}, "payload is not base64"),
        ({"payload": None}, "payload is missing"),
        ({"payloadType": 1}, "missing"),
    ],
)
def test_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(FormatError, match=why):
        envelopes.parse({**GOOD, **changes})


@pytest.mark.parametrize("value", [None, [], "x", 3])
def test_no_object(value: object) -> None:
    with pytest.raises(FormatError, match="not an object"):
        envelopes.parse(value)
