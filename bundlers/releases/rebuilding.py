"""Builds a release again from what its provenance recorded, and signs that it came out the same.

Promises: inputs are the recorded ones, by digest, in a folder that holds nothing else; arguments and network are the
recorded ones; nothing is signed unless each tree and each archive has the digest of the release. What was recorded
is another builder's word: it gets no network, no variable of ours and no place outside of its folder but by `Given`.
Leaves to others: whether the policy asks for it (`rebuilds`), and compilers, which are this machine's.

    report = rebuild(store, ledger, "1.4.0", signer=second, now=now)
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import Any

from attest import digests
from attest.core import times
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import BadInput, VerificationError
from attest.signers import Signer
from attest.statements import statements
from attest.statements.predicates import slsa_provenance
from attest.trust import origins
from bundlers import formats
from bundlers.building import building
from bundlers.building.build_inputs import Selected
from bundlers.errors import RebuildDiffers
from bundlers.products import product_manifests
from bundlers.products.reader import ProductReader
from casstore.config import Component
from casstore.errors import NoSuchObject
from casstore.ledger import release_objects
from casstore.ledger.book.log import Ledger
from casstore.ledger.folding import replay
from casstore.ledger.states.state import LedgerState
from casstore.machine.runner import NetworkUse
from casstore.objects.tree import show
from casstore.promotion import import_attestation
from casstore.promotion.services import require_role
from casstore.store.attestations import parse_unverified
from casstore.store.store import Store

_SHOWN = 5
_OURS = ("CASSTORE_COMPONENT", "CASSTORE_VERSION", "HOME", "TMPDIR", *building.ENVIRONMENT)


@dataclass(frozen=True, slots=True)
class Given:
    """What a recorded build may have of this machine, if it had the same where it was built."""

    network: bool = False
    variables: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    """Files and folders of this machine that it is shown, as its record names them."""


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """What came out the same."""

    version: str
    components: tuple[str, ...]
    archives: tuple[str, ...]
    idle: tuple[str, ...]
    """Components that were put without a build: there is nothing to rebuild."""
    entries: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {name: _plain(getattr(self, name)) for name in self.__slots__}


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def rebuild(
    store: Store,
    ledger: Ledger,
    release: str,
    names: Sequence[str] = (),
    *,
    signer: Signer,
    now: datetime,
    given: Given = Given(),
) -> RebuildReport:
    """Build all components of a release again, or those named; without names its archives too.

    Raises RebuildDiffers, BuildFailed, NoSuchObject for what was not kept, PolicyDenied when the signer is no builder,
    BadInput for a record that asks for more than is `given`, before anything runs.
    """
    state = replay(ledger, store)
    require_role(state, signer, frozenset({"builder"}), now)
    info = state.find_release(release)
    if unknown := [name for name in names if name not in info.components]:
        raise NoSuchObject(f"{info.version} has no component {unknown[0]!r}", hint=", ".join(info.components))
    wanted = list(names) or sorted(info.components)
    records = {name: _record(store, state, info.version, name) for name in wanted}
    built = {name: found for name, found in records.items() if found is not None}
    tables = {name: _as_recorded(name, said, given) for name, said in built.items()}
    made = [
        _component(store, info.version, name, info.components[name], said, tables[name], signer, now)
        for name, said in built.items()
    ]
    archives = (
        [] if names else list(_archives(store, release_objects.parse(store.read(info.digest)).evidence, signer, now))
    )
    entries = [import_attestation(store, ledger, raw, now=now)[1] for raw in [*made, *(raw for _, raw in archives)]]
    return RebuildReport(
        info.version,
        tuple(built),
        tuple(name for name, _ in archives),
        tuple(name for name in wanted if name not in built),
        tuple(number for number in entries if number is not None),
    )


def _record(store: Store, state: LedgerState, version: str, name: str) -> Mapping[str, Any] | None:
    """The predicate of a component's provenance; None where nothing was built."""
    statement = state.component_statements.get((version, name))
    if statement is None:
        return None
    said = parse_unverified(store.read(statement)).predicate
    builds = (said.get("buildDefinition") or {}).get("internalParameters", {}).get("builds", {})
    return said if name in builds else None


