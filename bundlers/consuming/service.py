"""`casstore verify`: open a published source or a kit, verify a channel, remember it, report.

Promises: with `offline` no socket can open (the network guard is installed); the state is written
only after everything was verified. Leaves to others: the rules (`verification`), the bytes (`sources`).

    report = verify("./public", "prod", state_folder=state, network=guard, at=clock.now())
    report.verdict, report.as_of
"""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO

from attest.core import times
from attest.core.values import dataclass
from attest.digests import Digest, from_hex
from attest.errors import BadInput, VerificationError
from bundlers.consuming import sources
from bundlers.consuming.sources import OpenSource, Pinned
from bundlers.consuming.state import ConsumerState
from bundlers.consuming.verification import verify_channel
from bundlers.consuming.verified import Canary, VerifiedBuild, VerifiedChannel
from bundlers.consuming.withdrawn import Withdrawn
from bundlers.errors import Ended
from casstore.errors import NoSuchObject
from casstore.ledger.release_objects import build_key, split_key
from casstore.network.network import NetworkGuard
from casstore.storage.base import os_error

if TYPE_CHECKING:
    from bundlers.consuming.replaying import Replayed

_PIECE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class TrustSettings:
    """What the user knows beforehand, and where the rest is remembered."""

    state_folder: str
    first_trust_root: Digest | None = None
    """The digest of trust root 1; without it the first use is believed and pinned."""
    tuf_root: Digest | None = None
    """The digest of the file metadata/1.root.json."""
    sigstore_root: bytes | None = None
    """The trusted_root.json that keyless signatures are judged by."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A verified channel, where it came from, and how fresh that is."""

    source: OpenSource
    channel: VerifiedChannel
    verdict: str
    as_of: datetime
    valid_until: datetime | None

    def builds(self, product: str | None) -> dict[str, VerifiedBuild]:
        """All builds, or those of one product, by the builds' names' keys. Raises NoSuchObject."""
        found = {k: b for k, b in self.channel.builds.items() if product in (None, split_key(k)[0], k)}
        if not found:
            known = ", ".join(sorted({split_key(key)[0] for key in self.channel.builds}))
            raise NoSuchObject(
                f"{self.channel.channel} {self.channel.version} has no product {product!r}", hint=f"it has: {known}"
            )
        return found

    @property
    def canary(self) -> Verified | None:
        """As those see it whom a share of the channel reaches."""
        beside = self.channel.canary
        return None if beside is None else replace(self, channel=beside.channel)


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was verified."""

    verified: Verified
    replayed: Replayed | None
    """The whole ledger, folded anew, where that was asked for."""
    archives: tuple[str, ...]
    """Archives whose bytes were read and hold."""

    @property
    def verdict(self) -> str:
        """`valid` or `stale`."""
        return self.verified.verdict

    @property
    def as_of(self) -> datetime:
        """The time that the verdict speaks of."""
        return self.verified.as_of

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        found = self.verified.channel
        until = self.verified.valid_until
        return {
            "verdict": self.verdict,
            "asOf": times.format(self.as_of),
            "validUntil": times.format(until) if until else None,
            "source": self.verified.source.url,
            "store": found.store,
            "ledger": found.ledger,
            "channel": found.channel,
            "move": {"number": found.move.number, "digest": found.move.digest},
            **_face(found),
            "canary": None if found.canary is None else _canary(found.canary),
            "canaryWithdrawn": found.canary_withdrawn or None,
            "trustRoot": {
                "version": found.trust_root.version,
                "digest": found.trust_root.digest,
                "expires": times.format(found.trust_root.expires),
            },
            "checkpoint": {
                "size": found.checkpoint_size,
                "rootHash": found.root_hash,
                "witnesses": list(found.cosigned_by),
            },
            "firstUse": found.first_use,
            "archivesVerified": list(self.archives),
            "replayed": None
            if self.replayed is None
            else {"entries": self.replayed.entries, "void": self.replayed.void},
        }


def _face(found: VerifiedChannel) -> dict[str, Any]:
    return {
        "version": found.version,
        "release": found.release_digest,
        "action": found.action,
        "movedAt": times.format(found.moved_at),
        "promotedBy": list(found.promoted_by),
        "approvedBy": list(found.approved_by),
        "evidence": [
            {"digest": item.digest, "predicateType": item.predicate_type, "signedBy": list(item.names)}
            for item in found.evidence
        ],
        "products": {
            product: {build: _told(found.builds[build_key(product, build)]) for build in builds}
            for product, builds in found.release.products.items()
        },
    }


def _canary(canary: Canary) -> dict[str, Any]:
    return {"share": canary.share, "began": canary.began, **_face(canary.channel)}


def _told(item: VerifiedBuild) -> dict[str, Any]:
    platform = item.manifest.platform
    return {
        "archive": item.archive.name,
        "digest": item.archive.digest,
        "size": item.archive.size,
        "platform": platform.to_json() if platform else None,
    }


def verify(
    url: str,
    channel: str | None,
    *,
    trust: TrustSettings,
    at: datetime,
    network: NetworkGuard | None = None,
    offline: bool = False,
    product: str | None = None,
    archive: str | None = None,
    read_archives: bool | None = None,
    replay: bool = False,
) -> VerifyReport:
    """Verify a channel of a published URL, folder or kit.

    Archives are read too where that needs no network, or with `read_archives`; `product` limits it
    to one. `replay` folds the whole ledger anew.
    `archive` is a file at hand that must be one of the release's. Raises VerificationError,
    TrustError, NoSuchObject, StorageUnavailable, PolicyViolation.
    """
    with guarded(network, offline):
        found = open_verified(url, channel, trust=trust, at=at, network=network, offline=offline)
        replayed = _replayed(found, trust) if replay else None
        products = [item for one in (found, found.canary) if one is not None for item in one.builds(product).values()]
        checked = []
        if archive is not None:
            checked = [_check_file(archive, products)]
        elif read_archives or (read_archives is None and found.source.local):
            for item in products:
                check_archive(found.source, item)
                checked.append(item.archive.name)
        remember(found, trust)
    return VerifyReport(found, replayed, tuple(checked))


def _replayed(found: Verified, trust: TrustSettings) -> Replayed:
    from bundlers.consuming import replaying

    if isinstance(found.source, sources.KitSource):
        raise BadInput("a kit does not hold the whole ledger", hint="replay what was published: give its URL or folder")
    return replaying.replay(found.source, found.channel, sigstore_root=trust.sigstore_root)


def open_verified(
    url: str, channel: str | None, *, trust: TrustSettings, at: datetime, network: NetworkGuard | None, offline: bool
) -> Verified:
    """Everything but archives, verified; nothing is remembered yet. Raises Withdrawn."""
    source, found = opened(url, channel, trust=trust, at=at, network=network, offline=offline)
    if isinstance(found, Withdrawn):
        raise found
    if isinstance(source, sources.KitSource):
        source.check_copies(found.known, frozenset(build.path for build in found.given))
    verdict, as_of, until = source.verdict(found.newest)
    return Verified(source, found, verdict, as_of, until)


def opened(
    url: str, channel: str | None, *, trust: TrustSettings, at: datetime, network: NetworkGuard | None, offline: bool
) -> tuple[OpenSource, VerifiedChannel | Withdrawn]:
    """A source, and what its channel holds, which is not remembered yet; or that it was withdrawn, which is."""
    state = ConsumerState(trust.state_folder)
    pinned = Pinned(trust.first_trust_root, trust.tuf_root, trust.sigstore_root)
    source = sources.open_source(url, state, network=network, offline=offline, at=at, pinned=pinned)
    try:
        found = _in_date(source, sources.only_channel(source, channel), state, trust)
    except Withdrawn as exc:
        if exc.pins is not None:
            source.check_ledger(exc.pins.store, exc.pins.ledger)
            source.remember(exc.pins.store, exc.pins.ledger)
            state.save(exc.pins, exc.before)
        return source, exc
    source.check_ledger(found.store, found.ledger)
    return source, found


def _in_date(source: OpenSource, channel: str, state: ConsumerState, trust: TrustSettings) -> VerifiedChannel:
    """Judged now, or where that is enough for the last time at which nothing of it had ended."""
    while True:
        try:
            return verify_channel(
                source,
                channel,
                at=source.judged_at,
                pins_of=state.pins,
                first_trust_root=trust.first_trust_root,
                sigstore_root=trust.sigstore_root,
                check_keys=source.check_keys,
            )
        except Ended as exc:
            if not source.set_back(exc.until):
                raise


def remember(found: Verified, trust: TrustSettings) -> None:
    """Pin what was verified."""
    found.source.remember(found.channel.store, found.channel.ledger)
    ConsumerState(trust.state_folder).save(found.channel.pins, found.channel.before)


def archive_chunks(source: OpenSource, product: VerifiedBuild) -> Iterator[bytes]:
    """An archive's bytes; raises VerificationError at the end, or before too many, when they are others."""
    hasher, size = hashlib.sha256(), 0
    for chunk in source.chunks(product.path):
        size += len(chunk)
        if size > product.archive.size:
            break
        hasher.update(chunk)
        yield chunk
    if size != product.archive.size or from_hex(hasher.hexdigest()) != product.archive.digest:
        raise VerificationError(
            f"{product.archive.name}: its bytes are not those of the release ({product.archive.digest})",
            hint="do not use it; ask the publisher",
        )


