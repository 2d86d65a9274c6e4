"""The in-toto project's own types read what we write, whole: statements, and each predicate that they have."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from in_toto_attestation.predicates.link.v0 import link_pb2
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.predicates.vsa.v1 import vsa_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement

from attest.digests import sha256
from attest.errors import FormatError
from attest.statements import statements
from attest.statements.predicates import link, slsa_provenance, test_result, vsa
from attest.statements.predicates.link import Link
from attest.statements.predicates.slsa_provenance import Dependency, GitRevision, Provenance
from attest.statements.predicates.test_result import ResultClaim
from attest.statements.predicates.vsa import VerificationSummary

ONE, TWO = sha256(b"one"), sha256(b"two")
NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)

PROVENANCE = Provenance(
    slsa_provenance.PUT,
    {"releaseVersion": "1.4.0", "components": {"core": {"include": ["**"]}}},
    "urn:casstore:builder:key:sha256:5f",
    {"builds": {"core": {"exitCode": 0}}},
    (Dependency("casstore.toml", ONE), GitRevision("https://example.org/core", "refs/tags/v1", "1f" * 20)),
    "https://example.org/runs/1",
    NOW,
    NOW,
    (Dependency("log", TWO, "https://example.org/log"),),
)
WRITTEN: Mapping[str, tuple[dict[str, Any], type[Message]]] = {
    slsa_provenance.TYPE: (PROVENANCE.to_json(), provenance_pb2.Provenance),
    vsa.TYPE: (
        VerificationSummary("urn:us", NOW, "urn:it", "urn:policy", ONE, "PASSED", (TWO,)).to_json(),
        vsa_pb2.VerificationSummary,
    ),
    test_result.TYPE: (
        ResultClaim(
            "WARNED",
            [{"name": "secrets", "digest": {"sha256": "0" * 64}, "annotations": {"settings": {"allow": []}}}],
            "https://example.org/1",
            ("a",),
            ("b",),
            ("c",),
        ).to_json(),
        test_result_pb2.TestResult,
    ),
    link.TYPE: (
        Link("build", ["make"], {"src/a": ONE}, {"stdout": "x"}, {"PATH": "/bin"}).to_json(),
        link_pb2.Link,
    ),
}


PARTED = {(vsa.TYPE, "verifiedLevels")}
"""The specification has a list of texts, their type one text."""


def without_empty(value: Any) -> Any:
    """As protobuf writes JSON: what says nothing is left out."""
    if isinstance(value, dict):
        return {key: found for key, item in value.items() if (found := without_empty(item)) not in ("", [], {}, None)}
    return [without_empty(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("kind", sorted(WRITTEN))
def test_their_types_read_our_predicates_whole(kind: str) -> None:
    """No field of ours is unknown to them, and none is lost on the way."""
    ours, theirs = WRITTEN[kind]
    ours = {key: value for key, value in ours.items() if (kind, key) not in PARTED}
    read = json_format.Parse(json.dumps(ours), theirs())
    assert without_empty(json_format.MessageToDict(read)) == without_empty(ours)


@pytest.mark.parametrize("kind", sorted(WRITTEN))
def test_their_statement_takes_ours_and_ours_takes_theirs(kind: str) -> None:
    predicate, _ = WRITTEN[kind]
    raw = statements.of_digests({"core.tar.gz": ONE, "agent.zip": TWO}, kind, predicate).to_bytes()
    theirs = json_format.Parse(raw, statement_pb2.Statement())
    Statement.copy_from_pb(theirs).validate()
    again = statements.parse(json_format.MessageToJson(theirs).encode())
    assert (again.predicate_type, sorted(again.named)) == (kind, [("agent.zip", TWO), ("core.tar.gz", ONE)])
    assert without_empty(again.predicate) == without_empty(predicate)


@pytest.mark.parametrize(
    "spoilt",
    [
        {"subject": []},
        {"predicateType": ""},
        {"_type": "https://in-toto.io/Statement/v2"},
    ],
)
def test_what_they_refuse_is_refused_here_too(spoilt: Mapping[str, Any]) -> None:
    good = json.loads(statements.of_digests({"x": ONE}, link.TYPE, {"name": "x"}).to_bytes())
    bad = {**good, **spoilt}
    with pytest.raises(ValueError, match=r"."):
        Statement.copy_from_pb(json_format.Parse(json.dumps(bad), statement_pb2.Statement())).validate()
    with pytest.raises(FormatError):
        statements.parse(json.dumps(bad).encode())
