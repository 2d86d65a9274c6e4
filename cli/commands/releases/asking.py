"""Gates that are asked at promotion: what `promote` and `gate ask` share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.drawing import render
from cli.session import Session

if TYPE_CHECKING:
    from bundlers.gates.channel_gates import Asked


def missing(session: Session, release: str, channel: str) -> tuple[str, ...]:
    """Those that the signed policy wants asked for this move and that have no result yet."""
    from attest.trust.requirements import AT_PROMOTION

    policy = session.trust_root().channels.get(channel)
    if policy is None or not AT_PROMOTION & set(policy.require):
        return ()
    from bundlers.gates import channel_gates

    return channel_gates.missing(session.open_store(), session.ledger(), release, channel, now=session.now)


def ask(session: Session, release: str, channel: str, names: tuple[str, ...], key: str | None) -> Asked:
    """Run them, sign what passed, hand it in; each outcome is told on stderr."""
    from bundlers.gates import channel_gates

    asked = channel_gates.ask(
        session.open_store(),
        session.ledger(),
        session.optional_config,
        release,
        channel,
        names,
        signer=session.signer(key),
        now=session.now,
        guard=session.network,
    )
    for outcome in asked.outcomes:
        render.say(f"gate {outcome.name}: {'passed' if outcome.passed else 'FAILED'}")
        for message in outcome.result.messages:
            render.say(f"  {message}")
    return asked