def check_archive(source: OpenSource, product: VerifiedBuild) -> None:
    """Every byte: the archive's digest, and each member against the ProductManifest. Raises VerificationError."""
    with tempfile.TemporaryFile(prefix="casstore-verify-") as file:
        for chunk in archive_chunks(source, product):
            file.write(chunk)
        file.seek(0)
        check_members(product, file)


def check_members(product: VerifiedBuild, file: BinaryIO) -> None:
    """The archive against its ProductManifest, and what it may never hold. Raises HostileArchive, VerificationError."""
    from bundlers.consuming import ruled_members

    ruled_members.read_all(product.manifest, file)


@contextlib.contextmanager
def guarded(network: NetworkGuard | None, offline: bool) -> Iterator[None]:
    """While active and offline, no socket can open at all."""
    if not offline:
        yield
        return
    with (network if network is not None and network.offline else NetworkGuard((), offline=True)).installed():
        yield


def _check_file(path: str, products: list[VerifiedBuild]) -> str:
    hasher = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while piece := file.read(_PIECE):
                hasher.update(piece)
    except FileNotFoundError as exc:
        raise BadInput(f"{path}: no such file") from exc
    except OSError as exc:
        raise os_error(exc, path, writing=False) from exc
    digest = from_hex(hasher.hexdigest())
    for product in products:
        if product.archive.digest == digest:
            with open(path, "rb") as file:
                check_members(product, file)
            return product.archive.name
    raise VerificationError(
        f"{path}: {digest} is no archive of this release", hint="it was changed, or is of another release"
    )
