"""baseline: the figures of this release, measured with these very bytes, are within the tolerances of the baseline.

    [gates]
    baseline = { products = ["core"], max_age_days = 90 }

Asked at promotion, where the signed policy has `gate:baseline`. Both sides are attestations in the ledger, made by
`casstore baseline capture`. Of the release: the newest that is about the archive alone, by a signer with the role
that the policy wants `baseline` from (`auditor`, where it says nothing). What it is held against: the newest for the
same product and build that an auditor signed as the reference of the channel (or `name`), with tolerances. One about
other bytes, by somebody else, too old, of another command or exceeded fails with exit code 6.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from attest.core.values import dataclass
from attest.errors import BadInput, FormatError
from attest.statements.predicates import baseline
from attest.statements.predicates.baseline import Baseline, Figure
from attest.trust.requirements import roles_for
from attest.trust.verify import VerifiedStatement
from bundlers.errors import BaselineFailed
from bundlers.gates.base import ChannelView, GateResult, Phase, ReleaseView
from casstore.ledger.release_objects import ReleaseBuild, split_key

NAME = "baseline"
PHASE = Phase.CHANNEL
SUMMARY = "Figures measured with the release's very bytes are within the tolerances of the signed baseline."
EXIT_CODE = BaselineFailed.exit_code
LEEWAY = timedelta(minutes=10)
"""How far clocks may differ."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What must be measured, and what it is held against."""

    products: tuple[str, ...] = ()
    """By default all that the release has."""
    name: str = ""
    """Of the baseline; by default the channel's."""
    max_age_days: float = 90.0
    """Of the baseline, and of what was measured with the release."""
    same_machine: bool = False
    """Whether another machine, or another kernel, is a failure and not a warning."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What counts for one build."""

    key: str
    own: Baseline | None
    reference: Baseline | None


def check(view: ReleaseView, settings: Settings) -> GateResult:
    """Each build that was measured against the newest baseline of it."""
    if view.channel is None or view.now is None:
        raise BadInput("it is asked at promotion", hint="casstore gate ask RELEASE --to CHANNEL")
    name = settings.name or view.channel.name
    every = sorted({split_key(key)[0] for key in view.channel.builds})
    if unknown := sorted(set(settings.products) - set(every)):
        raise BadInput(f"the release has no product {unknown[0]!r}", hint=f"it has: {', '.join(every)}")
    told = tuple(view.channel.attested(baseline.TYPE))
    problems: list[str] = []
    warnings: list[str] = []
    measured: dict[str, object] = {}
    for product in settings.products or every:
        rows = tuple(_found(view.channel, told, product, name, view.now))
        for row in _asked_of(rows):
            found = tuple(_problems(row, name, view.now, settings))
            problems += found or _held(row)
            if not found and row.own and row.reference:
                warnings += _noted(row)
                problems += _elsewhere(row) if settings.same_machine else ()
                warnings += () if settings.same_machine else _elsewhere(row)
                measured |= {f"{row.key}: {one}": figure.to_json() for one, figure in row.own.figures.items()}
    fix = f"casstore baseline capture --release {view.version} --product PRODUCT --key URI -- COMMAND"
    return GateResult(not problems, tuple(problems), (), fix, measured, tuple(warnings))


def _found(
    channel: ChannelView, told: Iterable[VerifiedStatement], product: str, name: str, now: datetime
) -> Iterator[_Found]:
    """What the ledger has of each build of a product."""
    roles = set(channel.signers.get(NAME, roles_for(NAME)))
    parsed = [(one, said) for one in told if one.roles & {*roles, "auditor"} and (said := _parsed(one))]
    known = [(one, said) for one, said in parsed if said.measured <= now + LEEWAY]  # else one would never grow old
    for key, build in channel.builds.items():
        if split_key(key)[0] == product:
            own = (said for one, said in known if _is_about(build, key, one, said) and one.roles & roles)
            held = (said for one, said in known if _is_reference(key, name, one, said))
            yield _Found(key, _newest(own), _newest(held))


def _parsed(found: VerifiedStatement) -> Baseline | None:
    """None for what is none: anybody may hand in anything."""
    try:
        return baseline.parse(dict(found.statement.predicate))
    except FormatError:
        return None


def _is_about(build: ReleaseBuild, key: str, found: VerifiedStatement, said: Baseline) -> bool:
    """The archive is its only subject: one of many would be measured by none of them alone."""
    return found.statement.digests == {build.archive.digest} and (said.product, said.build) == split_key(key)


def _is_reference(key: str, name: str, found: VerifiedStatement, said: Baseline) -> bool:
    named = said.reference is not None and said.reference.name == name
    return named and "auditor" in found.roles and (said.product, said.build) == split_key(key)


def _newest(found: Iterable[Baseline]) -> Baseline | None:
    return max(found, key=lambda one: one.measured, default=None)


def _asked_of(rows: tuple[_Found, ...]) -> tuple[_Found, ...]:
    """Builds that a baseline is known of; of a product that has none, all of them."""
    return tuple(row for row in rows if row.reference) or rows


def _problems(row: _Found, name: str, now: datetime, settings: Settings) -> Iterator[str]:
    """Why two are not compared."""
    limit = timedelta(days=settings.max_age_days)
    if row.own is None:
        yield f"{row.key}: nobody whose word counts measured these bytes"
    if row.reference is None:
        yield f"{row.key}: the ledger has no baseline {name} signed by an auditor"
    for what, one in (("these bytes were", row.own), (f"the baseline {name} was", row.reference)):
        if one and now - one.measured > limit:
            yield f"{row.key}: {what} measured {(now - one.measured).days} days ago, {limit.days} are allowed"
    if row.own and row.reference and not row.own.measuring.same(row.reference.measuring):
        mine, theirs = row.own.measuring.to_json(), row.reference.measuring.to_json()
        differs = ", ".join(key for key in mine if key != "runs" and mine[key] != theirs[key])
        yield f"{row.key}: it was not measured as the baseline {name} was ({differs})"


def _held(row: _Found) -> list[str]:
    if row.own is None or row.reference is None:
        return []
    return [f"{row.key}: {name} {told}" for name, told in row.reference.exceeded(row.own.figures).items()]


def _noted(row: _Found) -> Iterator[str]:
    if row.own is None or row.reference is None or row.reference.reference is None:
        return
    if row.own == row.reference:
        yield f"{row.key}: this release is the baseline itself"
    for name in sorted(row.own.figures.keys() - row.reference.figures.keys()):
        yield f"{row.key}: {name} is not in the baseline"
    for name, limit in sorted(row.reference.reference.tolerances.items()):
        own = row.own.figures.get(name)
        if own and _spread(own) > own.median * (limit.factor - 1) + limit.plus:
            yield f"{row.key}: the runs differ by more than the tolerance of {name}: from {own.least:g} to {own.most:g}"


def _spread(figure: Figure) -> float:
    return figure.most - figure.least


def _elsewhere(row: _Found) -> list[str]:
    if row.own is None or row.reference is None:
        return []
    differs = row.own.machine.differs(row.reference.machine)
    told = "; ".join(f"{name} {both}" for name, both in differs.items())
    return [f"{row.key}: measured on another machine than the baseline: {told}"] if differs else []
