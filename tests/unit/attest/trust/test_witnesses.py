from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from attest.ceremony import ceremony, told
from attest.errors import FormatError
from attest.trust import trust_roots, witnesses
from attest.trust.trust_roots import Role
from attest.trust.witnesses import CONSISTENCY, FOLD, Witness, Witnesses
from tests.support.worlds import World, signer, trust_root


def asked(quorum: int, *names: str, kind: str = FOLD) -> Witnesses:
    return Witnesses(quorum, tuple(Witness(name, kind, signer(name).public_pem or b"") for name in names))


@pytest.mark.parametrize(
    ("quorum", "folding", "comparing", "lies", "forks"),
    [
        (1, 1, 0, 0, 0),
        (1, 2, 0, 0, -1),
        (2, 2, 0, 1, 1),
        (2, 3, 0, 1, 0),
        (3, 4, 0, 2, 1),
        (2, 1, 1, 0, 1),
        (1, 0, 1, -1, 0),
    ],
)
def test_what_a_quorum_stops(quorum: int, folding: int, comparing: int, lies: int, forks: int) -> None:
    names = ("w1", "w2", "w3", "w4")
    found = Witnesses(quorum, asked(1, *names[:folding]).keys + asked(1, *names[:comparing], kind=CONSISTENCY).keys)
    assert (found.lies_stopped, found.forks_stopped) == (lies, forks)
    assert ("NOT stopped" in found.told[1], "NOT stopped" in found.told[2]) == (lies < 0, forks < 0)


def test_a_root_with_witnesses_is_read_as_it_was_written() -> None:
    root = trust_root("store", witnesses=asked(2, "w1", "w2"))
    assert trust_roots.parse_payload(ceremony.draft(root)) == root
    before = trust_root("store")
    assert {"witness w1: added", "witness w2: added", "quorum of witnesses: none -> 2"} <= set(
        ceremony.changes(root, before)
    )
    lines = told.lines(ceremony.draft(root))
    assert any(line.startswith("predicate.witnesses.quorum = 2") for line in lines)


def test_who_seals_and_publishes_is_told_of() -> None:
    root = trust_root("store")
    assert root.unwatched == ()
    both = {**root.roles, "publisher": Role("publisher", ("log", "pete"))}
    assert trust_root("store", roles=both).unwatched == ("log",)
    assert trust_root("store", roles=both, witnesses=asked(1, "w1")).unwatched == ()


def _wrong(**changes: Any) -> dict[str, Any]:
    return {**asked(1, "w1", "w2").to_json(), **changes}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (_wrong(quorum=0), "quorum"),
        (_wrong(quorum=3), "more than the 2 witnesses"),
        (_wrong(quorum=1, keys={}), "more than the 0 witnesses"),
        (_wrong(more=1), "unknown field"),
        (_wrong(keys={"w 1": asked(1, "w1").keys[0].to_json()}), "not a name for a witness"),
        (_wrong(keys={"w1": {**asked(1, "w1").keys[0].to_json(), "kind": "both"}}), "no such kind"),
        (_wrong(keys={n: asked(1, "w1").keys[0].to_json() for n in ("a", "b")}), "the same key"),
        (_wrong(keys={"w1": {"kind": FOLD, "publicKey": (signer("pam").public_pem or b"").decode()}}), "Ed25519"),
    ],
)
def test_what_is_no_table_of_witnesses(value: dict[str, Any], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        witnesses.parse(value, "trust root: witnesses")


def test_who_seals_is_no_witness(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="has the key of log"):
        World.make(str(tmp_path / "store"), witnesses=asked(1, "log"))
