"""Whether a promotion is the next of the policy's steps: a first share, wider ones, at last the whole channel.

judge(policy, request)
next_share(policy, 5)                   # 25; None: the whole channel
"""

from __future__ import annotations

from attest.core import shares
from attest.judging import requirements
from attest.judging.values import MISSING, REFUSED, SATISFIED, MoveRequest, Rule
from attest.trust.policies import ChannelPolicy

_NAME = "share"


def next_share(policy: ChannelPolicy, running: int | None) -> int | None:
    """The share that must come after one that runs, or first; None: all of the channel."""
    return next((step.share for step in policy.steps if step.share > (running or 0)), None)


def judge(policy: ChannelPolicy, request: MoveRequest) -> Rule | None:
    """The rule `share`; a rollback needs no step."""
    running = request.canary
    if request.action != "promote" or (not policy.steps and request.share is None and running is None):
        return None
    if running is not None and running.release != request.release:
        message = f"{running.version} reaches {running.share}% of {request.channel}: it comes first, or is taken back"
        return Rule(_NAME, REFUSED, message, action="take-back")
    if request.from_release is None:
        if request.share is None:
            return None
        message = f"{request.channel} names no release that the others would keep: the first one is for all"
        return Rule(_NAME, REFUSED, message)
    if not policy.steps and request.share is not None:
        return Rule(_NAME, REFUSED, f"the policy of {request.channel} has no steps", action="change-policy")
    wanted = next_share(policy, None if running is None else running.share)
    if request.share != wanted:
        message = f"the next step is {shares.told(wanted)}, not {shares.told(request.share)}"
        return Rule(_NAME, MISSING, message, action="next-step", count_missing=1)
    return _soaked(policy, request)


def _soaked(policy: ChannelPolicy, request: MoveRequest) -> Rule:
    running = request.canary
    if running is None:
        return Rule(_NAME, SATISFIED, f"{shares.told(request.share)} is the first step")
    soak, told = next((one.soak for one in reversed(policy.steps) if one.share <= running.share), 0), requirements.told
    if running.ran >= soak:
        return Rule(_NAME, SATISFIED, f"{shares.told(request.share)} after {running.share}% for {told(running.ran)}")
    message = f"it ran {told(running.ran)} of {told(soak)} at {running.share}%"
    return Rule(_NAME, MISSING, message, action="wait", count_missing=soak - running.ran)
