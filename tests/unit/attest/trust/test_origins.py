"""Builder ids and sources: whole parts only, repository and ref apart, and a claim is no proof."""

from __future__ import annotations

import pytest

from attest.errors import FormatError
from attest.trust import origins
from attest.trust.policies import ChannelPolicy

KEY = "key:sha256:" + "ab" * 32
FLOW = "https://github.com/example/core/.github/workflows/release.yml@refs/heads/main"
KEYLESS = f"oidc:https://token.actions.githubusercontent.com#{FLOW}"


@pytest.mark.parametrize(
    ("uri", "pattern", "allowed"),
    [
        ("git+https://github.com/example/core@refs/heads/main", "git+https://github.com/example/core@*", True),
        ("https://github.com/example/core@refs/heads/main", "git+https://github.com/example/core@*", True),
        ("https://github.com/example/core", "git+https://github.com/example/core@*", True),
        ("git+https://github.com/example/core.git@refs/tags/v1", "https://github.com/example/core@refs/tags/*", True),
        ("https://github.com/example/core@refs/heads/main", "https://github.com/example/core@refs/tags/*", False),
        ("https://github.com/example/core", "https://github.com/example/core@refs/tags/*", False),
        ("https://github.com/example/core-evil@refs/heads/main", "https://github.com/example/core@*", False),
        ("https://github.com/example/core/evil@refs/heads/main", "https://github.com/example/core@*", False),
        ("https://github.com/example/core@refs/heads/main", "https://github.com/example/*", True),
        ("https://github.com/example-evil/core@refs/heads/main", "https://github.com/example/*", False),
        ("ssh://git@host/team/core@refs/heads/main", "ssh://git@host/team/core@*", True),
        ("ssh://git@evil/team/core", "ssh://git@host/team/core", False),
    ],
)
def test_sources(uri: str, pattern: str, allowed: bool) -> None:
    assert origins.source_matches(uri, [pattern]) is allowed


@pytest.mark.parametrize("pattern", ["https://github.com/example/core*", "a*b", "*", "https://x/core*@refs/heads/main"])
def test_a_star_for_a_part_of_a_name_is_no_policy(pattern: str) -> None:
    for key in ("builders", "sources"):
        with pytest.raises(FormatError, match="begin alike"):
            ChannelPolicy.parse("prod", {"approvals": 0, "require": ["slsa-provenance"], key: [pattern]})


def test_a_builder_is_proven_by_certificate_trust_root_or_itself() -> None:
    assert origins.proven_builder(FLOW, KEYLESS, ())
    assert not origins.proven_builder(FLOW, KEY, ())
    assert origins.proven_builder(FLOW, KEY, (FLOW,)) and origins.proven_builder(FLOW, KEY, ("https://github.com/*",))
    assert origins.proven_builder(f"urn:casstore:builder:{KEY}", KEY, ())
    assert not origins.proven_builder(FLOW.replace("main", "evil"), KEYLESS, ())


def test_a_source_is_proven_by_the_workflow_or_the_trust_root() -> None:
    source = "https://github.com/example/core@refs/heads/main"
    assert origins.proven_source(source, KEYLESS, ())
    assert not origins.proven_source("https://github.com/example/core@refs/tags/v1", KEYLESS, ())
    assert not origins.proven_source("https://github.com/example/cor@refs/heads/main", KEYLESS, ())
    assert not origins.proven_source(source, KEY, ())
    assert origins.proven_source(source, KEY, ("https://github.com/example/core@*",))
