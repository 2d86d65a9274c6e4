"""Which builds an earlier release of the ledger made already, byte for byte.

A ProductManifest has no version in it, so the same digest is the same archive: it is neither packed nor
signed again. Kept is what nobody revoked, with the provenance that the ledger recorded for it.

    find(store, state, manifests, "1.1.0")["acme/linux-x86_64"].version     # 1.0.0
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from itertools import islice
from typing import Any

from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import CasstoreError, NotInstalled
from attest.statements.predicates import slsa_provenance
from attest.trust.verify import verify
from bundlers.products.product_manifests import ProductManifest
from casstore.ledger import release_objects
from casstore.ledger.release_objects import Release, ReleaseBuild
from casstore.ledger.rules import Reader
from casstore.ledger.states.state import LedgerState
from casstore.machine import toml_text
from casstore.store.store import Store

_LOOKED_AT = 20
"""So many releases back; what was made before is made again."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A build as it is, and whose."""

    version: str
    row: ReleaseBuild
    provenance: Digest
    gates: Mapping[str, Any] = field(default_factory=dict)
    """`[gates]` of that release's casstore.toml."""


def find(store: Store, state: LedgerState, manifests: Mapping[str, ProductManifest], version: str) -> dict[str, Kept]:
    """By the keys of `manifests`; the newest release goes first."""
    found: dict[str, Kept] = {}
    infos = (info for info in state.newest_releases() if info.version != version)
    for info in islice(infos, _LOOKED_AT):
        if len(found) == len(manifests):
            break
        if state.is_revoked(info.digest, info.builder):
            continue
        made = release_objects.parse(store.read(info.digest))
        for key in manifests.keys() - found.keys():
            row = made.builds.get(key)
            if row and row.product_manifest == manifests[key].digest and _is_there(store, state, row):
                provenance = _provenance(store, state, made, row.archive.digest)
                if provenance is not None:
                    found[key] = Kept(made.version, row, provenance, _gates(store, made))
    return found


def _is_there(store: Store, state: LedgerState, row: ReleaseBuild) -> bool:
    if state.is_revoked(row.archive.digest, row.product_manifest) or not store.has(row.archive.digest):
        return False
    return store.size(row.archive.digest) == row.archive.size


def _provenance(store: Store, state: LedgerState, made: Release, archive: Digest) -> Digest | None:
    """The one in the release's closed list that the ledger recorded, if nobody revoked it or its signer."""
    for digest in store.attestations(archive):
        if digest not in made.evidence or digest not in state.recorded:
            continue
        if _counts(store, state, digest, archive):
            return digest
    return None


def _counts(store: Store, state: LedgerState, digest: Digest, archive: Digest) -> bool:
    """Whether a builder signed it, by the trust root of then, and nobody took that back."""
    record = state.recorded[digest]
    try:
        found = verify(
            store.read(digest),
            trust_root=record.trust_root,
            predicate_type=slsa_provenance.TYPE,
            subjects=(archive,),
            at=record.at,
            role="builder",
            sigstore_root=Reader(store).sigstore_roots(record.trust_root).of(record.trust_root),
        )
    except NotInstalled:
        raise
    except CasstoreError:
        return False
    return not state.is_revoked(found.id, found.identity)


def _gates(store: Store, made: Release) -> Mapping[str, Any]:
    try:
        table = toml_text.read(store.read(made.config)).get("gates", {}) if made.config else {}
    except (CasstoreError, ValueError):
        return {}
    return table if isinstance(table, dict) else {}
