"""What the policy says now: may the release go on, does the channel still hold, is it what is published?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import islice

from attest.core import times
from attest.digests import Digest
from attest.errors import CasstoreError, FormatError
from attest.judging.decisions import SATISFIED, Rule
from attest.statements.predicates import rehearsal
from attest.trust.requirements import GATE
from bundlers import blockers
from bundlers.audit.case import CHANNEL, Case
from bundlers.audit.evidence import EXIT_CODES
from bundlers.audit.values import BLOCKER, OK, WARNING, Check
from casstore.ledger.requests import rolled_back
from casstore.promotion.services import Situation, judge, next_step
from casstore.store.attestations import parse_unverified

_FRESH = timedelta(days=90)
_LOOKED_AT = 20
"""So many releases back a rehearsal is looked for."""
_REPLACE = "promote another release, then publish it"
_REVOKED = "not-revoked"
_OF_THE_MOVE = frozenset(
    {
        "approvals",
        "from",
        "promoter",
        "channel",
        "soak",
        "share",
        "freeze",
        "signed-policy",
        "trust-root",
        "rolled-back",
    }
)
"""Rules that were judged at the move and cannot be asked again."""


def policy(case: Case) -> Iterator[Check]:
    """For a release every rule of its next channel; for a channel those that must go on holding."""
    for name, why in sorted(rolled_back(case.state, case.info.digest).items()):
        yield Check("policy.rolled-back", WARNING, f"it was rolled back in {name}: {why}", hint=_REPLACE)
    if case.channel is None:
        yield Check("policy.channel", OK, "it has been in every channel that it may come to")
        return
    if case.now >= case.state.require_trust_root().expires:
        return  # nobody may decide anything, which the trust root's own check tells
    at = Situation(case.state, case.channel, case.info, "promote", next_step(case.state, case.channel))
    try:
        decision = judge(case.store, at, now=case.now, promoter=None, sigstore_root=case.sigstore_root)
    except CasstoreError as exc:
        yield Check("policy.decision", BLOCKER, exc.message, hint=exc.hint, exit_code=exc.exit_code)
        return
    for rule in decision.rules:
        if case.kind == CHANNEL:
            yield from _still(rule)
        elif not rule.id.startswith(GATE) and (rule.id, rule.status) != ("rolled-back", SATISFIED):  # rows of their own
            yield _rule(rule, case)


def refused_gates(case: Case) -> dict[str, str]:
    """Gate -> why the channel that a release is to go to does not take its results: of another move, too old, none."""
    if case.kind == CHANNEL or case.channel is None:
        return {}
    at = Situation(case.state, case.channel, case.info, "promote", next_step(case.state, case.channel))
    try:
        decision = judge(case.store, at, now=case.now, promoter=None, sigstore_root=case.sigstore_root)
    except CasstoreError:  # `policy` tells it
        return {}
    return {
        rule.id.removeprefix(GATE): rule.message
        for rule in decision.rules
        if rule.id.startswith(GATE) and rule.status != SATISFIED
    }


def _rule(rule: Rule, case: Case) -> Check:
    name = f"policy.{rule.id}"
    if rule.status == SATISFIED:
        return Check(name, OK, rule.message, rule.evidence)
    to = case.channel.name if case.channel else ""
    who = f" ({', '.join(rule.who)} may)" if rule.who else ""
    hint = f"casstore explain {case.info.version} --to {to}"
    return Check(name, BLOCKER, rule.message + who, rule.evidence, hint, _code(rule))


def _still(rule: Rule) -> Iterator[Check]:
    if rule.id in _OF_THE_MOVE or rule.id.startswith(GATE):
        return
    if rule.status == SATISFIED:
        yield Check(f"policy.{rule.id}", OK, rule.message, rule.evidence)
    elif rule.id == _REVOKED:
        yield Check(f"policy.{rule.id}", BLOCKER, rule.message, rule.evidence, "roll back: casstore rollback", 3)
    else:
        yield Check(f"policy.{rule.id}", WARNING, f"it would not be let in today: {rule.message}", rule.evidence)


def _code(rule: Rule) -> int:
    if rule.id == _REVOKED:
        return 3
    return 11 if rule.id == "isolation" else 4


def moved(case: Case) -> Iterator[Check]:
    """The move that put it there: replay has judged it again from its closed evidence."""
    move, channel = case.move, case.channel
    if move is None or channel is None:
        return
    names = {entry.identity: entry.name for root in case.state.trust_roots for entry in root.identities}
    by = names.get(move.by, move.by)
    yield Check(
        "policy.move",
        OK,
        f"entry {move.number}: {move.kind} to {move.version} by {by} at {times.format(move.time)} holds"
        " by its closed evidence",
        move.evidence,
    )
    if channel.pinned:
        yield Check("policy.pinned", OK, f"{channel.name} is pinned: {channel.history[-1].reason or 'no reason given'}")


def shared(case: Case) -> Iterator[Check]:
    """Which share of the channel has it, and what comes next."""
    move, channel = case.move, case.channel
    if move is None or channel is None:
        return
    share = next_step(case.state, channel)
    then = "all of them" if share is None else f"{share}%"
    message = f"{move.version} reaches {move.share}% of its consumers since {times.format(move.time)}, then {then}"
    yield Check("share", OK, message)


def rollback(case: Case) -> Iterator[Check]:
    """Whether somebody showed that the channel can go back."""
    if case.kind != CHANNEL or case.channel is None or _asked(case, "rollback-capability"):
        return
    newest = None
    for release in islice(case.channel.before(len(case.channel.history)), _LOOKED_AT):
        found = [(said.time, digest) for digest, said in _rehearsed(case, release)]
        if found:
            newest = max(found)
            break
    if newest is None:
        message, hint = (
            f"nobody has rehearsed a rollback of {case.channel.name} of late",
            f"casstore rehearse {case.channel.name}",
        )
        yield Check("rollback.rehearsal", WARNING, message, hint=hint)
    else:
        old = case.now - newest[0] > _FRESH
        message = f"a rollback was rehearsed at {times.format(newest[0])}" + (", long ago" if old else "")
        yield Check("rollback.rehearsal", WARNING if old else OK, message, (newest[1],))


def _rehearsed(case: Case, release: Digest) -> Iterator[tuple[Digest, rehearsal.Rehearsal]]:
    """What was rehearsed with a release in this channel, and went well."""
    for digest in case.state.evidence.get(release, ()):
        if parse_unverified(case.store.read(digest)).predicate_type != rehearsal.TYPE:
            continue
        statement = case.attested(digest).statement
        if statement is not None and case.channel is not None:
            said = rehearsal.parse(dict(statement.predicate))
            if said.channel == case.channel.name and said.result == "PASSED":
                yield digest, said


def _asked(case: Case, gate: str) -> bool:
    return case.policy is not None and f"{GATE}{gate}" in case.policy.require


def published(case: Case) -> Iterator[Check]:
    """What destinations show of the channel."""
    if case.kind != CHANNEL or case.channel is None:
        return
    for destination, rows in sorted(case.state.publications.items()):
        last = next((row for row in rows.newest() if row.channel == case.channel.name), None)
        if last is None:
            continue
        seen = case.look(destination, case.channel.name) if case.look is not None else None
        if seen is not None:
            status = OK if seen[1] else WARNING
            hint = "" if seen[1] else f"casstore publish {case.channel.name} --to {destination}"
            yield Check(f"destination.{destination}", status, seen[0], (last.statement,), hint)
        if last.withdrawn:
            message = f"{destination} says since {times.format(last.time)} that {last.version} was withdrawn"
            yield Check(f"publication.{destination}", WARNING, message, (last.statement,), _REPLACE)
        elif last.entry < case.channel.number and any(move.share for move in case.channel.history.newest(2)):
            message = f"{destination} does not show yet what a share of {case.channel.name} gets, or got"
            hint = f"casstore publish {case.channel.name} --to {destination}"
            yield Check(f"publication.{destination}", WARNING, message, (last.statement,), hint)
        elif last.release == case.info.digest:
            message = f"{destination} shows {last.version} since {times.format(last.time)}"
            yield Check(f"publication.{destination}", OK, message, (last.statement,))
        else:
            message = f"{destination} still shows {last.version}"
            hint = f"casstore publish {case.channel.name} --to {destination}"
            yield Check(f"publication.{destination}", WARNING, message, (last.statement,), hint)


def open_blockers(case: Case, files: Iterable[tuple[str, bytes]]) -> Iterator[Check]:
    """Records of other runs: nothing is ready while one of this version is open."""
    for path, data in files:
        try:
            version, records = blockers.parse(data)
        except FormatError as exc:
            yield Check("blockers.file", BLOCKER, f"{path}: {exc.message}", exit_code=exc.exit_code)
            continue
        if version == case.info.version:
            yield from (_open(record) for record in _still_open(records))


def _still_open(records: Sequence[blockers.Blocker]) -> list[blockers.Blocker]:
    return [record for record in records if record.status == blockers.OPEN]


def _open(record: blockers.Blocker) -> Check:
    status = BLOCKER if record.severity == blockers.ERROR else WARNING
    code = 11 if record.gate == "isolation" else EXIT_CODES.get(record.gate, 10)
    return Check(
        f"blockers.{record.issue_id}", status, f"{record.gate}: {record.message}", (), record.suggested_fix, code
    )
