"""The evidence of policy cases: short rows to signed attestations about one small release.

parse({"type": "vulns", "by": "aud", "findings": {"high": 2}}, "case")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any

from attest import canonical
from attest.core.fields import Fields
from attest.core.values import dataclass
from attest.digests import Digest, hex_of, sha256
from attest.errors import FormatError
from attest.signers import Signer
from attest.statements import predicates, statements
from attest.statements.predicates import (
    approval,
    isolation,
    slsa_provenance,
    test_result,
    vsa,
    vulns,
)
from attest.trust.policy_parts import GateSettings
from attest.trust.requirements import GATE

STORE, LEDGER, VERSION = "policy-test", "main", "1.0.0"
RELEASE, DIFF = sha256(b"policy case release"), sha256(b"policy case diff")
ARCHIVES = {"product-1.0.0.tar.gz": sha256(b"policy case archive")}
TREES = {"component": sha256(b"policy case tree")}


@dataclass(frozen=True, slots=True)
class Claim:
    """One row of evidence."""

    type: str
    """`approval`, a word of `require`, `gate:NAME`, or a predicate type URI."""
    by: str
    age: int | None = 0
    """Seconds since the ledger recorded it; None: it never did."""
    builder: str = "https://ci.example/builder"
    source: str = ""
    findings: Mapping[str, int] = field(default_factory=dict)
    """Severity -> how many."""
    result: str = "PASSED"
    predicate: Mapping[str, Any] = field(default_factory=dict)
    """For any other type: the predicate itself."""
    expired: bool = False
    """For an approval."""


@dataclass(frozen=True, slots=True)
class Releasing:
    """The move that approvals are given for."""

    channel: str
    action: str
    now: datetime
    gates: Mapping[str, GateSettings] = field(default_factory=dict)
    """Of the policy that decides."""
    share: int | None = None
    """The percentage of consumers that the move reaches; None: all."""


_OPTIONAL = ("age", "recorded", "builder", "source", "findings", "result", "predicate", "expired")


def parse(value: object, what: str) -> Claim:
    """A row of a table. Raises FormatError."""
    f = Fields(value, what, required=("type", "by"), optional=_OPTIONAL)
    findings = Fields(f.optional_mapping("findings"), what, required=tuple(f.optional_mapping("findings")))
    if unknown := sorted(set(f.optional_mapping("findings")) - set(vulns.SEVERITIES)):
        raise FormatError(f"{what}: {unknown[0]!r} is no severity", hint=f"severities: {', '.join(vulns.SEVERITIES)}")
    claim = Claim(
        type=f.text("type"),
        by=f.text("by"),
        age=f.integer("age", 0) if f.boolean("recorded", True) else None,
        builder=f.text("builder", "https://ci.example/builder"),
        source=f.text("source", ""),
        findings={name: findings.integer(name) for name in f.optional_mapping("findings")},
        result=f.text("result", "PASSED"),
        predicate=f.optional_mapping("predicate"),
        expired=f.boolean("expired", False),
    )
    of_its_own = _KINDS.get(claim.type) is None and not claim.type.startswith(GATE)
    if of_its_own and (
        not isinstance(value, dict) or "predicate" not in value
    ):  # an empty one is one: PyPI's publications have it
        raise FormatError(f"{what}: {claim.type!r} needs a predicate", hint=f"without: {', '.join(_KINDS)}, {GATE}NAME")
    return claim


def attestation(claim: Claim, signer: Signer, releasing: Releasing) -> bytes:
    """The signed attestation of a row."""
    kind = _gate if claim.type.startswith(GATE) else _KINDS.get(claim.type, _given)
    predicate_type, subjects, predicate = kind(claim, releasing)
    return signer.sign_statement(statements.of_digests(subjects, predicate_type, predicate).to_bytes())


_Said = tuple[str, Mapping[str, Digest], Mapping[str, Any]]


def _approval(claim: Claim, releasing: Releasing) -> _Said:
    expires = releasing.now + timedelta(days=-1 if claim.expired else 7)
    random = hex_of(sha256(f"{claim.by} {releasing.channel}".encode()))[:32]
    made = approval.Approval(
        STORE, LEDGER, releasing.action, releasing.channel, None, DIFF, expires, random, share=releasing.share
    )
    return approval.TYPE, {"release": RELEASE}, made.to_json()


def _provenance(claim: Claim, releasing: Releasing) -> _Said:
    parameters = {"source": {"uri": claim.source}} if claim.source else {}
    done = releasing.now - timedelta(seconds=claim.age or 0)
    made = slsa_provenance.Provenance("https://ci.example/build", parameters, claim.builder, finished_on=done)
    return slsa_provenance.TYPE, {**TREES, **ARCHIVES}, made.to_json()


def _scan(claim: Claim, releasing: Releasing) -> _Said:
    found = [
        vulns.Finding(f"CVE-{severity}-{number}", {"scanner": severity})
        for severity, count in claim.findings.items()
        for number in range(count)
    ]
    done = releasing.now - timedelta(seconds=claim.age or 0)
    return vulns.TYPE, ARCHIVES, vulns.Scan("https://scanner.example", "1", found, done).to_json()


def _isolation(claim: Claim, _releasing: Releasing) -> _Said:
    findings = () if claim.result == "PASSED" else ({"kind": "file"},)
    return isolation.TYPE, ARCHIVES, isolation.Isolation({}, isolation.STRICT, {}, findings, (), (), 1).to_json()


def _summary(claim: Claim, releasing: Releasing) -> _Said:
    made = vsa.VerificationSummary("https://v.example", releasing.now, "pkg:x", "urn:p", DIFF, claim.result)
    return vsa.TYPE, ARCHIVES, made.to_json()


def _sbom(_claim: Claim, _releasing: Releasing) -> _Said:
    document = {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": []}
    return predicates.types_of("cyclonedx")[0], ARCHIVES, document


def _gate(claim: Claim, releasing: Releasing) -> _Said:
    """With the first settings that the policy names."""
    name = claim.type.removeprefix(GATE)
    settings = next(iter(releasing.gates.get(name) or ()), {})
    row = {"name": name, "digest": {"sha256": hex_of(sha256(canonical.dumps(dict(settings))))}}
    made = test_result.ResultClaim(claim.result, (row,))
    return test_result.TYPE, ARCHIVES, made.to_json()


def _given(claim: Claim, _releasing: Releasing) -> _Said:
    return predicates.types_of(claim.type)[0], {"release": RELEASE, **ARCHIVES}, claim.predicate


_KINDS: dict[str, Callable[[Claim, Releasing], _Said]] = {
    "approval": _approval,
    "slsa-provenance": _provenance,
    "vulns": _scan,
    "isolation": _isolation,
    "vsa": _summary,
    "sbom": _sbom,
    "cyclonedx": _sbom,
}
