"""Vouching for what was put before: the same trees for another version, under a builder who counts.

When a builder's key was revoked, what it signed counts no more, though its bytes may be good. Somebody who looked at
them says so with another key: the trees are put again as they are, nothing is built or read from disk. Who it was for,
and why, is signed (docs/formats/predicates/build-types.md).

    vouched = vouch(store, ledger, "1.4.0", version="1.4.1", reason="built by a key that leaked later", ...)
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import PolicyDenied
from attest.signers import Signer
from attest.statements import statements
from attest.statements.predicates import slsa_provenance
from attest.statements.predicates.slsa_provenance import Dependency, Provenance
from attest.trust import origins
from bundlers.building import put_times
from casstore.errors import Conflict
from casstore.ledger.book.log import Ledger
from casstore.ledger.commit import commit
from casstore.ledger.entries import Entry, EntryKind
from casstore.ledger.folding import replay
from casstore.ledger.release_objects import check_version
from casstore.ledger.states.state import LedgerState
from casstore.ledger.states.views import ReleaseInfo
from casstore.promotion.services import check_contents, keep, require_role
from casstore.store.attestations import parse_unverified
from casstore.store.store import Store


@dataclass(frozen=True, slots=True)
class Vouched:
    """What was put again."""

    version: str
    of: ReleaseInfo
    statement: Digest
    entry: Entry | None
    """None: this builder vouched for the same trees of that version before."""


def vouch(
    store: Store, ledger: Ledger, release: str, *, version: str, reason: str, signer: Signer, now: datetime
) -> Vouched:
    """Put a release's components for another version. Raises BadInput, NoSuchObject, PolicyDenied, Conflict."""
    check_version(version)
    state = replay(ledger, store)
    info = state.find_release(release)
    require_role(state, signer, frozenset({"builder"}), now)
    _check(store, state, info)
    if (before := _before(store, state, info, version, signer.identity)) is not None:
        return Vouched(version, info, before, None)
    if version in state.versions:
        raise Conflict(f"version {version} is released already, its components are closed", hint="name another version")
    if any((version, name) in state.components for name in info.components):
        raise Conflict(f"components of version {version} were put already", hint="name another version")
    raw = signer.sign_statement(_statement(store, state, info, version, reason, signer.identity, now))
    (statement,) = keep(store, [raw])
    entry, _ = commit(ledger, store, state, EntryKind.COMPONENT, statement, now=now)
    return Vouched(version, info, statement, entry)


def _check(store: Store, state: LedgerState, info: ReleaseInfo) -> None:
    """Bytes that were revoked are vouched for by nobody."""
    gone = sorted(name for name, tree in info.components.items() if state.is_revoked(tree))
    if gone or state.is_revoked(info.digest, *info.archives.values()):
        what = f"component {gone[0]} of {info.version}" if gone else info.version
        raise PolicyDenied(f"{what} was revoked itself, not only who built it", hint="build it anew: casstore put")
    check_contents(store, state, info.components)


def _before(store: Store, state: LedgerState, info: ReleaseInfo, version: str, identity: str) -> Digest | None:
    """The statement by which this builder did the very same: a CI job runs again."""
    if any(state.components.get((version, name)) != tree for name, tree in info.components.items()):
        return None
    named = {state.component_statements[version, name] for name in info.components}
    said = [parse_unverified(store.read(digest)).predicate for digest in named]
    by = {predicate.get("runDetails", {}).get("builder", {}).get("id") for predicate in said}
    kinds = {predicate.get("buildDefinition", {}).get("buildType") for predicate in said}
    fits = len(named) == 1 and (by, kinds) == ({origins.own_builder(identity)}, {slsa_provenance.VOUCH})
    return min(named) if fits else None


def _statement(
    store: Store, state: LedgerState, info: ReleaseInfo, version: str, reason: str, identity: str, now: datetime
) -> bytes:
    @cache
    def predicate_of(statement: Digest) -> Mapping[str, Any]:
        return parse_unverified(store.read(statement)).predicate

    trees = dict(info.components)
    puts = {name: state.first_puts[name, tree] for name, tree in trees.items() if (name, tree) in state.first_puts}
    provenance = Provenance(
        build_type=slsa_provenance.VOUCH,
        external_parameters={
            "releaseVersion": version,
            "vouchedFor": {"version": info.version, "release": info.digest},
            "reason": reason,
        },
        internal_parameters=put_times.parameters(put_times.for_put(state, predicate_of, trees, now, None)),
        builder_id=origins.own_builder(identity),
        dependencies=(
            Dependency(f"release/{info.version}", info.digest),
            *(Dependency(f"put/{name}", digest) for name, digest in sorted(puts.items())),
        ),
        finished_on=now,
    )
    return statements.of_digests(trees, slsa_provenance.TYPE, provenance.to_json()).to_bytes()
