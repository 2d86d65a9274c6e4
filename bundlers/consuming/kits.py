"""Kits: a release with all that proves it, in one file; made, verified and taken in.

Promises: a kit holds what a consumer of a published channel gets, under the same names, and is
verified by the same function; the same ledger, checkpoint and release give the same bytes; nothing
shows under the target name before the kit is complete. Leaves to others: what is gathered
(`publish.gathering`), the container (`kit_files`), verification (`consumer.service.verify`).

    report = export(store, ledger, "1.2.0", "kit.tar", signer=ledger_key)
    verify("kit.tar", None, trust=trust, at=now, offline=True)
"""

from __future__ import annotations

import heapq
import os
import secrets
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from attest import canonical
from attest.core.values import dataclass
from attest.digests import Digest, sha256
from attest.errors import CasstoreError, PolicyDenied
from attest.log import checkpoints, log_nodes
from attest.signers import Signer
from attest.statements.predicates import publication
from bundlers.consuming import service
from bundlers.consuming.service import TrustSettings
from bundlers.consuming.sources import KIT_FORMAT, KitSource
from bundlers.publishing import cosigned
from bundlers.publishing.cosigned import ReadLine
from bundlers.publishing.layout import kit_files, published_paths
from bundlers.publishing.layout.kit_files import HEAD, KitFile, Member
from bundlers.publishing.layout.tuf_repository import TargetInfo
from bundlers.publishing.proofs import gathering, proof_gathering, withdrawals
from bundlers.publishing.proofs.channel_proof import History
from bundlers.publishing.proofs.gathering import ChannelFiles, Gathered
from bundlers.publishing.proofs.ledger_history import ledger_history
from casstore.errors import Conflict
from casstore.ledger import checkpoints as ledger_checkpoints
from casstore.ledger import sealing
from casstore.ledger.book.log import Ledger
from casstore.ledger.folding import replay
from casstore.ledger.states.state import LedgerState
from casstore.machine.naming import take_name
from casstore.objects.kinds import Kind, NewObject
from casstore.storage.base import os_error
from casstore.storage.file import sync_folder
from casstore.store.attestations import parse_unverified


class SealStore(gathering.ReadStore, sealing.SealStore, Protocol):
    """What exporting needs of a store: it seals the ledger."""


class ImportStore(Protocol):
    """What taking in a kit needs of a store."""

    def put_many(self, items: Iterable[NewObject]) -> list[Digest]:
        """Keep several objects with one commit."""

    def put_path(self, path: str | bytes) -> Digest:
        """Keep a file."""

    def has(self, digest: Digest) -> bool:
        """Whether an object is there."""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """A kit that was written."""

    path: str
    version: str
    release: Digest
    channels: tuple[str, ...]
    files: int
    size: int

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "path": self.path,
            "version": self.version,
            "release": self.release,
            "channels": list(self.channels),
            "files": self.files,
            "size": self.size,
        }


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What a kit brought."""

    version: str
    release: Digest
    objects: int
    new: int

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"version": self.version, "release": self.release, "objects": self.objects, "new": self.new}


def export(
    store: SealStore,
    ledger: Ledger,
    release: str,
    path: str,
    *,
    signer: Signer | None = None,
    channel: str | None = None,
    now: datetime,
    sigstore_root: bytes | None = None,
    lines_from: Sequence[ReadLine] = (),
) -> ExportReport:
    """Write a kit of a release for the channels that hold it (or one of them).

    `signer` seals the ledger and signs a fresh checkpoint (role `ledger`); without it, or where the trust root names
    witnesses, the newest published checkpoint serves, if it is not older than what must be proven; `lines_from` are
    the places where lines of witnesses lie. Raises PolicyDenied, Conflict, NoSuchObject.
    """
    state = replay(ledger, store, sigstore_root=sigstore_root)
    asked = state.require_trust_root().witnesses
    made = None
    if signer is not None and asked is None:
        made = ledger_checkpoints.make(store, ledger, signer=signer, now=now, sigstore_root=sigstore_root)
        state = replay(ledger, store, state, sigstore_root=sigstore_root)
    info = state.find_release(release)
    names = _channels(state, info.digest, channel)
    history = ledger_history(ledger, store, state)
    gathered = Gathered()
    out = {}
    for name in names:
        out[name] = withdrawals.because_of_canary(store, state, history, name, now, sigstore_root=sigstore_root)
        why = withdrawals.because(store, state, history, name, now, sigstore_root=sigstore_root)
        if why := why or (out[name] if state.channel(name).release != info.digest else ()):
            raise PolicyDenied(
                f"{info.version} may be used no more in {name}: {withdrawals.told(state, why)}",
                hint=f"tell who has it: casstore publish {name} --to DESTINATION",
            )
    files = [
        gathering.gather_channel(
            gathered,
            store,
            state,
            history,
            name,
            state.channel(name).number,
            canary_withdrawn=out[name],
            sigstore_root=sigstore_root,
        )
        for name in names
    ]
    lines: Mapping[str, bytes] = {}
    if made is not None:
        checkpoint = made.note
    else:
        checkpoint, lines = _checkpoint(store, state, history, files, lines_from)
    size = checkpoints.parse(checkpoint)[0].size
    numbers = {number for item in files for number in item.chosen.numbers}
    for item in files:
        head = item.judged.head.number
        proof_gathering.gather_absence(gathered, store, state, history, item.record.channel, head, size)
    proof_gathering.gather_ledger(gathered, store, state, history, numbers, checkpoint)
    _add_nodes(gathered, history, size)
    for place, note in lines.items():
        gathered.add(place, note)
    gathered.add(HEAD, _head(state, info.version, info.digest, names))
    written = _write(path, gathered, store, files[0].release.epoch)
    return ExportReport(os.path.abspath(path), info.version, info.digest, names, len(gathered.targets), written)


def import_kit(
    store: ImportStore, path: str, *, trust: TrustSettings, at: datetime, channel: str | None = None
) -> ImportReport:
    """Verify a kit and keep its objects (archives, evidence, release, manifests); no ledger entry is made."""
    source = KitSource(path, at)
    found = service.verify(path, channel or source.channels[0], trust=trust, at=at, offline=True).verified.channel
    given = found.given
    archives = {build.path for build in given}
    kit = KitFile(path)
    items = {sha256(item.data): item for item in map(_new_object, map(kit.read, kit.names - {HEAD} - archives))}
    wanted = {*items, *(build.archive.digest for build in given)}
    new = sum(not store.has(digest) for digest in wanted)
    for build in given:
        if not store.has(build.archive.digest):
            _put_large(store, kit.chunks(build.path))
    store.put_many([items[digest] for digest in sorted(items)])
    return ImportReport(found.version, found.release_digest, len(wanted), new)


def _put_large(store: ImportStore, chunks: Iterable[bytes]) -> None:
    with tempfile.NamedTemporaryFile(prefix="casstore-import-") as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        store.put_path(file.name)


def _new_object(data: bytes) -> NewObject:
    """Attestations are kept as such, so that they are found by subject."""
    try:
        subjects = tuple(sorted(parse_unverified(data).digests))
    except CasstoreError:
        return NewObject(data)
    return NewObject(data, Kind.ATTESTATION, subjects)


def _channels(state: LedgerState, release: Digest, channel: str | None) -> tuple[str, ...]:
    held = tuple(sorted(name for name, found in state.channels.items() if release in found.gives))
    if channel is not None and channel not in held:
        raise PolicyDenied(
            f"channel {channel} does not hold this release", hint=f"it is in: {', '.join(held) or 'none'}"
        )
    if not held:
        raise PolicyDenied(
            "no channel holds this release, so nothing says that it may be used", hint="promote it first"
        )
    return held if channel is None else (channel,)


def _checkpoint(
    store: gathering.ReadStore,
    state: LedgerState,
    history: History,
    files: Sequence[ChannelFiles],
    lines_from: Sequence[ReadLine],
) -> tuple[bytes, Mapping[str, bytes]]:
    """The newest published checkpoint that covers what must be proven, and the witnesses' lines below it."""
    asked, lacking = state.require_trust_root().witnesses, ""
    needed = max(*history.trust(), *(number for item in files for number in item.chosen.numbers)) + 1
    for raw in _published_checkpoints(store, state):
        checkpoint = checkpoints.parse(raw)[0]
        if checkpoint.size < needed:
            continue
        found = cosigned.look(lines_from, asked, checkpoint)
        if found.enough:
            return raw, found.files()
        lacking = lacking or found.lacking or ""
    if lacking:
        raise PolicyDenied(lacking, hint="publish the channel with --wait, or come back when they have signed")
    raise PolicyDenied(
        f"no published checkpoint covers ledger entry {needed - 1} yet",
        hint="give the ledger's key, or publish the channel first",
    )


