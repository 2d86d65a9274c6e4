"""What one publication works with, and what the ledger says of those before it.

run.last(state), run.claim(state, 7), run.targets_of(state, claim), run.listed(state, claim)
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import field
from datetime import datetime
from typing import Protocol

from attest.core.values import dataclass
from attest.digests import Digest
from attest.statements.predicates.publication import Publication
from bundlers.publishing.asking import Asking
from bundlers.publishing.cosigned import NO_LINES, CosignatureLines
from bundlers.publishing.layout import older_lists, published_paths, target_lists
from bundlers.publishing.layout.destinations import (
    Destination,
    DestinationSettings,
)
from bundlers.publishing.layout.tuf_lists import OlderRoles
from bundlers.publishing.layout.tuf_repository import TargetInfo
from bundlers.publishing.proofs import gathering
from bundlers.publishing.reports import PublishSigners
from casstore.ledger.book.log import Ledger, LedgerStore
from casstore.ledger.states.state import LedgerState
from casstore.ledger.states.views import publications_of
from casstore.machine.progress import Progress
from casstore.objects.kinds import Kind, NewObject


class ReadBack(Protocol):
    """Reads a publication as consumers do."""

    def __call__(
        self,
        destination: Destination,
        timestamp: bytes,
        channel: str,
        *,
        first: Digest,
        at: datetime,
        sigstore_root: bytes | None = None,
    ) -> None:
        """Raises Unreadable."""


class PublishStore(gathering.ReadStore, LedgerStore, Protocol):
    """What is needed of a store."""

    def gathering(self) -> AbstractContextManager[None]:
        """What is put meanwhile goes into one pack."""

    def put_many(self, items: Sequence[NewObject]) -> list[Digest]:
        """Keep several objects with one commit."""

    def put_bytes(self, data: bytes, *, subjects: Sequence[Digest] = (), kind: Kind = Kind.BLOB) -> Digest:
        """Keep bytes."""

    def attestations(self, subject: Digest) -> list[Digest]:
        """Digests of the attestations about a subject."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one publication works with."""

    store: PublishStore
    ledger: Ledger
    channel: str
    settings: DestinationSettings
    signers: PublishSigners
    now: datetime
    sigstore_root: bytes | None
    progress: Progress | None
    read_back: ReadBack | None
    repair: bool = False
    lines: CosignatureLines = NO_LINES
    asking: Asking = field(default_factory=Asking)

    def claims(self, state: LedgerState) -> target_lists.ReadClaim:
        """Reads the record of a publication by its number."""
        name = self.settings.name
        return target_lists.reader(self.store.read, state.publications.get(name, publications_of(name)))

    def claim(self, state: LedgerState, number: int) -> Publication:
        """A publication with all of its targets."""
        return target_lists.whole(self.claims(state), number)

    def last(self, state: LedgerState) -> Publication | None:
        """The newest publication that was recorded."""
        rows = state.publications.get(self.settings.name)
        return self.claim(state, len(rows)) if rows else None

    def targets_of(self, state: LedgerState, claim: Publication) -> dict[str, TargetInfo]:
        """All targets of a publication: those that its record names, and the record."""
        statement = state.publications[self.settings.name][claim.number - 1].statement
        targets = {path: TargetInfo(info.digest, info.length) for path, info in claim.targets.items()}
        targets[published_paths.publication_path(claim.number)] = TargetInfo(statement, self.store.size(statement))
        return targets

    def older(self, state: LedgerState, claim: Publication) -> OlderRoles:
        """The roles that list older targets."""
        return OlderRoles(older_lists.parts_of(self.claims(state), claim.number), claim.roles)

    def listed(self, state: LedgerState, claim: Publication) -> dict[str, TargetInfo]:
        """The targets that `targets.json` names."""
        parts, shown = self.older(state, claim).parts, older_lists.shown_by(claim.targets, self.store.read)
        return older_lists.top_of(self.targets_of(state, claim), claim.targets, parts, shown)
