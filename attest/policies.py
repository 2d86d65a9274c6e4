"""What a channel requires: a value inside the signed trust root (docs/formats/policy.md).

Nothing is allowed by silence: a channel that needs no approval says `approvals = 0` itself, and a
channel without a policy takes no move. `decisions` judges by it.

    ChannelPolicy.parse("prod", {"from": "staging", "approvals": 2, "require": ["slsa-provenance"]})
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from attest.errors import FormatError
from attest.fields import Fields

GATE = "gate:"
"""A requirement `gate:NAME` asks for a passed test-result of that gate."""


@dataclass(frozen=True, slots=True)
class ChannelPolicy:
    """The rules of one channel."""

    from_channel: str | None
    """Where the release must be, or have been, the head before; None for a first channel."""
    approvals: int
    """How many distinct approvers a promotion needs."""
    require: tuple[str, ...] = ()
    """Evidence by short name (`attest.predicates.SHORT_NAMES`) or `gate:NAME`."""
    separate_duties: bool = True
    """Whether who built or promotes counts as no approver."""
    rollback_approvals: int = 0
    """How many distinct approvers a rollback needs."""

    def to_json(self) -> dict[str, Any]:
        """The policy as it is signed."""
        return {
            "from": self.from_channel,
            "approvals": self.approvals,
            "require": list(self.require),
            "separateDuties": self.separate_duties,
            "rollbackApprovals": self.rollback_approvals,
        }

    @staticmethod
    def parse(channel: str, value: object) -> ChannelPolicy:
        """The signed form to value. Raises FormatError."""
        from attest.decisions import REQUIREMENTS

        f = Fields(
            value,
            f"policy of {channel}",
            required=("approvals",),
            optional=("from", "require", "separateDuties", "rollbackApprovals"),
        )
        require = f.texts("require", ())
        unknown = [name for name in require if name not in REQUIREMENTS and not name.startswith(GATE)]
        if unknown:
            raise FormatError(
                f"policy of {channel}: unknown requirement {unknown[0]!r}",
                hint=f"known: {', '.join(REQUIREMENTS)}, {GATE}NAME",
            )
        return ChannelPolicy(
            f.optional_text("from"),
            f.integer("approvals"),
            require,
            f.boolean("separateDuties", True),
            f.integer("rollbackApprovals", 0),
        )


def parse_channels(value: object) -> dict[str, ChannelPolicy]:
    """All policies, in the order from first to last channel. Raises FormatError.

    There is at least one; every `from` names a channel; no channel comes after itself.
    """
    if not isinstance(value, Mapping) or not value:
        raise FormatError("the policy is empty: no channel is named", hint="write [channels.NAME] with approvals = N")
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
