"""TUF's keys are publishers of the ledger's trust root: one pin is enough, and a lost key ends nothing.

Promises: pure. Every key of every TUF role must be an identity with the role `publisher` that is not revoked; where a
TUF root can no longer be replaced because its keys are publishers no more, the next one that says so starts
TUF anew (docs/formats/published-layout.md). Leaves to others: the trust root (`published_roots`, the proof).

    check(tuf_root, trust_root, revoked, sealed_at=seal.time, at=now)        # or TrustError
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from attest.core import times
from attest.errors import BadInput, FormatError, TrustError, VerificationError
from attest.keys import identities, keys
from attest.trust.trust_roots import TrustIdentity, TrustRoot
from bundlers.errors import Ended

if TYPE_CHECKING:
    from tuf.api.metadata import Metadata, Root

ANEW = "casstore-starts-anew"
"""The field of a TUF root that follows none: `{"reset": false}`."""
AFTER_END = timedelta(days=30)
"""So long what was published before a publisher's window ended goes on to count."""
PUBLISHER = "publisher"


def load(data: bytes) -> Metadata[Root]:
    """A root file. Raises VerificationError."""
    from tuf.api.exceptions import RepositoryError
    from tuf.api.metadata import Metadata, Root
    from tuf.api.serialization import DeserializationError

    try:
        metadata: Metadata[Root] = Metadata.from_bytes(data)
    except (RepositoryError, DeserializationError) as exc:
        raise VerificationError(f"TUF root: cannot be read: {exc}") from exc
    if metadata.signed.type != Root.type:
        raise VerificationError(f"TUF root: is {metadata.signed.type} metadata")
    return metadata


def holders(root: Root) -> Mapping[str, frozenset[str]]:
    """TUF role -> identities of its keys. Raises VerificationError for a key that no trust root can name."""
    return {name: frozenset(_identity(root.keys[keyid]) for keyid in role.keyids) for name, role in root.roles.items()}


def publishers(root: TrustRoot) -> frozenset[str]:
    """Everybody who has the role, whenever."""
    names = set(root.holders(PUBLISHER))
    return frozenset(entry.identity for entry in root.identities if entry.name in names)


def check(data: bytes, root: TrustRoot, revoked: Collection[str], *, sealed_at: datetime, at: datetime) -> None:
    """Raises TrustError when a key of a TUF role is none of the publishers that counted when the ledger was sealed."""
    for role, found in holders(load(data).signed).items():
        for identity in sorted(found):
            if why := _not_now(identity, root, revoked, sealed_at):
                raise TrustError(
                    f"TUF's {role} is signed by {identities.short(identity)}, who {why}",
                    hint="do not install from here; ask the owners who may publish",
                )
            if (until := _counts_until(identity, root)) is not None and at >= until:
                raise Ended(
                    f"TUF's {role} is signed by {identities.short(identity)}, who is a publisher no more for over"
                    f" {AFTER_END.days} days",
                    hint="do not install from here; ask the owners who may publish",
                    until=until,
                )


def _not_now(identity: str, root: TrustRoot, revoked: Collection[str], sealed_at: datetime) -> str | None:
    if identity in revoked:
        return "was revoked or suspended"
    mine = _entries(identity, root)
    if not mine:
        return f"is no publisher of trust root version {root.version}"
    if not any(entry.valid_at(sealed_at) for entry in mine):
        return f"was no publisher when the ledger was sealed, at {times.format(sealed_at)}"
    return None


def _counts_until(identity: str, root: TrustRoot) -> datetime | None:
    """So long what a publisher published counts; None: for good."""
    ends = [entry.valid_until for entry in _entries(identity, root)]
    return None if None in ends else max(end for end in ends if end is not None) + AFTER_END


def _entries(identity: str, root: TrustRoot) -> list[TrustIdentity]:
    names = set(root.holders(PUBLISHER))
    return [entry for entry in root.identities if entry.identity == identity and entry.name in names]


def lost(before: Root, known: Collection[str]) -> bool:
    """Whether too few keys of a root are left among the publishers for it ever to be replaced by its own signature."""
    role = before.roles["root"]
    return len(holders(before)["root"] & set(known)) < role.threshold


def starts_anew(candidate: Metadata[Root], before: Metadata[Root], known: Collection[str]) -> bool:
    """Whether a root that `before` did not sign may take its place: it says so, and all its keys are publishers'."""
    if ANEW not in candidate.signed.unrecognized_fields or candidate.signed.version <= before.signed.version:
        return False
    found = frozenset().union(*holders(candidate.signed).values())
    return found <= set(known) and lost(before.signed, known) and signs(candidate, candidate)


def signs(by: Metadata[Root], root: Metadata[Root]) -> bool:
    """Whether the threshold of one root signed another."""
    from tuf.api.exceptions import RepositoryError

    try:
        by.verify_delegate("root", root)
    except RepositoryError:
        return False
    return True


def resets(data: bytes) -> bool:
    """Whether a root that starts anew also forgets the numbers that were seen: somebody counted them up."""
    said: Any = load(data).signed.unrecognized_fields.get(ANEW)
    return isinstance(said, dict) and said.get("reset") is True


def _identity(key: Any) -> str:
    from cryptography.hazmat.primitives.asymmetric import ed25519

    public = key.keyval.get("public", "")
    try:
        if key.keytype == "ed25519":
            return keys.identity_of(ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)))
        return keys.identity_of(keys.public_from_pem(public.encode()))
    except (ValueError, FormatError, BadInput) as exc:
        raise VerificationError(
            f"TUF root: a key of type {str(key.keytype)[:40]!r} is none that casstore takes"
        ) from exc
