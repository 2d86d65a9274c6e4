"""A release, people who sign about it, and the question that a decision answers; no store, no clock.

Keys are derived from names, so that every run has the same ones. Never use them.

request = moves.request(channel="prod", in_channels=frozenset({"staging"}))
decide(request, moves.root(), [moves.approval(request, "ann"), *moves.provenances()])
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from attest import digests, signers
from attest.digests import Digest, sha256
from attest.judging.decisions import MoveRequest
from attest.signers import Signer
from attest.statements import statements
from attest.statements.predicates import approval as approvals
from attest.statements.predicates import release as releases
from attest.statements.predicates import slsa_provenance, test_result
from attest.trust.policies import ChannelPolicy
from attest.trust.trust_roots import Role, TrustIdentity, TrustRoot

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
STORE = "b3c1f0a26d574c0e9a540d1f6d9a7e11"
RELEASE = sha256(b"release 1.4.0")
ARCHIVES = {"agent-1.4.0.zip": sha256(b"agent"), "core-1.4.0.tar.gz": sha256(b"core")}
TREES = {"core-bin": sha256(b"core-bin"), "licences": sha256(b"licences")}
DIFF = sha256(b"diff")
PEOPLE: dict[str, tuple[str, ...]] = {
    "ann": ("approver",),
    "aud": ("auditor",),
    "ben": ("approver",),
    "ci": ("builder",),
    "ci2": ("builder",),
    "cleo": ("approver",),
    "olga": ("owner",),
    "otto": ("owner",),
    "pam": ("promoter",),
    "pete": ("publisher",),
}
CHANNELS = {
    "dev": ChannelPolicy(None, 0),
    "staging": ChannelPolicy("dev", 1),
    "prod": ChannelPolicy("staging", 2, ("slsa-provenance",)),
}


@cache
def signer(name: str) -> Signer:
    """The key of a name; `name#2` is another one for the same person."""
    number = int.from_bytes(hashlib.sha256(b"casstore test key of " + name.encode()).digest()[:31], "big")
    return signers.from_private_key(ec.derive_private_key(number, ec.SECP256R1()))


def identity(name: str, key: str | None = None, **changes: Any) -> TrustIdentity:
    """The trust root's entry of a name."""
    who = signer(key or name)
    window: dict[str, Any] = {
        "valid_from": NOW - timedelta(days=30),
        "valid_until": None,
        "sources": ("https://git/*",),
    }
    window |= changes
    return TrustIdentity(name, who.identity, who.public_pem, **window)


def root(people: Mapping[str, tuple[str, ...]] = PEOPLE, **changes: Any) -> TrustRoot:
    """A trust root in which these people hold these roles."""
    roles: dict[str, list[str]] = {}
    for name, held in people.items():
        for role in held:
            roles.setdefault(role, []).append(name)
    values: dict[str, Any] = {
        "version": 1,
        "store": STORE,
        "created": NOW - timedelta(days=1),
        "expires": NOW + timedelta(days=364),
        "identities": tuple(identity(name) for name in sorted(people)),
        "roles": {
            name: Role(name, tuple(sorted(held)), 2 if name == "owner" and len(held) > 1 else 1)
            for name, held in sorted(roles.items())
        },
        "channels": dict(CHANNELS),
        **changes,
    }
    return TrustRoot(**values)


def policy(policy: ChannelPolicy, **changes: Any) -> TrustRoot:
    """The trust root with this policy for prod."""
    return root(channels={**CHANNELS, "prod": policy}, **changes)


def request(**changes: Any) -> MoveRequest:
    """Promote 1.4.0 from staging to prod."""
    values: dict[str, Any] = {
        "store": STORE,
        "ledger": "main",
        "channel": "prod",
        "action": "promote",
        "release": RELEASE,
        "version": "1.4.0",
        "archives": ARCHIVES,
        "trees": TREES,
        "from_move": None,
        "from_release": None,
        "diff": DIFF,
        "now": NOW,
        "promoter": signer("pam").identity,
        "in_channels": frozenset({"dev", "staging"}),
        **changes,
    }
    return MoveRequest(**values)


def attest(by: str, predicate_type: str, subjects: Mapping[str, Digest], predicate: Mapping[str, Any]) -> bytes:
    """A signed statement."""
    return signer(by).sign_statement(statements.of_digests(subjects, predicate_type, predicate).to_bytes())


def approval(by: str, asked: MoveRequest | None = None, **changes: Any) -> bytes:
    """An approval of exactly what is asked, but for the changes."""
    asked = asked or request()
    values: dict[str, Any] = {
        "store": asked.store,
        "ledger": asked.ledger,
        "action": asked.action,
        "channel": asked.channel,
        "from_move": asked.from_move,
        "diff": asked.diff,
        "expires": asked.now + timedelta(days=7),
        "id": digests.hex_of(sha256(by.encode()))[:32],
    }
    release = changes.pop("release", asked.release)
    claim = approvals.Approval(**{**values, **changes})
    return attest(by, approvals.TYPE, {"release": release}, claim.to_json())


def provenance(subjects: Mapping[str, Digest], by: str = "ci", **changes: Any) -> bytes:
    """SLSA provenance."""
    values: dict[str, Any] = {
        "build_type": "https://casstore.dev/put/v1",
        "external_parameters": {"releaseVersion": "1.4.0"},
        "builder_id": f"https://ci.example/{by}",
        **changes,
    }
    return attest(by, slsa_provenance.TYPE, subjects, slsa_provenance.Provenance(**values).to_json())


def provenances(by: str = "ci", **changes: Any) -> list[bytes]:
    """Provenance for every tree (one statement) and every archive (one each)."""
    return [
        provenance(TREES, by, **changes),
        *(provenance({name: digest}, by, **changes) for name, digest in ARCHIVES.items()),
    ]


def release_statement(by: str = "ci") -> bytes:
    """Who made the release."""
    claim = releases.ReleaseClaim(releases.purl_of("main", "1.4.0"))
    return attest(by, releases.TYPE, {"release": RELEASE, **ARCHIVES}, claim.to_json())


def gate(name: str, by: str = "ci", result: str = "PASSED", subjects: Mapping[str, Digest] = ARCHIVES) -> bytes:
    """A gate's result."""
    return attest(by, test_result.TYPE, subjects, test_result.ResultClaim(result, ({"name": name},)).to_json())
