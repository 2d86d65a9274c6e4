"""Who wants a slow release through: figures of other bytes, by other people, of another day, or written anew."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest

from attest import canonical
from attest.errors import VerificationError
from attest.statements.predicates.baseline import Figure
from bundlers.measuring import measuring
from casstore.ledger.entries import EntryKind
from casstore.promotion import import_attestation
from tests.support.lines import TOML, Line
from tests.support.measured import LISTED, WANTED, asked, handed_in, problem, reference, said, signed
from tests.support.worlds import CHANNELS

UNMEASURED = "core: nobody whose word counts measured these bytes"


@pytest.fixture
def line(tmp_path: Path) -> Line:
    """1.0.0 was measured and is in dev; 1.1.0 is slow, and nobody measured it."""
    made = Line.make(tmp_path, toml=TOML + LISTED, channels={**CHANNELS, "dev": WANTED})
    made.put("1.0.0")
    made.ship("1.0.0")
    reference(made)
    made.write({"core/bin/core": b"\x7fELF slow" * 500})
    made.later(minutes=1)
    made.put("1.1.0")
    made.ship("1.1.0")
    return made


def test_the_figures_of_the_release_before_are_no_figures_of_this_one(line: Line) -> None:
    assert problem(line, "1.1.0") == UNMEASURED
    old = said(line, "1.0.0")
    signed(line, replace(old, said=replace(old.said, version="1.1.0")))
    assert problem(line, "1.1.0") == UNMEASURED, "it says 1.1.0 and is about the archive of 1.0.0"
    agent = said(line, "1.1.0", product="agent")
    signed(line, replace(agent, said=replace(agent.said, product="core")))
    assert problem(line, "1.1.0") == UNMEASURED, "it says core and is about the archive of agent"
    handed_in(line, said(line, "1.0.0"), said(line, "1.1.0"), by="aud")
    assert problem(line, "1.1.0") == UNMEASURED, "one that speaks of two archives measured neither"
    assert asked(line, "1.0.0").entries, "and 1.0.0 is as good as it was"


def test_who_has_not_the_role_measures_nothing_and_sets_no_limit(line: Line) -> None:
    for who in ("ci", "pam", "ann", "nobody"):
        handed_in(line, said(line, "1.1.0"), by=who)
    assert problem(line, "1.1.0") == UNMEASURED
    line.later(minutes=1)
    signed(line, said(line, "1.1.0", search_p95=300.0))
    assert problem(line, "1.1.0") == "core: search.p95 is 300 ms, the baseline is 40, at most 50 is allowed"
    line.later(minutes=1)
    handed_in(line, measuring.as_reference(said(line), "dev", {"search.p95": "x9"}), by="ci")
    assert "at most 50 is allowed" in problem(line, "1.1.0"), "a limit is an auditor's word"
    policy = replace(WANTED, require=("baseline", "gate:baseline"), signers={"baseline": ("builder",)})
    line.next_root(channels={**CHANNELS, "dev": policy})
    signed(line, said(line, "1.1.0", search_p95=300.0), by="ci")
    assert "at most 50 is allowed" in problem(line, "1.1.0"), "also where builders may measure"


def test_figures_that_are_written_anew_are_signed_by_nobody(line: Line) -> None:
    raw = handed_in(line, said(line, "1.1.0", search_p95=300.0), by="aud")
    document = json.loads(raw)
    statement = json.loads(base64.b64decode(document["dsseEnvelope"]["payload"]))
    statement["predicate"]["figures"]["search.p95"] = Figure(40, 40, 40, "ms").to_json()
    document["dsseEnvelope"]["payload"] = base64.b64encode(canonical.dumps(statement)).decode()
    edited = json.dumps(document).encode()
    with pytest.raises(VerificationError):
        import_attestation(line.store, line.ledger, edited, now=line.now)
    assert line.force(EntryKind.EVIDENCE, edited), "an entry that nobody judged is void"
    assert problem(line, "1.1.0") == "core: search.p95 is 300 ms, the baseline is 40, at most 50 is allowed"


def test_rubbish_of_that_type_stops_nobody_and_a_revoked_auditor_says_nothing(line: Line) -> None:
    signed(line, said(line, "1.1.0"))
    bad = said(line, "1.1.0")
    bad.said.figures.clear()  # type: ignore[attr-defined]
    for who in ("ci", "aud"):
        handed_in(line, bad, by=who)
    assert asked(line, "1.1.0").entries
    line.revoke_identity("aud")
    assert problem(line, "1.1.0") == f"{UNMEASURED} | core: the ledger has no baseline dev signed by an auditor"
