"""Install one product: verify, fetch, extract beside, switch; and back again.

Promises: policy and evidence are verified before anything of the archive is fetched; the hash of the archive, or
of each piece of it, before it is unpacked; every file against the ProductManifest; the switch is one rename,
so whoever is killed anywhere leaves the old version in force; doing it again finishes or changes
nothing. Leaves to others: verification (`consumer`), the folder (`installed`), extraction (`extract`).

    report = install("https://cdn.example/releases", "core", channel="prod", into="/opt/core", ...)
    report.receipt.version
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from datetime import datetime
from typing import Any

from attest.core.values import dataclass
from attest.errors import CasstoreError, VerificationError
from bundlers.consuming import service
from bundlers.consuming.service import TrustSettings, Verified
from bundlers.consuming.verified import VerifiedBuild
from bundlers.consuming.withdrawn import Withdrawn
from bundlers.installing import choosing, counting, fetching, keeping, linking, own_files, shares
from bundlers.installing.extract import copy_files
from bundlers.installing.installed import UNPROVEN, InstalledFolder
from bundlers.installing.installed_files import check_folder
from bundlers.installing.receipts import Receipt, same_but_for_time
from bundlers.products.product_manifests import ProductManifest
from casstore.errors import Conflict, NoSuchObject
from casstore.machine.progress import NullProgress, Progress
from casstore.network.network import NetworkGuard


@dataclass(frozen=True, slots=True)
class InstallReport:
    """What is installed now."""

    folder: str
    path: str
    """The files of the version in force."""
    receipt: Receipt
    changed: bool
    """False: it was in force already."""
    fetched: int
    """Bytes of the archive that were read."""
    added: tuple[str, ...] = ()
    """What lies among the files and came from no archive."""
    builds: Mapping[str, str] = field(default_factory=dict)
    """Every build that the product has -> its platform."""
    links: tuple[str, ...] = ()
    """Programs that were linked."""
    kept: tuple[str, ...] = ()
    """Files that the consumer changed, and that the version in force has as they were."""
    pruned: tuple[str, ...] = ()
    """Versions that were taken away, or would be."""
    dry_run: bool = False
    unasked: str = ""
    """Why nobody could be asked whether it may still be used; what was heard before was gone by."""
    share: str = ""
    """Which of a channel's two releases this is, and why; empty where it has one."""

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "folder": self.folder,
            "path": self.path,
            "changed": self.changed,
            "fetched": self.fetched,
            "added": list(self.added),
            "builds": dict(self.builds),
            "links": list(self.links),
            "kept": list(self.kept),
            "pruned": list(self.pruned),
            "dryRun": self.dry_run,
            "unasked": self.unasked or None,
            "share": self.share or None,
            "receipt": self.receipt.to_json(),
        }


def install(
    url: str,
    product: str,
    *,
    channel: str | None,
    into: str,
    trust: TrustSettings,
    at: datetime,
    network: NetworkGuard | None = None,
    offline: bool = False,
    progress: Progress | None = None,
    links: bool = os.name != "nt",
    platform: str | None = None,
    link_bin: str | None = None,
    keep: int | None = None,
    dry_run: bool = False,
    accept: Callable[[Verified, Receipt], None] | None = None,
    unproven: bool = False,
    share: str = shares.DRAWN,
) -> InstallReport:
    """Install what a channel holds: the build for this machine, or that for `platform` (a build's name will do).

    `link_bin` is a folder where the product's programs are linked; `keep` how many versions stay, that in force
    counted; `dry_run` verifies, changes nothing and pins nothing; `accept` is asked before anything changes and
    raises what is against it; `share` whether a canary comes here (`shares.WISHES`); `unproven` marks a version
    before the switch, for whoever tries it afterwards.
    Raises VerificationError, TrustError, Conflict, NoSuchObject, ...
    """
    folder = InstalledFolder(into, links=links)
    with service.guarded(network, offline):
        found = _open(url, channel, folder, trust, at, network, offline)
        found, why = shares.choose(found, share, trust.state_folder)
        builds = found.builds(product)
        item = choosing.choose(product, builds, platform)
        if accept is not None:
            accept(found, _receipt(found, item, at, previous=None))
        if link_bin is not None:
            linking.check(folder, item.manifest, link_bin)
        told = {build.manifest.build: choosing.told(build) for build in builds.values()}
        if dry_run:
            return replace(_would(folder, found, item, at, keep), builds=told, share=why)
        folder.prepare()
        with folder.locked():
            report = _install(folder, found, item, at, progress or NullProgress(), unproven=unproven)
            pruned = keeping.prune(folder, keep) if keep is not None else ()
        service.remember(found, trust)
    linked = linking.link(folder, item.manifest, link_bin) if link_bin is not None else ()
    return replace(report, builds=told, links=linked, pruned=pruned, share=why)


