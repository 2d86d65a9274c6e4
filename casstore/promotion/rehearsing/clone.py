"""The clone: the same entries and objects, read through; what is written stays in memory and is forgotten.

On it the trust root has other people: one promoter and as many approvers as the channel asks for,
with keys of this run. The rest of the policy holds, but for what cannot be there before a
promotion: soak, freeze windows, and results of gates that are asked at promotion.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from attest import signers
from attest.core.values import dataclass
from attest.keys import keys
from attest.signers import Signer
from attest.trust.policies import ALLOW, ChannelPolicy
from attest.trust.requirements import AT_PROMOTION
from attest.trust.trust_roots import Role, TrustIdentity, TrustRoot
from casstore.errors import StoreDamaged
from casstore.ledger.book.cache import EntryCache
from casstore.ledger.book.log import Ledger
from casstore.ledger.states.state import LedgerState
from casstore.objects.store_config import StoreConfig
from casstore.promotion.rehearsing.clone_store import CloneStore
from casstore.storage.memory import MemoryStorage
from casstore.storage.overlay import OverlayStorage
from casstore.store.store import Store

_LEEWAY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Clone:
    """A store, its ledger as it was, and the people who play."""

    store: Store
    ledger: Ledger
    before: LedgerState
    """What the cloned entries add up to, by the real trust root."""
    promoter: Signer
    approvers: tuple[Signer, ...]


@contextmanager
def cloned(
    store: Store, ledger: Ledger, state: LedgerState, channel: str, *, now: datetime, sigstore_root: bytes | None
) -> Iterator[Clone]:
    """A clone of the ledger as it is at a state of it, which is believed. Raises StoreDamaged where it is another."""
    with tempfile.TemporaryDirectory(prefix="casstore-rehearsal-") as folder:
        storage = OverlayStorage(store.storage, MemoryStorage())
        config = StoreConfig(store.store_id, store.options)
        private = os.path.join(folder, "index")
        with Store(store.storage, config) as real, CloneStore(storage, config, private=private, real=real) as copy:
            book = Ledger(copy, ledger.name, cache=EntryCache())
            if not book.resume(state.count, state.tip):
                raise StoreDamaged(f"ledger {ledger.name}: entry {state.count - 1} is not what it was a moment ago")
            before, root = state, state.require_trust_root()
            policy = root.channels[channel]
            made = 1 + max(policy.approvals, policy.rollback_approvals)
            people = tuple(signers.from_private_key(keys.generate("ecdsa-p256")) for _ in range(made))
            played = _with_people(root, channel, people, now)
            book.folded[sigstore_root] = replace(before, trust_roots=(*before.trust_roots[:-1], played))
            yield Clone(copy, book, before, people[0], people[1:])


def _with_people(root: TrustRoot, channel: str, people: tuple[Signer, ...], now: datetime) -> TrustRoot:
    names = [f"rehearsal-{number}" for number in range(len(people))]
    entries = tuple(
        TrustIdentity(name, who.identity, who.public_pem, now - _LEEWAY, now + _LEEWAY)
        for name, who in zip(names, people, strict=True)
    )
    roles = {
        "promoter": Role("promoter", (names[0],), 1),
        "approver": Role("approver", tuple(names[1:]) or (names[0],), 1),
    }
    return replace(
        root,
        identities=(*root.identities, *entries),
        roles={**root.roles, **roles},
        channels={**root.channels, channel: _playable(root.channels[channel])},
    )


def _playable(policy: ChannelPolicy) -> ChannelPolicy:
    require = tuple(word for word in policy.require if word not in AT_PROMOTION)
    return replace(policy, require=require, soak=0, steps=(), rolled_back=ALLOW, freeze=())
