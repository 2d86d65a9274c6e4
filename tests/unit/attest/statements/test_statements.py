from __future__ import annotations

import json
from typing import Any

import pytest

from attest.digests import sha256
from attest.errors import FormatError
from attest.statements import statements
from attest.statements.statements import Statement, Subject

A, B = sha256(b"a"), sha256(b"b")


def document(**changes: Any) -> bytes:
    value = {
        "_type": statements.STATEMENT_V1,
        "subject": [{"name": "a", "digest": {"sha256": A[7:]}}],
        "predicateType": "https://example.com/p/v1",
        "predicate": {"k": 1},
    }
    return json.dumps({**value, **changes}).encode()


def test_there_and_back() -> None:
    statement = statements.of_digests({"b": B, "a": A}, "https://example.com/p/v1", {"k": [1, "ü"]})
    assert statements.parse(statement.to_bytes()) == statement
    assert statement.digests == {A, B}
    assert statement.subject("a") == A


def test_subjects_are_written_sorted() -> None:
    one = Statement((Subject("b", A), Subject("a", B), Subject("a", A)), "t", {})
    two = Statement((Subject("a", A), Subject("b", A), Subject("a", B)), "t", {})
    assert one.to_bytes() == two.to_bytes()


def test_the_old_type_and_unknown_fields_are_read() -> None:
    raw = document(_type=statements.STATEMENT_V01, extra={"x": 1})
    assert statements.parse(raw).subject("a") == A


def test_other_algorithms_are_kept() -> None:
    raw = document(subject=[{"name": "a", "digest": {"sha256": A[7:], "sha512": "ab"}}])
    statement = statements.parse(raw)
    assert statement.subjects[0].other_digests == {"sha512": "ab"}
    assert statements.parse(statement.to_bytes()) == statement


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"_type": "https://in-toto.io/Statement/v2"}, "_type is"),
        ({"_type": None}, "_type is"),
        ({"predicateType": ""}, "predicateType is missing"),
        ({"predicateType": 3}, "predicateType is missing"),
        ({"predicate": []}, "predicate is no object"),
        ({"subject": []}, "no subject"),
        ({"subject": {}}, "no subject"),
        ({"subject": [3]}, "without a digest"),
        ({"subject": [{"name": "a"}]}, "without a digest"),
        ({"subject": [{"name": 3, "digest": {"sha256": A[7:]}}]}, "without a digest"),
        ({"subject": [{"name": "a", "digest": {}}]}, "without a digest"),
        ({"subject": [{"name": "a", "digest": None}]}, "without a digest"),
        ({"subject": [{"name": "a", "digest": {"sha256": A[7:].upper()}}]}, "sha256 that is none"),
        ({"subject": [{"name": "a", "digest": {"sha256": None, "sha512": "ab"}}]}, "sha256 that is none"),
        ({"subject": [{"name": "a", "digest": {"sha256": A[7:], "sha1": 3}}]}, "no text"),
    ],
)
def test_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(FormatError, match=why):
        statements.parse(document(**changes))


def test_a_name_that_stands_twice_or_never_is_no_answer() -> None:
    statement = Statement((Subject("a", A), Subject("a", B)), "t", {})
    for name in ("a", "z"):
        with pytest.raises(FormatError, match="one is wanted"):
            statement.subject(name)


def test_a_subject_without_sha256_leaves_the_others_readable() -> None:
    others = [
        {"digest": {"gitCommit": "ab" * 20}, "uri": "git+https://a"},
        {"name": None, "digest": {"sha512": "cd" * 64}},
    ]
    statement = statements.parse(document(subject=[*others, {"name": "a", "digest": {"sha256": A[7:]}}]))
    assert statement.digests == {A}
    assert statement.named == [("a", A)]
    assert [subject.name for subject in statement.subjects] == ["git+https://a", "", "a"]
    with pytest.raises(FormatError, match="no sha256 digest"):
        statement.to_bytes()
    with pytest.raises(FormatError, match="has no sha256 digest"):
        statement.subject("git+https://a")


@pytest.mark.parametrize("changes", [{"predicate": None}, {"predicate": {}}])
def test_an_empty_predicate_is_one(changes: dict[str, Any]) -> None:
    assert statements.parse(document(**changes)).predicate == {}
