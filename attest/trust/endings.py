"""What of a trust root ends soon, or has ended: it is warned of while there is time."""

from __future__ import annotations

from datetime import datetime, timedelta

from attest.core import times
from attest.core.values import dataclass
from attest.trust.trust_roots import TrustRoot

WARN_BEFORE = timedelta(days=30)
"""How long before its end a trust root or identity is warned of."""


@dataclass(frozen=True, slots=True)
class Ending:
    """A trust root or identity that ends soon, or has ended."""

    what: str
    at: datetime
    ended: bool

    @property
    def told(self) -> str:
        """One line for people."""
        return f"{self.what} {'ended' if self.ended else 'ends'} at {times.format(self.at)}"


def endings(root: TrustRoot, at: datetime, within: timedelta = WARN_BEFORE) -> tuple[Ending, ...]:
    """What ends within some time: the trust root, and identities that hold a role; the first one first."""
    held = {name for role in root.roles.values() for name in role.identities}
    found = [(f"trust root version {root.version}", root.expires)]
    found += [(f"identity {e.name}", e.valid_until) for e in root.identities if e.valid_until and e.name in held]
    soon = [Ending(what, end, end <= at) for what, end in found if end is not None and end <= at + within]
    return tuple(sorted(soon, key=lambda item: (item.at, item.what)))
