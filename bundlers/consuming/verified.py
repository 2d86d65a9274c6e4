"""What was verified of a channel: its release, builds, evidence, who signed, and the canary beside it.

found.builds["core"].archive.digest
found.canary.share, found.canary.channel.version
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from attest.core.values import dataclass
from attest.digests import Digest
from attest.trust.trust_roots import TrustRoot
from bundlers.consuming.state import PinnedMove, Pins
from bundlers.products.product_manifests import ProductManifest
from casstore.ledger.release_objects import Release, ReleaseArchive
from casstore.ledger.states.views import RecordedSigner, Revocation, Suspension


@dataclass(frozen=True, slots=True)
class VerifiedBuild:
    """A build of the release, and where its archive is published."""

    key: str
    """`product`, or `product/build` for one of several."""
    format: str
    archive: ReleaseArchive
    path: str
    manifest: ProductManifest


@dataclass(frozen=True, slots=True)
class Signed:
    """One attestation that was leaned on."""

    digest: Digest
    predicate_type: str
    names: tuple[str, ...]
    """Who signed it, by the trust root's names; empty when nobody counts whom it names."""
    identities: tuple[str, ...] = ()
    """Likewise; a certificate's own subject beside whom the trust root means by it."""
    entry: int | None = None
    """The ledger entry that recorded it first, where that was proven."""


@dataclass(frozen=True, slots=True)
class VerifiedChannel:
    """What a channel holds, all of it verified."""

    store: str
    ledger: str
    channel: str
    version: str
    release: Release
    release_digest: Digest
    action: str
    move: PinnedMove
    moved_at: datetime
    promoted_by: tuple[str, ...]
    approved_by: tuple[str, ...]
    evidence: tuple[Signed, ...]
    builds: Mapping[str, VerifiedBuild]
    trust_root: TrustRoot
    checkpoint_size: int
    root_hash: Digest
    cosigned_by: tuple[str, ...]
    """The witnesses that were asked for and signed the checkpoint."""
    newest: datetime
    """The time of the newest ledger entry that was proven."""
    first_use: bool
    """Nothing of this ledger was remembered, and no digest of trust root 1 was given."""
    revocations: tuple[Revocation, ...]
    """Of the whole line, as far as the proof has them."""
    suspensions: tuple[Suspension, ...]
    """Likewise."""
    attestations: tuple[Digest, ...]
    """The ids of what was leaned on: evidence, the moves, the release's own statement."""
    signers: tuple[RecordedSigner, ...]
    """Who signed these."""
    known: frozenset[Digest]
    """All that was proven: statements, objects, manifests."""
    pins: Pins
    """What to remember."""
    before: Pins | None
    """What was remembered when it was verified."""
    canary: Canary | None = None
    """What a share of its consumers gets instead."""
    canary_withdrawn: str = ""
    """Why nobody gets the canary that runs; empty where none runs, or it may be installed."""

    @property
    def releases(self) -> tuple[Digest, ...]:
        """The releases that its consumers may get."""
        return (self.release_digest, *(() if self.canary is None else (self.canary.channel.release_digest,)))

    @property
    def given(self) -> tuple[VerifiedBuild, ...]:
        """The builds that its consumers may get."""
        beside = () if self.canary is None else self.canary.channel.builds.values()
        return (*self.builds.values(), *beside)


@dataclass(frozen=True, slots=True)
class Canary:
    """A release that a share of a channel's consumers gets, all of it verified."""

    share: int
    """Percent."""
    began: Digest
    """The entry of its first share: with the install id it says whom the share reaches."""
    channel: VerifiedChannel
    """The channel as they see it."""
