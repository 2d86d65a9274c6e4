"""May this release make this move? Evidence and signed policy in, a decision with reasons out.

Rules of judging:

- pure and deterministic: the order of attestations, and any number of useless ones, changes nothing;
- default deny: what cannot be verified counts as absent and is listed in `ignored` with its reason;
- thresholds count distinct identities, never signatures, names or key ids;
- an approval counts for exactly the release, store, ledger, action, channel, last move and diff
  that it names, until it expires; where duties are separate, whoever built the release or
  promotes it is no approver;
- `evidence` lists exactly the attestations that the decision leans on, so that the same decision
  can be made again from that list alone.

Each rule says what is missing, who may give it, and an action code; what command that is, only
the command line knows.

    decision = decide(request, trust_root, attestations)
    decision.allowed, [rule.message for rule in decision.rules if rule.status != "satisfied"]
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from attest import predicates, times
from attest.digests import Digest, sha256
from attest.errors import CasstoreError, FormatError
from attest.policies import GATE, ChannelPolicy
from attest.predicates import approval, release, slsa_provenance, test_result, vsa
from attest.sigstore_bundles import SigstoreBundle
from attest.statements import parse as parse_statement
from attest.trust_roots import TrustRoot
from attest.verify import VerifiedStatement, verify

SATISFIED, MISSING, REFUSED = "satisfied", "missing", "refused"


@dataclass(frozen=True, slots=True)
class MoveRequest:
    """What is asked: one release, one channel, on one state of the ledger."""

    store: str
    ledger: str
    channel: str
    action: str
    """`promote` or `rollback`."""
    release: Digest
    version: str
    archives: Mapping[str, Digest]
    """File name -> digest."""
    trees: Mapping[str, Digest]
    """Component -> tree."""
    from_move: Digest | None
    """The entry of the channel's last move."""
    from_release: Digest | None
    diff: Digest
    now: datetime
    promoter: str | None
    """The identity that will sign the move; None while nobody is named."""
    in_channels: frozenset[str] = frozenset()
    """Channels that name this release or once did."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule and how it stands."""

    id: str
    status: str
    message: str
    evidence: tuple[Digest, ...] = ()
    needed_role: str | None = None
    who: tuple[str, ...] = ()
    """Names that may still give what is missing."""
    action: str = "none"
    """Code of what to do: approve, attest, promote-first, change-policy, rotate, new-release."""
    count_missing: int = 0

    def to_json(self) -> dict[str, Any]:
        """A row of the blocker map."""
        return {
            "id": self.id,
            "status": self.status,
            "message": self.message,
            "actor_needed": list(self.who) or ([self.needed_role] if self.needed_role else []),
            "next_action": self.action,
            "missing": self.count_missing,
            "evidence": list(self.evidence),
        }


