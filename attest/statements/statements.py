"""In-toto Statement v1: typed claims about subjects that are named by digest.

Source: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md

    statement = Statement((Subject("core.tar.gz", digest),), predicate_type, {"k": "v"})
    payload = statement.to_bytes()            # RFC 8785; never re-encoded afterwards
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any

from attest import canonical
from attest.core import limits
from attest.core.remembered import Remembered
from attest.core.values import dataclass
from attest.digests import Digest, from_hex, hex_of, is_digest
from attest.errors import FormatError

STATEMENT_V1 = "https://in-toto.io/Statement/v1"
STATEMENT_V01 = "https://in-toto.io/Statement/v0.1"
"""Read, never written."""

OWN_TYPES = "https://casstore.dev/"
"""Predicate types of ours begin so; their payloads have one form."""

PAYLOAD_TYPE = "application/vnd.in-toto+json"


@dataclass(frozen=True, slots=True)
class Subject:
    """An artifact that a statement speaks of; matched by digest, never by name."""

    name: str
    sha256: Digest | None
    other_digests: Mapping[str, str] = field(default_factory=dict)
    """Further algorithms of a foreign statement; all that are given must agree with the bytes (`subjects`)."""

    @property
    def digest(self) -> Digest:
        """Its sha256, by which stores and ledgers know it. Raises FormatError where it has none."""
        if self.sha256 is None:
            raise FormatError(f"statement: the subject {self.name[:80]!r} has no sha256 digest")
        return self.sha256

    @property
    def digest_set(self) -> dict[str, str]:
        """in-toto's DigestSet: algorithm -> what it gives."""
        return {**({"sha256": hex_of(self.sha256)} if self.sha256 else {}), **self.other_digests}


@dataclass(frozen=True, slots=True)
class Statement:
    """Subjects, predicate type and predicate."""

    subjects: tuple[Subject, ...]
    predicate_type: str
    predicate: Mapping[str, Any]

    def to_bytes(self) -> bytes:
        """Canonical payload bytes; subjects sorted by name, then digest. Raises FormatError, BadInput."""
        subjects = sorted(self.subjects, key=lambda s: (s.name, s.digest))
        payload = canonical.dumps(
            {
                "_type": STATEMENT_V1,
                "subject": [{"name": s.name, "digest": s.digest_set} for s in subjects],
                "predicateType": self.predicate_type,
                "predicate": dict(self.predicate),
            }
        )
        limits.check(payload, limits.STATEMENT, "statement")
        return payload

    @property
    def digests(self) -> frozenset[Digest]:
        """The sha256 of all subjects that have one."""
        return frozenset(s.sha256 for s in self.subjects if s.sha256 is not None)

    @property
    def named(self) -> list[tuple[str, Digest]]:
        """(name, sha256) of all subjects that have one."""
        return [(s.name, s.sha256) for s in self.subjects if s.sha256 is not None]

    def subject(self, name: str) -> Digest:
        """The digest of the one subject with this name. Raises FormatError."""
        found = [s.digest for s in self.subjects if s.name == name]
        if len(found) != 1:
            raise FormatError(f"{self.predicate_type}: {len(found)} subjects are named {name!r}, one is wanted")
        return found[0]


def of_digests(digests: Mapping[str, Digest], predicate_type: str, predicate: Mapping[str, Any]) -> Statement:
    """A statement about `name -> digest`."""
    return Statement(tuple(Subject(n, d) for n, d in sorted(digests.items())), predicate_type, predicate)


def parse(payload: bytes) -> Statement:
    """Payload bytes to statement; unknown top-level fields are ignored (spec). Raises FormatError."""
    return _parsed(payload)


def _parse(payload: bytes) -> Statement:
    value = canonical.loads_object(payload, what="statement", max_bytes=limits.STATEMENT)
    if value.get("_type") not in (STATEMENT_V1, STATEMENT_V01):
        raise FormatError(f"statement: _type is {str(value.get('_type'))[:80]!r}")
    predicate_type = value.get("predicateType")
    if not isinstance(predicate_type, str) or not predicate_type:
        raise FormatError("statement: predicateType is missing")
    predicate = value.get("predicate")
    if not isinstance(predicate, dict | None):
        raise FormatError(f"statement {predicate_type}: predicate is no object")
    if predicate_type.startswith(OWN_TYPES) and canonical.dumps(value) != payload:
        raise FormatError(
            f"statement {predicate_type}: the payload is not the one RFC 8785 form of what it says",
            hint="two readers could read two things: sign it again with casstore",
        )
    return Statement(tuple(_subjects(value.get("subject"))), predicate_type, predicate or {})


_parsed = Remembered(_parse)


def learn(payload: bytes, statement: Statement) -> None:
    """What `parse` gives for these bytes, as another process of ours has found."""
    _parsed.learn(payload, statement)


def _subjects(value: Any) -> Iterable[Subject]:
    if not isinstance(value, list) or not value:
        raise FormatError("statement: no subject")
    for item in value:
        digest = item.get("digest") if isinstance(item, dict) else None
        name = (item.get("name") or item.get("uri") or "") if isinstance(item, dict) else None
        if not isinstance(digest, dict) or not digest or not isinstance(name, str):
            raise FormatError("statement: a subject without a digest")
        others = {k: v for k, v in digest.items() if k != "sha256"}
        if not all(isinstance(v, str) for v in others.values()):
            raise FormatError(f"statement: the subject {name[:80]!r} has a digest that is no text")
        if "sha256" in digest and not is_digest(f"sha256:{digest['sha256']}"):
            raise FormatError(f"statement: the subject {name[:80]!r} has a sha256 that is none")
        yield Subject(name, from_hex(digest["sha256"]) if "sha256" in digest else None, others)
