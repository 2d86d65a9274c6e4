"""Signs the roles of TUF that list older targets, as far as that is due, before their publication is recorded.

Promises: a role is signed anew when what it lists changed, when its name now means another record, when another key
signs, and when less than half of its life is left; all others stay as they were signed. Their bytes are returned, to be
kept before the record names them. Leaves to others: what a role lists (`layout.older_lists`).

    claim, made = signed(claim, parts, Before(last, its_parts), signer, store.read, lifetimes)
    claim.roles["older-1"].version
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from attest.core.values import dataclass
from attest.digests import Digest, sha256
from attest.signers import Signer
from attest.statements.predicates.publication import Publication, PublishedRole
from bundlers.publishing.layout import tuf_lists, tuf_repository
from bundlers.publishing.layout.older_lists import Part
from bundlers.publishing.layout.tuf_repository import Lifetimes

LIVES = 4
"""So many times as long as the list of what is shown: the snapshot, which ends sooner, says which one is the newest."""


@dataclass(frozen=True, slots=True)
class Before:
    """The publication before, with all its targets."""

    claim: Publication
    parts: Sequence[Part]


def signed(
    claim: Publication,
    parts: Sequence[Part],
    before: Before,
    signer: Signer,
    read: Callable[[Digest], bytes],
    lifetimes: Lifetimes,
) -> tuple[Publication, list[bytes]]:
    """The publication with its roles, and the bytes of those that are new; `claim` names all targets."""
    same_key = _is_by(before, signer, read)
    known = {part.name: part.number for part in before.parts}
    rows, made = dict(before.claim.roles), []
    life = timedelta(days=lifetimes.targets) * LIVES
    expires = claim.time.replace(microsecond=0) + life
    for part in parts:
        lists = part.lists(claim.targets)
        kept = same_key and known.get(part.name) == part.number
        changed = _changed(part, before.claim, claim) if kept else set(part.names)
        for name in part.names:
            if name in changed or name not in rows or _ends(rows[name], claim.time, life):
                data = tuf_lists.role_bytes(part, name, lists.get(name, {}), claim.number, signer, expires=expires)
                rows[name] = PublishedRole(claim.number, expires, sha256(data), len(data))
                made.append(data)
    return replace(claim, roles=rows), made


def fresh(roles: Mapping[str, PublishedRole], lifetimes: Lifetimes, now: datetime) -> bool:
    """Whether enough is left of each, so that nobody who asks for an older release is refused."""
    return all(role.expires - now > timedelta(days=lifetimes.targets) * LIVES / 4 for role in roles.values())


def _ends(role: PublishedRole, now: datetime, life: timedelta) -> bool:
    return role.expires - now < life / 2


def _changed(part: Part, before: Publication, now: Publication) -> set[str]:
    """The roles that list something else than they did."""
    return {part.role_of(path) for path in part.still(before.targets) ^ part.still(now.targets)}


def _is_by(before: Before, signer: Signer, read: Callable[[Digest], bytes]) -> bool:
    """Whether the same key signed what is there: all of it is by one, so one is looked at."""
    rows = before.claim.roles
    live = [rows[name] for part in before.parts for name in part.names if name in rows]
    return bool(live) and tuf_repository.is_by(read(min(live, key=lambda role: role.length).digest), signer)
