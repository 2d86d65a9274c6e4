"""What a release will be made of, before anything is written: components, time, ProductManifests."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from attest.digests import Digest
from attest.errors import BadInput
from bundlers import products
from bundlers.product_manifests import ProductManifest
from casstore.attestations import parse_unverified
from casstore.config import Config
from casstore.errors import NoSuchObject
from casstore.ledger.state import LedgerState
from casstore.store import Store


@dataclass(frozen=True, slots=True)
class Plan:
    """The inputs of a release, all by digest."""

    version: str
    epoch: int
    trees: Mapping[str, Digest]
    statements: tuple[Digest, ...]
    """The provenance of the components."""
    manifests: Mapping[str, ProductManifest]


def make(
    store: Store, state: LedgerState, config: Config, version: str, epoch: int | None, named: Mapping[str, Digest]
) -> Plan:
    """The plan of a version. Raises NoSuchObject for a component that nobody put, CrossProductLeak."""
    products.check_construction(config)
    wanted = sorted({name for table in config.products.values() for name in table.components})
    trees = {name: named.get(name) or _put_tree(state, version, name) for name in wanted}
    statements = tuple(sorted({_statement(state, version, name, trees[name]) for name in wanted}))
    time = epoch if epoch is not None else _epoch(store, statements)
    return Plan(version, time, trees, statements, products.manifests(store, config, trees, version, time))


def _put_tree(state: LedgerState, version: str, name: str) -> Digest:
    tree = state.components.get((version, name))
    if tree is None:
        raise NoSuchObject(
            f"component {name} of version {version} was never put",
            hint=f"casstore put --component {name} --release-version {version}",
        )
    return tree


def _statement(state: LedgerState, version: str, name: str, tree: Digest) -> Digest:
    """The provenance that the ledger has of a tree; a tree that is named by hand needs one as well."""
    if state.components.get((version, name)) == tree:
        return state.component_statements[version, name]
    for key, known in state.components.items():
        if known == tree:
            return state.component_statements[key]
    raise NoSuchObject(
        f"component {name}: the ledger has no provenance of {tree}", hint="put it with casstore put --component first"
    )


def _epoch(store: Store, statements: tuple[Digest, ...]) -> int:
    """SOURCE_DATE_EPOCH, else the time of the newest provenance: the same on every machine."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given is not None:
        if not given.isdigit() or int(given) >= 2**33:
            raise BadInput(f"SOURCE_DATE_EPOCH is no number of seconds: {given[:40]!r}")
        return int(given)
    return max(_finished(store, digest) for digest in statements)


def _finished(store: Store, statement: Digest) -> int:
    from attest import times

    details = parse_unverified(store.read(statement)).predicate.get("runDetails", {})
    return int(times.parse(details.get("metadata", {}).get("finishedOn")).timestamp())
