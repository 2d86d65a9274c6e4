"""The evidence of a release in a new folder, in forms that other tools read.

`sigstore`: one bundle per file. `jsonl`: one file, a bundle per line. `dsse`: bare envelopes, as
slsa-verifier reads summaries. `in-toto`: layout, links and the archives to check them against.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from attest import digests
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import BadInput
from attest.exports import dsse_export, in_toto_export
from attest.exports.in_toto_export import ProductStep, ReleaseSteps
from attest.signers import Signer
from bundlers.formats import oci_export
from bundlers.products import product_manifests
from casstore.errors import Conflict
from casstore.ledger import release_objects
from casstore.ledger.release_objects import Release, label
from casstore.ledger.states.state import LedgerState
from casstore.objects.tree import show
from casstore.store import attestations
from casstore.store.store import Store

LIFETIME = timedelta(days=365)
_PIECE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ExportedEvidence:
    """What was written."""

    files: tuple[str, ...]
    command: str = ""
    """How to check it."""


def export(
    store: Store,
    state: LedgerState,
    ref: str,
    folder: str,
    *,
    form: str,
    signer: Signer | None = None,
    now: datetime,
) -> ExportedEvidence:
    """Write a new folder. Raises Conflict when it is there, NoSuchObject for an unknown release."""
    info = state.find_release(ref)
    made = release_objects.parse(store.read(info.digest))
    command = ""
    if form == "oci":
        plan = oci_export.layout(
            store, made, store.read(info.digest), {d: store.read(d) for d in _evidence(store, state, info.digest, made)}
        )
        _write(store, folder, plan.files, plan.blobs, plan.parts)
        names = sorted([*plan.files, *plan.blobs, *plan.parts])
        words = ("skopeo", "copy", f"oci:{folder}:{_first_tag(made)}", f"dir:{folder}.copied")
        return ExportedEvidence(tuple(names), shlex.join(words))
    if form == "in-toto":
        if signer is None:
            raise BadInput("a layout needs a signer", hint="give --key URI")
        files = in_toto_export.export(_steps(store, made), owner=signer, functionary=signer, expires=now + LIFETIME)
        command = f"cd {shlex.quote(folder)} && {in_toto_export.COMMAND.format(layout='root.layout', links='.')}"
        blobs = {row.archive.name: row.archive.digest for row in made.builds.values()}
    else:
        found = {digest: store.read(digest) for digest in _evidence(store, state, info.digest, made)}
        files, blobs = _bundles(found, form), {}
        summary = _summary_command(found) if form == "dsse" else ""
        command = f"cd {shlex.quote(folder)} && {summary}" if summary else ""
    _write(store, folder, files, blobs)
    return ExportedEvidence(tuple(sorted([*files, *blobs])), command)


def _evidence(store: Store, state: LedgerState, release: Digest, made: Release) -> list[Digest]:
    """The closed list of the release, its statement, and all that was signed about it since."""
    subjects = (release, *made.archives.values())
    since = {item.digest for item in attestations.find_many(store, subjects)}
    return sorted({*made.evidence, state.releases[release].statement, *since})


def _summary_command(found: dict[Digest, bytes]) -> str:
    """How the first summary is checked by slsa-verifier."""
    commands = (dsse_export.vsa_command(raw, dsse_export.file_name(raw)) for raw in found.values())
    return next((command for command in commands if command), "")


def _bundles(found: dict[Digest, bytes], form: str) -> dict[str, bytes]:
    if form == "jsonl":
        return {"evidence.intoto.jsonl": b"".join(raw.strip() + b"\n" for raw in found.values())}
    if form == "dsse":
        return {dsse_export.file_name(raw): dsse_export.bare(raw) for raw in found.values()}
    return {f"{digests.hex_of(digest)}.sigstore.json": raw for digest, raw in found.items()}


def _steps(store: Store, made: Release) -> ReleaseSteps:
    components = {
        name: {show(path): entry.content for path, entry in store.walk(tree) if entry.kind == "file"}
        for name, tree in made.components.items()
    }
    products = {}
    for key, row in made.builds.items():
        manifest = product_manifests.read(store.chunks(row.product_manifest))
        products[label(key)] = ProductStep(row.archive.name, row.archive.digest, tuple(sorted(manifest.components)))
    return ReleaseSteps(components, products)


def _first_tag(made: Release) -> str:
    return f"{label(min(made.builds))}-{made.version}"


def _write(
    store: Store,
    folder: str,
    files: Mapping[str, bytes],
    blobs: Mapping[str, Digest],
    parts: Mapping[str, tuple[Digest, int, int]] = MappingProxyType({}),
) -> None:
    if os.path.lexists(folder):
        raise Conflict(f"{folder}: is there already and was not overwritten", hint="name a new folder")
    staged = f"{os.path.abspath(folder)}.{os.getpid()}.partial"
    os.makedirs(staged)
    try:
        for name, data in files.items():
            _write_file(staged, name, (data,))
        for name, digest in blobs.items():
            _write_file(staged, name, store.chunks(digest))
        for name, part in parts.items():
            _write_file(staged, name, _part(store, *part))
        os.rename(staged, folder)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise


def _write_file(staged: str, name: str, pieces: Iterable[bytes]) -> None:
    path = os.path.join(staged, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "xb") as file:
        file.writelines(pieces)


def _part(store: Store, digest: Digest, offset: int, length: int) -> Iterator[bytes]:
    with store.open_blob(digest) as blob:
        blob.seek(offset)
        while length and (piece := blob.read(min(length, _PIECE))):
            length -= len(piece)
            yield piece
