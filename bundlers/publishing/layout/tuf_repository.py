"""TUF metadata as bytes: the only door to `tuf` for writing.

Promises: pure (numbers, targets, signers and times in, bytes out); version `number` of targets,
snapshot and timestamp is the number of the publication; the same input has the same signed part,
so that an interrupted publication can be finished (ECDSA signatures differ, the signed part does
not). Leaves to others: where bytes go (`destinations`), in which order (`publication`).
Source: https://theupdateframework.github.io/specification/v1.0.34/

    root = next_root(None, signers, now=now)
    files = make_metadata(1, root, targets, signers, now=now, existing=lambda name: None)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from attest.core import limits
from attest.digests import Digest, from_hex, hex_of
from attest.errors import SignerError, VerificationError
from attest.signers import Signer
from bundlers.publishing.layout import tuf_bond, tuf_lists
from bundlers.publishing.layout.tuf_lists import NO_OLDER, OlderRoles, sign, tuf_signer
from casstore.errors import Conflict

if TYPE_CHECKING:
    from tuf.api.metadata import Metadata, Root

_LIMITS = {
    "targets": limits.TUF_TARGETS,
    "snapshot": limits.TUF_SNAPSHOT,
    "timestamp": limits.TUF_TIMESTAMP,
}
TOP_LEVEL = ("root", "targets", "snapshot", "timestamp")


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Days until each role expires; nothing lives for ever."""

    root: int = 365
    targets: int = 90
    snapshot: int = 90
    timestamp: int = 30


@dataclass(frozen=True, slots=True)
class TufSigners:
    """Who signs: `online` the three roles of every publication, `root` the root when it changes.

    To rotate the root key, give the new signer first and the one before it second. None at all: the online one, unless
    another holds the root, which then stays offline.
    """

    online: Signer
    root: tuple[Signer, ...]

    @staticmethod
    def single(signer: Signer) -> TufSigners:
        """One signer for all four roles."""
        return TufSigners(signer, (signer,))


@dataclass(frozen=True, slots=True)
class TargetInfo:
    """What TUF says of a target file."""

    digest: Digest
    length: int


@dataclass(frozen=True, slots=True)
class MetadataFile:
    """One file under `metadata/`."""

    name: str
    data: bytes


def next_root(
    previous: bytes | None,
    signers: TufSigners,
    *,
    now: datetime,
    lifetimes: Lifetimes = Lifetimes(),
    publishers: Collection[str] | None = None,
    reset: bool = False,
) -> bytes | None:
    """Root 1, or the root after `previous`; None when `previous` still serves.

    A new one is due when a role's key changed or a quarter of the lifetime is left. One whose keys are publishers no
    more is followed by a root that starts anew (`tuf_bond`); `reset` then also forgets the numbers that were seen.
    """
    if previous is None:
        signers = _with_root(signers, None)
        return _sign_root(_wanted_root(1, signers, now, lifetimes), None, signers)
    before = tuf_bond.load(previous)
    if publishers is not None and tuf_bond.lost(before.signed, publishers):
        signers = _with_root(signers, None)
        wanted = _wanted_root(before.signed.version + 1, signers, now, lifetimes)
        wanted.unrecognized_fields[tuf_bond.ANEW] = {"reset": reset}
        return _sign_root(wanted, None, signers)
    signers = _with_root(signers, before.signed)
    due = before.signed.expires - timedelta(days=lifetimes.root) / 4
    wanted = _wanted_root(before.signed.version + 1, signers, now, lifetimes)
    if now < due and _same_keys(before.signed, wanted, signers):
        return None
    return _sign_root(wanted, before, signers)


def _with_root(signers: TufSigners, before: Root | None) -> TufSigners:
    """The online signer holds the root too, unless another one does."""
    mine = before is None or tuf_signer(signers.online).public_key.keyid in before.roles["root"].keyids
    return replace(signers, root=(signers.online,)) if mine and not signers.root else signers


