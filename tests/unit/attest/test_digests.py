from __future__ import annotations

import pytest

from attest import digests
from attest.errors import BadInput

EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_known_digest_in_all_forms() -> None:
    digest = digests.sha256(b"")
    assert digest == digests.parse(EMPTY) == EMPTY
    assert digests.from_raw(digests.to_raw(digest)) == digests.from_hex(digests.hex_of(digest)) == digest
    assert digests.short(digest) == "e3b0c44298fc"


@pytest.mark.parametrize("text", ["", EMPTY.upper(), EMPTY[7:], EMPTY[:-1], EMPTY + "0", EMPTY + "\n", " " + EMPTY,
                                  "sha512:" + "0" * 128, "sha256:" + "٠" * 64, None, 3])  # fmt: skip
def test_any_other_writing_is_refused(text: str) -> None:
    assert not digests.is_digest(text)
    with pytest.raises(BadInput, match="not a digest"):
        digests.parse(text)


def test_a_raw_digest_has_32_bytes() -> None:
    with pytest.raises(BadInput, match="32 bytes"):
        digests.from_raw(b"short")
