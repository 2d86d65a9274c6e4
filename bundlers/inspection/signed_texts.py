"""What is signed says no secret: a signer that looks at each statement before.

A command line that was recorded, a setting of a gate, a test's name, somebody's own predicate: in each a token may
stand, and what is signed is kept for good and shown to all. A fingerprint stands where it was. What must be
signed as it is (who may do what, moves, approvals) is refused instead.

    signer = Clean(open_signer(uri, ...), tell)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from attest import canonical
from attest.core.shown import without_logins
from attest.errors import BadInput
from attest.signers import Signer
from attest.statements import predicates, statements
from attest.statements.predicates import baseline


class Clean:
    """See the module; for everything else the signer that it was given."""

    def __init__(self, inner: Signer, tell: Callable[[str], None]) -> None:
        self.inner = inner
        self._tell = tell

    @property
    def identity(self) -> str:
        """As the inner one's."""
        return self.inner.identity

    @property
    def public_pem(self) -> bytes | None:
        """As the inner one's."""
        return self.inner.public_pem

    def sign_statement(self, payload: bytes) -> bytes:
        """As the inner one's, of a predicate without secrets. Raises BadInput."""
        from bundlers.inspection.secret_forms import cleaned  # numpy, for who only wants to know the identity

        value = json.loads(payload)
        made = cleaned(value.get("predicate"))
        if made == value.get("predicate"):
            return self.inner.sign_statement(payload)
        kind = str(value.get("predicateType"))
        short = without_logins(predicates.short_name(kind))
        if kind.startswith(statements.OWN_TYPES) and kind != baseline.TYPE:
            place = ".".join(_place(value.get("predicate"), made))
            told = f"the {short} that is to be signed has a secret in it{f', at {place}' if place else ''}"
            raise BadInput(told, hint="take it out, and use another")
        self._tell(f"a secret in the {short} was taken out, for it is signed and shown to all")
        return self.inner.sign_statement(canonical.dumps({**value, "predicate": made}))

    def sign_bytes(self, data: bytes) -> bytes:
        """As the inner one's."""
        return self.inner.sign_bytes(data)

    def as_securesystemslib(self) -> Any:
        """As the inner one's."""
        return self.inner.as_securesystemslib()


def _place(before: Any, after: Any) -> Iterator[str]:
    """The way to what differs first; no name on it is a secret."""
    if isinstance(before, dict) and isinstance(after, dict) and before.keys() == after.keys():
        for name in before:
            if before[name] != after[name]:
                yield str(name)
                yield from _place(before[name], after[name])
                return
    if isinstance(before, list):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            if one != other:
                yield str(number)
                yield from _place(one, other)
                return
