"""Where bytes come from: from a digest found on any machine to components, releases, channels and builders.

Promises: only what entries that hold say; a digest that nothing holds is told as unknown. Looks at
files and folders of components, at members of what is packed in them, at archives and releases.

    origins(store, state, {digest})[digest].releases
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import field
from typing import Any

from attest.core.values import dataclass
from attest.digests import Digest
from bundlers.building import provenance_told
from bundlers.building.provenance_told import Inputs
from bundlers.products import product_manifests
from casstore.ledger import release_objects
from casstore.ledger.release_objects import Release
from casstore.ledger.states.state import LedgerState
from casstore.ledger.states.views import ReleaseInfo
from casstore.objects.tree import show
from casstore.promotion.known_vulnerabilities import KnownVulnerabilities, known_of
from casstore.promotion.reports import ChannelSpan
from casstore.promotion.standings import channel_spans
from casstore.store.attestations import parse_unverified
from casstore.store.holders import holding
from casstore.store.parents_index import ParentsIndex
from casstore.store.store import Store


@dataclass(frozen=True, slots=True)
class PutIn:
    """A component of a version that holds it."""

    version: str
    component: str
    path: str
    """Empty for the whole component."""
    builder: str
    commit: str
    """As `repository@ref commit`; empty where the provenance names none."""
    inputs: Inputs | None

    def to_json(self) -> dict[str, Any]:
        """A row of `components`."""
        inputs = self.inputs.to_json() if self.inputs else None
        return {**{name: getattr(self, name) for name in self.__slots__}, "inputs": inputs}


@dataclass(frozen=True, slots=True)
class ReleasedIn:
    """A release that holds it."""

    version: str
    release: Digest
    products: tuple[str, ...]
    channels: tuple[ChannelSpan, ...]
    revoked: bool
    vulnerabilities: KnownVulnerabilities

    def to_json(self) -> dict[str, Any]:
        """A row of `releases`."""
        return {
            "version": self.version,
            "release": self.release,
            "products": list(self.products),
            "channels": [one.to_json() for one in self.channels],
            "revoked": self.revoked,
            "vulnerabilities": self.vulnerabilities.to_json(),
        }


@dataclass(slots=True)
class Origin:
    """All that the ledger says of one digest."""

    components: list[PutIn] = field(default_factory=list)
    releases: list[ReleasedIn] = field(default_factory=list)
    revoked: str | None = None
    """Why, where this very digest was revoked."""

    @property
    def known(self) -> bool:
        """Whether anything here holds it."""
        return bool(self.components or self.releases)

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "components": [row.to_json() for row in self.components],
            "releases": [row.to_json() for row in self.releases],
            "revoked": self.revoked,
        }

    def told(self) -> Iterator[str]:
        """Lines for people."""
        if self.revoked is not None:
            yield f"REVOKED: {self.revoked}"
        for row in self.components:
            built = f", built by {row.builder}" + (f" from {row.commit}" if row.commit else "")
            inputs = provenance_told.inputs_told(row.inputs)
            yield f"component {row.component} of {row.version}: {row.path or 'the whole'}{built}, {inputs}"
        for release in self.releases:
            where = "; ".join(
                one.told + (f", approved by {' and '.join(one.approved_by)}" if one.approved_by else "")
                for one in release.channels
            )
            state = " REVOKED" if release.revoked else ""
            yield f"release {release.version}{state}: product {', '.join(release.products)}; {where or 'in no channel'}"
            yield f"release {release.version}: {release.vulnerabilities.told}"
        if not self.known:
            yield "from nowhere here"


def origins(
    store: Store, state: LedgerState, wanted: Collection[Digest], *, thorough: bool = False
) -> dict[Digest, Origin]:
    """What is known of each digest; `thorough`: every tree is walked, and no index is believed.

    Raises StoreDamaged, ObjectDamaged.
    """
    found = {digest: Origin(revoked=_revoked(state, digest)) for digest in wanted}
    trees = {*state.components.values(), *(t for info in state.releases.values() for t in info.components.values())}
    places = _places(store, trees, wanted, thorough=thorough)
    for tree in trees & found.keys():
        places.setdefault(tree, {})[tree] = (b"",)
    for (version, name), tree in sorted(state.components.items()):
        for digest, paths in places.get(tree, {}).items():
            found[digest].components.extend(_put_in(store, state, version, name, paths))
    for info in state.releases.values():
        for digest, products in _products(store, info, places, found.keys()).items():
            found[digest].releases.append(_released(store, state, info, products))
    return found


def _places(
    store: Store, trees: Collection[Digest], wanted: Collection[Digest], *, thorough: bool
) -> dict[Digest, dict[Digest, tuple[bytes, ...]]]:
    """By the index; what it does not have is looked for in packed files too."""
    found: dict[Digest, dict[Digest, tuple[bytes, ...]]] = {}
    left = set(wanted)
    if not thorough:
        with ParentsIndex.beside(store) as index:
            index.take(store, sorted(trees))
            found = {tree: dict(of) for tree, of in index.places(store, trees, wanted).items()}
        left -= {digest for of in found.values() for digest in of}
    for tree, of in (holding(store, sorted(trees), left) if left else {}).items():
        found.setdefault(tree, {}).update(of)
    return found


def _revoked(state: LedgerState, digest: Digest) -> str | None:
    rows = (row for row in state.revocations if row.subject == digest)
    return next((f"{row.reason} (ledger entry {row.entry})" for row in rows), None)


def _put_in(store: Store, state: LedgerState, version: str, name: str, paths: tuple[bytes, ...]) -> Iterator[PutIn]:
    said = parse_unverified(store.read(state.component_statements[version, name])).predicate
    builder, commit = provenance_told.builder(said), provenance_told.commit(said)
    for path in paths:
        yield PutIn(version, name, show(path), builder, commit, provenance_told.inputs(said, name))


def _products(
    store: Store, info: ReleaseInfo, places: Mapping[Digest, Mapping[Digest, Any]], wanted: Collection[Digest]
) -> dict[Digest, tuple[str, ...]]:
    """Of each wanted digest the products and builds of a release that hold it; nothing for others."""
    within = {digest for tree in info.components.values() for digest in places.get(tree, {})}
    whole = {info.digest, *info.archives.values()}
    if not within and whole.isdisjoint(wanted):
        return {}
    made = release_objects.parse(store.read(info.digest))
    found: dict[Digest, set[str]] = {}
    for key, row in made.builds.items():
        for digest in {info.digest, row.archive.digest} & set(wanted):
            found.setdefault(digest, set()).add(key)
        for digest in _of_build(store, made, key, places) if within else ():
            found.setdefault(digest, set()).add(key)
    return {digest: tuple(sorted(products)) for digest, products in found.items()}


def _of_build(store: Store, made: Release, key: str, places: Mapping[Digest, Mapping[Digest, Any]]) -> set[Digest]:
    manifest = product_manifests.read(store.chunks(made.builds[key].product_manifest))
    return {digest for one in manifest.components.values() for digest in places.get(one.tree, {})}


def _released(store: Store, state: LedgerState, info: ReleaseInfo, products: tuple[str, ...]) -> ReleasedIn:
    gone = state.is_withdrawn(info)
    spans = channel_spans(store, state, info.digest)
    return ReleasedIn(info.version, info.digest, products, spans, gone, known_of(store, state, info))
