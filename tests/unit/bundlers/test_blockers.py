"""Blockers: one identity per problem, a file that is never half-written, and that remembers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.errors import FormatError
from bundlers import blockers
from bundlers.blockers import Blocker
from casstore.errors import Conflict

A = Blocker("budget", "core.zip: too large", ("core.zip",), "make it smaller")
B = Blocker("secrets", "app/x: npm-token", ("app/x",))

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
some = st.builds(
    Blocker,
    texts,
    texts,
    st.lists(texts, unique=True, max_size=3).map(tuple),
    texts,
    st.sampled_from(["error", "warning"]),
)


def test_identity_is_gate_message_and_files() -> None:
    assert A.issue_id == Blocker(A.gate, A.message, A.files, "another fix", status="resolved").issue_id
    assert len({A.issue_id, B.issue_id, Blocker(A.gate, A.message).issue_id, Blocker("x", A.message).issue_id}) == 4


@given(st.lists(some, max_size=5))
def test_written_and_read(found: list[Blocker]) -> None:
    version, read = blockers.parse(blockers.to_bytes("1.0", found))
    assert version == "1.0"
    assert {b.issue_id: b for b in read} == {b.issue_id: b for b in found}


def test_same_problem_stands_once() -> None:
    assert blockers.to_bytes("1", [A, A, B]) == blockers.to_bytes("1", [B, A])


def test_saved_file_remembers_what_was_resolved(tmp_path: Path) -> None:
    path = str(tmp_path / "deep" / "blockers.json")
    blockers.save(path, "1.0", [A, B])
    blockers.save(path, "1.0", [B])
    kept = {b.gate: b.status for b in blockers.parse(Path(path).read_bytes())[1]}
    assert kept == {"budget": "resolved", "secrets": "open"}
    blockers.save(path, "1.0", [A])
    kept = {b.gate: b.status for b in blockers.parse(Path(path).read_bytes())[1]}
    assert kept == {"budget": "open", "secrets": "resolved"}, "what comes back is open again"
    blockers.save(path, "1.1", [])
    assert blockers.parse(Path(path).read_bytes()) == ("1.1", ()), "another version begins anew"


def test_other_files_are_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "precious.json"
    path.write_text('{"mine": 1}')
    with pytest.raises(Conflict, match="was not overwritten"):
        blockers.save(str(path), "1.0", [A])
    assert path.read_text() == '{"mine": 1}'
    assert [p.name for p in tmp_path.iterdir()] == ["precious.json"]


def changed(**changes: object) -> bytes:
    value = json.loads(blockers.to_bytes("1", [A]))
    value["blockers"][0].update(changes)
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"format":"casstore-blockers/2","version":"1","blockers":[]}',
        b'{"format":"casstore-blockers/1","version":"1","blockers":{}}',
        changed(severity="fatal"),
        changed(status="ignored"),
        changed(message="another"),
        changed(extra=1),
        changed(files="x"),
    ],
)
def test_what_is_no_blockers_file(data: bytes) -> None:
    with pytest.raises(FormatError):
        blockers.parse(data)