def newest_root(read: Callable[[int], bytes | None]) -> bytes | None:
    """The last of the roots at a destination; each must be signed by the one before it, or start anew."""
    newest, version = None, 1
    while (data := read(version)) is not None:
        metadata = tuf_bond.load(data)
        before = tuf_bond.load(newest) if newest else metadata
        _verify(f"{version}.root.json", metadata, metadata)
        if tuf_bond.ANEW not in metadata.signed.unrecognized_fields:
            _verify(f"{version}.root.json", before, metadata)
        if metadata.signed.version != version:
            raise VerificationError(f"metadata/{version}.root.json: says that it is version {metadata.signed.version}")
        newest, version = data, version + 1
    return newest


def version_of(data: bytes) -> int:
    """The version in a metadata file, unverified."""
    return int(_load(data, None, "metadata").signed.version)


def targets_of(data: bytes) -> dict[str, TargetInfo]:
    """The targets in a targets file, unverified."""
    from tuf.api.metadata import Targets

    found = _load(data, Targets, "targets").signed.targets
    return {path: TargetInfo(from_hex(item.hashes.get("sha256", "")), item.length) for path, item in found.items()}


def expiry_of(data: bytes) -> datetime:
    """The expiry in a metadata file, unverified."""
    expires: datetime = _load(data, None, "metadata").signed.expires
    return expires


def make_metadata(
    number: int,
    root: bytes,
    targets: Mapping[str, TargetInfo],
    signers: TufSigners,
    *,
    now: datetime,
    existing: Callable[[str], bytes | None],
    lifetimes: Lifetimes = Lifetimes(),
    older: OlderRoles = NO_OLDER,
) -> list[MetadataFile]:
    """The three files of publication `number`, in the order to write them; timestamp.json is last.

    `targets` are those that `targets.json` names; `older`: the roles that list others, which are signed already.
    `existing(name)` gives a file that an earlier, interrupted run left, or None. One with our
    signed part and a good signature is kept; anything else raises Conflict.
    """
    from tuf.api.metadata import MetaFile, Root, Snapshot, Timestamp

    delegator = _load(root, Root, "root")
    ends = {role: _whole(now) + timedelta(days=getattr(lifetimes, role)) for role in TOP_LEVEL}
    files = []

    def add(name: str, signed: Any) -> bytes:
        data = _signed_or_kept(name, signed, delegator, signers.online, existing(name))
        limits.check(data, _LIMITS[signed.type], f"TUF {name}")
        files.append(MetadataFile(name, data))
        return data

    data = add(f"{number}.targets.json", tuf_lists.top(number, targets, older, delegator.signed, ends["targets"]))
    meta = {"targets.json": MetaFile.from_data(number, data, ["sha256"]), **tuf_lists.snapshot_rows(older)}
    data = add(f"{number}.snapshot.json", Snapshot(number, expires=ends["snapshot"], meta=meta))
    snapshot = MetaFile.from_data(number, data, ["sha256"])
    add("timestamp.json", Timestamp(number, expires=ends["timestamp"], snapshot_meta=snapshot))
    return files


def check_targets(targets: Mapping[str, TargetInfo]) -> None:
    """Raises BadInput where consumers could not read the list of targets, or one that is no archive."""
    limits.check(range(sum(len(path) + _ROW for path in targets)), limits.TUF_TARGETS, "TUF targets")


_ROW = 160
"""Bytes of a target beside its path, at most."""


