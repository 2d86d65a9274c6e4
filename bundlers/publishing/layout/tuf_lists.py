"""Lists of targets as TUF metadata: `targets.json` with its delegations, and the roles that list older targets.

Promises: pure; delegations name the keys of the role `targets` and no others. Leaves to others: which role lists what
(`older_lists`), the snapshot above them (`tuf_repository`).

    data = role_bytes(part, "older-1", listed, 16, signer, expires=time)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from attest.core import limits
from attest.core.values import dataclass
from attest.digests import Digest, hex_of
from attest.errors import SignerError, VerificationError
from attest.signers import Signer
from attest.statements.predicates.publication import PublishedRole
from bundlers.publishing.layout.older_lists import PATHS, Part, names_of

if TYPE_CHECKING:
    from tuf.api.metadata import DelegatedRole, Delegations, Metadata, MetaFile, Role, Root, TargetFile, Targets


class _Target(Protocol):
    @property
    def digest(self) -> Digest:
        """Of its bytes."""

    @property
    def length(self) -> int:
        """In bytes."""


@dataclass(frozen=True, slots=True)
class OlderRoles:
    """The roles of a publication that list older targets."""

    parts: Sequence[Part] = ()
    rows: Mapping[str, PublishedRole] = field(default_factory=dict)
    """By name, with those that no delegation leads to any more."""

    @property
    def live(self) -> dict[str, PublishedRole]:
        """Those that lookups may come to. Raises VerificationError for a record that tells one of them nothing."""
        names = names_of(self.parts)
        if lacking := sorted(names - self.rows.keys()):
            raise VerificationError(
                f"the record of the publication says nothing of {lacking[0]}, which lists older targets",
                hint="publish to another destination: who recorded it had another program",
            )
        return {name: self.rows[name] for name in sorted(names)}


NO_OLDER = OlderRoles()


def top(number: int, targets: Mapping[str, _Target], older: OlderRoles, root: Root, expires: datetime) -> Targets:
    """`targets.json`, unsigned."""
    from tuf.api.metadata import Delegations, Targets

    role = root.roles["targets"]
    keys = {keyid: root.keys[keyid] for keyid in role.keyids}
    roles = {part.name: _role(part.name, role, paths=list(PATHS)) for part in older.parts}
    made = Delegations(keys, roles=roles) if roles else None
    return Targets(number, expires=expires, targets=_files(targets), delegations=made)


def snapshot_rows(older: OlderRoles) -> dict[str, MetaFile]:
    """What the snapshot says of them: of those that are gone their last version, since TUF lets no name vanish."""
    from tuf.api.metadata import MetaFile

    live = older.live
    return {
        f"{name}.json": MetaFile(row.version, row.length, {"sha256": hex_of(row.digest)})
        if name in live
        else MetaFile(row.version)
        for name, row in older.rows.items()
    }


def role_bytes(
    part: Part, name: str, listed: Mapping[str, _Target], version: int, signer: Signer, *, expires: datetime
) -> bytes:
    """One of a part's roles, signed: its list, or the delegations to its bins. Raises SignerError, BadInput."""
    from tuf.api.metadata import Delegations, Metadata, Role, Targets

    made: Delegations | None = None
    if part.bins and name == part.name:
        key = tuf_signer(signer).public_key
        role = Role([key.keyid], 1)
        bins = {one.name: _role(one.name, role, prefixes=list(one.prefixes)) for one in part.bins}
        made = Delegations({key.keyid: key}, roles=bins)
    metadata = Metadata(Targets(version, expires=expires, targets=_files(listed), delegations=made))
    sign(metadata, signer)
    data = metadata.to_bytes()
    limits.check(data, limits.TUF_TARGETS, f"TUF {name}")
    return data


def sign(metadata: Metadata[Any], signer: Signer, *, append: bool = False) -> None:
    """Raises SignerError."""
    from tuf.api.exceptions import RepositoryError

    try:
        metadata.sign(tuf_signer(signer), append=append)
    except RepositoryError as exc:
        raise SignerError(f"TUF {metadata.signed.type}: {signer.identity} cannot sign: {exc}") from exc


def tuf_signer(signer: Signer) -> Any:
    """As TUF's library takes it."""
    return signer.as_securesystemslib()


def _role(name: str, by: Role, paths: list[str] | None = None, prefixes: list[str] | None = None) -> DelegatedRole:
    """Found by patterns of paths, or by what their sha256 begins with."""
    from tuf.api.metadata import DelegatedRole

    return DelegatedRole(name, by.keyids, by.threshold, False, paths=paths, path_hash_prefixes=prefixes)


def _files(targets: Mapping[str, _Target]) -> dict[str, TargetFile]:
    from tuf.api.metadata import TargetFile

    return {
        path: TargetFile(target.length, {"sha256": hex_of(target.digest)}, path)
        for path, target in sorted(targets.items())
    }
