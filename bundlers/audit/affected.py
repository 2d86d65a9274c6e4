"""Which releases a vulnerability, a package or a scanner's report touches, by what the ledger recorded about them.

Promises: only bills of materials and scans that verify and whose signer held the role then; what no bill speaks of is
told as unknown, never as clean; nothing is asked of a network. Leaves to others: finding vulnerabilities.

    found = affected(store, state, [query_of("CVE-2026-1")], now=now)
    found.rows, found.unknown
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from attest import canonical
from attest.core import limits
from attest.core.purls import Purl
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import BadInput, CasstoreError, FormatError
from attest.judging import vex
from attest.statements import bills, scanners
from attest.statements.predicates import cyclonedx, openvex, spdx, vulns
from attest.statements.scanners import Found, Report
from attest.trust.requirements import roles_for
from attest.trust.verify import VerifiedStatement
from bundlers.gates.channel_gates import RecordedEvidence
from casstore.ledger import release_objects
from casstore.ledger.states.state import LedgerState
from casstore.ledger.states.views import ReleaseInfo
from casstore.store.store import Store

_BILLS = (cyclonedx.TYPE, spdx.TYPE, spdx.TYPE_V23, spdx.TYPE_V3)
_MAX_REPORT = limits.ATTESTATION


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked: a vulnerability by its id, a package, or all that a report found."""

    asked: str
    ids: frozenset[str] = frozenset()
    package: Purl | None = None
    report: Report | None = None


class _Meant:
    """Which packages of bills a query means; a report's findings are found by name."""

    def __init__(self, query: Query) -> None:
        self._package = query.package
        self._by_name: dict[str, list[Found]] = {}
        for found in query.report.found if query.report else ():
            self._by_name.setdefault(found.purl.name if found.purl else found.name, []).append(found)

    def hits(self, package: Purl) -> Iterator[str]:
        """Why a package is meant: ids of vulnerabilities, or nothing but the package itself."""
        if self._package is not None and self._package.covers(package):
            yield ""
        yield from (found.id for found in self._by_name.get(package.name, ()) if found.covers(package))


@dataclass(frozen=True, slots=True, order=True)
class Row:
    """A product of a release that is touched."""

    version: str
    product: str
    archive: str
    package: str
    """As its bill names it; empty where a scan alone says it."""
    vulnerability: str
    """Empty where a package was asked for."""
    source: str
    """`sbom` or `scan`."""
    signed_by: str
    channels: tuple[str, ...]
    """Those that name it now."""
    explained: bool
    """Whether OpenVEX statements of those who may say so call it not affected, or fixed."""

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {name: getattr(self, name) for name in self.__slots__} | {"channels": list(self.channels)}


@dataclass(frozen=True, slots=True)
class Affected:
    """What was found, and of which archives nothing was recorded that could say it."""

    rows: tuple[Row, ...]
    unknown: tuple[tuple[str, str], ...]
    """Version and archive."""
    reports: tuple[str, ...]
    """Tool and data of each report."""

    @property
    def open(self) -> tuple[Row, ...]:
        """What is not explained."""
        return tuple(row for row in self.rows if not row.explained)

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "affected": [row.to_json() for row in self.rows],
            "unknown": [{"version": version, "archive": archive} for version, archive in self.unknown],
            "reports": list(self.reports),
        }


@dataclass(frozen=True, slots=True)
class _Part:
    """An archive of a release."""

    info: ReleaseInfo
    product: str
    archive: str
    digest: Digest


def query_of(text: str) -> Query:
    """A word of the command line: a file, a package URL, or an id. Raises BadInput, FormatError."""
    if os.path.isfile(text):
        with open(text, "rb") as file:
            data = file.read(_MAX_REPORT + 1)
        report = scanners.read(canonical.loads_object(data, what=text, max_bytes=_MAX_REPORT))
        return Query(text, report=report)
    if text.startswith("pkg:"):
        return Query(text, package=Purl.parse(text))
    if os.sep in text or text.endswith((".json", ".sarif")) or not text.strip():
        raise BadInput(
            f"{text}: no such file", hint="name a report, pkg:TYPE/NAME@VERSION, or an id such as CVE-2026-1"
        )
    return Query(text, ids=frozenset({text}))


