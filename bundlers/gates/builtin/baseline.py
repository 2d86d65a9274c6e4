"""baseline: the figures of this release are within the tolerances of the signed baseline.

    [gates]
    baseline = { metrics = "metrics.json", max_age_days = 90 }

Asked at promotion, where the signed policy has `gate:baseline`. `metrics` (below the folder of
casstore.toml) is what `casstore baseline capture` wrote for the very version that is promoted. The
baseline is the newest one that an auditor signed for the channel (or for `name`) and that the
ledger recorded; its tolerances are signed with it. Missing, unsigned, stale or exceeded fails
with exit code 6.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from attest.errors import BadInput, CasstoreError
from attest.statements.predicates import baseline
from attest.statements.predicates.baseline import Baseline
from attest.trust.verify import VerifiedStatement
from bundlers.errors import BaselineFailed
from bundlers.gates import baselines
from bundlers.gates.base import GateResult, Phase, ReleaseView
from bundlers.gates.baselines import Metrics

NAME = "baseline"
PHASE = Phase.CHANNEL
SUMMARY = "Measured figures are within the tolerances of the signed baseline."
EXIT_CODE = BaselineFailed.exit_code
LEEWAY = timedelta(minutes=10)
"""How far clocks may differ."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the figures are, and which baseline they are held against."""

    metrics: str = "metrics.json"
    name: str = ""
    """Of the baseline; by default the channel's."""
    max_age_days: float = 90.0
    """Of the baseline, and of the metrics."""


def check(view: ReleaseView, settings: Settings) -> GateResult:
    """Metrics of this version against the newest baseline."""
    if view.channel is None or view.now is None:
        raise BadInput("it is asked at promotion", hint="casstore gate ask RELEASE --to CHANNEL")
    name = settings.name or view.channel.name
    against = newest(view.channel.attested, name, view.now)
    if against is None:
        fix = f"casstore baseline capture, then casstore baseline sign METRICS --name {name} --key AUDITOR"
        return GateResult(False, (f"the ledger has no baseline {name} signed by an auditor",), (), fix)
    limit = timedelta(days=settings.max_age_days)
    if view.now - against.measured > limit:
        told = (
            f"the baseline {name} was measured {(view.now - against.measured).days} days ago, {limit.days} are allowed"
        )
        return GateResult(False, (told,), (), "capture and sign it anew")
    metrics = _metrics(os.path.join(view.root, settings.metrics))
    if metrics.version != view.version or not -LEEWAY <= view.now - metrics.measured <= limit:
        told = f"{settings.metrics}: measured version {metrics.version} {(view.now - metrics.measured).days} days ago"
        return GateResult(
            False, (told,), (settings.metrics,), f"casstore baseline capture --release-version {view.version}"
        )
    return held(against, metrics, settings.metrics)


def held(against: Baseline, metrics: Metrics, path: str) -> GateResult:
    """What `baseline compare` tells too."""
    found = against.exceeded(metrics.values)
    new = sorted(metrics.values.keys() - against.figures.keys())
    return GateResult(
        not found,
        tuple(f"{name} {problem}" for name, problem in found.items()),
        (path,) if found else (),
        "find out what became slower or larger, or let an auditor sign a new baseline",
        {name: {"value": value, "unit": unit} for name, (value, unit) in metrics.values.items()},
        tuple(f"{name} is not in the baseline" for name in new),
    )


def newest(attested: Callable[[str], Sequence[VerifiedStatement]], name: str, now: datetime) -> Baseline | None:
    """The newest baseline of this name that an auditor signed; one from the future would never grow old."""
    rows = [found for found in attested(baseline.TYPE) if "auditor" in found.roles]
    parsed = [baseline.parse(dict(found.statement.predicate)) for found in rows]
    return max(
        (one for one in parsed if one.name == name and one.measured <= now + LEEWAY),
        key=lambda one: one.measured,
        default=None,
    )


def _metrics(path: str) -> Metrics:
    try:
        with open(path, "rb") as file:
            return baselines.parse(file.read(baselines.MAX_BYTES + 1))
    except OSError as exc:
        raise BaselineFailed(f"{path}: cannot be read: {exc.strerror}", hint="casstore baseline capture") from exc
    except CasstoreError as exc:
        raise BaselineFailed(f"{path}: {exc.message}", hint="casstore baseline capture writes it anew") from exc