def _published_checkpoints(store: gathering.ReadStore, state: LedgerState) -> Iterator[bytes]:
    """Checkpoints that publications carry, newest first."""
    rows = heapq.merge(*(rows.newest() for rows in state.publications.values()), key=lambda row: -row.entry)
    for row in rows:
        claim = publication.parse(parse_unverified(store.read(row.statement)).predicate)
        if published_paths.CHECKPOINT in claim.targets:
            yield store.read(claim.targets[published_paths.CHECKPOINT].digest)


def _add_nodes(gathered: Gathered, history: History, size: int) -> None:
    """What shows that the ledger only grew, to whoever saw a checkpoint: each of them ends in a seal that held."""
    seen = [number + 1 for number in history.seals if number + 1 < size]
    gathered.add(published_paths.NODES, log_nodes.to_bytes(seen, size, proof_gathering.tree_of(history, size).hash_at))


def _head(state: LedgerState, version: str, release: Digest, channels: Sequence[str]) -> bytes:
    return canonical.dumps(
        {
            "format": KIT_FORMAT,
            "store": state.store,
            "ledger": state.ledger,
            "version": version,
            "release": release,
            "channels": list(channels),
        }
    )


def _write(path: str, gathered: Gathered, store: gathering.ReadStore, mtime: int) -> int:
    """Complete or not there; never over an existing file. Returns the size."""
    path = os.path.abspath(path)
    temp = os.path.join(os.path.dirname(path), f".tmp-{os.getpid()}-{secrets.token_hex(6)}")
    members = {name: _member(name, info, gathered, store) for name, info in gathered.targets.items()}
    try:
        try:
            with open(temp, "xb") as file:
                kit_files.write(file, members, mtime=mtime)
                file.flush()
                os.fsync(file.fileno())
            take_name(temp, path)
        finally:
            if os.path.lexists(temp):
                os.unlink(temp)
        sync_folder(os.path.dirname(path))
        return os.path.getsize(path)
    except FileExistsError as exc:
        raise Conflict(f"{path}: is there already and was not overwritten", hint="name another file") from exc
    except OSError as exc:
        raise os_error(exc, path, writing=True) from exc


def _member(name: str, info: TargetInfo, gathered: Gathered, store: gathering.ReadStore) -> Member:
    if name in gathered.fresh:
        return Member(info.length, lambda: gathered.fresh.chunks(name))
    return Member(info.length, lambda: store.chunks(info.digest))