def _would(
    folder: InstalledFolder, found: Verified, item: VerifiedBuild, at: datetime, keep: int | None
) -> InstallReport:
    """What `install` would do; the archive is not read."""
    current = folder.current()
    receipt = _receipt(found, item, at, previous=current)
    path = folder.path(receipt.name)
    whole = _added(path, item.manifest) is not None
    if current is not None:
        old = folder.receipt(current)
        _check_same_product(folder, old, receipt)
        if current == receipt.name and whole:
            pruned = keeping.surplus(folder, keep) if keep is not None else ()
            return InstallReport(folder.folder, path, old, False, 0, pruned=pruned, dry_run=True)
    same = current is not None and folder.manifest_digest(current) == item.manifest.digest
    fetch = (
        0
        if whole or (same and _added(folder.path(str(current)), item.manifest) is not None)
        else fetching.expected(folder, found, item)
    )
    pruned = keeping.surplus(folder, keep, receipt.name) if keep is not None else ()
    return InstallReport(folder.folder, path, receipt, True, fetch, pruned=pruned, dry_run=True)


def verify_installed(
    into: str,
    *,
    trust: TrustSettings,
    at: datetime,
    network: NetworkGuard | None = None,
    offline: bool = False,
    links: bool = os.name != "nt",
) -> InstallReport:
    """Check the files in force, and ask where they came from whether they may still be used; nothing changes.

    Raises Withdrawn, VerificationError (changed files, a revoked release), NoSuchObject, StorageUnavailable.
    """
    folder = InstalledFolder(into, links=links)
    name = folder.current()
    if name is None:
        raise NoSuchObject(f"{folder.folder}: nothing is installed here")
    receipt, added = folder.receipt(name), check_files(folder, name)
    with service.guarded(network, offline):
        found = _open(receipt.source, receipt.channel, folder, trust, at, network, offline)
        _check_still_good(folder, receipt, found, at)
        service.remember(found, trust)
    return InstallReport(folder.folder, folder.path(name), receipt, False, 0, added)


def _check_still_good(folder: InstalledFolder, receipt: Receipt, found: Verified, at: datetime) -> None:
    """What is installed may be older than what the channel holds, and count no more since."""
    if receipt.release in found.channel.releases:
        return
    row = counting.against(receipt, found.channel.revocations, found.channel.suspensions)
    if row is not None and (row.until is None or at < row.until):
        raise VerificationError(
            f"{folder.folder}: {receipt.product} {receipt.version}, which is installed, was revoked: {row.told}",
            hint=f"install {found.channel.version}, which {found.channel.channel} holds now",
        )


def _open(
    url: str,
    channel: str | None,
    folder: InstalledFolder,
    trust: TrustSettings,
    at: datetime,
    network: NetworkGuard | None,
    offline: bool,
) -> Verified:
    """What a channel holds; that it was withdrawn is told with what of it is installed here.

    What speaks against any version that lies there is noted.
    """
    try:
        found = service.open_verified(url, channel, trust=trust, at=at, network=network, offline=offline)
        counting.note(folder, found.channel.revocations, found.channel.suspensions, good=found.channel.releases)
        return found
    except Withdrawn as exc:
        counting.note(folder, exc.revocations, exc.suspensions, good=())
        name = folder.current()
        if name is None or folder.receipt(name).release != exc.release:
            raise
        raise Withdrawn(
            f"{exc.message}; it is installed: {folder.path(name)}",
            hint="stop using it: casstore install --rollback, or take it away",
            release=exc.release,
            pins=exc.pins,
            before=exc.before,
            revocations=exc.revocations,
            suspensions=exc.suspensions,
        ) from exc


