"""What recorded scans say of a release, its archives and its components.

Promises: each vulnerability counts once, by the worst that a scan says of it; a scan that was revoked counts for
nothing. No scan and a scan that found nothing are told apart.

    known_of(store, state, info).told        # known vulnerabilities: 2 high, by 1 scan (2026-01-02T10:00:00Z)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attest.core import limits, times
from attest.core.fields import Fields
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import FormatError
from attest.statements.predicates import vulns
from attest.statements.predicates.vulns import SEVERITIES, Finding
from casstore.errors import NoSuchObject
from casstore.ledger.states.state import LedgerState, ObjectReader
from casstore.ledger.states.views import ReleaseInfo
from casstore.store.attestations import id_of, parse_unverified


@dataclass(frozen=True, slots=True)
class KnownVulnerabilities:
    """Counted as far as the ledger went."""

    scans: int
    newest: str | None
    """When the ledger took in the newest of them."""
    found: Mapping[str, int]
    """Severity -> how many, the worst first; what is harmless is not in it."""
    entry: int | None = None
    """The newest ledger entry that could say something of it: before there is a newer one nothing is looked up."""

    @property
    def told(self) -> str:
        """For people."""
        if not self.scans:
            return "no scan was handed in: nothing is known of vulnerabilities"
        by = f"by {self.scans} scan{'s' if self.scans > 1 else ''} ({self.newest})"
        counts = ", ".join(f"{count} {severity}" for severity, count in self.found.items())
        return f"known vulnerabilities: {counts or 'none'}, {by}"

    def to_json(self) -> dict[str, Any]:
        """For `--json`, and in a list of files."""
        return {"scans": self.scans, "newest": self.newest, "found": dict(self.found), "entry": self.entry}

    @staticmethod
    def parse(value: object, what: str) -> KnownVulnerabilities:
        """The inverse of `to_json`. Raises FormatError."""
        f = Fields(value, what, required=("scans", "newest", "found", "entry"))
        counts = Fields(f.mapping("found"), what, required=(), optional=SEVERITIES)
        found = {severity: counts.integer(severity, least=1) for severity in SEVERITIES if counts.has(severity)}
        return KnownVulnerabilities(f.integer("scans"), f.optional_text("newest"), found, f.optional_integer("entry"))


def known_of(
    store: ObjectReader, state: LedgerState, info: ReleaseInfo, before: KnownVulnerabilities | None = None
) -> KnownVulnerabilities:
    """By what was handed in about it; `before`: what was said at an earlier time, where nothing came since."""
    given = dict.fromkeys(
        attestation
        for subject in (info.digest, *info.archives.values(), *info.components.values())
        for attestation in state.evidence.get(subject, ())
    )
    told = [record.number for attestation in given if (record := state.recorded.get(attestation))]
    entry = max([*told, *(row.entry for row in state.revocations)], default=None)
    if before is not None and before.entry == entry:
        return before
    scans = dict(_scans(store, state, given))
    worst = {finding.id: finding.worst for findings in scans.values() for finding in findings}
    counts = {severity: sum(one == severity for one in worst.values()) for severity in SEVERITIES}
    when = [state.recorded[attestation].at for attestation in scans if attestation in state.recorded]
    newest = times.format(max(when)) if when else None
    return KnownVulnerabilities(len(scans), newest, {name: count for name, count in counts.items() if count}, entry)


def _scans(
    store: ObjectReader, state: LedgerState, given: Mapping[Digest, None]
) -> Iterator[tuple[Digest, tuple[Finding, ...]]]:
    for attestation in given:
        try:
            raw = store.read(attestation, max_bytes=limits.ATTESTATION)
            said = parse_unverified(raw)
            if said.predicate_type == vulns.TYPE and not state.is_revoked(id_of(raw)):
                yield attestation, vulns.findings_of(said.predicate)
        except (FormatError, NoSuchObject):
            continue
