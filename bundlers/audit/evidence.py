"""Who said what: attestations, approvals, results of gates and the isolation check, each verified anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from attest.digests import Digest
from attest.errors import CasstoreError, FormatError
from attest.statements.predicates import approval, isolation, test_result
from attest.trust.isolation_rules import ANY, IsolationRules
from attest.trust.requirements import GATE, roles_for
from bundlers.audit.case import Attested, Case
from bundlers.audit.values import BLOCKER, OK, WARNING, ApprovalRow, Check, GateRow
from casstore.machine import toml_text

EXIT_CODES = {"branch-protection": 5, "baseline": 6}
"""Gates whose failure has an exit code of its own; all others 10."""
AREAS = {"branch-protection": "protection", "baseline": "baseline", "rollback-capability": "rollback"}
_FIXED = ("seal",)
"""Gates that run whether they are listed or not."""


def attestations(case: Case, closed: Sequence[Attested], others: Sequence[Attested]) -> Iterator[Check]:
    """What the release and its move lean on must hold; what was handed in besides need not."""
    bad = [found for found in closed if found.statement is None]
    for found in bad:
        message = f"{found.digest} ({found.row.type or 'unreadable'}): {found.row.status}"
        yield Check(
            f"evidence.{found.digest[7:19]}",
            BLOCKER,
            message,
            (found.digest,),
            "it counts for nothing: make it anew, or make a new release",
            exit_code=3,
        )
    if not bad:
        yield Check(
            "evidence.closed", OK, f"all {len(closed)} attestations are signed by identities that the trust root knew"
        )
    for found in others:
        if found.statement is None:
            message = f"handed in, counts for nothing: {found.digest}: {found.row.status}"
            yield Check(f"evidence.{found.digest[7:19]}", WARNING, message, (found.digest,))
    if case.state.is_revoked(*case.subjects):
        yield Check("evidence.revoked", BLOCKER, "the release, or something in it, was revoked", exit_code=3)


def approvals(found: Iterable[Attested]) -> tuple[ApprovalRow, ...]:
    """The approvals among the evidence."""
    rows = []
    for item in found:
        if item.statement is not None and item.row.type == approval.TYPE:
            said = approval.parse(dict(item.statement.predicate))
            rows.append(ApprovalRow(item.row.by, item.digest, said.channel, said.expires, said.comment or ""))
    return tuple(rows)


def gate_rows(case: Case, found: Iterable[Attested]) -> tuple[GateRow, ...]:
    """The results of gates, by those who may give them, sorted by name."""
    rows = []
    for item in found:
        if item.statement is None or item.row.type != test_result.TYPE:
            continue
        claim = test_result.parse(dict(item.statement.predicate))
        for entry in claim.configuration:
            name, digest = str(entry.get("name")), entry.get("digest", {}).get("sha256", "")
            said = (entry.get("annotations") or {}).get("settings")
            if set(item.row.roles) & _may_sign(case, name):
                settings = said if isinstance(said, Mapping) else None
                rows.append(GateRow(name, claim.result, item.row.by, item.digest, settings, digest))
    return tuple(sorted(rows, key=lambda row: (row.gate, row.attestation)))


def _may_sign(case: Case, gate: str) -> set[str]:
    """The roles whose results of a gate are looked at: the usual ones, and those that the policy names."""
    word = f"{GATE}{gate}"
    return {*roles_for(word), *(case.policy.signers.get(word, ()) if case.policy else ())}


def gates(case: Case, rows: Sequence[GateRow], refused: Mapping[str, str]) -> Iterator[Check]:
    """Every gate that the release's configuration lists or the policy asks for, and every other that has a result.

    `refused`: gate -> why the next channel does not take the results that are there.
    """
    asked = [word.removeprefix(GATE) for word in (case.policy.require if case.policy else ()) if word.startswith(GATE)]
    listed = _listed(case)
    if isinstance(listed, Check):
        yield listed
        listed = {}
    for name in sorted({*_FIXED, *listed, *asked, *(row.gate for row in rows)}):
        mine = [row for row in rows if row.gate == name]
        check = _gate(name, mine, asked=name in asked, listed=listed.get(name))
        if name in refused and check.status != BLOCKER:
            to = case.channel.name if case.channel else ""
            hint = f"casstore explain {case.info.version} --to {to}"
            code = EXIT_CODES.get(name, 10)
            check = replace(check, status=BLOCKER, message=refused[name], hint=hint, exit_code=code)
        yield check


def _gate(name: str, rows: Sequence[GateRow], *, asked: bool, listed: Mapping[str, Any] | None) -> Check:
    check, code = f"{AREAS.get(name, 'gates')}.{name}", EXIT_CODES.get(name, 10)
    used = tuple(row.attestation for row in rows)
    results = {row.result for row in rows}
    if "FAILED" in results:
        hint = "mend it and make a new release; a result given by mistake is withdrawn by: casstore revoke"
        return Check(check, BLOCKER, f"gate {name} failed", used, hint, code)
    if not rows and listed is not None and not asked and _at_promotion(name, listed):
        return Check(check, WARNING, f"gate {name} is listed, and no channel's policy has asked for it yet")
    if not rows:
        who = "the signed policy asks" if asked else "casstore.toml of the release asks"
        return Check(check, BLOCKER, f"gate {name}: {who} for it and nobody signed a result", (), "", code)
    by = ", ".join(sorted({one for row in rows for one in row.by}))
    if results == {"WARNED"}:
        return Check(check, WARNING, f"gate {name} passed with warnings, says {by}", used)
    return Check(check, OK, f"gate {name} passed, says {by}", used)


def _at_promotion(name: str, table: Mapping[str, Any]) -> bool:
    """Whether a listed gate is asked only at promotion."""
    from bundlers import gates as table_of_gates
    from bundlers.gates import Phase, running

    try:
        gate = table_of_gates.find(name, table)
        return table_of_gates.phase_of(gate, running.prepare(name, gate, table).settings) is Phase.CHANNEL
    except CasstoreError:
        return False


def _listed(case: Case) -> dict[str, Mapping[str, Any]] | Check:
    """`[gates]` of the casstore.toml that the release was made with, by the digest that it names."""
    if case.made.config is None:
        return {}
    try:
        value = toml_text.read(case.store.read(case.made.config))
    except (CasstoreError, ValueError) as exc:
        message = f"the release's casstore.toml ({case.made.config}) cannot be read: {exc}"
        return Check("gates.configuration", BLOCKER, message, exit_code=getattr(exc, "exit_code", 7))
    tables = value.get("gates")
    return (
        {name: table for name, table in tables.items() if isinstance(table, dict)} if isinstance(tables, dict) else {}
    )


def _isolated(case: Case, digest: Digest, claim: isolation.Isolation) -> Check:
    asked = case.policy is not None and "isolation" in case.policy.require
    rules = case.policy.isolation if case.policy is not None and asked else _ANYTHING
    if claim.findings:
        message = f"{len(claim.findings)} pieces of content are in more than one product"
        return Check("gates.isolation", BLOCKER, message, (digest,), "casstore isolation show", 11)
    try:
        rules.check(claim)
    except FormatError as exc:
        return Check("gates.isolation", BLOCKER if asked else WARNING, exc.message, (digest,), "", 11)
    accepted = f", but for {len(claim.accepted)} acceptances" if claim.accepted else ""
    return Check("gates.isolation", OK, f"no product carries another's content{accepted}", (digest,))


_ISOLATION = "isolation"
_ANYTHING = IsolationRules(references=(ANY,), accepted=(ANY,))
"""Where no policy asks: parameters that are looser than the defaults are told all the same."""


def isolation_rows(found: Iterable[Attested]) -> tuple[GateRow, ...]:
    """What products were compared by, as a gate of its own."""
    return tuple(
        GateRow(_ISOLATION, "FAILED" if said.findings else "PASSED", item.row.by, item.digest, said.parameters)
        for item in found
        if item.statement is not None and item.row.type == isolation.TYPE and "builder" in item.row.roles
        for said in [isolation.parse(dict(item.statement.predicate))]
    )


def isolated(case: Case, found: Iterable[Attested]) -> Check:
    """One isolation attestation over all archives, without findings."""
    for item in found:
        if item.statement is None or item.row.type != isolation.TYPE or "builder" not in item.row.roles:
            continue
        if set(case.made.archives.values()) <= item.statement.digests:
            return _isolated(case, item.digest, isolation.parse(dict(item.statement.predicate)))
    return Check("gates.isolation", BLOCKER, "nobody attested that the products are isolated", (), "", 11)
