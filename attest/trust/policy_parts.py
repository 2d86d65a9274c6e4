"""The parts of a channel policy that are more than one word: freeze windows, limits, own rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from attest import canonical
from attest.core import shares, times
from attest.core.fields import Fields
from attest.core.values import dataclass
from attest.errors import FormatError
from attest.statements.predicates.vulns import SEVERITIES
from attest.trust.requirements import ROLES

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MAX_EXPRESSION = 4096
MAX_STEPS = 16
_RULE_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


GateSettings = tuple[Mapping[str, Any], ...] | None
"""The settings under which a gate's result counts, any one of them; None: under any."""
ANY = "any"


@dataclass(frozen=True, slots=True)
class Freeze:
    """When nothing is promoted: a window, or whole UTC days of the week."""

    start: datetime | None = None
    end: datetime | None = None
    days: tuple[str, ...] = ()
    reason: str = ""

    def holds(self, at: datetime) -> bool:
        """Whether the time lies in it."""
        if self.start is not None and self.end is not None:
            return self.start <= at < self.end
        return DAYS[at.astimezone(UTC).weekday()] in self.days

    @property
    def told(self) -> str:
        """For messages."""
        if self.start is not None and self.end is not None:
            return f"from {times.format(self.start)} until {times.format(self.end)}"
        return f"every {', '.join(self.days)} (UTC)"

    def to_json(self) -> dict[str, Any]:
        """The window as it is signed."""
        value: dict[str, Any] = {"days": list(self.days)} if self.days else {}
        if self.start is not None and self.end is not None:
            value = {"from": times.format(self.start), "until": times.format(self.end)}
        return {**value, "reason": self.reason} if self.reason else value

    @staticmethod
    def parse(value: object, what: str) -> Freeze:
        """The signed form to value. Raises FormatError."""
        f = Fields(value, what, required=(), optional=("from", "until", "days", "reason"))
        start, end, days = f.optional_time("from"), f.optional_time("until"), f.texts("days", ())
        if (start is None) != (end is None) or (start is None) == (not days):
            raise FormatError(f"{what}: either from and until, or days")
        if start is not None and end is not None and end <= start:
            raise FormatError(f"{what}: it ends before it begins")
        if unknown := [day for day in days if day not in DAYS]:
            raise FormatError(f"{what}: {unknown[0][:20]!r} is no day", hint=f"days: {', '.join(DAYS)}")
        return Freeze(start, end, tuple(sorted(days, key=DAYS.index)), f.text("reason", ""))


@dataclass(frozen=True, slots=True)
class ShareStep:
    """A part of a channel's consumers to which a release comes before the others."""

    share: int
    """Percent."""
    soak: int = 0
    """Seconds for which it must have run before the next step."""

    def to_json(self) -> dict[str, Any]:
        """The step as it is signed."""
        return {"share": self.share, "soak": self.soak} if self.soak else {"share": self.share}

    @staticmethod
    def parse(value: object, what: str) -> ShareStep:
        """The signed form to value. Raises FormatError."""
        f = Fields(value, what, required=("share",), optional=("soak",))
        return ShareStep(shares.check(f.integer("share"), what), f.integer("soak", 0))


@dataclass(frozen=True, slots=True)
class CustomRule:
    """A rule of one's own: a CEL expression that must give true."""

    id: str
    expression: str
    uses: tuple[str, ...] = ()
    """Predicate types, as short names or URIs, whose attestations it sees."""
    message: str = ""
    who: str = ""
    """The role that can mend it."""

    def to_json(self) -> dict[str, Any]:
        """The rule as it is signed."""
        return {
            "id": self.id,
            "expression": self.expression,
            **({"uses": list(self.uses)} if self.uses else {}),
            **({"message": self.message} if self.message else {}),
            **({"who": self.who} if self.who else {}),
        }

    @staticmethod
    def parse(value: object, what: str) -> CustomRule:
        """The signed form to value; the expression is compiled elsewhere. Raises FormatError."""
        f = Fields(value, what, required=("id", "expression"), optional=("uses", "message", "who"))
        rule = CustomRule(
            f.text("id"), f.text("expression"), f.texts("uses", ()), f.text("message", ""), f.text("who", "")
        )
        if not _RULE_ID.fullmatch(rule.id):
            raise FormatError(f"{what}: id has small letters, digits and '-', at most 63")
        if not rule.expression.strip() or len(rule.expression) > MAX_EXPRESSION:
            raise FormatError(f"{what}: expression is empty or longer than {MAX_EXPRESSION}")
        if rule.who and rule.who not in ROLES:
            raise FormatError(f"{what}: who is no role", hint=f"roles: {', '.join(ROLES)}")
        return rule


def signers(f: Fields) -> dict[str, tuple[str, ...]]:
    """`signers`: requirement -> roles, at least one each."""
    found = {}
    table = f.optional_mapping("signers")
    inner = Fields(table, f"{f.what}: signers", required=(), optional=tuple(table))
    for name in sorted(table):
        roles = inner.texts(name)
        if not roles or not set(roles) <= set(ROLES):
            raise FormatError(f"{f.what}: signers of {name} are no roles", hint=f"roles: {', '.join(ROLES)}")
        found[name] = tuple(sorted(roles))
    return found


def freezes(f: Fields) -> tuple[Freeze, ...]:
    """`freeze`: a list of windows."""
    return tuple(Freeze.parse(item, f"{f.what}: freeze") for item in f.objects("freeze"))


def steps(f: Fields) -> tuple[ShareStep, ...]:
    """`steps`: shares that grow."""
    found = tuple(ShareStep.parse(item, f"{f.what}: steps") for item in f.objects("steps"))
    if len(found) > MAX_STEPS or any(one.share >= two.share for one, two in pairwise(found)):
        raise FormatError(f"{f.what}: steps are at most {MAX_STEPS}, each with a greater share than the one before")
    return found


def rules(f: Fields) -> tuple[CustomRule, ...]:
    """`rules`: own rules, each id once."""
    found = tuple(CustomRule.parse(item, f"{f.what}: rules") for item in f.objects("rules"))
    if len({rule.id for rule in found}) != len(found):
        raise FormatError(f"{f.what}: two rules have the same id")
    return found


def limits(f: Fields, name: str, *, least: int) -> dict[str, int]:
    """A table of whole numbers; `vulnerabilities` names severities only."""
    table: Mapping[str, Any] = f.optional_mapping(name)
    if name == "vulnerabilities" and (unknown := sorted(set(table) - set(SEVERITIES))):
        raise FormatError(f"{f.what}: {unknown[0][:20]!r} is no severity", hint=f"severities: {', '.join(SEVERITIES)}")
    inner = Fields(table, f"{f.what}: {name}", required=tuple(table))
    return {key: inner.integer(key, least=least) for key in sorted(table)}


def gates(f: Fields) -> dict[str, GateSettings]:
    """`gates`: required gate -> a list of settings, or `any`."""
    found: dict[str, GateSettings] = {}
    for name, value in sorted(f.optional_mapping("gates").items()):
        if value == ANY:
            found[name] = None
            continue
        if not isinstance(value, list) or not value or not all(isinstance(one, dict) for one in value):
            raise FormatError(f'{f.what}: gates of {name} is neither a list of settings nor "any"')
        for one in value:
            canonical.dumps(one)  # else nothing could be compared with it
        found[name] = tuple(value)
    return found


def gates_json(found: Mapping[str, GateSettings]) -> dict[str, Any]:
    """As they are signed."""
    return {name: ANY if value is None else [dict(one) for one in value] for name, value in found.items()}
