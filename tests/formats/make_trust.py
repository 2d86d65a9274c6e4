"""Makes the golden files of trust root, policy, decision and predicates: python tests/formats/make_trust.py

The keys are derived from names (tests/support/moves.py), so that every run gives the same bytes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "support"))

import moves  # noqa: E402
from moves import NOW, STORE, approval, identity, request, root, signer  # noqa: E402

from attest import canonical  # noqa: E402
from attest.ceremony import ceremony  # noqa: E402
from attest.digests import sha256  # noqa: E402
from attest.judging.decisions import SigstoreRoots, decide  # noqa: E402
from attest.statements.predicates import approval as approvals  # noqa: E402
from attest.statements.predicates import (  # noqa: E402
    baseline,
    collection,
    isolation,
    promotion,
    publication,
    rehearsal,
    revocation,
    seal,
    suspension,
)
from attest.statements.predicates import ceremony as ceremonies  # noqa: E402
from attest.trust.isolation_rules import IsolationRules  # noqa: E402
from attest.trust.policies import ChannelPolicy  # noqa: E402
from attest.trust.policy_parts import CustomRule, Freeze, ShareStep  # noqa: E402
from attest.trust.trust_roots import Role, TrustRoot  # noqa: E402

GOLDEN = HERE / "golden"
LEAST = ChannelPolicy(None, 0)
USUAL = ChannelPolicy(
    "staging", 2, ("gate:unit-tests", "sbom", "slsa-provenance"), False, 1, gates={"unit-tests": None}
)


FULL = ChannelPolicy(
    "staging",
    2,
    ("gate:unit-tests", "isolation", "slsa-provenance", "vulns"),
    True,
    1,
    signers={"openvex": ("auditor",), "vulns": ("auditor",)},
    soak=172800,
    freeze=(
        Freeze(NOW, NOW + timedelta(days=14), reason="holidays"),
        Freeze(days=("sat", "sun"), reason="nobody is there"),
    ),
    max_age={"vulns": 604800},
    builders=("https://github.com/example/*",),
    sources=("git+https://github.com/example/core@*",),
    vulnerabilities={"critical": 0, "high": 3},
    rebuilds=2,
    isolation=IsolationRules(min_copy=1024, references=(sha256(b"runtime"),), accepted=(sha256(b"fonts"),)),
    rules=(CustomRule("small", "size(request.archives) <= 4", ("vulns",), "at most four archives", "owner"),),
    gates={"unit-tests": ({"command": ["sh", "unit.sh"], "scripts": {"unit.sh": sha256(b"unit.sh")}},)},
)


STEPS = ChannelPolicy("staging", 1, steps=(ShareStep(5, 86400), ShareStep(25, 172800), ShareStep(50)))


def first() -> TrustRoot:
    """Two owners, both must sign."""
    return root(created=NOW)


def second() -> TrustRoot:
    """ann has another key, a keyless builder for half a year, and a third owner."""
    before = first()
    rotated = {entry.name: entry for entry in before.identities}
    rotated["ann"] = identity("ann", "ann#2", valid_from=NOW + timedelta(days=1))
    workflow = "oidc:https://ci.example#https://git.example/core/.ci/release.yml@refs/heads/main"
    rotated["ci"] = replace(rotated["ci"], identity=workflow, public_pem=None, valid_until=NOW + timedelta(days=180))
    rotated["oscar"] = identity("oscar")
    return replace(
        before,
        version=2,
        created=NOW + timedelta(days=1),
        identities=tuple(rotated[name] for name in sorted(rotated)),
        roles={**before.roles, "owner": Role("owner", ("olga", "oscar", "otto"), 2)},
    )


def third() -> TrustRoot:
    """A full policy, and a sigstore root that all readers judge by."""
    before = second()
    channels = {**before.channels, "prod": FULL}
    return replace(
        before, version=3, created=NOW + timedelta(days=2), channels=channels, sigstore_root=sha256(b"trusted root")
    )


def signed(claimed: TrustRoot, *owners: str, previous: TrustRoot | None = None) -> bytes:
    """The signed file."""
    payload = ceremony.draft(claimed)
    bundles = [ceremony.sign(payload, signer(name), previous=previous) for name in owners]
    sigstore = SigstoreRoots(pinned={sha256(b"trusted root"): b"trusted root"})
    return ceremony.combine(payload, bundles, at=claimed.created, previous=previous, sigstore=sigstore)


def predicates() -> dict[str, Any]:
    """One of each of our own."""
    digest = sha256(b"something")
    grant = {"from_move": digest, "diff": moves.DIFF, "expires": NOW + timedelta(days=7), "id": "8f" * 16}
    place: dict[str, Any] = {"store": STORE, "ledger": "main", "channel": "prod"}
    target = publication.PublishedTarget(digest, 8123456)
    return {
        "approval": approvals.Approval(action="promote", comment="checked", **place, **grant),
        "promotion": promotion.Promotion(
            action="rollback",
            from_move=digest,
            release="1.4.0",
            time=NOW,
            trust_root=first().digest,
            evidence=(digest,),
            reason="it crashes",
            **place,
        ),
        "isolation": isolation.Isolation(
            {"core": {"default": digest}},
            {"nested": True},
            {"licences": "all"},
            ({"kind": "same"},),
            ({"products": ["agent", "core"], "pairs": 3, "bytes": 2100, "longest": 761},),
            ({"name": "blas", "tree": digest, "between": ["agent", "core"], "whole": True},),
            2,
            ("core/x.zip",),
        ),
        "publication": publication.Publication(
            destination="cdn",
            release="1.4.0",
            number=3,
            move=digest,
            time=NOW,
            targets={"releases/1.4.0/core.tar.gz": target},
            **place,
        ),
        "revocation": revocation.Revocation("identity", "the laptop was stolen", NOW),
        "suspension": suspension.Suspension("odd signatures at night", NOW),
        "rehearsal": rehearsal.Rehearsal(
            tip=41,
            back=digest,
            result="PASSED",
            seconds=2,
            steps=(rehearsal.Step("promote", "prod: promote 1.5.0 (was 1.4.0), ledger entry 43", 210),),
            time=NOW,
            **place,
        ),
        "baseline": baseline.Baseline(
            "core",
            "default",
            "1.4.0",
            NOW,
            baseline.Measuring(("./bench.sh",), {"./bench.sh": digest}, 5, "none", "product"),
            baseline.Machine("AMD EPYC 7763", "x86_64", "Linux 6.12.1", 8, 33_554_432_000, "performance"),
            {"search.p95": baseline.Figure(40.5, 39.8, 44.1, "ms")},
            baseline.Reference("prod", {"search.p95": baseline.Tolerance(1.25)}),
        ),
        "ceremony": ceremonies.Transcript(
            STORE,
            2,
            first().digest,
            ("identity ann: another key",),
            (ceremonies.OwnerSignature(signer("olga").identity, ("olga",), digest),),
            NOW,
        ),
        "seal": seal.Seal(STORE, "main", 2, 41, digest, NOW, first().digest, 1, digest, digest, 37, NOW),
        "collection": collection.Collection("delete", STORE, "main", NOW, 0, digest, (41,)),
    }


def decisions() -> dict[str, Any]:
    """Denied, and allowed."""
    half = [approval("ann"), *moves.provenances(), approval("ben", channel="staging")]
    return {
        "denied": decide(request(), root(), half).to_json(),
        "allowed": decide(request(), root(), [*half, approval("ben")]).to_json(),
    }


def files() -> dict[str, bytes]:
    """Path below the golden folder -> content."""
    one, two, three = first(), second(), third()
    policies = {"least": LEAST, "usual": USUAL, "full": FULL, "steps": STEPS}
    return {
        "trust-root/1.signed.json": signed(one, "olga", "otto"),
        "trust-root/2.signed.json": signed(two, "oscar", "otto", "olga", previous=one),
        "trust-root/3.signed.json": signed(three, "oscar", "otto", previous=two),
        "trust-root/3.json": canonical.dumps(three.to_json()),
        "trust-root/1.json": canonical.dumps(one.to_json()),
        "trust-root/2.json": canonical.dumps(two.to_json()),
        **{f"policy/{name}.json": canonical.dumps(policy.to_json()) for name, policy in policies.items()},
        **{f"decision/{name}.json": _pretty(value) for name, value in decisions().items()},
        **{f"predicates/{name}.json": canonical.dumps(value.to_json()) for name, value in predicates().items()},
    }


def _pretty(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


if __name__ == "__main__":
    for name, content in files().items():
        path = GOLDEN / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
