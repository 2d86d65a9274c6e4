"""What a channel requires: a value inside the signed trust root (docs/formats/policy.md).

Nothing is allowed by silence: a channel that needs no approval says `approvals = 0` itself, and a
channel without a policy takes no move. `decisions` judges by it.

    ChannelPolicy.parse("prod", {"from": "staging", "approvals": 2, "require": ["slsa-provenance"]})
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from attest.core.fields import Fields
from attest.core.values import dataclass
from attest.errors import FormatError
from attest.trust import origins, policy_parts
from attest.trust.isolation_rules import IsolationRules
from attest.trust.policy_parts import CustomRule, Freeze, ShareStep
from attest.trust.requirements import AT_PROMOTION, GATE, check_known

_CHANNEL = re.compile(r"(?!v[0-9])[a-z][a-z0-9_-]{0,63}")
"""As ledger entries have it: what the owners sign can also be moved."""

_OPTIONAL = (
    "from",
    "require",
    "separateDuties",
    "rollbackApprovals",
    "signers",
    "soak",
    "rolledBack",
    "steps",
    "freeze",
    "maxAge",
    "builders",
    "sources",
    "vulnerabilities",
    "rebuilds",
    "rules",
    "gates",
    "isolation",
)
KEYS = ("approvals", *_OPTIONAL)
"""Every key of a signed policy."""


ALLOW, REFUSE = "allow", "refuse"


@dataclass(frozen=True, slots=True)
class ChannelPolicy:
    """The rules of one channel."""

    from_channel: str | None
    """Where the release must be, or have been, the head before; None for a first channel."""
    approvals: int
    """How many distinct approvers a promotion needs."""
    require: tuple[str, ...] = ()
    """Evidence by short name (`attest.trust.requirements.REQUIREMENTS`) or `gate:NAME`."""
    separate_duties: bool = True
    """Whether who built or promotes counts as no approver."""
    rollback_approvals: int = 0
    """How many distinct approvers a rollback needs."""
    signers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Requirement -> roles that may sign it, instead of the usual ones."""
    soak: int = 0
    """Seconds for which `from_channel` must have named the release, the last time that it came there."""
    rolled_back: str = ALLOW
    """Whether what a channel was rolled back from since it came there last may be promoted: `allow` or `refuse`."""
    steps: tuple[ShareStep, ...] = ()
    """By which shares of its consumers a release comes; none: to all at once."""
    freeze: tuple[Freeze, ...] = ()
    """When nothing is promoted."""
    max_age: Mapping[str, int] = field(default_factory=dict)
    """Requirement -> seconds that its evidence may be old."""
    builders: tuple[str, ...] = ()
    """Patterns of allowed builder ids, which must be proven; none: any."""
    sources: tuple[str, ...] = ()
    """Patterns of allowed git sources of components, which must be proven; none: any."""
    vulnerabilities: Mapping[str, int] = field(default_factory=dict)
    """Severity -> how many findings an archive may have."""
    rebuilds: int = 1
    """How many distinct builders must vouch for the same digest."""
    rules: tuple[CustomRule, ...] = ()
    gates: Mapping[str, policy_parts.GateSettings] = field(default_factory=dict)
    """Required gate -> the settings under which its results count; None: under any."""
    isolation: IsolationRules = field(default_factory=IsolationRules)
    """How hard products must have been compared, and what may explain common content."""

    @property
    def asks_age(self) -> bool:
        """Whether it matters when the ledger recorded a piece of evidence."""
        return bool(self.max_age or self.rules or AT_PROMOTION & set(self.require))

    def to_json(self) -> dict[str, Any]:
        """The policy as it is signed; what says the default is left out, but for the first five."""
        more: dict[str, Any] = {
            "signers": {name: list(roles) for name, roles in self.signers.items()},
            "soak": self.soak,
            "rolledBack": self.rolled_back if self.rolled_back != ALLOW else "",
            "steps": [step.to_json() for step in self.steps],
            "freeze": [window.to_json() for window in self.freeze],
            "maxAge": dict(self.max_age),
            "builders": list(self.builders),
            "sources": list(self.sources),
            "vulnerabilities": dict(self.vulnerabilities),
            "rebuilds": self.rebuilds if self.rebuilds > 1 else 0,
            "rules": [rule.to_json() for rule in self.rules],
            "gates": policy_parts.gates_json(self.gates),
            "isolation": self.isolation.to_json(),
        }
        return {
            "from": self.from_channel,
            "approvals": self.approvals,
            "require": list(self.require),
            "separateDuties": self.separate_duties,
            "rollbackApprovals": self.rollback_approvals,
            **{key: value for key, value in more.items() if value},
        }

    @staticmethod
    def parse(channel: str, value: object) -> ChannelPolicy:
        """The signed form to value. Raises FormatError."""
        f = Fields(value, f"policy of {channel}", required=("approvals",), optional=_OPTIONAL)
        policy = ChannelPolicy(
            from_channel=f.optional_text("from"),
            approvals=f.integer("approvals"),
            require=f.texts("require", ()),
            separate_duties=f.boolean("separateDuties", True),
            rollback_approvals=f.integer("rollbackApprovals", 0),
            signers=policy_parts.signers(f),
            soak=f.integer("soak", 0),
            rolled_back=f.text("rolledBack", ALLOW),
            steps=policy_parts.steps(f),
            freeze=policy_parts.freezes(f),
            max_age=policy_parts.limits(f, "maxAge", least=1),
            builders=tuple(origins.check_pattern(one, f"{f.what}: builders") for one in f.texts("builders", ())),
            sources=tuple(origins.check_source(one, f"{f.what}: sources") for one in f.texts("sources", ())),
            vulnerabilities=policy_parts.limits(f, "vulnerabilities", least=0),
            rebuilds=f.integer("rebuilds", 1, least=1),
            rules=policy_parts.rules(f),
            gates=policy_parts.gates(f),
            isolation=IsolationRules.parse(f.optional_mapping("isolation"), f"{f.what}: isolation"),
        )
        _check(policy, f.what)
        return policy


