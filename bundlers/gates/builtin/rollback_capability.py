"""rollback-capability: going back from this release was played on a clone, lately, and it worked.

    [gates]
    rollback-capability = { max_age_days = 7 }

Asked at promotion, where the signed policy has `gate:rollback-capability`. It wants a rehearsal that
the ledger recorded (`casstore rehearse CHANNEL`), signed by a promoter, of this very release, of
this channel, that came back to the release that the channel names now. The first release of a
channel has nothing to go back to; its rehearsal says so, and passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from attest.core.values import dataclass
from attest.digests import short
from attest.errors import BadInput
from attest.statements.predicates import rehearsal
from attest.statements.predicates.rehearsal import PASSED, Rehearsal
from attest.trust.verify import VerifiedStatement
from bundlers.gates.base import ChannelView, GateResult, Phase, ReleaseView

NAME = "rollback-capability"
PHASE = Phase.CHANNEL
SUMMARY = "Going back from this release was rehearsed lately, and it worked."

_LEEWAY = timedelta(minutes=10)
"""How far the clocks of two machines may be apart."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How fresh it must be."""

    max_age_days: float = 7.0


def check(view: ReleaseView, settings: Settings) -> GateResult:
    """The newest rehearsal that fits decides."""
    channel, now = view.channel, view.now
    if channel is None or now is None:
        raise BadInput("it is asked at promotion", hint="casstore gate ask RELEASE --to CHANNEL")
    fix = f"casstore rehearse {channel.name} --release {view.version} --key URI"
    found = sorted(_of_this(channel), key=lambda said: said.time)
    if not found:
        back = f" back to {short(channel.head)}" if channel.head else ""
        return GateResult(False, (f"nobody has rehearsed {view.version} in {channel.name}{back}",), (), fix)
    newest = found[-1]
    age = now - newest.time
    if newest.result != PASSED:
        return GateResult(False, (f"the last rehearsal failed: {newest.steps[-1].outcome}",), (), fix)
    if age < -_LEEWAY:  # what claims to be from the future would never grow old
        return GateResult(False, ("the last rehearsal claims to be from the future",), (), fix)
    if age > timedelta(days=settings.max_age_days):
        told = f"the last rehearsal is {age.days} days old, {settings.max_age_days:g} are allowed"
        return GateResult(False, (told,), (), fix)
    return GateResult(True, measured={"seconds": newest.seconds, "ageSeconds": int(age.total_seconds())})


def _of_this(channel: ChannelView) -> Iterator[Rehearsal]:
    for found in channel.attested(rehearsal.TYPE):
        said = rehearsal.parse(dict(found.statement.predicate))
        place = (said.store, said.ledger, said.channel, said.back)
        if place == (channel.store, channel.ledger, channel.name, channel.head) and _counts(found, channel):
            yield said


def _counts(found: VerifiedStatement, channel: ChannelView) -> bool:
    return "promoter" in found.roles and channel.release in found.statement.digests