def install_rollback(
    into: str,
    *,
    trust: TrustSettings,
    at: datetime,
    network: NetworkGuard | None = None,
    offline: bool = False,
    links: bool = os.name != "nt",
) -> InstallReport:
    """Switch to the version before, if it may still be used and its files are whole.

    Where the version in force came from is asked; if it cannot say, what was heard before counts, and the report
    tells. Raises NoSuchObject, VerificationError.
    """
    folder = InstalledFolder(into, links=links)
    current = folder.current()
    if current is None:
        raise NoSuchObject(f"{folder.folder}: nothing is installed here")
    with folder.locked():
        before = folder.previous()
        if before is None:
            raise NoSuchObject(f"{folder.folder}: {current} is the first version that was installed here")
        unasked = _ask(folder, folder.receipt(current), trust, at, network, offline)
        receipt = folder.receipt(before)
        if why := counting.why_not(folder, before, at):
            raise VerificationError(
                f"{folder.folder}: the version before, {receipt.version}, may be used no more: {why}",
                hint=f"install what {receipt.channel} holds, or take it away: casstore uninstall --into {into}",
            )
        added = check_files(folder, before)
        folder.switch(before)
    installed = replace(receipt, installed_at=at)
    return InstallReport(folder.folder, folder.path(before), installed, True, 0, added, unasked=unasked)


def _ask(
    folder: InstalledFolder,
    receipt: Receipt,
    trust: TrustSettings,
    at: datetime,
    network: NetworkGuard | None,
    offline: bool,
) -> str:
    """Hear what was revoked since; why that could not be heard, empty where it was."""
    try:
        with service.guarded(network, offline):
            found = _open(receipt.source, receipt.channel, folder, trust, at, network, offline)
            service.remember(found, trust)
    except Withdrawn:
        return ""
    except CasstoreError as exc:
        return exc.message
    return ""


def _install(
    folder: InstalledFolder,
    found: Verified,
    item: VerifiedBuild,
    at: datetime,
    progress: Progress,
    *,
    unproven: bool = False,
) -> InstallReport:
    current = folder.current()
    receipt = _receipt(found, item, at, previous=None)
    if current is not None:
        old = folder.receipt(current)
        _check_same_product(folder, old, receipt)
        if current == receipt.name and (added := _added(folder.path(current), item.manifest)) is not None:
            return _keep(folder, old, receipt, item, added)
        receipt = replace(receipt, previous=old.previous if current == receipt.name else current)
    path = folder.path(receipt.name)
    mine = _own_files(folder, current)
    fetched = 0
    if _added(path, item.manifest) is None and not _from_before(folder, current, item, path):
        fetched = fetching.fetch(folder, found, item, path, progress)
    kept = own_files.carry(mine, path, item.manifest)
    folder.keep(receipt, item.manifest)
    if unproven:
        folder.mark(receipt.name, UNPROVEN)
    folder.switch(receipt.name)
    return InstallReport(folder.folder, path, receipt, True, fetched, kept=kept)


def _own_files(folder: InstalledFolder, current: str | None) -> dict[str, own_files.OwnFile]:
    """What the consumer changed of the version in force."""
    manifest = folder.manifest(current) if current is not None else None
    if current is None or manifest is None:
        return {}
    return own_files.changed(folder.path(current), manifest)


