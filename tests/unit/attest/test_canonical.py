from __future__ import annotations

import time

import pytest

from attest import canonical
from attest.errors import FormatError


@pytest.mark.parametrize(
    ("value", "written"),
    [
        # numbers and sorting by UTF-16 units: the examples of RFC 8785, sections 3.2.2 and 3.2.3
        ([333333333.33333329, 4.50, 2e-3, 1e-27], b"[333333333.3333333,4.5,0.002,1e-27]"),
        ('\u20ac$\u000f\nA\'B"\\\\"/', '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'.encode()),
        (
            {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7},
            '{"\\r":2,"1":4,"\u0080":6,"\u00f6":7,"\u20ac":1,"\U0001f600":5,"\ufb33":3}'.encode(),
        ),
        ([None, True, False, {}, []], b"[null,true,false,{},[]]"),
        (-0.0, b"0"),
    ],
)
def test_written_as_rfc_8785_says(value: object, written: bytes) -> None:
    assert canonical.dumps(value) == written


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 2**53, -(2**53), 2.0**53, 1e300, b"x", {1: 2}, "\ud800", object(), {"a": {3}}]
)
def test_what_json_cannot_hold_is_not_written(value: object) -> None:
    with pytest.raises(FormatError, match="not canonical JSON"):
        canonical.dumps(value)


def nested(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def test_what_could_not_be_read_back_is_not_written() -> None:
    assert canonical.loads(canonical.dumps(nested(64)), what="x") == nested(64)
    for depth in (65, 100_000):
        with pytest.raises(FormatError):
            canonical.dumps(nested(depth))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b"\xff\xfe{\x00}\x00", "not UTF-8"),
        (b'{"a":1,"a":1}', "'a' stands twice"),
        (b'{"a":{"b":1,"\\u0062":2}}', "'b' stands twice"),
        (b"NaN", "not a JSON number"),
        (b"[Infinity]", "not a JSON number"),
        (b"-Infinity", "not a JSON number"),
        (b"9007199254740992", "beyond 2"),
        (b"-9007199254740992", "beyond 2"),
        (b"1" * 5000, "beyond 2"),
        (b"1e999", "beyond 2"),
        (b"1e16", "beyond 2"),
        (b'"\\ud800"', "lone surrogate"),
        (b'{"\\udc00":1}', "lone surrogate"),
        (b"[" * 65 + b"]" * 65, "deeper than 64"),
        (b"[" * 100_000, "deeper than 64"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "deeper than 64"),
        (b"", "Expecting value"),
        (b"{} {}", "Extra data"),
        (b"{'a':1}", "Expecting property name"),
        (b'"\x01"', "Invalid control character"),
        (b"[1,]", "Expecting value"),
        (b"01", "Extra data"),
        (b"nul", "Expecting value"),
    ],
)
def test_what_two_readers_could_understand_differently_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(FormatError, match=f"^x: .*{why}"):
        canonical.loads(data, what="x")


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b' {"a" : [1, 2.5, "\\ud83d\\ude00"]}\n', {"a": [1, 2.5, "\U0001f600"]}),
        (b"9007199254740991", 2**53 - 1),
        (b"-9007199254740991", -(2**53) + 1),
        (b'"' + b"[{" * 200 + b'"', "[{" * 200),
        (b'"' + b"[{" * 200 + b'\\"[\\\\"', "[{" * 200 + '"[\\'),
        (b"[" + b"[]," * 200 + b"1]", [[]] * 200 + [1]),
    ],
)
def test_read(data: bytes, value: object) -> None:
    assert canonical.loads(data, what="x") == value


def test_the_size_limit_is_checked_first() -> None:
    with pytest.raises(FormatError, match="5 bytes, more than the limit of 4"):
        canonical.loads(b"[1,2]", what="x", max_bytes=4)


@pytest.mark.parametrize(
    "data", [b"[" * 60 + b'"[' + b'\\"' * 2_000_000 + b"[" * 10 + b"\\", b'"[' * 2_000_000, b'[{"' * 2_000_000]
)
def test_hostile_input_takes_linear_time(data: bytes) -> None:
    began = time.process_time()
    with pytest.raises(FormatError):
        canonical.loads(data, what="x")
    assert time.process_time() - began < 5


def test_an_object_is_wanted() -> None:
    with pytest.raises(FormatError, match="x: not a JSON object"):
        canonical.loads_object(b"[]", what="x")


@pytest.mark.parametrize(
    "data", [b'{"b":1,"a":2}', b'{"a": 1}', b'{"a":1.0}', b'{"a":1}\n', b'{"a":"\\u0041"}', b'{"a":-0}']
)
def test_only_the_canonical_writing_is_canonical(data: bytes) -> None:
    assert canonical.loads_object(data, what="x")
    with pytest.raises(FormatError, match="not in canonical form"):
        canonical.loads_canonical(data, what="x")
    assert canonical.loads_canonical(b'{"a":1}', what="x") == {"a": 1}
