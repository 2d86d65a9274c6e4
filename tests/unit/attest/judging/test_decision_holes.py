"""Ways in which a decision could be talked into saying yes; each was possible once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import moves
import pytest
from moves import ARCHIVES, CHANNELS, NOW, TREES, approval, gate, provenance, provenances, request, root

from attest.digests import Digest, sha256
from attest.errors import FormatError
from attest.judging.decisions import decide
from attest.statements.predicates import isolation, vulns
from attest.statements.predicates.slsa_provenance import Dependency
from attest.trust import trust_roots
from attest.trust.policies import ChannelPolicy, parse_channels
from casstore.store.attestations import id_of

BOTH = {**moves.PEOPLE, "ci": ("builder", "approver")}


def compared(archives: Mapping[str, Digest]) -> bytes:
    claim = isolation.Isolation({"core": {"default": sha256(b"m")}}, isolation.STRICT, {}, (), (), (), 2)
    return moves.attest("ci", isolation.TYPE, archives, claim.to_json())


@pytest.mark.parametrize("action", ["", "Promote", "pin", "rehearse", "publish"])
def test_only_promote_and_rollback_are_decided(action: str) -> None:
    trust_root = moves.policy(ChannelPolicy(None, 0))
    assert not decide(request(action=action), trust_root, []).allowed


@pytest.mark.parametrize("word", ["sbom", "isolation", "vsa", "slsa-provenance", "gate:unit"])
def test_evidence_about_nothing_covers_nothing(word: str) -> None:
    trust_root = moves.policy(ChannelPolicy("staging", 0, (word,)))
    empty = request(archives={}, trees={})
    assert not decide(empty, trust_root, [*provenances(), gate("unit"), compared(ARCHIVES)]).allowed


def test_archives_that_were_never_compared_with_each_other_are_not_isolated() -> None:
    trust_root = moves.policy(ChannelPolicy("staging", 0, ("isolation",)))
    apart = [compared({name: digest}) for name, digest in ARCHIVES.items()]
    assert not decide(request(), trust_root, apart).allowed
    assert decide(request(), trust_root, [*apart, compared(ARCHIVES)]).allowed


def test_an_isolation_statement_that_says_too_little_is_none() -> None:
    trust_root = moves.policy(ChannelPolicy("staging", 0, ("isolation",)))
    assert not decide(request(), trust_root, [moves.attest("ci", isolation.TYPE, ARCHIVES, {"findings": []})]).allowed


def test_revoking_what_tells_who_built_makes_the_builder_no_approver() -> None:
    trust_root = root(BOTH, channels={**CHANNELS, "prod": ChannelPolicy("staging", 1)})
    made = [*provenances(), moves.release_statement()]
    revoked = frozenset(id_of(raw) for raw in made)
    decision = decide(request(), trust_root, [*made, approval("ci")], revoked=revoked)
    assert not decision.allowed
    assert {sha256(raw) for raw in made} <= set(decision.evidence)


def bundled(name: str, **trees: Digest) -> bytes:
    dependencies = tuple(Dependency(f"component/{component}", tree) for component, tree in trees.items())
    return provenance({name: ARCHIVES[name]}, build_type="https://casstore.dev/bundle/v1", dependencies=dependencies)


def test_an_archive_made_of_a_tree_that_the_release_does_not_name_has_no_provenance() -> None:
    put = provenance(TREES)
    good = [bundled(name, **{"core-bin": TREES["core-bin"]}) for name in ARCHIVES]
    assert decide(request(), moves.policy(ChannelPolicy("staging", 0, ("slsa-provenance",))), [put, *good]).allowed
    smuggled = bundled("core-1.4.0.tar.gz", **{"core-bin": sha256(b"elsewhere")})
    others = [bundled("agent-1.4.0.zip", **{"core-bin": TREES["core-bin"]})]
    decision = decide(
        request(), moves.policy(ChannelPolicy("staging", 0, ("slsa-provenance",))), [put, smuggled, *others]
    )
    assert not decision.allowed


@pytest.mark.parametrize("word", ["gate:", "gate: ", "gate:a\nb", "gate:../x"])
def test_a_gate_has_a_name(word: str) -> None:
    with pytest.raises(FormatError):
        ChannelPolicy.parse("prod", {"approvals": 0, "require": [word]})


@pytest.mark.parametrize("name", ["", "a\nb", "../x", "a/b", "\x1b[31m", "A", "x" * 65])
def test_a_channel_name_is_one_that_the_ledger_takes(name: str) -> None:
    with pytest.raises(FormatError):
        parse_channels({name: {"approvals": 0}})


@pytest.mark.parametrize("name", ["", "a\nb", "\x1b[31mann", "a,b", "x" * 129])
def test_a_name_of_an_identity_is_plain(name: str) -> None:
    document = root().to_json()
    document["identities"][name] = document["identities"]["ann"]
    with pytest.raises(FormatError):
        trust_roots.parse(document)


@pytest.mark.parametrize("change", [{"store": ""}])
def test_a_trust_root_names_its_store(change: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        trust_roots.parse({**root().to_json(), **change})


def scan(age: timedelta, *severity: Mapping[str, str]) -> bytes:
    claim = vulns.Scan("pkg:generic/scanner", "1", (), NOW - age).to_json()
    claim["scanner"]["result"] = [{"id": "CVE-2026-1", "severity": list(severity)}]
    return moves.attest("aud", vulns.TYPE, ARCHIVES, claim)


def test_a_scan_from_the_future_never_grew_young() -> None:
    trust_root = moves.policy(ChannelPolicy("staging", 0, ("vulns",), max_age={"vulns": 3600}))
    low = {"method": "cvss", "score": "low"}
    assert decide(request(), trust_root, [scan(timedelta(minutes=5), low)]).allowed
    assert decide(request(), trust_root, [scan(timedelta(minutes=-5), low)]).allowed
    assert not decide(request(), trust_root, [scan(timedelta(days=-400), low)]).allowed


def test_of_two_severities_by_one_method_none_wins() -> None:
    trust_root = moves.policy(ChannelPolicy("staging", 0, ("vulns",), vulnerabilities={"critical": 0}))
    said = [{"method": "cvss", "score": "critical"}, {"method": "cvss", "score": "low"}]
    for order in (said, said[::-1]):
        decision = decide(request(), trust_root, [scan(timedelta(0), *order)])
        assert not decision.allowed
        assert "two severities by one method" in decision.ignored[0].reason