def target_name(path: str, digest: Digest) -> str:
    """Where a target lies under `targets/` in a consistent snapshot: `<dir>/<hash>.<name>`."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{hex_of(digest)}.{name}"


def _whole(now: datetime) -> datetime:
    return now.replace(microsecond=0)


def _wanted_root(version: int, signers: TufSigners, now: datetime, lifetimes: Lifetimes) -> Root:
    from tuf.api.metadata import Root

    root = Root(version, expires=_whole(now) + timedelta(days=lifetimes.root), consistent_snapshot=True)
    online = tuf_signer(signers.online).public_key
    if signers.root:
        root.add_key(tuf_signer(signers.root[0]).public_key, "root")
    for role in ("targets", "snapshot", "timestamp"):
        root.add_key(online, role)
    return root


def _same_keys(before: Root, wanted: Root, signers: TufSigners) -> bool:
    roles = TOP_LEVEL if signers.root else TOP_LEVEL[1:]
    return all(before.roles[role].keyids == wanted.roles[role].keyids for role in roles)


def _sign_root(wanted: Root, before: Metadata[Root] | None, signers: TufSigners) -> bytes:
    from tuf.api.exceptions import UnsignedMetadataError
    from tuf.api.metadata import Metadata

    metadata = Metadata(wanted)
    for signer in signers.root:
        sign(metadata, signer, append=True)
    try:
        for delegator in (before, metadata):
            if delegator is not None:
                delegator.verify_delegate("root", metadata)
    except UnsignedMetadataError as exc:
        raise SignerError(
            f"TUF root {wanted.version}: not signed by the root key of the version before it",
            hint="give the signer of the published TUF root; to change it, give the new one and the old one",
        ) from exc
    return metadata.to_bytes()


def _signed_or_kept(name: str, signed: Any, root: Metadata[Root], signer: Signer, kept: bytes | None) -> bytes:
    from tuf.api.metadata import Metadata

    metadata: Metadata[Any] = Metadata(signed)
    if kept is None:
        sign(metadata, signer)
        _verify(name, root, metadata)
        return metadata.to_bytes()
    there = _load(kept, type(signed), name)
    if there.signed_bytes != metadata.signed_bytes:
        raise Conflict(
            f"metadata/{name} is published already and says something else",
            hint="another publisher writes to this destination; nothing was overwritten",
        )
    _verify(name, root, there)
    return kept


def _verify(name: str, root: Metadata[Root], metadata: Metadata[Any]) -> None:
    from tuf.api.exceptions import RepositoryError

    try:
        root.verify_delegate(metadata.signed.type, metadata)
    except RepositoryError as exc:
        raise VerificationError(
            f"metadata/{name}: not signed by the key that the TUF root names: {exc}",
            hint="publish with the signer of the published root",
        ) from exc


def _load(data: bytes, kind: type[Any] | None, name: str) -> Metadata[Any]:
    from tuf.api.exceptions import RepositoryError
    from tuf.api.metadata import Metadata
    from tuf.api.serialization import DeserializationError

    try:
        metadata: Metadata[Any] = Metadata.from_bytes(data)
    except (RepositoryError, DeserializationError) as exc:
        raise VerificationError(f"TUF {name}: cannot be read: {exc}") from exc
    if kind is not None and metadata.signed.type != kind.type:
        raise VerificationError(f"TUF {name}: is {metadata.signed.type} metadata, {kind.type} is wanted")
    return metadata


def is_signed(root: bytes, data: bytes, role: str) -> bool:
    """Whether metadata is of a role and signed by the keys that a root names for it."""
    metadata = _load(data, None, "metadata")
    if metadata.signed.type != role:
        return False
    try:
        _verify(metadata.signed.type, tuf_bond.load(root), metadata)
    except VerificationError:
        return False
    return True


def is_by(data: bytes, signer: Signer) -> bool:
    """Whether metadata that a record of ours names was signed with this key."""
    return tuf_signer(signer).public_key.keyid in _load(data, None, "role").signatures


def names(above: bytes, below: bytes) -> bool:
    """Whether a timestamp or snapshot names this very file; signatures are not judged."""
    from tuf.api.exceptions import LengthOrHashMismatchError

    try:
        signed = _load(above, None, "metadata").signed
        meta = signed.snapshot_meta if signed.type == "timestamp" else signed.meta["targets.json"]
        meta.verify_length_and_hashes(below)
    except (VerificationError, LengthOrHashMismatchError, AttributeError, KeyError):
        return False
    return True
