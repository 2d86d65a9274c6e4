"""Which trust root follows which: each version is signed by the owners of the one before it.

Rules, after TUF's root role (https://theupdateframework.github.io/specification/latest/#update-root):

- it has a version, an expiry, and is signed by a threshold of its own owners;
- version N is also signed by a threshold of the owners of version N-1, and names the same store;
- an owner whose identity was revoked does not count, as long as enough others are left;
- thresholds are at least 1 and count identities: one key under two names is one;
- signatures are judged at the time the document says it was made, moved between the seals of the
  ledger around it; a keyless owner may sign up to 30 days after it;
- it names the rules, and the features, by which entries are judged from then on; a reader that
  does not know one of them stops (TooNew) and calls nothing void;
- keyless owners are judged by the sigstore root that the version pins whose threshold is counted.

Expiry is judged where a trust root is used, not here: an expired one can still be followed.

    root = verify_first(raw, at=now)
    root = verify_next(raw2, previous=root, at=now)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from attest import digests
from attest.core import times
from attest.core.fields import Fields
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import CasstoreError, FormatError, NotInstalled, OutOfTime, TooNew, TrustError
from attest.sigstore import sigstore_bundles
from attest.statements import statements
from attest.trust.trust_roots import CLOCK_LEEWAY, TYPE, TrustRoot, bundles_of, parse_payload, payload_of
from attest.trust.verify import verify

SIGNING_PERIOD = timedelta(days=30)
"""How long after `created` a keyless owner may sign."""

ReadBlob = Callable[[Digest], bytes]
"""The bytes of a pinned sigstore root by digest."""


@dataclass(frozen=True, slots=True)
class OwnerSigned:
    """One attestation of a signed file by an owner."""

    identity: str
    names: frozenset[str]
    bundle: Digest


def owner_signatures(
    raw: bytes,
    claimed: TrustRoot,
    by: TrustRoot,
    *,
    at: datetime,
    sigstore_root: bytes | None = None,
    floor: datetime | None = None,
    until: datetime | None = None,
) -> list[OwnerSigned]:
    """The attestations over `claimed` by owners of the trust root `by`, as known at `at`.

    `floor`, `until`: the document counts as made no earlier, no later than this, whatever it says.
    """
    found = []
    for item in bundles_of(raw):
        try:
            found.append(_owner_signed(item, claimed, by, at, sigstore_root, _made(claimed, floor, until)))
        except NotInstalled:
            raise
        except CasstoreError:
            continue
    return found


def _owner_signed(
    raw: bytes,
    claimed: TrustRoot,
    by: TrustRoot,
    at: datetime,
    sigstore_root: bytes | None,
    made: datetime,
) -> OwnerSigned:
    keyless = sigstore_bundles.SigstoreBundle.parse(raw).certificate is not None
    until = min(max(at, made), made + SIGNING_PERIOD) if keyless else made
    verified = verify(
        raw, trust_root=by, predicate_type=TYPE, subjects=[claimed.digest], at=until, sigstore_root=sigstore_root
    )
    if verified.signed_at is not None and verified.signed_at < min(claimed.created, made) - CLOCK_LEEWAY:
        raise TrustError("it was signed before the document says that it was made")
    if "owner" not in by.roles_of(verified.identity, made):
        raise TrustError("its signer is no owner")
    return OwnerSigned(verified.identity, verified.names, verified.bundle)


def _made(root: TrustRoot, floor: datetime | None, until: datetime | None) -> datetime:
    """When a document counts as made."""
    made = root.created if floor is None else max(root.created, floor)
    return made if until is None else min(made, until)


def pinned_sigstore(root: TrustRoot, read: ReadBlob | None, given: bytes | None = None) -> bytes | None:
    """What keyless signatures are judged by under a trust root. Raises TrustError for another file."""
    if root.sigstore_root is None:
        return given
    if read is not None:
        given = read(root.sigstore_root)
    if given is not None and digests.sha256(given) != root.sigstore_root:
        raise TrustError(
            f"trust root version {root.version} pins the sigstore root {root.sigstore_root}, this is another one",
            hint="give the trusted_root.json that the owners signed, or none",
        )
    return given


def verify_first(
    raw_signed: bytes, *, at: datetime, read: ReadBlob | None = None, sigstore_root: bytes | None = None
) -> TrustRoot:
    """A first trust root: signed by the threshold of its own owners. Raises FormatError, TrustError.

    `read` gives the sigstore root that it pins; `sigstore_root` is for one that pins none.
    """
    root = parse_payload(payload_of(raw_signed))
    if root.version != 1:
        raise TrustError(f"the first trust root has version 1, not {root.version}")
    _require(raw_signed, root, root, at, pinned_sigstore(root, read, sigstore_root))
    return root


def verify_next(
    raw_signed: bytes,
    *,
    previous: TrustRoot,
    at: datetime,
    revoked: Collection[str] = (),
    read: ReadBlob | None = None,
    sigstore_root: bytes | None = None,
    floor: datetime | None = None,
    until: datetime | None = None,
) -> TrustRoot:
    """Version N+1: signed by the thresholds of the owners of both. Raises FormatError, TrustError.

    `revoked`: identities whose signature counts no more, as long as enough other owners are left:
    else nobody could ever replace them. `floor`: the document counts as made no earlier than this, as long as
    enough owners are left by then; `until`: nor later than this.
    """
    try:
        root = parse_payload(payload_of(raw_signed))
    except TooNew:
        _require_owners_of(raw_signed, previous, at, pinned_sigstore(previous, read, sigstore_root), revoked)
        raise
    if root.version != previous.version + 1:
        raise TrustError(f"trust root version {previous.version + 1} is wanted next, this is {root.version}")
    if root.store != previous.store:
        raise TrustError("the next trust root is for another store")
    for by in (previous, root):
        _require(raw_signed, root, by, at, pinned_sigstore(by, read, sigstore_root), revoked, floor, until)
    return root


def verify_chain(
    raws: Sequence[bytes], *, at: datetime, read: ReadBlob | None = None, sigstore_root: bytes | None = None
) -> list[TrustRoot]:
    """All versions, first to last. Raises FormatError, TrustError; an empty chain is an error."""
    if not raws:
        raise TrustError("there is no trust root", hint="get the chain from who runs the release line")
    chain = [verify_first(raws[0], at=at, read=read, sigstore_root=sigstore_root)]
    for raw in raws[1:]:
        chain.append(verify_next(raw, previous=chain[-1], at=at, read=read, sigstore_root=sigstore_root))
    return chain


def check_not_ahead(root: TrustRoot, now: datetime) -> None:
    """For owners who are about to adopt it: the ledger itself moves what a clock claims. Raises OutOfTime."""
    if root.created > now + CLOCK_LEEWAY:
        raise OutOfTime(
            f"trust root version {root.version} was created in the future: {times.format(root.created)}",
            hint="set the clock of the machine that drafted it, and draft it again",
        )


def _require_owners_of(
    raw: bytes, previous: TrustRoot, at: datetime, sigstore_root: bytes | None, revoked: Collection[str]
) -> None:
    """Whether the owners of the version before signed a document that is too new to read: nobody else stops readers."""
    statement = statements.parse(payload_of(raw))
    if statement.predicate_type != TYPE or statement.predicate.get("version") != previous.version + 1:
        raise FormatError("not the next trust root")
    created = Fields({"created": statement.predicate.get("created")}, "trust root", required=("created",)).time(
        "created"
    )
    stand_in = replace(previous, version=previous.version + 1, created=created)
    object.__setattr__(stand_in, "digest", statement.subject(f"trust-root/{previous.version + 1}"))
    _require(raw, stand_in, previous, at, sigstore_root, revoked)


def _owners(root: TrustRoot, at: datetime) -> set[str]:
    """The identities that are owners at a time."""
    holders = set(root.holders("owner"))
    return {entry.identity for entry in root.identities if entry.name in holders and entry.valid_at(at)}


def _require(
    raw: bytes,
    root: TrustRoot,
    by: TrustRoot,
    at: datetime,
    sigstore_root: bytes | None,
    revoked: Collection[str] = (),
    floor: datetime | None = None,
    until: datetime | None = None,
) -> None:
    need = by.threshold("owner")
    if floor is not None and len(_owners(by, _made(root, floor, until)) - set(revoked)) < need:
        floor = None  # else a seal that is dated ahead, or time alone, would lock all owners out for good
    found = owner_signatures(raw, root, by, at=at, sigstore_root=sigstore_root, floor=floor, until=until)
    signed = {item.identity for item in found}
    if len(_owners(by, _made(root, floor, until)) - set(revoked)) >= need:
        signed -= set(revoked)
    have = len(signed)
    if have < need:
        raise TrustError(
            f"trust root version {root.version} has {have} of the {need} owner signatures that version"
            f" {by.version} asks for",
            hint=f"owners by version {by.version}: {', '.join(by.holders('owner'))}",
        )
