"""The kept ledgers of each number of the rules add up to what they always did, step by step and at once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attest.errors import TooNew
from attest.trust.trust_roots import RULES, check_known
from casstore.ledger import entries as formats
from casstore.ledger.entries import EntryKind
from casstore.ledger.states.rows import state_rows, tries_of
from tests.support.kept_ledgers import folded
from tests.support.table_rows import table_rows

FOLDER = Path(__file__).parent / "golden" / "rules"
KEPT = {path.stem: json.loads(path.read_bytes()) for path in sorted(FOLDER.glob("*.json"))}


def test_each_number_of_the_rules_has_one() -> None:
    """And each feature that was known under it."""
    assert sorted(KEPT) == [*(str(number) for number in range(2, RULES + 1)), "2-shares"]


@pytest.mark.parametrize("number", sorted(KEPT))
@pytest.mark.parametrize("part", [0.0, 0.5, 0.8])
def test_it_adds_up_to_what_it_always_did(number: str, part: float) -> None:
    kept = KEPT[number]
    state = folded(kept, int(len(kept["entries"]) * part))
    rows = {**state_rows(state), **table_rows(state)}
    assert [[name, rows[name]] for name in sorted(rows)] == kept["rows"], (
        "an entry means something else than when it was written;"
        " before the first release: remove the file and run keep_rules.py"
    )
    for made in (tries_of(state), tries_of(replace(state, tries=None))):  # from the last seal on, and from nothing
        assert (made.state_root, made.full_root) == (kept["state"], kept["full"])


@pytest.mark.parametrize("number", [name for name in sorted(KEPT) if name.isdecimal()])
def test_it_holds_all_that_the_rules_speak_of(number: str) -> None:
    kept = KEPT[number]
    kinds = {formats.parse(text.encode()).kind for text in kept["entries"]}
    assert kinds >= set(EntryKind) - {EntryKind.REHEARSAL, EntryKind.CONDEMN, EntryKind.DELETE}
    names = {name.partition("/")[0] for name, _ in kept["rows"]}
    assert names >= {"channel", "revoked", "suspended", "root", "identity", "destination", "void", "line"}


def test_that_of_the_shares_has_one_that_runs_one_that_was_taken_back_and_a_step_too_early() -> None:
    rows = dict(KEPT["2-shares"]["rows"])
    assert rows["channel/prod"]["canary"]["share"] == 50 and {"code": "policy"} in rows.values()
    prod = folded(KEPT["2-shares"], 0).channel("prod")
    assert [(move.version, move.kind, move.share) for move in prod.history] == [
        ("1.0.0", "promote", None),
        ("1.1.0", "promote", 5),
        ("1.1.0", "promote", 50),
        ("1.1.0", "promote", None),
        ("1.2.0", "promote", 5),
        ("1.1.0", "rollback", None),
        ("1.1.0", "unpin", None),
        ("1.2.0", "promote", 5),
        ("1.2.0", "promote", 50),
    ]


@pytest.mark.parametrize("document", [{"rules": RULES + 1}, {"features": ["later"]}, {"rules": 1}])
def test_rules_that_are_not_known_stop(document: dict[str, Any]) -> None:
    with pytest.raises(TooNew) as caught:
        check_known(document)
    assert caught.value.exit_code == 12 and "upgrade" in caught.value.hint
