"""The ledger: numbered, hash-chained entries created put-if-absent, and the state that they add up to.

In: a store, statements that are stored in it, a pinned sigstore root. Out: entries, the state that they add up to,
seals. Called by promotion, gc, fsck and whatever in `bundlers` asks what is released, allowed or revoked.

- `entries`: one entry as bytes (docs/formats/ledger-entry.md).
- `log`: appending and reading, exact under races and lost answers.
- `state`: who is where; `folding`: how the entries add up to it, each one judged by `rules`; `ahead`:
  what entries name, found by other processes meanwhile.
- `checkpoints`: signed size and root hash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attest.core.public import public

if TYPE_CHECKING:
    from casstore.ledger.book.log import Ledger
    from casstore.ledger.folding import replay
    from casstore.ledger.states.state import LedgerState

__all__ = ["Ledger", "LedgerState", "replay"]

__getattr__ = public(
    __name__,
    Ledger="casstore.ledger.book.log",
    LedgerState="casstore.ledger.states.state",
    replay="casstore.ledger.folding",
)
