"""What runs of base64 and hex are made of: whatever the pattern takes for one is also looked for."""

from __future__ import annotations

import io

import pytest

from bundlers.inspection.packed import encoded

GAPS = (" ", "\t", "\n", "\r", "\f", "\v", ",", ":")
LISTED = {
    **{f"pairs and {gap!r}": f"aF{gap}" for gap in GAPS},
    "one digit each": "\\x1",
    "0x and a comma": "0xa,",
    "0X and a sign": "0X7fU, ",
    "quoted": "\\xA0'\"",
}


@pytest.mark.parametrize("way", LISTED)
def test_each_sign_of_a_list_is_one_that_is_looked_for(way: str) -> None:
    """The shortest list that counts, behind a text whose letters are none of its own."""
    element, before = LISTED[way].encode(), b"gz-" * 500
    data = before + element * encoded.LEAST + b";zz-" * 50
    assert encoded._begin(io.BytesIO(data), 0, len(data), encoded._LISTED) == len(before)
    assert all(sign in encoded._MADE_OF[encoded._LISTED][1] for sign in element)


@pytest.mark.parametrize("kind", [encoded._TEXT, encoded._LISTED])
def test_nothing_shorter_than_what_is_looked_for_is_a_run(kind: int) -> None:
    least, signs = encoded._MADE_OF[kind]
    pattern = encoded._SEARCHED[kind]
    for element in (b"A", b"0", b"aa ", b"\\x1", b"0x1", b"a+", b"/_"):
        assert set(element) <= set(signs) or kind == encoded._LISTED
        assert pattern.search((element * least)[: least - 1]) is None
