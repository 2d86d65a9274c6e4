"""How decisions, moves and channels are told to people: words and commands for action codes.

`attest` gives codes and knows no command line; this is where a code becomes a command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attest import digests
from cli.drawing import render

if TYPE_CHECKING:
    from attest.judging.decisions import Decision, Rule
    from attest.trust.policies import ChannelPolicy
    from casstore.promotion import MoveReport

_COMMANDS = {
    "approve": "casstore approve {release} --channel {channel} --action {action} --key URI",
    "attest": "casstore attest sign FILE --type {type} --predicate JSON --hand-in --key URI",
    "promote-first": "casstore promote {release} --to {from_channel}",
    "unpin": "casstore unpin {channel} --reason TEXT",
    "change-policy": "casstore keys ceremony draft",
    "rotate": "casstore keys ceremony draft",
    "rehearse": "casstore rehearse {channel} --key URI",
    "ask-gates": "casstore gate ask {release} --to {channel} --key URI",
    "next-step": "casstore explain {release} --to {channel}",
    "take-back": "casstore rollback {channel} --reason TEXT",
    "wait": "casstore explain {release} --to {channel}",
    "new-release": "casstore release VERSION",
}


def command_for(rule: Rule, **names: str) -> str:
    """The command that mends a rule, or an empty text."""
    template = _COMMANDS.get(rule.action, "")
    known = {
        "release": "RELEASE",
        "channel": "CHANNEL",
        "from_channel": "CHANNEL",
        "action": "promote",
        "type": rule.id,
    }
    return template.format(**{**known, **names})


def say_decision(decision: Decision, **names: str) -> None:
    """On stderr: each rule that fails, who can act, the command."""
    for rule in decision.rules:
        if rule.status != "satisfied":
            _say_rule(rule, **names)
    for ignored in decision.ignored:
        render.say(f"  ignored {digests.short(ignored.attestation)}: {ignored.reason}")


def _say_rule(rule: Rule, **names: str) -> None:
    render.say(f"  missing {rule.id}: {rule.message}")
    if rule.who:
        render.say(f"    who: {', '.join(rule.who)}")
    if command := command_for(rule, **names):
        render.say(f"    run: {command}")


def told_decision(decision: Decision, *, release: str, channel: str, action: str, share: int | None = None) -> None:
    """On stdout: the verdict and every rule with its evidence."""
    back = " (rollback)" if action == "rollback" else "" if share is None else f" (--share {share}%)"
    render.line(f"{release} -> {channel}{back}: {'allowed' if decision.allowed else 'denied'}")
    for rule in decision.rules:
        mark = "ok" if rule.status == "satisfied" else "MISSING"
        render.line(f"  {mark:8}{rule.id}: {rule.message}")
        for evidence in rule.evidence:
            render.line(f"          by {digests.short(evidence)}")
        if rule.status != "satisfied":
            if rule.who:
                render.line(f"          who: {', '.join(rule.who)}")
            if command := command_for(rule, release=release, channel=channel, action=action):
                render.line(f"          run: {command}")
    for ignored in decision.ignored:
        render.line(f"  ignored {digests.short(ignored.attestation)}: {ignored.reason}")


def told_move(report: MoveReport) -> None:
    """On stdout: one line of what a channel move did."""
    render.line(report.told)
    for note in report.notes:
        render.say(note)


def policy_line(policy: ChannelPolicy) -> str:
    """A channel's policy in one line."""
    parts = [f"from {policy.from_channel}" if policy.from_channel else "first channel", f"{policy.approvals} approvals"]
    if policy.require:
        parts.append("requires " + ", ".join(policy.require))
    if policy.rebuilds > 1:
        parts.append(f"{policy.rebuilds} independent builders")
    if policy.soak:
        parts.append(f"soaks {policy.soak // 3600} hours in {policy.from_channel}")
    if policy.steps:
        parts.append("by " + ", ".join(f"{step.share}% for {step.soak // 3600} hours" for step in policy.steps))
    if policy.rolled_back == "refuse":
        parts.append("nothing that was rolled back")
    if policy.max_age:
        parts.append("no older than " + ", ".join(f"{name} {age // 3600} h" for name, age in policy.max_age.items()))
    if policy.vulnerabilities:
        limits = ", ".join(f"{name} {limit}" for name, limit in policy.vulnerabilities.items())
        parts.append(f"findings at most {limits}")
    parts += [f"frozen {window.told}" for window in policy.freeze]
    parts += [f"rule {rule.id}" for rule in policy.rules]
    return "; ".join(parts)
