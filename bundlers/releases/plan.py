"""What a release will be made of, before anything is written: components, time, ProductManifests."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from attest.core import times
from attest.digests import Digest
from attest.errors import BadInput, FormatError, PolicyDenied
from bundlers.products import products
from bundlers.products.product_manifests import ProductManifest
from casstore.config import Config
from casstore.errors import NoSuchObject
from casstore.ledger import release_objects
from casstore.ledger.release_objects import Release
from casstore.ledger.state import LedgerState
from casstore.promotion.services import check_contents
from casstore.store.attestations import id_of, parse_unverified
from casstore.store.store import Store

_MAX_EPOCH = 2**33
"""What a tar header can say."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The inputs of a release, all by digest."""

    version: str
    epoch: int
    trees: Mapping[str, Digest]
    statements: Mapping[str, Digest]
    """Component -> the statement of its provenance that the ledger accepted."""
    provenance: Mapping[str, Mapping[str, Any]]
    """Component -> the predicate of that statement."""
    manifests: Mapping[str, ProductManifest]
    previous: Release | None
    """The newest release of the ledger before this one."""


def make(
    store: Store, state: LedgerState, config: Config, version: str, epoch: int | None, named: Mapping[str, Digest]
) -> Plan:
    """The plan of a version.

    Raises NoSuchObject for a component that nobody put, CrossProductLeak for one in two products,
    PolicyDenied for a revoked one, BadInput for a name that no product has.
    """
    products.check_construction(config)
    wanted = sorted({name for table in config.products.values() for name in table.components})
    _check_names(named, wanted)
    trees = {name: named.get(name) or _put_tree(state, version, name) for name in wanted}
    statements = {name: _statement(state, version, name, trees[name]) for name in wanted}
    _check_revoked(store, state, trees, statements)
    predicates = {digest: parse_unverified(store.read(digest)).predicate for digest in set(statements.values())}
    time = _epoch(epoch, predicates)
    return Plan(
        version,
        time,
        trees,
        statements,
        {name: predicates[digest] for name, digest in statements.items()},
        products.manifests(store, config, trees, version, time),
        _previous(store, state, version),
    )


def _check_names(named: Mapping[str, Digest], wanted: list[str]) -> None:
    for name in named:
        if name not in wanted:
            near = get_close_matches(name, wanted, n=1)
            meant = f", did you mean {near[0]!r}?" if near else ""
            raise BadInput(f"no product has a component {name!r}{meant}", hint=f"known: {', '.join(wanted)}")


def _put_tree(state: LedgerState, version: str, name: str) -> Digest:
    tree = state.components.get((version, name))
    if tree is None:
        raise NoSuchObject(
            f"component {name} of version {version} was never put",
            hint=f"casstore put {name} --release-version {version}",
        )
    return tree


def _statement(state: LedgerState, version: str, name: str, tree: Digest) -> Digest:
    """The provenance that the ledger has of a tree; a tree that is named by hand needs one as well."""
    if state.components.get((version, name)) == tree:
        return state.component_statements[version, name]
    found = [state.component_statements[key] for key, known in state.components.items() if known == tree]
    if not found:
        raise NoSuchObject(
            f"component {name}: the ledger has no provenance of {tree}",
            hint="put it first: casstore put NAME --release-version VERSION",
        )
    return found[-1]


def _check_revoked(
    store: Store, state: LedgerState, trees: Mapping[str, Digest], statements: Mapping[str, Digest]
) -> None:
    for name, tree in trees.items():
        if state.is_revoked(tree, id_of(store.read(statements[name]))):
            raise PolicyDenied(f"component {name} ({tree}) or its provenance was revoked", hint="build and put it anew")
    check_contents(store, state, trees)


def _epoch(given: int | None, predicates: Mapping[Digest, Mapping[str, Any]]) -> int:
    """The time of all archive members: asked for, SOURCE_DATE_EPOCH, or the newest provenance's."""
    text = os.environ.get("SOURCE_DATE_EPOCH") if given is None else str(given)
    if text is None:
        return max(_finished(predicate) for predicate in predicates.values())
    if not text.isdecimal() or int(text) >= _MAX_EPOCH:
        raise BadInput(f"SOURCE_DATE_EPOCH is no number of seconds since 1970: {text[:40]!r}")
    return int(text)


def _finished(predicate: Mapping[str, Any]) -> int:
    details = predicate.get("runDetails")
    metadata = details.get("metadata") if isinstance(details, Mapping) else None
    text = metadata.get("finishedOn") if isinstance(metadata, Mapping) else None
    try:
        return int(times.parse(text).timestamp())
    except FormatError as exc:
        hint = "set SOURCE_DATE_EPOCH to the time that the archives shall bear"
        raise BadInput("a component's provenance does not say when its build finished", hint=hint) from exc


def _previous(store: Store, state: LedgerState, version: str) -> Release | None:
    infos = [info for info in state.releases.values() if info.version != version]
    newest = max(infos, key=lambda info: info.number, default=None)
    return release_objects.parse(store.read(newest.digest)) if newest else None