def affected(
    store: Store, state: LedgerState, queries: Sequence[Query], *, now: datetime, sigstore_root: bytes | None = None
) -> Affected:
    """Every release of the ledger against what is asked. Raises NoSuchObject, StoreDamaged."""
    evidence = RecordedEvidence(store, state, sigstore_root)
    parts = list(_parts(store, state))
    said = [(item, _packages(item)) for item in _counting(evidence, "sbom", _BILLS)]
    scans = list(_counting(evidence, "vulns", (vulns.TYPE,)))
    documents = [
        (item.bundle, dict(item.statement.predicate)) for item in _counting(evidence, "openvex", (openvex.TYPE,))
    ]
    heads = _heads(state)
    rows: set[Row] = set()
    asked = [(query, _Meant(query)) for query in queries]
    for part in parts:
        for query, meant in asked:
            for found, package, source, by in (*_by_bills(meant, part, said), *_by_scans(query, part, scans)):
                channels = heads.get(part.info.digest, ())
                explained = bool(found) and _explained(documents, part, found, now)
                rows.add(
                    Row(
                        part.info.version,
                        part.product,
                        part.archive,
                        package,
                        found,
                        source,
                        by,
                        channels,
                        explained,
                    )
                )
    asks_bills = any(not query.ids for query in queries)
    speaking = [*(item for item, _ in said), *(() if asks_bills else scans)]
    known = {digest for item in speaking for digest in item.statement.digests}
    unknown = sorted((part.info.version, part.archive) for part in parts if not known & _subjects(part))
    return Affected(tuple(sorted(rows)), tuple(unknown), tuple(q.report.told for q in queries if q.report))


def _parts(store: Store, state: LedgerState) -> Iterator[_Part]:
    for info in sorted(state.releases.values(), key=lambda info: info.number):
        if state.is_withdrawn(info):
            continue
        made = release_objects.parse(store.read(info.digest))
        for key, row in made.builds.items():
            yield _Part(info, key, row.archive.name, row.archive.digest)


def _subjects(part: _Part) -> set[Digest]:
    return {part.digest, part.info.digest, *part.info.components.values()}


def _counting(evidence: RecordedEvidence, word: str, types: Iterable[str]) -> Iterator[VerifiedStatement]:
    """What was signed by who may say it."""
    roles = set(roles_for(word))
    for kind in types:
        yield from (item for item in evidence.of_type(kind) if roles & item.roles)


def _heads(state: LedgerState) -> dict[Digest, tuple[str, ...]]:
    found: dict[Digest, list[str]] = {}
    for name, channel in sorted(state.channels.items()):
        for release in channel.gives:
            found.setdefault(release, []).append(name)
    return {release: tuple(names) for release, names in found.items()}


_Hit = tuple[str, str, str, str]
"""Vulnerability, package, source, signer."""


def _by_bills(meant: _Meant, part: _Part, said: Sequence[tuple[VerifiedStatement, tuple[Purl, ...]]]) -> Iterator[_Hit]:
    for item, packages in said:
        if _subjects(part) & set(item.statement.digests):
            for package in packages:
                yield from ((found, str(package), "sbom", _names(item)) for found in meant.hits(package))


def _packages(item: VerifiedStatement) -> tuple[Purl, ...]:
    try:
        return bills.packages_of(item.statement.predicate)
    except FormatError:
        return ()


def _by_scans(query: Query, part: _Part, scans: Sequence[VerifiedStatement]) -> Iterator[_Hit]:
    for item in scans if query.ids else ():
        if not _subjects(part) & set(item.statement.digests):
            continue
        for row in _results(item.statement.predicate):
            notes = [note for note in row.get("annotations") or () if isinstance(note, Mapping)]
            aliases = {str(alias) for note in notes for alias in note.get("aliases") or ()}
            if query.ids & {str(row.get("id")), *aliases}:
                packages = [str(one) for note in notes for one in note.get("packages") or ()] or [""]
                yield from ((str(row.get("id")), package, "scan", _names(item)) for package in packages)


def _results(predicate: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    try:
        vulns.check(predicate)
    except CasstoreError:
        return
    yield from predicate["scanner"]["result"]


def _names(item: VerifiedStatement) -> str:
    return ", ".join(sorted(item.names)) or item.identity


def _explained(documents: Sequence[tuple[Digest, Mapping[str, Any]]], part: _Part, found: str, now: datetime) -> bool:
    artifact = vex.Artifact.of_archive(part.archive, part.info.version, part.digest, (part.product,))
    try:
        return found in vex.judge(documents, artifact, {found}, now=now).harmless
    except FormatError:
        return False
