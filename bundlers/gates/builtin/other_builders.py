"""What another builder's provenance says of our archives, and why theirs differ.

Their files (as `release --out` leaves them beside the archives) are verified with their public key; the
archive of the same build must have the same digest: in this version, or in the one that both kept it from.
Where it has not, their inputs are held against
ours, so that the message says which one differs, or that the same inputs gave other bytes.

    dict(compared(view, ("theirs/*.sigstore.json",), "theirs.pub"))
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attest.core import limits
from attest.digests import PREFIX, Digest
from attest.errors import BadInput, CasstoreError
from attest.statements.predicates import slsa_provenance
from attest.statements.statements import Statement
from attest.trust.verify import verify_with_key
from bundlers.gates.base import ReleaseView, StagedArchive
from casstore.store.attestations import parse_unverified


def compared(view: ReleaseView, patterns: Sequence[str], key: str) -> Iterator[tuple[str, str]]:
    """(archive or file, problem). Raises BadInput when there is no key or no file."""
    if not key:
        raise BadInput("against: the other builder's public key is not named", hint='write key = "theirs.pub"')
    theirs = _theirs(view, patterns, _read(os.path.join(view.root, key)))
    for archive in view.archives.values():
        mine = [(statement, digest) for statement, digest in theirs if _is_of(statement, archive)]
        now = [item for item in mine if _parameters(item[0]).get("version") == view.version]
        if not now and not any(digest == archive.digest for _, digest in mine):
            yield archive.name, "the other builder says nothing of it"
        for statement, digest in now:
            if digest != archive.digest:
                yield archive.name, f"the other builder has {digest}: {_why(view, archive, statement)}"


def _theirs(view: ReleaseView, patterns: Sequence[str], key: bytes) -> list[tuple[Statement, Digest]]:
    found = []
    for pattern in patterns:
        if os.path.isabs(pattern) or ".." in pattern.split("/"):
            raise BadInput(f"against: {pattern!r} leaves the project", hint="name files below casstore.toml")
        names = sorted(glob.glob(pattern, root_dir=view.root, recursive=True))
        if not names:
            raise BadInput(f"against: no file is named {pattern!r}", hint="copy the other builder's provenance there")
        found += [item for name in names for item in _verified(os.path.join(view.root, name), name, key)]
    return found


def _verified(path: str, name: str, key: bytes) -> list[tuple[Statement, Digest]]:
    raw = _read(path)
    try:
        said = parse_unverified(raw)
        if said.predicate_type != slsa_provenance.TYPE:
            return []
        verify_with_key(raw, key, predicate_type=slsa_provenance.TYPE, subjects=said.digests)
    except CasstoreError as exc:
        raise BadInput(f"against: {name}: {exc.message}", hint=exc.hint) from exc
    return [(said, digest) for digest in sorted(said.digests)]


def _is_of(statement: Statement, archive: StagedArchive) -> bool:
    said = _parameters(statement)
    return (said.get("product"), said.get("build")) == (archive.manifest.product, archive.manifest.build)


def _parameters(statement: Statement) -> Mapping[str, Any]:
    """externalParameters, or nothing."""
    definition = statement.predicate.get("buildDefinition")
    found = definition.get("externalParameters") if isinstance(definition, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _why(view: ReleaseView, archive: StagedArchive, statement: Statement) -> str:
    """The inputs that differ; none: the same inputs gave other bytes."""
    theirs, ours = _inputs(statement.predicate), _ours(view, archive)
    told = [
        f"{name} is {theirs.get(name, 'not named')} there and {ours.get(name, 'not named')} here"
        for name in sorted(theirs.keys() | ours.keys())
        if theirs.get(name) != ours.get(name)
    ]
    return "; ".join(told[:5]) or "made from the same inputs, so it was written by another version or changed"


def _inputs(predicate: Mapping[str, Any]) -> dict[str, str]:
    rows = predicate.get("buildDefinition", {}).get("resolvedDependencies", [])
    named = {row.get("name"): row.get("digest", {}).get("sha256") for row in rows if isinstance(row, dict)}
    return {name: PREFIX + value for name, value in named.items() if isinstance(name, str) and isinstance(value, str)}


def _ours(view: ReleaseView, archive: StagedArchive) -> dict[str, str]:
    found: dict[str, str] = {"product-manifest": archive.manifest.digest}
    if view.config:
        found["casstore.toml"] = view.config
    trees = {name: component.tree for name, component in archive.manifest.components.items()}
    return found | {slsa_provenance.COMPONENT + name: tree for name, tree in trees.items()}


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(limits.ATTESTATION)
    except OSError as exc:
        raise BadInput(f"against: {path}: cannot be read: {exc.strerror}") from exc
