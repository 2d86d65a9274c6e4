"""Which subjects of a statement are an artifact, by all of its digests at once.

A statement of another tool names an artifact by whatever its field uses: npm by sha512, git forges by
gitCommit, Go by dirHash, most by several at once. The one rule, for every reader:

1. a subject is the artifact only if they share one of `STRONG`; sha1, md5, gitCommit alone name nothing;
2. every digest that both sides have must agree, or the subject is refused: two artifacts in one subject;
3. an algorithm that we cannot compute says nothing to us.

    digests = of_pieces(read_pieces(), algorithms(statement))
    about(statement, digests)            # the subjects; VerificationError where one contradicts itself

Source: https://github.com/in-toto/attestation/blob/main/spec/v1/digest_set.md
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping

from attest.digests import PREFIX, Digest
from attest.errors import BadInput, VerificationError
from attest.statements.statements import Statement, Subject

STRONG = ("sha256", "sha384", "sha512")
"""One of them must be shared."""

_HASHLIB = {
    "sha256": "sha256",
    "sha384": "sha384",
    "sha512": "sha512",
    "sha224": "sha224",
    "sha512_256": "sha512_256",
    "sha3_256": "sha3_256",
    "sha3_384": "sha3_384",
    "sha3_512": "sha3_512",
    "blake2b": "blake2b",
    "blake2s": "blake2s",
    "sha1": "sha1",
    "md5": "md5",
}
"""in-toto's word -> hashlib's: all that a file's bytes give."""

_SIZES = {"sha256": 64, "sha384": 96, "sha512": 128}
_GIVEN = re.compile(r"(sha256|sha384|sha512):([0-9a-f]{64,128})")

DigestSet = Mapping[str, str]
"""Algorithm -> lowercase hex digits."""


def of_digest(digest: Digest) -> DigestSet:
    """What is known of an artifact that is named by our own digest."""
    return {"sha256": digest[len(PREFIX) :]}


def of_text(text: str) -> DigestSet | None:
    """`sha256:HEX`, `sha384:HEX` or `sha512:HEX`; None for any other text."""
    found = _GIVEN.fullmatch(text)
    return {found[1]: found[2]} if found and len(found[2]) == _SIZES[found[1]] else None


def algorithms(statement: Statement) -> frozenset[str]:
    """What must be computed of a file to compare it with the subjects; sha256 always."""
    named = {algorithm for subject in statement.subjects for algorithm in subject.digest_set}
    return frozenset(named & _HASHLIB.keys()) | {"sha256"}


def of_pieces(pieces: Iterable[bytes], wanted: Collection[str] = ("sha256",)) -> dict[str, str]:
    """The digests of bytes, in one pass."""
    hashers = {name: hashlib.new(_HASHLIB[name], usedforsecurity=False) for name in sorted(wanted)}
    for piece in pieces:
        for hasher in hashers.values():
            hasher.update(piece)
    return {name: hasher.hexdigest() for name, hasher in hashers.items()}


def about(statement: Statement, artifact: DigestSet) -> list[Subject]:
    """The subjects that are this artifact. Raises VerificationError for none, and for one that contradicts itself."""
    if not artifact.keys() & set(STRONG):
        raise BadInput("an artifact is named by sha256, sha384 or sha512", hint="sha1 and md5 alone prove nothing")
    found = [subject for subject in statement.subjects if _is(subject, artifact)]
    if not found:
        raise VerificationError(
            f"the statement does not speak of {told(artifact)}{_weakly(statement, artifact)}",
            hint="the artifact was changed, or this attestation belongs to another one",
        )
    return found


def told(artifact: DigestSet) -> str:
    """For messages: the first strong digest."""
    name = next(name for name in STRONG if name in artifact)
    return f"{name}:{artifact[name]}"


def _is(subject: Subject, artifact: DigestSet) -> bool:
    shared = subject.digest_set.keys() & artifact.keys()
    agree = {name for name in shared if subject.digest_set[name].lower() == artifact[name]}
    if not agree & set(STRONG):
        return False
    if wrong := sorted(shared - agree):
        same = min(agree & set(STRONG))
        raise VerificationError(
            f"the subject's {wrong[0]} is not the artifact's, though its {same} is",
            hint="one subject names two artifacts: do not use this attestation",
        )
    return True


def _weakly(statement: Statement, artifact: DigestSet) -> str:
    """Why it is refused although something is equal: weak digests alone never count."""
    for subject in statement.subjects:
        for name in sorted(subject.digest_set.keys() & artifact.keys() - set(STRONG)):
            if subject.digest_set[name].lower() == artifact[name]:
                return f"; its {name} alone is equal, which counts for nothing"
    return ""