def _as_recorded(name: str, said: Mapping[str, Any], given: Given) -> Component:
    """The component by another builder's record. Raises BadInput for what it may not have here."""
    try:
        recorded = said["buildDefinition"]["internalParameters"]["builds"][name]
        table = said["buildDefinition"]["externalParameters"]["components"][name]
        inputs = recorded["inputs"]
        component = Component.model_validate({**table, "build_env": []})
        whole = component.build and digests.is_digest(inputs["digest"]) and isinstance(inputs["by"], str)
    except (KeyError, TypeError, AttributeError, ValueError):
        whole = False
    if not whole:
        raise BadInput(
            f"component {name}: the record of its build cannot be read", hint="its builder must put it again"
        )
    network = recorded.get("network") == NetworkUse.ALLOWED
    variables = [str(one) for one in recorded.get("environment", ()) if one not in _OURS]
    if network and not given.network:
        raise BadInput(f"component {name} was built with the network", hint="to let it have that here: --build-network")
    if more := sorted(set(variables) - set(given.variables)):
        raise BadInput(
            f"component {name} was built with the variable {more[0][:80]}",
            hint=f"to let it see that here, and it alone: --build-env {more[0][:80]}",
        )
    tools = [str(row.get("name")) for row in recorded.get("tools", ()) if isinstance(row, Mapping)]
    if strange := sorted(set(tools) - set(given.tools)):
        raise BadInput(
            f"component {name} was built with the tool {strange[0][:100]}",
            hint=f"to show it that of this machine: --build-tool {strange[0][:100]}",
        )
    here = [os.path.abspath(os.path.expanduser(tool)) for tool in tools]
    component = component.model_copy(
        update={
            "build_network": network,
            "build_env": variables,
            "build_tools": here,
        }
    )
    if os.path.isabs(component.root) or os.path.normpath(component.root).startswith(".."):
        raise BadInput(f"component {name}: its recorded folder {component.root[:100]!r} lies outside of its inputs")
    return component


def _component(
    store: Store,
    version: str,
    name: str,
    tree: Digest,
    said: Mapping[str, Any],
    component: Component,
    signer: Signer,
    now: datetime,
) -> bytes:
    definition = said["buildDefinition"]
    recorded = definition["internalParameters"]["builds"][name]
    sources = recorded.get("inputs", {}).get("tree")
    if not digests.is_digest(sources):
        raise NoSuchObject(f"component {name}: its inputs were not kept", hint="put it again with this casstore")
    with (
        tempfile.TemporaryDirectory(prefix="casstore-rebuild-", ignore_cleanup_errors=True) as scratch,
        ExitStack() as held,
    ):
        root = os.path.join(scratch, "inputs")
        store.checkout(digests.parse(sources), root)
        paths = tuple(sorted(path for path, entry in store.walk(digests.parse(sources)) if entry.kind != "dir"))
        selected = Selected(paths, recorded["inputs"]["by"])
        done = building.run(component, name, selected, version=version, root=root, held=held)
        if done.inputs.digest != recorded["inputs"]["digest"]:
            raise VerificationError(f"component {name}: what was kept of its inputs is not what its provenance lists")
        again = store.put_tree(
            os.path.join(done.root or root, component.root), include=component.include, exclude=component.exclude
        ).tree
    if again != tree:
        raise RebuildDiffers(
            f"component {name}: built again it is {again}, not {tree}: {_differences(store, tree, again)}",
            hint="a build that depends on time, machine or order is not reproducible; compare the two: casstore diff",
        )
    record = {**done.to_json(), "inputs": {**done.inputs.to_json(), "tree": sources}}
    return _signed({name: tree}, definition, {"builds": {name: record}}, signer, now)


def _archives(store: Store, evidence: Sequence[Digest], signer: Signer, now: datetime) -> Iterator[tuple[str, bytes]]:
    for digest in evidence:
        statement = parse_unverified(store.read(digest))
        definition = statement.predicate.get("buildDefinition") or {}
        if definition.get("buildType") != slsa_provenance.BUNDLE:
            continue
        (subject,) = statement.subjects
        rows = {row["name"]: row["digest"]["sha256"] for row in definition["resolvedDependencies"]}
        manifest = product_manifests.read(store.chunks(digests.from_hex(rows["product-manifest"])))
        with open(os.devnull, "wb") as out:
            made = formats.write(manifest, ProductReader(store, manifest), out)
        if made.digest != subject.digest:
            raise RebuildDiffers(f"archive {subject.name}: made again it is {made.digest}, not {subject.digest}")
        yield subject.name, _signed({subject.name: subject.digest}, definition, {}, signer, now)


def _signed(
    subjects: Mapping[str, Digest], definition: Mapping[str, Any], own: Mapping[str, Any], signer: Signer, now: datetime
) -> bytes:
    """The recorded build definition with a record of this build."""
    said = {
        "buildDefinition": {**definition, **({"internalParameters": dict(own)} if own else {})},
        "runDetails": {
            "builder": {"id": origins.own_builder(signer.identity)},
            "metadata": {"finishedOn": times.format(now)},
        },
    }
    return signer.sign_statement(statements.of_digests(subjects, slsa_provenance.TYPE, said).to_bytes())


def _differences(store: Store, one: Digest, other: Digest) -> str:
    before = dict(store.walk(one))
    after = dict(store.walk(other))
    paths = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(show(path) for path in paths[:_SHOWN]) + more
