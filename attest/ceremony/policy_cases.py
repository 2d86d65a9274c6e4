"""Tests of a policy: a table of cases, each a move that the policy should allow or deny (docs/formats/policy-cases.md).

Nothing is faked: every case gets people with fresh keys, a trust root with the policy under test,
signed attestations, and the very `decide` that judges real moves.

    cases = parse(tomllib.loads(text))
    results = run(cases, channels)
    [result.told for result in results if not result.passed]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any

from attest import signers
from attest.ceremony import case_evidence
from attest.ceremony.case_evidence import DIFF, LEDGER, RELEASE, STORE, Claim, Releasing
from attest.core import shares
from attest.core.fields import Fields
from attest.core.values import dataclass
from attest.digests import sha256
from attest.errors import BadInput, FormatError
from attest.judging.decisions import Decision, MoveRequest, Record, decide
from attest.judging.values import Canary
from attest.keys import keys
from attest.signers import Signer
from attest.trust.policies import ChannelPolicy
from attest.trust.requirements import ROLES
from attest.trust.trust_roots import Role, TrustIdentity, TrustRoot

_EVER = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Case:
    """One move, what is known of it, and the verdict that it should get."""

    name: str
    channel: str
    allow: bool
    evidence: tuple[Claim, ...]
    action: str = "promote"
    promoter: str | None = None
    now: datetime | None = None
    stayed: Mapping[str, int] = field(default_factory=dict)
    """Channel where it is or was -> seconds."""
    rolled_back: Mapping[str, str] = field(default_factory=dict)
    """Channel that was rolled back from it -> why."""
    share: int | None = None
    """The percentage of consumers that the promotion reaches; None: all of them."""
    runs: tuple[int, int] | None = None
    """With which share it reaches some already, and for how many seconds."""
    first: bool = True
    """The channel names no release yet."""
    missing: frozenset[str] | None = None
    """Ids of exactly the rules that should fail; None: whichever."""
    revoked: tuple[str, ...] = ()
    """Names whose identity is revoked."""


@dataclass(frozen=True, slots=True)
class Cases:
    """A whole table."""

    people: Mapping[str, tuple[str, ...]]
    """Name -> roles."""
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class CaseResult:
    """How one case went."""

    case: Case
    decision: Decision

    @property
    def failing(self) -> frozenset[str]:
        """The ids of the rules that were not satisfied."""
        return frozenset(rule.id for rule in self.decision.rules if rule.status != "satisfied")

    @property
    def passed(self) -> bool:
        """Whether the policy said what the case expects."""
        same = self.case.missing is None or self.case.missing == self.failing
        return self.decision.allowed == self.case.allow and same

    @property
    def told(self) -> str:
        """One line for people."""
        if self.passed:
            return f"{self.case.name}: {'allowed' if self.decision.allowed else 'denied'}, as expected"
        wanted = "allowed" if self.case.allow else "denied"
        if self.case.missing is not None and not self.case.allow:
            wanted += f" for {', '.join(sorted(self.case.missing)) or 'nothing'}"
        why = "; ".join(f"{r.id}: {r.message}" for r in self.decision.rules if r.status != "satisfied")
        return f"{self.case.name}: should be {wanted}, is {'allowed' if self.decision.allowed else f'denied ({why})'}"

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"name": self.case.name, "passed": self.passed, "decision": self.decision.to_json()}


def parse(value: object) -> Cases:
    """The table as TOML or JSON gives it. Raises FormatError naming the case."""
    f = Fields(value, "policy cases", required=("people", "cases"))
    people = {name: _roles(name, roles) for name, roles in f.mapping("people").items()}
    cases = tuple(_case(item, number, people) for number, item in enumerate(f.objects("cases"), 1))
    if not cases:
        raise FormatError("policy cases: there is no case")
    return Cases(people, cases)


def run(table: Cases, channels: Mapping[str, ChannelPolicy], *, now: datetime) -> list[CaseResult]:
    """Decide every case under the policies. Raises BadInput for a channel that has none, NotInstalled."""
    crew = {name: signers.from_private_key(keys.generate("ed25519")) for name in sorted({*table.people, "owner"})}
    return [_run(case, table, channels, crew, case.now or now) for case in table.cases]


def _run(
    case: Case, table: Cases, channels: Mapping[str, ChannelPolicy], crew: Mapping[str, Signer], now: datetime
) -> CaseResult:
    if case.channel not in channels:
        raise BadInput(
            f"case {case.name!r}: the policy knows no channel {case.channel!r}", hint=f"known: {', '.join(channels)}"
        )
    root = _trust_root(table, channels, crew, now, case)
    releasing = Releasing(case.channel, case.action, now, channels[case.channel].gates, case.share)
    made = [(case_evidence.attestation(claim, crew[claim.by], releasing), claim) for claim in case.evidence]
    request = MoveRequest(
        store=STORE,
        ledger=LEDGER,
        channel=case.channel,
        action=case.action,
        release=RELEASE,
        version=case_evidence.VERSION,
        archives=case_evidence.ARCHIVES,
        trees=case_evidence.TREES,
        from_move=None,
        from_release=None if case.first else DIFF,
        diff=DIFF,
        now=now,
        promoter=crew[case.promoter].identity if case.promoter else None,
        in_channels=frozenset(case.stayed),
        stayed=case.stayed,
        rolled_back=case.rolled_back,
        share=case.share,
        canary=None if case.runs is None else Canary(RELEASE, case_evidence.VERSION, *case.runs),
    )
    recorded = {
        sha256(raw): Record(0, now - timedelta(seconds=claim.age), root) for raw, claim in made if claim.age is not None
    }
    revoked = {crew[name].identity for name in case.revoked}
    return CaseResult(case, decide(request, root, [raw for raw, _ in made], revoked=revoked, recorded=recorded))


def _trust_root(
    table: Cases, channels: Mapping[str, ChannelPolicy], crew: Mapping[str, Signer], now: datetime, case: Case
) -> TrustRoot:
    """Everybody is bound to the builders and sources that the case lets them claim: the policy is tried, not they."""
    people = {"owner": ("owner",), **table.people}
    held = {role: tuple(sorted(name for name in people if role in people[name])) for role in ROLES}
    entries = (
        TrustIdentity(
            name,
            crew[name].identity,
            crew[name].public_pem,
            now - _EVER,
            builders=tuple(claim.builder for claim in case.evidence if claim.by == name),
            sources=tuple(claim.source for claim in case.evidence if claim.by == name and claim.source),
        )
        for name in sorted(people)
    )
    roles = {role: Role(role, names) for role, names in held.items() if names}
    return TrustRoot(1, STORE, now - _EVER, now + _EVER, tuple(entries), roles, dict(channels))


def _roles(name: str, roles: object) -> tuple[str, ...]:
    f = Fields({"roles": roles}, f"policy cases: people: {name}", required=("roles",))
    if unknown := [role for role in f.texts("roles") if role not in ROLES]:
        raise FormatError(f"{f.what}: {unknown[0][:40]!r} is no role", hint=f"roles: {', '.join(ROLES)}")
    return f.texts("roles")


_OPTIONAL = ("action", "promoter", "now", "in", "rolled_back", "share", "canary", "missing", "revoked", "evidence")


def _case(value: Mapping[str, Any], number: int, people: Mapping[str, tuple[str, ...]]) -> Case:
    name = value.get("name")
    what = f"policy cases: {name if isinstance(name, str) else f'case {number}'}"
    f = Fields(value, what, required=("name", "channel", "expect"), optional=_OPTIONAL)
    if f.text("expect") not in ("allow", "deny"):
        raise FormatError(f"{what}: expect is neither allow nor deny")
    stayed = Fields(f.optional_mapping("in"), f"{what}: in", required=tuple(f.optional_mapping("in")))
    back = f.optional_mapping("rolled_back")
    rolled = Fields(back, f"{what}: rolled_back", required=tuple(back))
    case = Case(
        name=f.text("name"),
        channel=f.text("channel"),
        allow=f.text("expect") == "allow",
        evidence=tuple(case_evidence.parse(item, f"{what}: evidence") for item in f.objects("evidence")),
        action=f.text("action", "promote"),
        promoter=f.optional_text("promoter"),
        now=f.optional_time("now"),
        stayed={channel: stayed.integer(channel) for channel in f.optional_mapping("in")},
        rolled_back={channel: rolled.text(channel) for channel in back},
        share=_share(f),
        runs=_runs(f),
        first=not (f.has("share") or f.has("canary")),
        missing=frozenset(f.texts("missing")) if "missing" in value else None,
        revoked=f.texts("revoked", ()),
    )
    _check_people(case, people, what)
    return case


_ALL = "all"


def _share(f: Fields) -> int | None:
    said = f.text("share", _ALL)
    return None if said == _ALL else shares.percentage(said, f"{f.what}: share")


def _runs(f: Fields) -> tuple[int, int] | None:
    if not f.has("canary"):
        return None
    inner = Fields(f.mapping("canary"), f"{f.what}: canary", required=("share", "ran"))
    return shares.percentage(inner.text("share"), inner.what), inner.integer("ran")


def _check_people(case: Case, people: Mapping[str, tuple[str, ...]], what: str) -> None:
    named = [*(claim.by for claim in case.evidence), *case.revoked, *([case.promoter] if case.promoter else [])]
    if unknown := [name for name in named if name not in people]:
        raise FormatError(f"{what}: {unknown[0]!r} is not among the people", hint=f"people: {', '.join(people)}")


__all__ = ["Case", "CaseResult", "Cases", "parse", "run"]
