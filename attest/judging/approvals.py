"""Approvals: how many distinct approvers let exactly this move happen."""

from __future__ import annotations

from dataclasses import field

from attest.core import shares, times
from attest.core.values import dataclass
from attest.errors import FormatError
from attest.judging.evidence import Evidence, most_persons, persons
from attest.judging.values import MISSING, SATISFIED, MoveRequest, Rule
from attest.statements.predicates import approval
from attest.trust.policies import ChannelPolicy
from attest.trust.verify import VerifiedStatement

_BUILT = "it was signed by who built the release: builders approve nothing"
_PROMOTES = "it was signed by who promotes: nobody approves their own move"


@dataclass(frozen=True, slots=True)
class _Barred:
    """Identities and names that count as no approver, with the reason."""

    reasons: dict[str, str] = field(default_factory=dict)

    def reason(self, *marks: str) -> str:
        return next((self.reasons[mark] for mark in sorted(marks) if mark in self.reasons), "")


def judge(policy: ChannelPolicy, evidence: Evidence) -> Rule:
    """The rule `approvals`."""
    request, root = evidence.request, evidence.trust_root
    needed = needed_for(policy, request)
    barred = _barred(policy, evidence)
    counted = []
    for found in evidence.of_type((approval.TYPE,)):
        if reason := _no_approval(found, request, barred):
            evidence.ignore(found, reason)
        else:
            counted.append(found)
    groups = persons(counted)
    have, used = len(groups), most_persons(counted, needed)
    names = sorted(", ".join(sorted({name for item in members for name in item.names})) for members in groups)
    by = ", ".join(names)
    if have >= needed:
        return Rule("approvals", SATISFIED, f"{have} of {needed}" + (f" by {by}" if by else ""), used)
    approved = {mark for item in counted for mark in (item.identity, *item.names)}
    who = tuple(name for name in root.holders("approver") if _may_approve(name, evidence, barred, approved))
    message = f"{have} of {needed} approvals" + (f" (by {by})" if by else "")
    if request.action == "promote" and needed > policy.approvals:
        message += f": {request.newly_explained[0].name[:60]!r} explains common content, and is new"
    return Rule("approvals", MISSING, message, used, "approver", who, "approve", needed - have)


def needed_for(policy: ChannelPolicy, request: MoveRequest) -> int:
    """How many: what newly explains common content is looked at by one person at least."""
    if request.action != "promote":
        return policy.rollback_approvals
    return max(policy.approvals, 1 if request.newly_explained else 0)


def _barred(policy: ChannelPolicy, evidence: Evidence) -> _Barred:
    if not policy.separate_duties:
        return _Barred()
    reasons = {mark: _BUILT for found in evidence.of_builders() for mark in (found.identity, *found.names)}
    promoter = evidence.request.promoter
    if promoter is not None:
        names = evidence.trust_root.names_of(promoter, evidence.request.now)
        reasons |= dict.fromkeys((promoter, *names), _PROMOTES)
    return _Barred(reasons)


def _may_approve(name: str, evidence: Evidence, barred: _Barred, approved: set[str]) -> bool:
    entry = evidence.trust_root.identity_of(name)
    if entry is None or not evidence.counts(name):
        return False
    return not barred.reason(name, entry.identity) and not {name, entry.identity} & approved


def _no_approval(found: VerifiedStatement, request: MoveRequest, barred: _Barred) -> str:
    """Why an approval does not count here; an empty text when it does."""
    if request.release not in found.statement.digests:
        return "it approves another release"
    if "approver" not in found.roles:
        return f"{', '.join(sorted(found.names))} has not the role approver"
    if reason := barred.reason(found.identity, *found.names):
        return reason
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
    if grant.share != request.share:
        return f"it was given for {shares.told(grant.share)}, not for {shares.told(request.share)}"
    if grant.diff != request.diff:
        return "another difference was shown when it was given"
    if request.ended >= grant.expires:
        return f"it expired at {times.format(grant.expires)}, this is judged at {times.format(request.ended)}"
    return ""
