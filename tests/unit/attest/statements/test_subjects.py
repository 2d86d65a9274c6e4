"""Which subject is an artifact: all digests agree, one of them strong."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from attest.digests import sha256
from attest.errors import BadInput, VerificationError
from attest.statements import statements, subjects
from attest.statements.statements import Statement

DATA = b"artifact"
SHA256, SHA384, SHA512 = (hashlib.new(name, DATA).hexdigest() for name in subjects.STRONG)
SHA1, MD5 = hashlib.sha1(DATA).hexdigest(), hashlib.md5(DATA).hexdigest()
OTHER = hashlib.sha512(b"other").hexdigest()


def statement(*digest_sets: dict[str, str]) -> Statement:
    import json

    rows: list[dict[str, Any]] = [{"name": str(number), "digest": found} for number, found in enumerate(digest_sets)]
    value = {"_type": statements.STATEMENT_V1, "subject": rows, "predicateType": "https://example.com/p/v1"}
    return statements.parse(json.dumps(value).encode())


def names(found: Statement, **artifact: str) -> list[str]:
    digests = artifact or subjects.of_pieces([DATA], subjects.algorithms(found))
    return [subject.name for subject in subjects.about(found, digests)]


@pytest.mark.parametrize(
    "digest_set",
    [
        {"sha256": SHA256},
        {"sha384": SHA384},
        {"sha512": SHA512},
        {"sha512": SHA512.upper()},
        {"sha512": SHA512, "sha1": SHA1, "md5": MD5},
        {"sha512": SHA512, "gitCommit": "ab" * 20, "dirHash": "h1:x", "sha9": "zz"},
    ],
)
def test_all_that_can_be_computed_agrees(digest_set: dict[str, str]) -> None:
    assert names(statement({"gitCommit": "ab" * 20}, digest_set, {"sha512": OTHER})) == ["1"]


@pytest.mark.parametrize("weak", [{"sha1": SHA1}, {"md5": MD5}, {"sha1": SHA1, "md5": MD5, "gitCommit": SHA1}])
def test_weak_digests_alone_never_count(weak: dict[str, str]) -> None:
    with pytest.raises(VerificationError, match="alone is equal, which counts for nothing"):
        names(statement(weak))


@pytest.mark.parametrize(
    "contradiction",
    [
        {"sha256": SHA256, "sha512": OTHER},
        {"sha512": SHA512, "sha256": sha256(b"other")[7:]},
        {"sha384": SHA384, "sha1": "0" * 40},
        {"sha256": SHA256, "sha512": ""},
        {"sha256": SHA256, "sha3_256": "00"},
    ],
)
def test_a_subject_that_names_two_artifacts_is_refused(contradiction: dict[str, str]) -> None:
    with pytest.raises(VerificationError, match="is not the artifact's, though its"):
        names(statement({"sha256": SHA256}, contradiction))


def test_an_artifact_that_is_named_by_one_digest_alone() -> None:
    found = statement({"sha256": SHA256, "sha512": SHA512})
    assert names(found, sha512=SHA512) == names(found, sha256=SHA256) == ["0"]
    with pytest.raises(VerificationError, match=f"does not speak of sha512:{OTHER}"):
        names(found, sha512=OTHER)
    with pytest.raises(BadInput, match="sha256, sha384 or sha512"):
        names(found, sha1=SHA1)


def test_what_may_be_given_in_words() -> None:
    assert subjects.of_text(f"sha512:{SHA512}") == {"sha512": SHA512}
    for text in (f"sha1:{SHA1}", f"sha512:{SHA256}", f"sha256:{SHA512}", f"sha512:{SHA512.upper()}", "a.txt", ""):
        assert subjects.of_text(text) is None


def test_a_file_is_read_once_for_all_that_is_named() -> None:
    found = statement({"sha512": SHA512}, {"sha1": SHA1, "gitCommit": "x", "sha3_256": "y"})
    assert subjects.algorithms(found) == {"sha256", "sha512", "sha1", "sha3_256"}
    assert subjects.of_pieces([b"arti", b"fact"], ["sha512", "sha256"]) == {"sha256": SHA256, "sha512": SHA512}
