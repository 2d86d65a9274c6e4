"""What scanners' reports have in common, and how they become an in-toto vulns predicate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from datetime import UTC, datetime
from typing import Any

from attest.core import times
from attest.core.purls import Purl
from attest.core.values import dataclass
from attest.errors import FormatError
from attest.statements.predicates.vulns import SEVERITIES, Finding

_WORST = (*SEVERITIES, "none")


@dataclass(frozen=True, slots=True)
class Found:
    """One vulnerability in one package."""

    id: str
    severity: Mapping[str, str]
    """Method -> score or word."""
    purl: Purl | None = None
    name: str = ""
    version: str = ""
    aliases: tuple[str, ...] = ()
    place: str = ""

    @property
    def ids(self) -> frozenset[str]:
        """All names of the vulnerability."""
        return frozenset({self.id, *self.aliases})

    @property
    def worst(self) -> str:
        """As `Finding.worst`."""
        return Finding(self.id, self.severity).worst

    @property
    def package(self) -> str:
        """How it is told."""
        return str(self.purl) if self.purl else f"{self.name} {self.version}".strip()

    def covers(self, package: Purl) -> bool:
        """Whether it speaks of this package of a bill of materials."""
        if self.purl is not None:
            return self.purl.covers(package)
        return bool(self.name) and (self.name, self.version) == (package.name, package.version)


@dataclass(frozen=True, slots=True)
class Report:
    """Which scanner with which data, when, and what it found."""

    tool: str
    version: str
    uri: str
    found: tuple[Found, ...]
    database: str = ""
    database_version: str = ""
    finished: datetime | None = None

    @property
    def told(self) -> str:
        """Tool and data in a line."""
        data = " ".join(filter(None, (self.database, self.database_version))) or "data of no told version"
        when = f", {times.format(self.finished)}" if self.finished else ""
        return f"{self.tool} {self.version or '(no version told)'} with {data}{when}"

    def predicate(self) -> dict[str, Any]:
        """in-toto vulns v0.2; a row a vulnerability, with the packages that have it."""
        data = {**({"uri": self.database} if self.database else {})}
        data |= {"version": self.database_version} if self.database_version else {}
        when = times.format(self.finished) if self.finished else None
        scanner = {"uri": self.uri, "version": self.version, "db": data, "result": list(_rows(self.found))}
        return {
            "scanner": scanner,
            **({"metadata": {"scanStartedOn": when, "scanFinishedOn": when}} if when else {}),
        }


def _rows(found: tuple[Found, ...]) -> Iterator[dict[str, Any]]:
    by_id: dict[str, list[Found]] = {}
    for item in found:
        by_id.setdefault(item.id, []).append(item)
    for name, items in sorted(by_id.items()):
        worst = min(items, key=lambda item: _WORST.index(item.worst))
        packages = sorted({item.package for item in items} - {""})
        aliases = sorted({alias for item in items for alias in item.aliases} - {name})
        about = {**({"packages": packages} if packages else {}), **({"aliases": aliases} if aliases else {})}
        yield {**Finding(name, worst.severity).to_json(), **({"annotations": [about]} if about else {})}


@dataclass(slots=True)
class Severities:
    """What methods say; of two words of one method the later is kept under another name."""

    rows: dict[str, str] = field(default_factory=dict)

    def add(self, method: object, score: object) -> None:
        """Take a score that is said."""
        if isinstance(score, str | int | float) and not isinstance(score, bool) and str(score).strip():
            self.rows.setdefault(str(method) or "severity", str(score).strip())


def objects(value: object, what: str) -> list[Mapping[str, Any]]:
    """A list of objects; empty where it is null or absent. Raises FormatError."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(row, Mapping) for row in value):
        raise FormatError(f"{what} is no list of objects")
    return value


def text(value: object, what: str) -> str:
    """A text that must be there. Raises FormatError."""
    if not isinstance(value, str) or not value:
        raise FormatError(f"{what} is missing")
    return value


def purl_of(value: object) -> Purl | None:
    """A package URL that can be read."""
    try:
        return Purl.parse(value) if isinstance(value, str) else None
    except FormatError:
        return None


def time_of(value: object) -> datetime | None:
    """RFC 3339 with whatever fraction; None where it is none."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    head, dot, rest = value.partition(".")
    zone = rest.lstrip("0123456789")
    try:
        found = datetime.fromisoformat(head + zone if dot else value)
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo is not None else None
