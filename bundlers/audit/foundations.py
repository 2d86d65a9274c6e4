"""What everything stands on: the ledger's chain, the trust root, and the very bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby

from attest.core import times
from attest.digests import from_raw, to_raw
from attest.errors import CasstoreError
from attest.trust.endings import endings
from bundlers import formats
from bundlers.audit.case import Case
from bundlers.audit.values import BLOCKER, OK, WARNING, Check
from bundlers.errors import HostileArchive
from bundlers.products import agreement, checksums, product_manifests
from casstore.errors import StoreDamaged
from casstore.ledger import checkpoints
from casstore.ledger.release_objects import ReleaseBuild

_ROTATE = "the owners sign the next version: casstore keys ceremony draft"


def ledger(case: Case, *, anew: bool) -> Iterator[Check]:
    """The chain from the first entry, entries without effect, and kept checkpoints."""
    if anew:
        try:
            found = case.ledger.verify()
            kept = checkpoints.verify_all(case.store, case.ledger, case.state)
        except CasstoreError as exc:
            yield Check("ledger.chain", BLOCKER, exc.message, hint=exc.hint, exit_code=exc.exit_code)
            return
        told = f"{found.entries} entries follow each other; {len(kept)} signed checkpoints agree with them"
    else:
        told = f"{case.state.count} entries add up to what this user folded of them (--replay reads all again)"
    yield Check("ledger.chain", OK, told)
    for number, reason in case.state.void:
        yield Check(f"ledger.void-{number}", WARNING, f"entry {number} has no effect: {reason}")


def trust_root(case: Case) -> Iterator[Check]:
    """The trust root in force, and what of it ends soon."""
    root = case.state.require_trust_root()
    if case.now >= root.expires:
        message = f"trust root version {root.version} expired at {times.format(root.expires)}"
        yield Check("trust.root", BLOCKER, message, hint=_ROTATE, exit_code=4)
        return
    yield Check("trust.root", OK, f"version {root.version}, valid until {times.format(root.expires)}")
    for number, ending in enumerate(endings(root, case.now)):
        yield Check(f"trust.ends-{number}", WARNING, ending.told, hint=_ROTATE)


def objects(case: Case) -> Iterator[Check]:
    """Every archive byte by byte against its ProductManifest, SHA256SUMS, and every file of every component."""
    for key, row in sorted(case.made.builds.items()):
        yield _checked(f"objects.{key}", partial(_archive, case, key, row))
    yield _checked("objects.checksums", partial(_checksums, case))
    yield _checked("objects.components", partial(_components, case))


def _checked(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, OK, look())
    except CasstoreError as exc:
        hint = exc.hint or "another copy of the store may have it: casstore fsck"
        return Check(name, BLOCKER, exc.message, hint=hint, exit_code=exc.exit_code)


def _archive(case: Case, key: str, row: ReleaseBuild) -> str:
    manifest = product_manifests.read(case.store.chunks(row.product_manifest))
    agreement.check(case.store, manifest, case.made, key)
    if case.store.size(row.archive.digest) != row.archive.size:
        raise HostileArchive(f"{row.archive.name}: its size is not what the release object says")
    with case.store.open_blob(row.archive.digest) as source:
        for _, chunks in formats.read(manifest, source):
            for _ in chunks:
                pass
    platform = f" for {row.platform.told}" if row.platform else ""
    files = f"{len(manifest.files)} files are what the ProductManifest says"
    return f"{row.archive.name}{platform}: {row.archive.size} bytes, {files}"


def _checksums(case: Case) -> str:
    if checksums.parse(case.store.read(case.made.checksums)) != case.made.archives:
        raise HostileArchive(f"{checksums.NAME} names other archives than the release object")
    return f"{checksums.NAME} names the {len(case.made.archives)} archives"


def _components(case: Case) -> str:
    count = size = 0
    for name, tree in sorted(case.made.components.items()):
        raws = [to_raw(entry.content) for _, entry in case.store.walk(tree) if entry.kind == "file"]
        count += len(raws)
        raws.sort()
        try:
            for chunks in case.store.chunks_of(from_raw(raw) for raw, _ in groupby(raws)):
                size += sum(len(piece) for piece in chunks)
        except CasstoreError as exc:
            raise StoreDamaged(f"component {name}: {exc.message}", hint=exc.hint) from exc
    return f"all {count} files of {len(case.made.components)} components, {size} bytes, are what their trees say"