@dataclass(frozen=True, slots=True)
class Ignored:
    """An attestation that counts for nothing here, and why."""

    attestation: Digest
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Allow or deny, with every rule."""

    allowed: bool
    rules: tuple[Rule, ...]
    evidence: tuple[Digest, ...]
    ignored: tuple[Ignored, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The blocker map (docs/formats/decision.md)."""
        return {
            "allowed": self.allowed,
            "rules": [{**rule.to_json(), "blocks": rule.status != SATISFIED} for rule in self.rules],
            "evidence": list(self.evidence),
            "ignored": [{"attestation": item.attestation, "reason": item.reason} for item in self.ignored],
        }


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a word of `require` asks for."""

    over: str
    """`archives`, `trees and archives`, or `release`."""
    roles: tuple[str, ...]
    holds: Callable[[Mapping[str, Any]], None] | None = None
    """Raises FormatError where a predicate does not say what is required."""


def _passed_summary(predicate: Mapping[str, Any]) -> None:
    if vsa.result_of(dict(predicate)) != "PASSED":
        raise FormatError("the verification summary did not pass")


def _no_findings(predicate: Mapping[str, Any]) -> None:
    if predicate.get("findings") != []:
        raise FormatError("the isolation check has findings")


REQUIREMENTS: dict[str, Requirement] = {
    "slsa-provenance": Requirement("trees and archives", ("builder",), slsa_provenance.check),
    "isolation": Requirement("archives", ("builder",), _no_findings),
    "sbom": Requirement("archives", ("builder", "auditor")),
    "spdx": Requirement("archives", ("builder", "auditor")),
    "cyclonedx": Requirement("archives", ("builder", "auditor")),
    "vulns": Requirement("archives", ("builder", "auditor")),
    "openvex": Requirement("archives", ("builder", "auditor")),
    "vsa": Requirement("archives", ("promoter", "auditor"), _passed_summary),
}
"""DESIGN 10: which subjects each kind of evidence must cover, and who may sign it."""


@dataclass
class _Evidence:
    """Attestations that verified, by predicate type; and those that did not."""

    request: MoveRequest
    trust_root: TrustRoot
    revoked: Collection[str]
    verified: list[VerifiedStatement] = field(default_factory=list)
    ignored: dict[Digest, str] = field(default_factory=dict)

    def take(self, raw: bytes, sigstore_root: bytes | None) -> None:
        digest = sha256(raw)
        try:
            claimed = parse_statement(SigstoreBundle.parse(raw).statement_envelope.payload)
            found = verify(
                raw,
                trust_root=self.trust_root,
                predicate_type=claimed.predicate_type,
                subjects=claimed.digests,
                at=self.request.now,
                sigstore_root=sigstore_root,
            )
        except CasstoreError as exc:
            self.ignored[digest] = exc.message
            return
        if digest in self.revoked or found.identity in self.revoked:
            self.ignored[digest] = "it, or who signed it, was revoked"
            return
        self.verified.append(found)

    def of_type(self, types: Collection[str]) -> list[VerifiedStatement]:
        return [found for found in self.verified if found.statement.predicate_type in types]

    def builders(self) -> frozenset[str]:
        """Who made this release: the builders who signed its provenance and its release statement."""
        return frozenset(found.identity for found in self.of_builders())

    def of_builders(self) -> list[VerifiedStatement]:
        """What proves who built: without it, a later judge could count a builder as approver."""
        made = {self.request.release, *self.request.archives.values(), *self.request.trees.values()}
        found = self.of_type((slsa_provenance.TYPE, release.TYPE))
        return [item for item in found if "builder" in item.roles and item.statement.digests & made]


def decide(
    request: MoveRequest,
    trust_root: TrustRoot,
    attestations: Sequence[bytes],
    *,
    revoked: Collection[str] = frozenset(),
    sigstore_root: bytes | None = None,
) -> Decision:
    """Judge a move. Raises nothing for bad evidence; whatever is not proven is missing."""
    policy = trust_root.channels.get(request.channel)
    if policy is None:
        return _denied(Rule("policy", REFUSED, f"the signed policy knows no channel {request.channel}",
                            action="change-policy", needed_role="owner", who=trust_root.holders("owner")))  # fmt: skip
    evidence = _Evidence(request, trust_root, revoked)
    for raw in sorted(set(attestations)):
        evidence.take(raw, sigstore_root)
    rules = [
        _trust_root_rule(request, trust_root),
        _promoter_rule(request, trust_root),
        _revocation_rule(request, revoked),
        _from_rule(request, policy),
        *(_requirement_rule(name, evidence) for name in policy.require),
        _approval_rule(policy, evidence),
    ]
    kept = tuple(rule for rule in rules if rule is not None)
    used = {digest for rule in kept for digest in rule.evidence}
    if policy.separate_duties:
        used |= {item.bundle for item in evidence.of_builders()}
    return Decision(
        all(rule.status == SATISFIED for rule in kept),
        kept,
        tuple(sorted(used)),
        tuple(Ignored(digest, reason) for digest, reason in sorted(evidence.ignored.items())),
    )


def _denied(rule: Rule) -> Decision:
    return Decision(False, (rule,), ())


def _trust_root_rule(request: MoveRequest, root: TrustRoot) -> Rule:
    if request.now >= root.expires:
        message = f"trust root version {root.version} expired at {times.format(root.expires)}"
        return Rule("trust-root", REFUSED, message, (), "owner", root.holders("owner"), "rotate")
    return Rule("trust-root", SATISFIED, f"version {root.version}, valid until {times.format(root.expires)}")


def _promoter_rule(request: MoveRequest, root: TrustRoot) -> Rule | None:
    if request.promoter is None:
        return None
    if "promoter" not in root.roles_of(request.promoter, request.now):
        message = "who signs the move has not the role promoter"
        return Rule("promoter", REFUSED, message, (), "promoter", root.holders("promoter"), "none")
    names = ", ".join(sorted(root.names_of(request.promoter, request.now)))
    return Rule("promoter", SATISFIED, f"{names} may promote")


def _revocation_rule(request: MoveRequest, revoked: Collection[str]) -> Rule:
    made = {request.release: "the release", **{d: f"the archive {n}" for n, d in request.archives.items()}}
    made |= {digest: f"the component {name}" for name, digest in request.trees.items()}
    found = sorted(what for digest, what in made.items() if digest in revoked)
    if found:
        return Rule("not-revoked", REFUSED, f"{found[0]} was revoked", action="new-release")
    return Rule("not-revoked", SATISFIED, "nothing of it was revoked")


def _from_rule(request: MoveRequest, policy: ChannelPolicy) -> Rule | None:
    before = policy.from_channel
    if before is None or request.action != "promote":
        return None
    if before in request.in_channels:
        return Rule("from", SATISFIED, f"it is or was in {before}")
    return Rule("from", MISSING, f"it never was in {before}", (), "promoter", (), "promote-first", 1)


def _requirement_rule(name: str, evidence: _Evidence) -> Rule:
    if name.startswith(GATE):
        return _gate_rule(name, evidence)
    requirement = REQUIREMENTS[name]
    subjects = _subjects(requirement.over, evidence.request)
    covered: dict[Digest, Digest] = {}
    for found in evidence.of_type(predicates.types_of(name)):
        if reason := _unfit(found, requirement):
            evidence.ignored.setdefault(found.bundle, reason)
            continue
        for subject in found.statement.digests & subjects.keys():
            covered[subject] = min(covered.get(subject, found.bundle), found.bundle)
    missing = sorted(what for digest, what in subjects.items() if digest not in covered)
    used = tuple(sorted(set(covered.values())))
    if not missing:
        return Rule(name, SATISFIED, f"covers {len(subjects)} of {len(subjects)} ({requirement.over})", used)
    message = f"missing for {', '.join(missing[:3])}" + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
    who = tuple(dict.fromkeys(n for role in requirement.roles for n in evidence.trust_root.holders(role)))
    return Rule(name, MISSING, message, used, requirement.roles[0], who, "attest", len(missing))


def _unfit(found: VerifiedStatement, requirement: Requirement) -> str:
    if not found.roles & set(requirement.roles):
        return f"{', '.join(sorted(found.names))} has none of the roles {', '.join(requirement.roles)}"
    if requirement.holds is None:
        return ""
    try:
        requirement.holds(found.statement.predicate)
    except CasstoreError as exc:
        return exc.message
    return ""


def _subjects(over: str, request: MoveRequest) -> dict[Digest, str]:
    archives = {digest: name for name, digest in request.archives.items()}
    if over == "archives":
        return archives
    if over == "release":
        return {request.release: f"release {request.version}"}
    return {**{digest: f"component {name}" for name, digest in request.trees.items()}, **archives}


def _gate_rule(name: str, evidence: _Evidence) -> Rule:
    gate = name.removeprefix(GATE)
    request = evidence.request
    wanted = [
        frozenset({request.release}),
        frozenset(request.archives.values()),
        frozenset(request.trees.values()),
    ]
    for found in sorted(evidence.of_type((test_result.TYPE,)), key=lambda item: item.bundle):
        if not found.roles & {"builder", "auditor"} or not _is_gate(found, gate):
            continue
        if any(subjects and subjects <= found.statement.digests for subjects in wanted):
            return Rule(name, SATISFIED, f"gate {gate} passed", (found.bundle,))
    who = (*evidence.trust_root.holders("builder"), *evidence.trust_root.holders("auditor"))
    return Rule(
        name, MISSING, f"no passed result of gate {gate}", (), "builder", tuple(dict.fromkeys(who)), "attest", 1
    )


def _is_gate(found: VerifiedStatement, gate: str) -> bool:
    try:
        claim = test_result.parse(dict(found.statement.predicate))
    except FormatError:
        return False
    return claim.result == "PASSED" and any(item.get("name") == gate for item in claim.configuration)


def _approval_rule(policy: ChannelPolicy, evidence: _Evidence) -> Rule:
    request, root = evidence.request, evidence.trust_root
    needed = policy.approvals if request.action == "promote" else policy.rollback_approvals
    barred = _barred(policy, evidence)
    counted: dict[str, Digest] = {}
    for found in sorted(evidence.of_type((approval.TYPE,)), key=lambda item: item.bundle):
        if reason := _no_approval(found, request, barred):
            evidence.ignored.setdefault(found.bundle, reason)
        else:
            counted.setdefault(found.identity, found.bundle)
    used = tuple(sorted(counted.values())[:needed])
    names = sorted(", ".join(sorted(root.names_of(who, request.now))) for who in counted)
    if len(counted) >= needed:
        return Rule(
            "approvals", SATISFIED, f"{len(counted)} of {needed}" + (f" by {', '.join(names)}" if names else ""), used
        )
    by = f" (by {', '.join(names)})" if names else ""
    message = f"{len(counted)} of {needed} approvals{by}"
    who = tuple(name for name in root.holders("approver") if _may_approve(name, root, request, barred, counted))
    return Rule("approvals", MISSING, message, used, "approver", who, "approve", needed - len(counted))


def _barred(policy: ChannelPolicy, evidence: _Evidence) -> Mapping[str, str]:
    if not policy.separate_duties:
        return {}
    barred = dict.fromkeys(evidence.builders(), "it was signed by who built the release: builders approve nothing")
    if evidence.request.promoter is not None:
        barred[evidence.request.promoter] = "it was signed by who promotes: nobody approves their own move"
    return barred


def _may_approve(
    name: str, root: TrustRoot, request: MoveRequest, barred: Mapping[str, str], counted: Mapping[str, Digest]
) -> bool:
    entry = root.identity_of(name)
    if entry is None or not entry.valid_at(request.now):
        return False
    return entry.identity not in barred and entry.identity not in counted


def _no_approval(found: VerifiedStatement, request: MoveRequest, barred: Mapping[str, str]) -> str:
    """Why an approval does not count here; an empty text when it does."""
    if request.release not in found.statement.digests:
        return "it approves another release"
    if "approver" not in found.roles:
        return f"{', '.join(sorted(found.names))} has not the role approver"
    if found.identity in barred:
        return barred[found.identity]
    try:
        grant = approval.parse(found.statement.predicate)
    except FormatError as exc:
        return exc.message
    return _outside_grant(grant, request)


def _outside_grant(grant: approval.Approval, request: MoveRequest) -> str:
    if (grant.store, grant.ledger) != (request.store, request.ledger):
        return f"it was given for ledger {grant.ledger[:40]!r} of store {grant.store[:40]!r}"
    if grant.action != request.action:
        return f"it was given for {grant.action[:40]!r}, not for {request.action}"
    if grant.channel != request.channel:
        return f"it was given for channel {grant.channel[:40]!r}, not for {request.channel}"
    if grant.from_move != request.from_move:
        return "the channel has moved since it was given"
    if grant.diff != request.diff:
        return "another difference was shown when it was given"
    if request.now >= grant.expires:
        return f"it expired at {times.format(grant.expires)}"
    return ""
