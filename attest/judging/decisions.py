"""May this release make this move? Evidence and signed policy in, a decision with reasons out.

Rules of judging:

- pure and deterministic: the order of attestations, and any number of useless ones, changes nothing;
- default deny: what cannot be verified counts as absent and is listed in `ignored` with its reason;
- thresholds count distinct persons, never signatures or key ids: a common identity, or a common
  name, makes one;
- evidence is judged by the trust root in force when the ledger recorded it (`recorded`), approvals
  and what no entry recorded by the one in force now; what was revoked counts for nothing;
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

from collections.abc import Collection, Iterator, Mapping, Sequence

from attest.core import times
from attest.digests import Digest
from attest.judging import approvals, expressions, limits, requirements, steps
from attest.judging.evidence import Evidence, SigstoreRoots
from attest.judging.records import Record
from attest.judging.values import ACTIONS, MISSING, REFUSED, SATISFIED, Decision, Ignored, MoveRequest, Rule
from attest.trust.policies import ChannelPolicy
from attest.trust.trust_roots import TrustRoot

__all__ = [
    "ACTIONS",
    "MISSING",
    "REFUSED",
    "SATISFIED",
    "Decision",
    "Ignored",
    "MoveRequest",
    "Record",
    "Rule",
    "SigstoreRoots",
    "decide",
]


def decide(
    request: MoveRequest,
    trust_root: TrustRoot,
    attestations: Sequence[bytes],
    *,
    revoked: Collection[str] = frozenset(),
    limited: Mapping[str, int] | None = None,
    recorded: Mapping[Digest, Record] | None = None,
    sigstore: SigstoreRoots | None = None,
) -> Decision:
    """Judge a move under the trust root in force. Whatever is not proven is missing.

    `recorded`: attestation -> the first ledger entry that took it in. `limited`: identities of which only counts
    what was recorded before an entry. Raises nothing for bad
    evidence; NotInstalled where a rule of the policy needs a library that is not there.
    """
    if request.action not in ACTIONS:
        message = f"{request.action[:40]!r} is no move that a policy decides"
        return Decision(False, (Rule("action", REFUSED, message),), ())
    policy = trust_root.channels.get(request.channel)
    if policy is None:
        message = f"the signed policy knows no channel {request.channel}"
        return Decision(False, (_owners("policy", message, "change-policy", trust_root),), ())
    evidence = Evidence(request, trust_root, revoked, recorded or {}, sigstore or SigstoreRoots(), limited or {})
    for raw in sorted(set(attestations)):
        evidence.take(raw)
    evidence.verified.sort(key=lambda found: found.bundle)
    rules = tuple(rule for rule in _rules(policy, evidence) if rule is not None)
    used = {digest for rule in rules for digest in rule.evidence}
    if policy.separate_duties:
        used |= {found.bundle for found in evidence.of_builders()}
    return Decision(
        all(rule.status == SATISFIED for rule in rules),
        rules,
        tuple(sorted(used)),
        tuple(Ignored(digest, reason) for digest, reason in sorted(evidence.ignored.items())),
    )


def _rules(policy: ChannelPolicy, evidence: Evidence) -> Iterator[Rule | None]:
    request = evidence.request
    yield _trust_root(request, evidence.trust_root)
    yield _promoter(evidence)
    yield _not_revoked(request, evidence.revoked)
    yield _from(policy, evidence)
    yield limits.soak(policy, request)
    yield steps.judge(policy, request)
    yield limits.rolled_back(policy, request)
    yield limits.freeze(policy, request)
    for name in policy.require:
        yield requirements.judge(name, policy, evidence)
    yield limits.vulnerabilities(policy, evidence)
    for rule in policy.rules:
        yield expressions.judge(rule, evidence)
    yield approvals.judge(policy, evidence)


def _owners(name: str, message: str, action: str, root: TrustRoot) -> Rule:
    return Rule(name, REFUSED, message, (), "owner", root.holders("owner"), action)


def _trust_root(request: MoveRequest, root: TrustRoot) -> Rule:
    if request.ended >= root.expires:
        message = f"trust root version {root.version} expired at {times.format(root.expires)}"
        return _owners("trust-root", message, "rotate", root)
    return Rule("trust-root", SATISFIED, f"version {root.version}, valid until {times.format(root.expires)}")


def _promoter(evidence: Evidence) -> Rule | None:
    request, root = evidence.request, evidence.trust_root
    if request.promoter is None:
        return None
    roles = root.roles_of(request.promoter, request.now) & root.roles_of(request.promoter, request.ended)
    if "promoter" not in roles:
        message = "who signs the move has not the role promoter"
        return Rule("promoter", REFUSED, message, (), "promoter", evidence.holders("promoter"), "none")
    names = ", ".join(sorted(root.names_of(request.promoter, request.now)))
    return Rule("promoter", SATISFIED, f"{names} may promote")


def _not_revoked(request: MoveRequest, revoked: Collection[str]) -> Rule:
    made = {
        request.release: "the release",
        **{digest: f"the archive {name}" for digest, name in request.archive_names.items()},
        **{digest: f"the {name}" for digest, name in request.tree_names.items()},
    }
    found = sorted(what for digest, what in made.items() if digest in revoked)
    if found:
        return Rule("not-revoked", REFUSED, f"{found[0]} was revoked", action="new-release")
    return Rule("not-revoked", SATISFIED, "nothing of it was revoked")


def _from(policy: ChannelPolicy, evidence: Evidence) -> Rule | None:
    request, before = evidence.request, policy.from_channel
    if before is None or request.action != "promote":
        return None
    if before in request.in_channels:
        return Rule("from", SATISFIED, f"it is or was in {before}")
    return Rule(
        "from", MISSING, f"it never was in {before}", (), "promoter", evidence.holders("promoter"), "promote-first", 1
    )
