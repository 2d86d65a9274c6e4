"""All that a trust root says, as lines: what an owner is shown is computed from the very bytes that are signed.

No field can be left out, since none is named here: every value of the payload is one line. A public key is shown
by its identity, which is the digest of the key, and by the digest of its text.

    for line in told.lines(payload): ...                # roles.owner.identities.0 = alice
    for line in told.changes(payload, before): ...      # - channels.prod.approvals = 2, + ... = 1
"""

from __future__ import annotations

from collections.abc import Iterator

from attest import canonical
from attest.digests import sha256

_KEY = "publicKey"


def lines(payload: bytes) -> tuple[str, ...]:
    """Every value of a payload with its place, in the order of the bytes. Raises FormatError."""
    return tuple(_flat("", canonical.loads_canonical(payload, what="trust root")))


def changes(payload: bytes, before: bytes) -> tuple[str, ...]:
    """The lines that are gone (-) and new (+) against another payload, by their places."""
    old, new = lines(before), lines(payload)
    gone = [(line.partition(" = ")[0], f"- {line}") for line in old if line not in set(new)]
    come = [(line.partition(" = ")[0], f"+ {line}") for line in new if line not in set(old)]
    return tuple(text for _, text in sorted([*gone, *come], key=lambda item: (item[0], item[1][0] == "+")))


def _flat(place: str, value: object) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _flat(f"{place}.{canonical.dumps(key).decode()[1:-1]}" if place else str(key), item)
    elif isinstance(value, list) and value:
        for number, item in enumerate(value):
            yield from _flat(f"{place}.{number}", item)
    elif place.endswith(f".{_KEY}") and isinstance(value, str):
        yield f"{place} = {sha256(value.encode())} (of its text)"
    else:
        yield f"{place} = {canonical.dumps(value).decode()}"
