"""Measuring a released product: unpacked anew from its archive for each run, by a command that sees little else.

Promises: the bytes that are measured are those of the archive that the statement is about, read strictly against its
ProductManifest; the command sees them, the system, the files that it names and `tools`, where the system can hide the
rest, and the record says whether it could. Leaves to others: who may sign, by whom it counts (the gate `baseline`).

    done = measure(store, state, Asked("1.4.0", "core", ("./bench.sh",)), now=now)
    record(store, ledger, done, signer=signer, now=now)
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from typing import Any

from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import BadInput
from attest.signers import Signer
from attest.statements import statements
from attest.statements.predicates import baseline
from attest.statements.predicates.baseline import Baseline, Measuring
from attest.trust.requirements import roles_for
from bundlers.building import building, sealing
from bundlers.building.sealing import BuildPlace
from bundlers.inspection.secret_forms import redacted
from bundlers.installing import extract
from bundlers.measuring import figures, machines
from bundlers.products import product_manifests
from bundlers.products.product_manifests import ProductManifest
from casstore.errors import NoSuchObject
from casstore.ledger import release_objects
from casstore.ledger.book.log import Ledger
from casstore.ledger.commit import commit
from casstore.ledger.entries import EntryKind
from casstore.ledger.folding import replay
from casstore.ledger.release_objects import ReleaseBuild, split_key
from casstore.ledger.states.state import LedgerState
from casstore.machine import runner
from casstore.machine.runner import CommandResult
from casstore.promotion.services import require_role
from casstore.store.attestations import put_attestation
from casstore.store.store import Store


@dataclass(frozen=True, slots=True)
class Asked:
    """What to measure, and how."""

    release: str
    product: str
    command: tuple[str, ...]
    build: str = ""
    """Needed where the product has several."""
    runs: int = 5
    tools: tuple[str, ...] = ()
    """Files and folders that the command is shown beside what it names."""
    network: bool = False
    timeout: float = runner.TIMEOUT


@dataclass(frozen=True, slots=True)
class Measured:
    """A statement to sign, and what it is about."""

    archive: str
    digest: Digest
    said: Baseline

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"archive": self.archive, "digest": self.digest, "baseline": self.said.to_json()}


def measure(store: Store, state: LedgerState, asked: Asked, *, root: str, now: datetime) -> Measured:
    """Run the command. `root`: the folder that the words of the command are looked for in.

    Raises NoSuchObject, BadInput when a run fails or measures other things.
    """
    info = state.find_release(asked.release)
    key, build = _build(release_objects.parse(store.read(info.digest)).products, asked)
    manifest = product_manifests.read(store.chunks(build.product_manifest))
    command, files = _command(asked, root)
    ran = [_run(store, build.archive.digest, manifest, asked, (command, files, root)) for _ in range(asked.runs)]
    first = ran[0]
    how = Measuring(
        tuple(redacted(word) for word in asked.command),
        {redacted(name): sealing.tool(name, root).digest for name in files},
        asked.runs,
        str(first.network),
        "product" if first.secluded else "unenforced",
    )
    medians = figures.summed_up([figures.of_run(one) for one in ran])
    product, name = split_key(key)
    said = Baseline(product, name, info.version, now, how, machines.here(), medians)
    return Measured(build.archive.name, build.archive.digest, said)


def as_reference(done: Measured, name: str, tolerances: Mapping[str, str]) -> Measured:
    """The same, for later releases to be held against. Raises BadInput."""
    return replace(done, said=replace(done.said, reference=figures.drafted(name, done.said.figures, tolerances)))


def record(
    store: Store, ledger: Ledger, done: Measured, *, signer: Signer, now: datetime, sigstore_root: bytes | None = None
) -> int:
    """Sign it about the archive and append it; the entry. Raises PolicyDenied."""
    state = replay(ledger, store, sigstore_root=sigstore_root)
    require_signer(state, signer, reference=done.said.reference is not None, now=now)
    statement = statements.of_digests({done.archive: done.digest}, baseline.TYPE, done.said.to_json())
    digest = put_attestation(store, signer.sign_statement(statement.to_bytes()))
    entry, _ = commit(ledger, store, state, EntryKind.EVIDENCE, digest, now=now, sigstore_root=sigstore_root)
    return entry.number


def require_signer(state: LedgerState, signer: Signer, *, reference: bool, now: datetime) -> None:
    """Raises PolicyDenied where no channel would count what this signer measures; best asked before measuring."""
    channels = () if reference else state.require_trust_root().channels.values()
    roles = {*roles_for("baseline"), *(role for one in channels for role in one.signers.get("baseline", ()))}
    require_role(state, signer, frozenset(roles), now)


def _build(products: Mapping[str, Mapping[str, ReleaseBuild]], asked: Asked) -> tuple[str, ReleaseBuild]:
    if asked.product not in products:
        raise NoSuchObject(f"{asked.release} has no product {asked.product!r}", hint=", ".join(products))
    builds = products[asked.product]
    if asked.build not in builds and (asked.build or len(builds) > 1):
        what = f"no build {asked.build!r}" if asked.build else "several builds"
        raise NoSuchObject(f"{asked.product} of {asked.release} has {what}", hint=f"--build {'|'.join(builds)}")
    name = asked.build or next(iter(builds))
    return release_objects.build_key(asked.product, name), builds[name]


def _command(asked: Asked, root: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The words as they are run, and which of them (and of the tools) lie in `root`, in order.

    A word that is a file there is that file, wherever the command runs; a program by its name alone is looked for as
    usual; anything else is for the product's folder.
    """
    words, files = [], []
    for place, word in enumerate(asked.command):
        path = os.path.join(root, word)
        if os.path.isfile(path) and (place or os.sep in word):
            words.append(os.path.abspath(path))
            files.append(word)
        else:
            words.append(word)
    for name in asked.tools:
        if not os.path.exists(os.path.join(root, os.path.expanduser(name))):
            raise BadInput(f"--tool {name}: is not there", hint="name a file or folder of this machine")
    return tuple(words), tuple(dict.fromkeys([*files, *asked.tools]))


def _run(
    store: Store,
    archive: Digest,
    manifest: ProductManifest,
    asked: Asked,
    command: tuple[Sequence[str], Sequence[str], str],
) -> CommandResult:
    words, files, root = command
    with ExitStack() as stack:
        made = tempfile.TemporaryDirectory(prefix="casstore-measure-", ignore_cleanup_errors=True)
        scratch = os.path.realpath(stack.enter_context(made))
        folder = os.path.join(scratch, "product")
        with store.open_blob(archive) as source:
            extract.extract(manifest, source, folder)
        place: BuildPlace = sealing.around(scratch, folder, words[0], files, root)
        own = {"HOME": os.path.join(scratch, "home"), "TMPDIR": os.path.join(scratch, "tmpdir")}
        for path in own.values():
            os.mkdir(path)
        return runner.run(
            words,
            cwd=folder,
            timeout=asked.timeout,
            env_allow=building.ENVIRONMENT,
            env={"CASSTORE_PRODUCT": manifest.product, "CASSTORE_VERSION": asked.release, **own},
            network=asked.network,
            alone=True,
            view=stack.enter_context(place.view(network=asked.network)),
        )
