"""Where TUF starts when its own chain of roots breaks off: at a higher root of the publishers of today.

A publisher's key is lost or leaked, so nobody can sign the next TUF root with it; the owners name another publisher
in the ledger's trust root, and a TUF root that says that it starts anew, with keys of publishers alone, is
followed (docs/formats/published-layout.md).

    start = find(read, old_start, publishers)         # None: there is none, the chain's own error stands
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from attest.errors import VerificationError
from bundlers.publishing.layout import tuf_bond
from casstore.errors import NoSuchObject

_MAX_ROOTS = 256


def find(read: Callable[[str], bytes], start: bytes, publishers: Collection[str]) -> bytes | None:
    """The last root at which TUF starts anew after `start`. Raises VerificationError for one that cannot be read."""
    trusted, found = tuf_bond.load(start), None
    first = trusted.signed.version + 1
    for version in range(first, first + _MAX_ROOTS):
        try:
            data = read(f"metadata/{version}.root.json")
        except NoSuchObject:
            break
        try:
            candidate = tuf_bond.load(data)
        except VerificationError:  # somebody put it there; a later one may hold
            continue
        if candidate.signed.version != version:
            continue
        if tuf_bond.signs(trusted, candidate) and tuf_bond.signs(candidate, candidate):
            trusted = candidate
        elif tuf_bond.starts_anew(candidate, trusted, publishers):
            trusted, found = candidate, data
    return found
