"""Where the steps of a collection are written down: in each ledger of the store, signed; or, without one, in the store.

A book knows what it condemned and gave up, and takes the next step: `condemn` at any place,
`delete` only directly after what was marked.

    books = open_books(store, signer)
    books[0].condemn(packs, timedelta(days=7), now)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Protocol

from attest.digests import Digest
from attest.errors import BadInput
from attest.signers import Signer
from attest.statements import statements
from attest.statements.predicates import collection
from attest.statements.predicates.collection import Collection as Claim
from casstore.gc.contents import Contents
from casstore.gc.loose import LooseBook
from casstore.gc.marking import Root
from casstore.gc.roots import LedgerView, ledger_roots
from casstore.ledger.book.listing import ledger_names
from casstore.ledger.book.log import Ledger
from casstore.ledger.commit import commit
from casstore.ledger.entries import EntryKind, pack_list
from casstore.ledger.folding import replay, replay_whole
from casstore.ledger.rules import Reader, judge
from casstore.ledger.rules.collections import ROLES
from casstore.ledger.states.views import Condemned
from casstore.promotion.services import keep, require_role
from casstore.store.store import Store

_LEDGERS_RULE = 1 << 62
"""More steps than a store without a ledger ever has."""


class Book(Protocol):
    """One order of steps."""

    @property
    def name(self) -> str:
        """The ledger's name; empty for the store's own steps."""

    @property
    def condemned(self) -> Mapping[Digest, Condemned]:
        """Packs that wait."""

    @property
    def given_up(self) -> Collection[Digest]:
        """Packs whose files may be gone."""

    def roots(self, contents: Contents, keep_last: int) -> Iterator[Root]:
        """What it needs."""

    def require(self, now: datetime) -> None:
        """Raises BadInput, PolicyDenied when no step can be written."""

    def condemn(self, packs: Iterable[Digest], grace: timedelta, now: datetime) -> None:
        """Write the step, and let the store know."""

    def delete(self, packs: Iterable[Digest], settled: Collection[int], now: datetime) -> bool:
        """Write the step directly after what this book knows; False when something came between."""


def open_books(store: Store, signer: Signer | None, before: Iterable[Book] = ()) -> list[Book]:
    """The newest state of every ledger, or the store's own steps; what `before` read is not read again."""
    known = {book.name: book.view.ledger for book in before if isinstance(book, LedgerBook)}
    names = ledger_names(store)
    if names:
        store.follow("", {}, _LEDGERS_RULE)  # steps from before there was a ledger count no more
    return [LedgerBook(store, known.get(name) or Ledger(store, name), signer) for name in names] or [LooseBook(store)]


class LedgerBook:
    """Steps as signed entries."""

    def __init__(self, store: Store, ledger: Ledger, signer: Signer | None) -> None:
        self._store = store
        self._signer = signer
        self.name = ledger.name
        state = replay_whole(ledger, store)
        self.view = LedgerView(ledger, state, tuple(ledger.entries())[: state.count])

    @property
    def condemned(self) -> Mapping[Digest, Condemned]:
        """See `Book`."""
        return self.view.state.condemned

    @property
    def given_up(self) -> Collection[Digest]:
        """See `Book`."""
        return self.view.state.given_up

    def roots(self, contents: Contents, keep_last: int) -> Iterator[Root]:
        """See `Book`."""
        return ledger_roots(self.view, contents, keep_last)

    def require(self, now: datetime) -> None:
        """See `Book`."""
        require_role(self.view.state, self._need_signer(), ROLES, now)

    def condemn(self, packs: Iterable[Digest], grace: timedelta, now: datetime) -> None:
        """See `Book`."""
        state, ledger = self.view.state, self.view.ledger
        claim = Claim("condemn", state.store, state.ledger, now, grace=int(grace.total_seconds()))
        statement = self._sign(claim, packs)
        commit(ledger, self._store, state, EntryKind.CONDEMN, statement, now=now)
        replay(ledger, self._store)

    def delete(self, packs: Iterable[Digest], settled: Collection[int], now: datetime) -> bool:
        """See `Book`."""
        state, ledger = self.view.state, self.view.ledger
        numbers = tuple(sorted(settled))
        claim = Claim("delete", state.store, state.ledger, now, after=state.tip, condemned=numbers)
        statement = self._sign(claim, packs)
        entry = ledger.place(ledger.draft(EntryKind.DELETE, statement, now=now))
        if entry.number != state.count:
            return False
        judge(state, entry, Reader(self._store))
        if not ledger.offer(entry):
            return False
        replay(ledger, self._store)
        return True

    def _sign(self, claim: Claim, packs: Iterable[Digest]) -> Digest:
        listed = self._store.put_bytes(pack_list(sorted(packs)))
        made = statements.of_digests({collection.SUBJECT: listed}, collection.TYPE, claim.to_json())
        return keep(self._store, [self._need_signer().sign_statement(made.to_bytes())])[0]

    def _need_signer(self) -> Signer:
        if self._signer is None:
            raise BadInput(
                f"the ledger {self.name} takes signed steps only",
                hint="give --key URI of an owner or promoter, or set CASSTORE_KEY",
            )
        return self._signer
