"""What a publication names, told by what changed since an earlier one: a long line writes no list of all each time.

Publication n tells what changed since n less its lowest set bit: 13 since 12, 12 since 8, 8 since nothing. So a list
is put together from few records (as many as n has bits), and all of them together hold each target log n times at most.

    whole(read, 13)             # path -> target, from records 8, 12 and 13
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from attest.digests import Digest
from attest.errors import VerificationError
from attest.statements.predicates import publication
from attest.statements.predicates.publication import Publication, PublishedRole, PublishedTarget
from casstore.ledger.states.tables import Log
from casstore.ledger.states.views import Publication as Row
from casstore.store.attestations import parse_unverified

ReadClaim = Callable[[int], Publication]
Targets = Mapping[str, PublishedTarget]


def since(number: int) -> int:
    """The publication that this one's list goes on from; 0 where it names everything."""
    return number - (number & -number)


def whole(read: ReadClaim, number: int) -> Publication:
    """A publication with all its targets and roles. Raises VerificationError where it goes on from no earlier one."""
    chain = [read(number)]
    while chain[-1].since:
        if chain[-1].since >= chain[-1].number:
            raise VerificationError(
                f"publication {chain[-1].number} goes on from {chain[-1].since}, which is not earlier"
            )
        chain.append(read(chain[-1].since))
    targets: dict[str, PublishedTarget] = {}
    roles: dict[str, PublishedRole] = {}
    for claim in reversed(chain):
        targets |= claim.targets
        roles |= claim.roles
        for path in claim.gone:
            targets.pop(path, None)
    return replace(chain[0], targets=targets, roles=roles, gone=(), since=0)


def told(read: ReadClaim, claim: Publication) -> Publication:
    """As it is recorded: only what changed."""
    if not (first := since(claim.number)):
        return claim
    before = whole(read, first)
    changed = {path: target for path, target in claim.targets.items() if before.targets.get(path) != target}
    gone = tuple(sorted(before.targets.keys() - claim.targets.keys()))
    roles = {name: role for name, role in claim.roles.items() if before.roles.get(name) != role}
    return replace(claim, targets=changed, gone=gone, roles=roles, since=first)


def reader(read: Callable[[Digest], bytes], rows: Log[Row]) -> ReadClaim:
    """The records of a destination by number."""
    return lambda number: publication.parse(parse_unverified(read(rows[number - 1].statement)).predicate)
