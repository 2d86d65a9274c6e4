"""How many builds stand behind one digest: a second signature is none, a second build of the same is one.

A build is told by its record: the arguments and the inputs. Of our own puts that is the component's table and the
digest of its inputs (docs/formats/predicates/build-types.md); without a record there was no build, only a put. Of
other build types it is what SLSA calls the build definition.

    most_builders([found, other], digest, needed=2)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attest import canonical
from attest.digests import Digest
from attest.judging.evidence import most_persons
from attest.statements.predicates import slsa_provenance
from attest.trust.verify import VerifiedStatement


def most_builders(found: Iterable[VerifiedStatement], digest: Digest, needed: int) -> tuple[Digest, ...]:
    """The attestations that show `needed` distinct builders of one and the same build, or as many as there are."""
    if needed <= 1:
        return most_persons(found, needed)
    groups: dict[bytes, list[VerifiedStatement]] = {}
    for item in found:
        if (record := record_of(item, digest)) is not None:
            groups.setdefault(record, []).append(item)
    return max((most_persons(group, needed) for group in groups.values()), key=len, default=())


def record_of(found: VerifiedStatement, digest: Digest) -> bytes | None:
    """Arguments and inputs of the build of a digest, in one comparable form; None where nothing was built."""
    definition = found.statement.predicate.get("buildDefinition")
    if not isinstance(definition, Mapping):
        return None
    if definition.get("buildType") != slsa_provenance.PUT:
        keys = ("buildType", "externalParameters", "resolvedDependencies")
        return canonical.dumps({key: definition.get(key) for key in keys})
    names = [subject.name for subject in found.statement.subjects if subject.digest == digest]
    records = (_record(definition, name) for name in names)
    return next((record for record in records if record is not None), None)


def _record(definition: Mapping[str, Any], name: str) -> bytes | None:
    table = _at(definition.get("externalParameters"), "components", name)
    inputs = _at(definition.get("internalParameters"), "builds", name, "inputs", "digest")
    if not isinstance(table, Mapping) or not isinstance(inputs, str) or not table.get("build"):
        return None
    return canonical.dumps({"component": dict(table), "inputs": inputs})


def _at(value: object, *path: str) -> object:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
