"""Channel policies: nothing by silence, one writing, no loops."""

from __future__ import annotations

from typing import Any

import pytest

from attest.errors import FormatError
from attest.trust.policies import ChannelPolicy, parse_channels

LEAST = {"approvals": 0}


def test_reads_back_as_it_was_written() -> None:
    policy = ChannelPolicy("staging", 2, ("slsa-provenance", "gate:unit"), False, 1, gates={"unit": None})
    assert ChannelPolicy.parse("prod", policy.to_json()) == policy
    assert ChannelPolicy.parse("dev", LEAST) == ChannelPolicy(None, 0)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({}, "'approvals' is missing"),
        ({"approvals": -1}, "approvals is not"),
        ({"approvals": True}, "approvals is not"),
        ({"approvals": 1, "aprovals": 2}, "unknown field 'aprovals'"),
        ({"approvals": 1, "require": ["magic"]}, "unknown requirement 'magic'"),
        ({"approvals": 1, "require": ["sbom", "sbom"]}, "without repeats"),
        ({"approvals": 1, "require": "sbom"}, "a list of texts"),
        ({"approvals": 1, "from": 3}, "from is not text"),
        ({"approvals": 1, "separateDuties": "no"}, "separateDuties is not"),
        ([], "not an object"),
    ],
)
def test_a_wrong_policy_is_refused(value: Any, told: str) -> None:
    with pytest.raises(FormatError, match=f"policy of prod: .*{told}"):
        ChannelPolicy.parse("prod", value)


@pytest.mark.parametrize("value", [None, {}, [], "dev"])
def test_an_empty_policy_is_an_error(value: Any) -> None:
    with pytest.raises(FormatError, match="the policy is empty"):
        parse_channels(value)


def test_channels_come_in_the_order_of_promotion() -> None:
    found = parse_channels(
        {"prod": {"approvals": 1, "from": "staging"}, "staging": {"approvals": 1, "from": "dev"}, "dev": LEAST}
    )
    assert list(found) == ["dev", "staging", "prod"]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"prod": {"approvals": 1, "from": "nowhere"}}, "'nowhere', which is no channel"),
        ({"a": {"approvals": 1, "from": "b"}, "b": {"approvals": 1, "from": "a"}}, "comes after itself"),
        ({"a": {"approvals": 1, "from": "a"}}, "comes after itself"),
    ],
)
def test_a_line_of_channels_that_leads_nowhere_is_refused(value: Any, told: str) -> None:
    with pytest.raises(FormatError, match=told):
        parse_channels(value)
