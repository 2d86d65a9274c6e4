"""Which further objects an attestation leans on: what our own predicates name, and some subjects.

A statement of another's type needs nothing else: its subjects are needed or not by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attest import digests
from attest.digests import Digest
from attest.errors import FormatError
from attest.predicates import OWN, baseline, collection
from casstore.attestations import parse_unverified

_OURS = OWN.partition("{}")[0]
_WITH_SUBJECTS = frozenset({baseline.TYPE, collection.TYPE})
"""A baseline is worth nothing without its figures, a collection without its list of packs."""


def named_by_attestation(raw: bytes) -> Iterator[tuple[Digest, str]]:
    """(digest, what it is there) of what an attestation leans on; nothing for what cannot be parsed."""
    try:
        statement = parse_unverified(raw)
    except FormatError:
        return
    if not statement.predicate_type.startswith(_OURS):
        return
    short = statement.predicate_type.removeprefix(_OURS).partition("/")[0]
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
            yield from _digests(f"{digests.PREFIX}{item}" if key == "sha256" and isinstance(item, str) else item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _digests(item)
