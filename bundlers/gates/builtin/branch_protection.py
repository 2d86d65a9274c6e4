"""branch-protection: every consumer's protected branch asks for the checks that it must.

    [gates]
    branch-protection = { unknown = "fail" }

    [[consumers]]
    name = "web-shop"
    forge = "github"                       # gitlab, gitea+https://git.example
    repository = "example/web-shop"
    branch = "main"
    required_checks = ["casstore-verify"]

Asked at promotion, where the signed policy has `gate:branch-protection`, from the forge's own API
through the network policy. A branch that is not protected, or lacks a check, fails with exit code
5. What is not known (no token, forge away, no such branch) fails too, unless `unknown = "warn"`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from attest.core.values import dataclass
from attest.errors import BadInput, CasstoreError
from bundlers.errors import BranchProtectionMissing
from bundlers.gates import forges
from bundlers.gates.base import GateResult, Phase, ReleaseView
from casstore.config import Consumer
from casstore.network.network import NetworkGuard

NAME = "branch-protection"
PHASE = Phase.CHANNEL
SUMMARY = "Every consumer's protected branch asks for its required checks."
EXIT_CODE = BranchProtectionMissing.exit_code

_THREADS = 8
_FIX = "the repository's owner protects the branch and makes the checks required"


@dataclass(frozen=True, slots=True)
class Settings:
    """What an unknown answer means."""

    unknown: str = "fail"
    """`fail` or `warn`."""


@dataclass(frozen=True, slots=True)
class _Answer:
    consumer: Consumer
    problem: str = ""
    unknown: str = ""


def check(view: ReleaseView, settings: Settings) -> GateResult:
    """All consumers, side by side."""
    if settings.unknown not in ("fail", "warn"):
        raise BadInput(f"unknown = {settings.unknown!r}: neither 'fail' nor 'warn'")
    if view.channel is None:
        raise BadInput("it is asked at promotion", hint="casstore gate ask RELEASE --to CHANNEL")
    if not view.consumers:
        raise BadInput("casstore.toml has no [[consumers]]", hint="name them: casstore help config")
    guard = view.channel.guard
    with ThreadPoolExecutor(_THREADS) as pool:
        answers = list(pool.map(lambda consumer: _ask(consumer, guard), view.consumers))
    unknown = tuple(f"{one.consumer.name}: not known: {one.unknown}" for one in answers if one.unknown)
    failed = tuple(f"{one.consumer.name}: {one.problem}" for one in answers if one.problem)
    messages = failed + (unknown if settings.unknown == "fail" else ())
    warnings = () if settings.unknown == "fail" else unknown
    return GateResult(
        not messages, messages, (), _FIX if failed else "set a token, or see why the forge is away", {}, warnings
    )


def _ask(consumer: Consumer, guard: NetworkGuard) -> _Answer:
    try:
        found = forges.open_forge(consumer.forge, guard).protection(consumer.repository, consumer.branch)
    except CasstoreError as exc:
        return _Answer(consumer, unknown=exc.message)
    place = f"{consumer.repository} {consumer.branch}"
    if not found.protected:
        return _Answer(consumer, f"{place} is not protected")
    missing = [name for name in consumer.required_checks if name not in found.checks]
    return _Answer(consumer, f"{place} does not ask for {', '.join(missing)}" if missing else "")
