"""`casstore whence --from`: where a file comes from, by what a publisher lists, without a store.

Promises: the keys of TUF are publishers of the trust root, which is verified with the channel first; what was withdrawn
is told as such and not hidden. A list is the publisher's word: which file a release had is signed in its
ProductManifest, and held against it where that is still published. Leaves to others: `verify`, `install`.

    found = origins("https://releases.example", {digest}, channel="prod", trust=trust, at=now)
    found[digest].releases[0].version
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import field
from datetime import datetime
from typing import Any

from attest.core.values import dataclass
from attest.digests import Digest, sha256
from attest.errors import VerificationError
from bundlers.building.provenance_told import inputs_told
from bundlers.consuming import service
from bundlers.consuming.service import TrustSettings, guarded
from bundlers.consuming.sources import OpenSource
from bundlers.consuming.state import ConsumerState
from bundlers.consuming.withdrawn import Withdrawn
from bundlers.products import product_manifests
from bundlers.products.release_papers import manifest_name
from bundlers.publishing import file_lists
from bundlers.publishing.file_lists import ListedComponent, ListedFile, ListedRelease
from bundlers.publishing.layout import published_paths
from casstore.errors import NoSuchObject
from casstore.ledger import release_objects
from casstore.network.network import NetworkGuard


@dataclass(frozen=True, slots=True)
class ListedIn:
    """A release that has the file."""

    version: str
    about: ListedRelease
    files: tuple[ListedFile, ...]
    confirmed: bool
    """Whether signed papers of the release, which are published still, say so too."""

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "version": self.version,
            "release": self.about.release,
            "channels": self.about.to_json()["channels"],
            "revoked": self.about.revoked,
            "confirmed": self.confirmed,
            "files": [
                {"product": row.product, "path": row.path, "component": row.component, **self._built(row).to_json()}
                for row in self.files
            ],
            "vulnerabilities": self.about.to_json()["vulnerabilities"],
        }

    def _built(self, row: ListedFile) -> ListedComponent:
        return self.about.components.get(row.component, ListedComponent())

    def told(self) -> Iterator[str]:
        """Lines for people."""
        spans = ", ".join(
            span.told + (f" approved by {' and '.join(span.approved_by)}" if span.approved_by else "")
            for span in self.about.channels
        )
        gone = f" REVOKED ({self.about.revoked})" if self.about.revoked is not None else ""
        by = "" if self.confirmed else ", by the publisher's list alone"
        yield f"release {self.version}{gone}: {spans or 'in no channel of this place'}{by}"
        for row in self.files:
            built = self._built(row)
            if not row.component:
                yield f"  product {row.product}: the archive itself"
                continue
            commit = f" from {built.commit}" if built.commit else ""
            by = f"built by {built.builder}{commit}, {inputs_told(built.inputs)}"
            yield f"  product {row.product}: {row.path}, component {row.component}, {by}"
        known = self.about.vulnerabilities
        yield f"  {known.told if known else 'of vulnerabilities this place tells nothing'}"


@dataclass(slots=True)
class PublishedOrigin:
    """All that a place says of one digest."""

    releases: list[ListedIn] = field(default_factory=list)

    @property
    def known(self) -> bool:
        """Whether a release of it has the file."""
        return bool(self.releases)

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"releases": [row.to_json() for row in self.releases]}

    def told(self) -> Iterator[str]:
        """Lines for people."""
        for row in self.releases:
            yield from row.told()
        if not self.known:
            yield "in no release that was ever shown here"


def origins(
    url: str,
    wanted: Collection[Digest],
    *,
    channel: str | None,
    trust: TrustSettings,
    at: datetime,
    network: NetworkGuard | None = None,
    offline: bool = False,
) -> dict[Digest, PublishedOrigin]:
    """What is listed of each digest. Raises VerificationError, TrustError, NoSuchObject, StorageUnavailable."""
    with guarded(network, offline):
        source = _opened(url, channel, trust, at, network, offline)
        found = {digest: PublishedOrigin() for digest in wanted}
        for version, about in _index(source).items():
            for digest, files in _in_release(source, version, about, wanted).items():
                confirmed = _confirmed(source, version, about, digest, files)
                found[digest].releases.append(ListedIn(version, about, files, confirmed))
    return found


def _opened(
    url: str, channel: str | None, trust: TrustSettings, at: datetime, network: NetworkGuard | None, offline: bool
) -> OpenSource:
    """The source, after its channel was verified: then it is known that TUF's keys may speak.

    Raises Withdrawn where witnesses are missing: then nothing else may be taken from it.
    """
    source, found = service.opened(url, channel, trust=trust, at=at, network=network, offline=offline)
    if isinstance(found, Withdrawn):
        if found.pins is None:
            raise found
        return source
    source.remember(found.store, found.ledger)
    ConsumerState(trust.state_folder).save(found.pins, found.before)
    return source


def _index(source: OpenSource) -> dict[str, ListedRelease]:
    try:
        return file_lists.parse_index(source.read(file_lists.INDEX))
    except NoSuchObject as exc:
        raise NoSuchObject(
            f"{source.url}: has no lists of files", hint="a kit has none; the next publish writes them"
        ) from exc


def _in_release(
    source: OpenSource, version: str, about: ListedRelease, wanted: Collection[Digest]
) -> dict[Digest, tuple[ListedFile, ...]]:
    pieces = {file_lists.piece_path(version, about.digits, digest) for digest in wanted}
    found: dict[Digest, tuple[ListedFile, ...]] = {}
    for path in sorted(pieces):
        rows = file_lists.parse_piece(source.read_older(path), path)
        found |= {digest: rows[digest] for digest in wanted if digest in rows}
    return found


def _confirmed(
    source: OpenSource, version: str, about: ListedRelease, digest: Digest, files: tuple[ListedFile, ...]
) -> bool:
    """Against the release object and its ProductManifests, where they are. Raises VerificationError for a lie."""
    try:
        raw = source.read_older(published_paths.release_path(version, "release.json"))
        if sha256(raw) != about.release:
            raise VerificationError(f"{file_lists.INDEX}: {version} is another release than the one that is published")
        made = release_objects.parse(raw)
        for row in files:
            build = made.builds.get(row.product)
            if build is None or (not row.component and build.archive.digest != digest):
                raise VerificationError(f"{version}: its list names {row.product}, the release does not")
            if row.component:
                data = source.read_older(published_paths.release_path(version, manifest_name(row.product)))
                manifest = product_manifests.parse(data)
                there = {(file.path, file.digest, file.component) for file in manifest.files}
                if sha256(data) != build.product_manifest or (row.path, digest, row.component) not in there:
                    raise VerificationError(f"{version}: its list names {row.path}, its ProductManifest does not")
    except NoSuchObject:
        return False
    return True
