"""Builder ids and git sources: how they are written in policies, and whether one is allowed or proven.

A pattern ends in `*` only after a whole part (`/`, `@` or `#` before it), so that `core*` cannot take `core-evil`.
Of a source repository and ref are compared apart: `git+https://host/team/core@refs/tags/*`.

    check_pattern("https://ci.example/*", "builders")
    matches("https://ci.example/7", ["https://ci.example/*"])
    source_matches("git+https://host/team/core@refs/heads/main", ["https://host/team/core@*"])
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from attest.errors import FormatError
from attest.keys import identities

_ANY = "*"
_PARTS = ("/", "@", "#")
_REF = re.compile(r"refs/\S+|[^/@:\s]+")
"""What stands behind the last `@` of a source is a ref, else it is a part of the host (git@host/...)."""


def check_pattern(text: str, what: str) -> str:
    """The pattern. Raises FormatError where a `*` could stand for a part of a name."""
    if _ANY in text[:-1] or (text.endswith(_ANY) and not text[:-1].endswith(_PARTS)):
        raise FormatError(
            f"{what}: {text[:100]!r} would take other names that begin alike",
            hint="a * stands at the end, behind a whole part: after / or @ or #",
        )
    return text


def check_source(text: str, what: str) -> str:
    """A pattern of sources. Raises FormatError."""
    repository, ref = split(text)
    check_pattern(repository, what)
    if ref is not None and ref != _ANY:
        check_pattern(ref, what)
    return text


def matches(text: str, patterns: Iterable[str]) -> bool:
    """Whether a text equals a pattern, or begins with it where it ends in `*`."""
    return any(text.startswith(p[:-1]) if p.endswith(_ANY) else text == p for p in patterns)


def source_matches(uri: str, patterns: Iterable[str]) -> bool:
    """Whether a git source is allowed: repository and ref, each by itself; a pattern without ref takes any."""
    repository, ref = split(uri)
    for pattern in patterns:
        wanted, refs = split(pattern)
        if matches(repository, [wanted]) and (refs in (None, _ANY) or (ref is not None and matches(ref, [str(refs)]))):
            return True
    return False


def split(uri: str) -> tuple[str, str | None]:
    """Repository (without `git+` and `.git`) and ref of a source, or of a pattern of sources."""
    text = uri.removeprefix("git+")
    repository, at, ref = text.rpartition("@")
    if not at or not _REF.fullmatch(ref):
        return _repository(text), None
    return _repository(repository), ref


def _repository(text: str) -> str:
    return text.rstrip("/").removesuffix(".git")


def proven_builder(claimed: str, identity: str, bound: Iterable[str]) -> bool:
    """Whether an id is the signer's: by its certificate, by what the trust root binds it to, or its identity itself."""
    return claimed in (identity, own_builder(identity), _subject(identity)) or matches(claimed, bound)


def proven_source(uri: str, identity: str, bound: Iterable[str]) -> bool:
    """The same of a git source: a certificate of a workflow names its repository and ref."""
    repository, ref = split(uri)
    subject = _subject(identity)
    by_workflow = subject.startswith(f"{repository}/") and ref is not None and subject.endswith(f"@{ref}")
    return by_workflow or source_matches(uri, bound)


def own_builder(identity: str) -> str:
    """The builder id of an identity that nothing else is known of."""
    return f"urn:casstore:builder:{identity}" if identities.is_key(identity) else identity


def _subject(identity: str) -> str:
    return identity.partition("#")[2] if identity.startswith(identities.OIDC_PREFIX) else ""