def _keep(
    folder: InstalledFolder, old: Receipt, new: Receipt, item: VerifiedBuild, added: tuple[str, ...]
) -> InstallReport:
    """The version is in force, its files are as they were; a receipt that says something new is renewed."""
    folder.mend_previous()
    if not same_but_for_time(old, new):
        old = replace(new, previous=old.previous)
        folder.keep(old, item.manifest)
    return InstallReport(folder.folder, folder.path(old.name), old, False, 0, added)


def _check_same_product(folder: InstalledFolder, old: Receipt, new: Receipt) -> None:
    if (old.store, old.ledger, old.product) != (new.store, new.ledger, new.product):
        raise Conflict(
            f"{folder.folder}: holds {old.product} of another origin or product, not {new.product}",
            hint="install each product into a folder of its own",
        )
    if old.channel == new.channel and new.move_number < old.move_number:
        raise VerificationError(
            f"{folder.folder}: was installed from ledger entry {old.move_number}, {new.move_number} is older",
            hint="an older state is served; to go back on purpose: casstore install --rollback",
        )


def _added(path: str, manifest: ProductManifest) -> tuple[str, ...] | None:
    """What was added to a version that lies there complete and unchanged; None where it does not."""
    if not os.path.isdir(path):
        return None
    try:
        return check_folder(path, manifest)
    except VerificationError:
        return None


def _from_before(folder: InstalledFolder, current: str | None, item: VerifiedBuild, path: str) -> bool:
    """Whether the version in force had the very same files: then they are copied, and nothing is fetched."""
    if current is None or folder.manifest_digest(current) != item.manifest.digest:
        return False
    if _added(folder.path(current), item.manifest) is None or _lacks(folder.path(current), item.manifest):
        return False
    if os.path.lexists(path):
        fetching.set_aside(path, folder)
    copy_files(folder.path(current), item.manifest, path)
    return True


def _lacks(path: str, manifest: ProductManifest) -> bool:
    """Whether a file that the consumer may change is not as it was shipped."""
    gone = any(not os.path.lexists(os.path.join(path, *name.split("/"))) for name in manifest.config)
    return gone or bool(own_files.changed(path, manifest))


def check_files(folder: InstalledFolder, name: str) -> tuple[str, ...]:
    """What was added to a version. Raises VerificationError for a file that is not as it was, NoSuchObject."""
    found = folder.manifest_digest(name)
    if found is None:
        raise NoSuchObject(f"{folder.folder}: the ProductManifest of {name} is gone", hint="install it again")
    if found != folder.receipt(name).product_manifest:
        raise VerificationError(
            f"{folder.folder}: the ProductManifest of {name} is not the one of its receipt", hint="install it again"
        )
    manifest = folder.manifest(name)
    if manifest is None or manifest.digest != found:
        raise VerificationError(f"{folder.folder}: the ProductManifest of {name} changed meanwhile")
    return check_folder(folder.path(name), manifest)


def _receipt(found: Verified, item: VerifiedBuild, at: datetime, *, previous: str | None) -> Receipt:
    channel = found.channel
    return Receipt(
        store=channel.store,
        ledger=channel.ledger,
        channel=channel.channel,
        product=item.manifest.product,
        build=item.manifest.build,
        platform=str(item.manifest.platform or ""),
        version=channel.version,
        release=channel.release_digest,
        archive_name=item.archive.name,
        archive=item.archive.digest,
        archive_size=item.archive.size,
        product_manifest=channel.release.builds[item.key].product_manifest,
        move_number=channel.move.number,
        move=channel.move.digest,
        trust_root_version=channel.trust_root.version,
        trust_root=channel.trust_root.digest,
        checkpoint_size=channel.checkpoint_size,
        root_hash=channel.root_hash,
        evidence=tuple(sorted(item.digest for item in channel.evidence)),
        approved_by=channel.approved_by,
        made=tuple(
            sorted({channel.release_digest, *channel.release.archives.values(), *channel.release.components.values()})
        ),
        attestations=channel.attestations,
        signers=channel.signers,
        source=found.source.url,
        verdict=found.verdict,
        as_of=found.as_of,
        installed_at=at,
        previous=previous,
    )
