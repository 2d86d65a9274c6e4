"""What a trust root asks for and nobody can give: told at the ceremony, before the owners sign it.

A policy that nobody can meet is no error of form, so nothing else would say it until the day of the release.

    for line in unmeetable(root): ...
"""

from __future__ import annotations

from collections.abc import Iterator

from attest.core import times
from attest.trust.policies import ChannelPolicy
from attest.trust.policy_parts import DAYS
from attest.trust.requirements import roles_for
from attest.trust.trust_roots import TrustRoot


def unmeetable(root: TrustRoot) -> tuple[str, ...]:
    """In words, each with what would mend it; for the whole life of this trust root."""
    return tuple(f"channel {name}: {told}" for name, policy in root.channels.items() for told in _of(root, policy))


def _of(root: TrustRoot, policy: ChannelPolicy) -> Iterator[str]:
    for role in ("promoter", "builder"):
        if not _people(root, (role,)):
            yield f"nobody holds the role {role} (--role {role}=NAME)"
    approvers = _people(root, ("approver",))
    for asked, what in ((policy.approvals, "approvals"), (policy.rollback_approvals, "rollback approvals")):
        if asked > len(approvers):
            yield f"{asked} {what} are asked, {len(approvers)} people may approve (--role approver=NAME,NAME)"
    builders = _people(root, ("builder",))
    if policy.rebuilds > max(len(builders), 1):
        yield f"{policy.rebuilds} independent builders are asked, {len(builders)} hold the role builder"
    for word in policy.require:
        roles = tuple(policy.signers.get(word, roles_for(word)))
        if not _people(root, roles):
            yield f"requires {word}, which nobody may sign (roles: {', '.join(roles)})"
    yield from _never(root, policy)


def _never(root: TrustRoot, policy: ChannelPolicy) -> Iterator[str]:
    """What time alone forbids for as long as this trust root lives."""
    for window in policy.freeze:
        if window.start is not None and window.end is not None and window.start <= root.created:
            if window.end >= root.expires:
                yield f"is frozen until {times.format(window.end)}, longer than this trust root lives"
        elif set(window.days) == set(DAYS):
            yield "is frozen on every day of the week"
    if sum(step.soak for step in policy.steps) >= (root.expires - root.created).total_seconds():
        yield "its steps take longer than this trust root lives"
    if policy.soak >= (root.expires - root.created).total_seconds():
        days = policy.soak // 86400
        yield f"a release must stay {days} days in {policy.from_channel}, longer than this trust root lives"


def _people(root: TrustRoot, roles: tuple[str, ...]) -> frozenset[str]:
    """Distinct keys that hold one of the roles at some time of this trust root; two names of one key are one."""
    names = {name for role in roles for name in root.holders(role)}
    return frozenset(
        entry.identity
        for entry in root.identities
        if entry.name in names and (entry.valid_until is None or entry.valid_until > root.created)
    )
