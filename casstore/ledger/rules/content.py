"""What there is: component, release, evidence, rehearsal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attest.digests import Digest
from attest.errors import FormatError, VerificationError
from attest.statements.predicates import rehearsal as rehearsals
from attest.statements.predicates import release as releases
from attest.statements.predicates import slsa_provenance
from attest.statements.statements import Statement
from casstore.errors import Conflict
from casstore.ledger import release_objects
from casstore.ledger.entries import Entry
from casstore.ledger.release_objects import Release, check_version
from casstore.ledger.rules.reader import Reader, check_place, judged_at, with_records
from casstore.ledger.states.state import LedgerState, changed
from casstore.ledger.states.views import ReleaseInfo

RELEASE_SUBJECT = "release"


def component(state: LedgerState, entry: Entry, reader: Reader) -> LedgerState:
    """Trees for a version that is not released yet; a later entry replaces an earlier one."""
    found = reader.verified(state, entry, slsa_provenance.TYPE, at=entry.time, role="builder")
    version = _release_version(found.statement.predicate)
    if version in state.versions:
        raise Conflict(f"version {version} is released already, its components are closed")
    state = with_records(state, entry.number, judged_at(state, entry.time), (entry.statement,))
    named = {subject.name: subject.digest for subject in found.statement.subjects}
    trees = {(version, name): tree for name, tree in named.items()}
    return changed(
        state,
        components=state.components.plus(trees),
        component_statements=state.component_statements.plus(dict.fromkeys(trees, entry.statement)),
        first_puts=state.first_puts.plus(
            {row: entry.statement for row in named.items() if row not in state.first_puts}
        ),
        last_puts=state.last_puts.plus(dict.fromkeys(named, entry.statement)),
        tree_puts=state.tree_puts.plus({tree: (version, name) for name, tree in named.items()}),
    )


def release(state: LedgerState, entry: Entry, reader: Reader) -> LedgerState:
    """A version becomes visible, once."""
    found = reader.verified(state, entry, releases.TYPE, at=entry.time, role="builder")
    digest = found.statement.subject(RELEASE_SUBJECT)
    made = release_objects.parse(reader.read(digest, entry))
    check_place(state, store=made.store, ledger=made.ledger)
    _check_archives(made, found.statement)
    if made.version in state.versions:
        raise Conflict(
            f"version {made.version} is taken by {state.versions[made.version]}", hint="release under a new version"
        )
    state = with_records(state, entry.number, judged_at(state, entry.time), (entry.statement, *made.evidence))
    info = ReleaseInfo(
        made.version,
        digest,
        entry.number,
        entry.statement,
        made.archives,
        made.components,
        made.evidence,
        judged_at(state, entry.time),
        found.identity,
        made.explained,
    )
    return changed(
        state,
        releases=state.releases.plus({digest: info}),
        order=state.order.plus(digest),
        versions=state.versions.plus({made.version: digest}),
    )


def evidence(state: LedgerState, entry: Entry, reader: Reader) -> LedgerState:
    """An attestation by anyone whom the trust root knows; what it is worth is decided at each move."""
    claimed = reader.unverified(entry)
    found = reader.verified(state, entry, claimed.predicate_type, at=entry.time, role=None)
    return _with_evidence(state, entry, found.statement.digests)


def rehearsal(state: LedgerState, entry: Entry, reader: Reader) -> LedgerState:
    """A rollback that was played on a clone: evidence for the gate that asks for it."""
    found = reader.verified(state, entry, rehearsals.TYPE, at=entry.time, role="promoter")
    return _with_evidence(state, entry, found.statement.digests)


def _with_evidence(state: LedgerState, entry: Entry, subjects: frozenset[Digest]) -> LedgerState:
    state, attestation = (
        with_records(state, entry.number, judged_at(state, entry.time), (entry.statement,)),
        entry.statement,
    )
    known = {subject: state.evidence.get(subject, ()) for subject in sorted(subjects)}
    new = {subject: (*of, attestation) for subject, of in known.items() if attestation not in of}
    return changed(state, evidence=state.evidence.plus(new))


def _release_version(predicate: Mapping[str, Any]) -> str:
    definition = predicate.get("buildDefinition")
    parameters = definition.get("externalParameters") if isinstance(definition, dict) else None
    version = parameters.get("releaseVersion") if isinstance(parameters, dict) else None
    if not isinstance(version, str):
        raise FormatError("the provenance names no releaseVersion")
    return check_version(version)


def _check_archives(made: Release, statement: Statement) -> None:
    said = {subject.name: subject.digest for subject in statement.subjects if subject.name != RELEASE_SUBJECT}
    if said != made.archives:
        raise VerificationError("the release statement and the release object name different archives")
