"""vulnerabilities: what a scanner found in each product stays within limits.

    [gates.vulnerabilities]
    critical = 0
    high = 0
    max_age_days = 7
    vex = ["security/openvex.json"]
    exceptions = [{ id = "CVE-2026-1234", until = "2026-12-31", reason = "not reachable, see ticket 7" }]
    [gates.vulnerabilities.reports]
    core = "build/core.vulns.json"

Reports are in-toto vulns v0.2 predicates (or statements with one), or what grype, trivy or osv-scanner write as
JSON, or SARIF, below the folder of casstore.toml; a product without one fails. What OpenVEX calls `not_affected`
(for a reason) or `fixed` is not counted: the newest statement about the product over all documents decides
(`attest.judging.vex`). Nor is an exception before its last day; an exception that has expired fails.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from attest.core.values import dataclass
from attest.errors import BadInput, CasstoreError, FormatError
from attest.judging import vex
from attest.statements import scanners
from attest.statements.predicates import vulns
from bundlers.gates.base import GateResult, Phase, ReleaseView
from bundlers.gates.builtin import papers

NAME = "vulnerabilities"
PHASE = Phase.INPUTS
SUMMARY = "What scanners found in each product stays within limits; exceptions expire."

_SHOWN = 20
_FIX = "update what is named, or explain it in an OpenVEX document or an exception with an end"


@dataclass(frozen=True, slots=True)
class Exemption:
    """One vulnerability that is borne for a while."""

    id: str
    until: str
    """Its last day, as 2026-12-31."""
    reason: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the reports are, and how many findings of each severity may be; -1 is any number."""

    reports: Mapping[str, str] = field(default_factory=dict)
    """Product -> file."""
    critical: int = 0
    high: int = 0
    medium: int = -1
    low: int = -1
    max_age_days: float | None = None
    vex: tuple[str, ...] = ()
    exceptions: tuple[Exemption, ...] = ()


def check(view: ReleaseView, settings: Settings) -> GateResult:
    """Every product."""
    unknown = sorted(settings.reports.keys() - view.manifests.keys())
    if unknown:
        raise BadInput(f"reports: there is no product {unknown[0]!r}", hint=f"known: {', '.join(view.manifests)}")
    if view.now is None:
        raise BadInput("the time of the release is not known, so no age can be judged")
    borne, expired = _exemptions(settings, view.now)
    documents = [(file, papers.read(view.root, file)) for file in settings.vex]
    harmless: set[str] = set()
    found: list[tuple[str, str]] = []
    for name in view.manifests:
        explained = _explained(view, name, settings, documents)
        told = list(_product(view, name, settings, borne | explained.harmless))
        harmless |= explained.harmless
        found += [(name, text) for text in told]
        if told and explained.dropped:
            found.append((name, f"OpenVEX passed over: {vex.told(explained.dropped)}"))
    messages = (*(f"{name}: {told}" for name, told in found), *expired)
    files = tuple(dict.fromkeys(settings.reports.get(name, name) for name, _ in found))
    return GateResult(not messages, messages, files, _FIX, {"excepted": len(borne), "vex": len(harmless)})


def _explained(
    view: ReleaseView, product: str, settings: Settings, documents: Sequence[tuple[str, Mapping[str, Any]]]
) -> vex.Judged[str]:
    """What OpenVEX documents say of the findings of one product."""
    try:
        findings = vulns.findings_of(_report(view, settings.reports.get(product, "")))
    except CasstoreError:  # told where the report is judged
        findings = ()
    manifest, now = view.manifests[product], view.now or datetime.max.replace(tzinfo=UTC)
    file = f"{product}-{view.version}.{manifest.archive_format}"
    artifact = vex.Artifact(frozenset({product, file}), view.version, None)
    return vex.judge(documents, artifact, {finding.id for finding in findings}, now=now)


def _report(view: ReleaseView, file: str) -> Mapping[str, Any]:
    """A scan as in-toto writes it, also of a scanner's own report."""
    found = papers.read(view.root, file)
    return scanners.read(found).predicate() if scanners.is_report(found) else found


def _exemptions(settings: Settings, now: datetime) -> tuple[frozenset[str], tuple[str, ...]]:
    borne, expired = set(), []
    for item in settings.exceptions:
        try:
            end = date.fromisoformat(item.until)
        except ValueError as exc:
            raise BadInput(f"exceptions: until = {item.until!r} is no day, as 2026-12-31") from exc
        if not item.reason.strip():
            raise BadInput(f"exceptions: {item.id} has no reason")
        if now.astimezone(UTC).date() > end:
            expired.append(f"the exception for {item.id} expired on {item.until}")
        else:
            borne.add(item.id)
    return frozenset(borne), tuple(expired)


def _product(view: ReleaseView, product: str, settings: Settings, ignored: frozenset[str]) -> Iterator[str]:
    if product not in settings.reports:
        yield "no scan report is named for it"
        return
    try:
        report = _report(view, settings.reports[product])
        findings = [finding for finding in vulns.findings_of(report) if finding.id not in ignored]
        yield from _age(report, view, settings)
    except CasstoreError as exc:
        yield exc.message
        return
    counts = Counter(finding.worst for finding in findings)
    for severity in vulns.SEVERITIES:
        limit = getattr(settings, severity)
        if 0 <= limit < counts[severity]:
            named = sorted({finding.id for finding in findings if finding.worst == severity})
            more = " ..." if len(named) > _SHOWN else ""
            yield f"{counts[severity]} {severity}, at most {limit}: {', '.join(named[:_SHOWN])}{more}"


def _age(report: Mapping[str, Any], view: ReleaseView, settings: Settings) -> Iterator[str]:
    if settings.max_age_days is None or view.now is None:
        return
    metadata = report.get("metadata")
    text = metadata.get("scanFinishedOn") if isinstance(metadata, Mapping) else None
    try:
        finished = datetime.fromisoformat(str(text))
    except ValueError as exc:
        raise FormatError("the scan report does not say when the scan finished") from exc
    if finished.tzinfo is None:
        raise FormatError("the scan report's time has no zone")
    age = view.now - finished
    if age > timedelta(days=settings.max_age_days) or age < timedelta(0):
        yield f"the scan is of {text}, at most {settings.max_age_days:g} days may be between"
