from __future__ import annotations

import pytest

from attest.errors import BadInput
from attest.keys import identities

KEY = "key:sha256:" + "a1" * 32


@pytest.mark.parametrize("text", [KEY, "oidc:https://accounts.example#ann@example.com", "oidc:i#https://x/y#frag"])
def test_taken_as_it_is(text: str) -> None:
    assert identities.parse(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "key:sha256:" + "A1" * 32, "key:sha256:aa", "key:" + "a1" * 32, "oidc:", "oidc:#x", "oidc:i#", "oidc:issuer",
     "ann@example.com", "oidc:i#a\nb", "oidc:i#" + "x" * 3000, "oidc:i#a\u202eb", None, 7],
)  # fmt: skip
def test_refused(text: object) -> None:
    with pytest.raises(BadInput, match="not an identity"):
        identities.parse(text)


def test_an_issuer_with_a_hash_sign_would_be_ambiguous() -> None:
    with pytest.raises(BadInput):
        identities.of_oidc("https://a#b", "c")


def test_the_first_hash_sign_ends_the_issuer() -> None:
    assert identities.issuer_and_subject("oidc:https://i#https://x/y#frag") == ("https://i", "https://x/y#frag")


def test_a_key_has_no_issuer() -> None:
    with pytest.raises(BadInput):
        identities.issuer_and_subject(KEY)


def test_short_is_for_people() -> None:
    assert identities.short(KEY) == "key:sha256:a1a1a1a1a1a1"
    assert identities.short("oidc:https://i#ann@example.com") == "ann@example.com"
    assert identities.is_key(KEY) and not identities.is_key("oidc:i#s")
