"""The newest ledger entry that this user has seen, kept in the user's own folder and sealed (docs/formats/index.md).

Entries that are cut off at the end leave a whole ledger behind, and whoever cuts them off can take the index
beside the store away too. So count and tip are remembered elsewhere, for each place that a store lies at: a copy
of it at another place may lag. What cannot be kept, or was not sealed by this user, is not known: no reason to fail.

    keep(store.url, store.store_id, "main", Seen(42, tip))
    load(store.url, store.store_id, "main")           # Seen(42, tip), or None
"""

from __future__ import annotations

import contextlib
import hashlib
import os

from attest import canonical, digests
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import CasstoreError
from casstore.machine import user_secrets

_FORMAT = "casstore-seen/1"
_IN_MEMORY = "memory:"
_MAX = 4096


@dataclass(frozen=True, slots=True)
class Seen:
    """So many entries, of which the last had this digest: through it all of them."""

    count: int
    tip: Digest


def load(url: str, store: str, ledger: str) -> Seen | None:
    """What was kept. Nothing where nothing was, or others made it."""
    secret = user_secrets.own_or_none()
    if secret is None or url.startswith(_IN_MEMORY):
        return None
    with contextlib.suppress(OSError, CasstoreError, ValueError, KeyError):
        with open(path_of(url, store, ledger), "rb") as file:
            body = user_secrets.unseal(secret, file.read(_MAX))
        value = canonical.loads_canonical(body or b"", what="seen")
        if value == _value(url, store, ledger, Seen(int(value["count"]), digests.parse(value["tip"]))):
            return Seen(value["count"], value["tip"])
    return None


def keep(url: str, store: str, ledger: str, seen: Seen) -> None:
    """In place of what was kept, whole or not at all."""
    secret = user_secrets.own_or_none()
    if secret is None or url.startswith(_IN_MEMORY):
        return
    path = path_of(url, store, ledger)
    temporary = f"{path}.{os.urandom(8).hex()}"
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        try:
            with open(temporary, "xb") as file:
                file.write(user_secrets.seal(secret, canonical.dumps(_value(url, store, ledger, seen))))
            os.replace(temporary, path)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def ledgers(url: str, store: str) -> list[str]:
    """The ledgers of which something was seen."""
    folder, prefix = os.path.split(path_of(url, store, ""))
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    found = sorted(name.removeprefix(prefix) for name in names if name.startswith(prefix))
    return [ledger for ledger in found if load(url, store, ledger) is not None]


def path_of(url: str, store: str, ledger: str) -> str:
    """The file, which may be removed when an older state of the store was put back on purpose."""
    base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    place = hashlib.sha256(f"{url}\n{store}".encode()).hexdigest()[:32]
    return os.path.join(base, "casstore", "seen", f"{place}-{ledger}")


def _value(url: str, store: str, ledger: str, seen: Seen) -> dict[str, object]:
    return {"format": _FORMAT, "url": url, "store": store, "ledger": ledger, "count": seen.count, "tip": seen.tip}
