"""What a release will be made of, before anything is written: components, times, ProductManifests, what is kept."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from attest.core import times
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import BadInput, FormatError, PolicyDenied
from bundlers.building import put_times
from bundlers.products import products
from bundlers.products.product_manifests import MAX_TIME, ProductManifest
from bundlers.releases import kept as keeping
from bundlers.releases.kept import Kept
from casstore.config import Config
from casstore.errors import NoSuchObject
from casstore.ledger import release_objects
from casstore.ledger.release_objects import Release
from casstore.ledger.states.state import LedgerState
from casstore.promotion.services import check_contents
from casstore.store.attestations import id_of, parse_unverified
from casstore.store.store import Store


@dataclass(frozen=True, slots=True)
class Plan:
    """The inputs of a release, all by digest."""

    version: str
    times: Mapping[str, int]
    """Component -> the time that its files bear in archives."""
    trees: Mapping[str, Digest]
    statements: Mapping[str, Digest]
    """Component -> the statement of its provenance that the ledger accepted."""
    provenance: Mapping[str, Mapping[str, Any]]
    """Component -> the predicate of that statement."""
    manifests: Mapping[str, ProductManifest]
    """`product`, or `product/build` for one of several."""
    names: Mapping[str, str]
    """As `manifests` -> the name of its archive."""
    kept: Mapping[str, Kept]
    """The builds of `manifests` that an earlier release made already."""
    dropped: Mapping[str, tuple[str, ...]]
    """As `manifests` -> empty folders of its components that it does not keep."""
    previous: Release | None
    """The newest release of the ledger before this one."""
    taken: Mapping[str, str]
    """Component that was not put for this version -> the version that it was taken from."""

    @property
    def epoch(self) -> int:
        """The newest of the times."""
        return max(self.times.values())


def make(
    store: Store,
    state: LedgerState,
    config: Config,
    version: str,
    epoch: int | None,
    named: Mapping[str, Digest],
    source: str | None = None,
    times_of: Mapping[tuple[str, Digest], int] = MappingProxyType({}),
) -> Plan:
    """The plan of a version; `source` is a release or channel that components are taken from which were not put.

    `times_of` has the times of trees as another release has them; they go before those of the puts here.

    Raises NoSuchObject for a component that nobody put, CrossProductLeak for one in two products,
    PolicyDenied for a revoked one, BadInput for a name that no product has.
    """
    products.check_construction(config)
    wanted = sorted({name for table in config.products.values() for name in table.all_components})
    _check_names(named, wanted)
    taken = _taken(store, state, version, {*wanted} - named.keys(), source)
    origin = {name: taken.get(name, version) for name in wanted}
    trees = {name: named.get(name) or _put_tree(state, origin[name], name) for name in wanted}
    statements = {name: _statement(state, origin[name], name, trees[name]) for name in wanted}
    _check_revoked(store, state, trees, statements)
    predicates = {digest: parse_unverified(store.read(digest)).predicate for digest in set(statements.values())}
    known = {name: times_of.get((name, trees[name])) if epoch is None else epoch for name in wanted}
    times = {name: _time(known[name], name, predicates[digest]) for name, digest in statements.items()}
    manifests, dropped = products.manifests(store, config, trees, version, times)
    return Plan(
        version,
        times,
        trees,
        statements,
        {name: predicates[digest] for name, digest in statements.items()},
        manifests,
        products.archive_names(config, manifests, version),
        keeping.find(store, state, manifests, version),
        dropped,
        _previous(store, state, version),
        taken,
    )


def _check_names(named: Mapping[str, Digest], wanted: list[str]) -> None:
    for name in named:
        if name not in wanted:
            near = get_close_matches(name, wanted, n=1)
            meant = f", did you mean {near[0]!r}?" if near else ""
            raise BadInput(f"no product has a component {name!r}{meant}", hint=f"known: {', '.join(wanted)}")


def _taken(store: Store, state: LedgerState, version: str, wanted: set[str], source: str | None) -> dict[str, str]:
    """What was not put for this version -> the version for which it was, by the release that it is taken from."""
    if source is None:
        return {}
    made = release_objects.parse(store.read(state.find_release(source).digest))
    found = {}
    for name in sorted(wanted):
        if (version, name) in state.components or name not in made.components:
            continue
        origin = made.taken.get(name, made.version)
        if state.components.get((origin, name)) != made.components[name]:
            raise NoSuchObject(
                f"component {name} of {made.version} was not put as such, so it cannot be taken from there",
                hint=f"name its tree: --component {name}={made.components[name]}",
            )
        found[name] = origin
    return found


def _put_tree(state: LedgerState, version: str, name: str) -> Digest:
    tree: Digest | None = state.components.get((version, name))
    if tree is None:
        raise NoSuchObject(
            f"component {name} of version {version} was never put, and no --from RELEASE says where to take it",
            hint=f"casstore put {name} --release-version {version}",
        )
    return tree


def _statement(state: LedgerState, version: str, name: str, tree: Digest) -> Digest:
    """The provenance that the ledger has of a tree; a tree that is named by hand needs one as well."""
    if state.components.get((version, name)) == tree:
        return state.component_statements[version, name]
    last = state.tree_puts.get(tree)
    if last is None:
        raise NoSuchObject(
            f"component {name}: the ledger has no provenance of {tree}",
            hint="put it first: casstore put NAME --release-version VERSION",
        )
    statement: Digest = state.component_statements[last]
    return statement


def _check_revoked(
    store: Store, state: LedgerState, trees: Mapping[str, Digest], statements: Mapping[str, Digest]
) -> None:
    for name, tree in trees.items():
        if state.is_revoked(tree, id_of(store.read(statements[name]))):
            raise PolicyDenied(f"component {name} ({tree}) or its provenance was revoked", hint="build and put it anew")
    check_contents(store, state, trees)


def _time(given: int | None, name: str, predicate: Mapping[str, Any]) -> int:
    """The time of a component's files: asked for, that of the tree's first put, or when its build finished."""
    if given is not None:
        if not 0 <= given <= MAX_TIME:
            raise BadInput(f"no time that archives can bear: {given}", hint="seconds since 1970")
        return given
    known = put_times.of(predicate, name)
    return _finished(predicate) if known is None else known.tree


def _finished(predicate: Mapping[str, Any]) -> int:
    details = predicate.get("runDetails")
    metadata = details.get("metadata") if isinstance(details, Mapping) else None
    text = metadata.get("finishedOn") if isinstance(metadata, Mapping) else None
    try:
        return int(times.parse(text).timestamp())
    except FormatError as exc:
        hint = "give the time that the archives shall bear: --epoch SECONDS"
        raise BadInput("a component's provenance does not say when its build finished", hint=hint) from exc


def _previous(store: Store, state: LedgerState, version: str) -> Release | None:
    newest = next((info for info in state.newest_releases() if info.version != version), None)
    return release_objects.parse(store.read(newest.digest)) if newest else None