def _check(policy: ChannelPolicy, what: str) -> None:
    """What is asked for must be able to have an effect: a limit on nothing is a mistake."""
    for name in policy.require:
        check_known(name, what)
    provenance, vulns = "slsa-provenance" in policy.require, "vulns" in policy.require
    gates = {name.removeprefix(GATE) for name in policy.require if name.startswith(GATE)}
    unsaid, beside = sorted(gates - policy.gates.keys()), sorted(policy.gates.keys() - gates)
    if unsaid:
        raise FormatError(
            f"{what}: require asks for gate:{unsaid[0]} and nobody says with which settings",
            hint=f'write [gates.{unsaid[0]}], or for a result from elsewhere gates = {{ {unsaid[0]} = "any" }}',
        )
    loose = sorted({*policy.signers, *policy.max_age} - {*policy.require, *(("openvex",) if vulns else ())})
    problems = (
        (bool(loose), f"signers or maxAge names {', '.join(loose)}, which require does not"),
        (bool(policy.builders or policy.sources) and not provenance, "builders and sources need slsa-provenance"),
        (policy.rebuilds > 1 and not provenance, "rebuilds needs slsa-provenance in require"),
        (bool(policy.vulnerabilities) and not vulns, "vulnerabilities needs vulns in require"),
        (bool(beside), f"gates names {', '.join(beside)}, which require does not"),
        (
            policy.isolation != IsolationRules() and "isolation" not in policy.require,
            "isolation has rules, and require does not name it",
        ),
        (policy.rolled_back not in (ALLOW, REFUSE), f"rolledBack is {ALLOW!r} or {REFUSE!r}"),
        (policy.soak > 0 and policy.from_channel is None, "soak needs from: a channel to stay in"),
    )
    for wrong, problem in problems:
        if wrong:
            raise FormatError(f"{what}: {problem}", hint="casstore help policy: every key")


def parse_channels(value: object) -> dict[str, ChannelPolicy]:
    """All policies, in the order from first to last channel. Raises FormatError.

    There is at least one; every `from` names a channel; no channel comes after itself.
    """
    if not isinstance(value, Mapping) or not value:
        raise FormatError("the policy is empty: no channel is named", hint="write [channels.NAME] with approvals = N")
    for name in value:
        if not _CHANNEL.fullmatch(str(name)):
            raise FormatError(
                f"{str(name)[:60]!r} is no name of a channel", hint="use small letters, digits, . _ - (at most 64)"
            )
    found = {str(name): ChannelPolicy.parse(str(name), item) for name, item in value.items()}
    for name, policy in found.items():
        _check_line(name, policy, found)
    return dict(sorted(found.items(), key=lambda item: (_depth(item[0], found), item[0])))


def _check_line(name: str, policy: ChannelPolicy, found: Mapping[str, ChannelPolicy]) -> None:
    seen = {name}
    while policy.from_channel is not None:
        before = policy.from_channel
        if before not in found:
            raise FormatError(f"policy of {name}: from names {before!r}, which is no channel")
        if before in seen:
            raise FormatError(f"policy of {name}: the channel comes after itself")
        seen.add(before)
        policy = found[before]


def _depth(name: str, found: Mapping[str, ChannelPolicy]) -> int:
    before = found[name].from_channel
    return 0 if before is None else 1 + _depth(before, found)


__all__ = ["GATE", "KEYS", "ChannelPolicy", "CustomRule", "Freeze", "ShareStep", "parse_channels"]
