"""Which further objects an attestation leans on: what its predicate names, and some subjects.

A predicate names by `sha256:...` or by `{"sha256": ...}`; what the store does not have, nobody
misses. Subjects are needed or not by themselves, but for those without which a statement is worth nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attest import digests
from attest.digests import Digest
from attest.errors import FormatError
from attest.statements import predicates
from attest.statements.predicates import collection
from casstore.store.attestations import parse_unverified

_WITH_SUBJECTS = frozenset({collection.TYPE})
"""A collection is worth nothing without its list of packs."""


def named_by_attestation(raw: bytes) -> Iterator[tuple[Digest, str]]:
    """(digest, what it is there) of what an attestation leans on; nothing for what cannot be parsed."""
    try:
        statement = parse_unverified(raw)
    except FormatError:
        return
    short = predicates.short_name(statement.predicate_type)
    for digest in sorted(set(_digests(statement.predicate))):
        yield digest, f"named by its {short}"
    if statement.predicate_type in _WITH_SUBJECTS:
        for digest in sorted(statement.digests):
            yield digest, f"subject of its {short}"


def _digests(value: Any) -> Iterator[Digest]:
    """Every digest in a JSON value, as text or as {"sha256": hex}."""
    if isinstance(value, str):
        if digests.is_digest(value):
            yield Digest(value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            hexdigits = key == "sha256" and isinstance(item, str) and not item.startswith(digests.PREFIX)
            yield from _digests(f"{digests.PREFIX}{item}" if hexdigits else item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _digests(item)
