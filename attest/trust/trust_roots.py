"""The trust root: who may sign what, and what each channel requires (docs/formats/trust-root.md).

Rules, after TUF's root role (https://theupdateframework.github.io/specification/latest/#update-root):

- it has a version, an expiry, and is signed by a threshold of its own owners;
- version N is also signed by a threshold of the owners of version N-1, and names the same store;
- an owner whose identity was revoked does not count, as long as enough others are left;
- thresholds are at least 1 and count identities: one key under two names is one;
- signatures are judged at the time the document says it was made, which must not lie in the
  future nor before the version before; a keyless owner may sign up to 30 days after it;
- it names the rules, and the features, by which entries are judged from then on; a reader that
  does not know one of them stops (TooNew) and calls nothing void;
- keyless owners are judged by the sigstore root that the version pins whose threshold is counted.

Expiry is judged where a trust root is used, not here: an expired one can still be followed.

    root = verify_first(raw, at=now)
    root = verify_next(raw2, previous=root, at=now)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from attest import canonical, digests
from attest.core import times
from attest.core.fields import Fields
from attest.digests import Digest
from attest.errors import BadInput, CasstoreError, FormatError, NotInstalled, TooNew, TrustError, VerificationError
from attest.keys import identities, keys
from attest.sigstore import sigstore_bundles
from attest.statements import statements
from attest.statements.predicates import OWN
from attest.statements.statements import Statement, Subject
from attest.trust.policies import ChannelPolicy, parse_channels
from attest.trust.requirements import ROLES

TYPE = OWN.format("trust-root")
FORMAT = "casstore-trust-root/1"
SIGNED_FORMAT = "casstore-signed-trust-root/1"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")
"""Names are shown, listed with commas, and written as NAME=VALUE."""
CLOCK_LEEWAY = timedelta(minutes=10)
SIGNING_PERIOD = timedelta(days=30)
"""How long after `created` a keyless owner may sign."""

RULES = 2
"""The rules that this program judges entries by (docs/formats/ledger-entry.md)."""
FEATURES: frozenset[str] = frozenset()
"""What it knows beside them."""

ReadBlob = Callable[[Digest], bytes]
"""The bytes of a pinned sigstore root by digest."""


@dataclass(frozen=True, slots=True)
class TrustIdentity:
    """One name and who it stands for, within a time window."""

    name: str
    identity: str
    public_pem: bytes | None
    valid_from: datetime
    valid_until: datetime | None = None

    def valid_at(self, at: datetime) -> bool:
        """Whether the window holds the time."""
        return self.valid_from <= at and (self.valid_until is None or at < self.valid_until)

    def to_json(self) -> dict[str, Any]:
        """The entry under its name."""
        return {
            "identity": self.identity,
            **({"publicKey": self.public_pem.decode()} if self.public_pem else {}),
            "validFrom": times.format(self.valid_from),
            "validUntil": times.format(self.valid_until) if self.valid_until else None,
        }


@dataclass(frozen=True, slots=True)
class Role:
    """Who holds a role, and how many of them must agree."""

    name: str
    identities: tuple[str, ...]
    """Names of the trust root's identities."""
    threshold: int = 1

    def to_json(self) -> dict[str, Any]:
        """The role under its name."""
        return {"identities": list(self.identities), "threshold": self.threshold}


@dataclass(frozen=True)
class TrustRoot:
    """One version of the trust root."""

    version: int
    store: str
    created: datetime
    expires: datetime
    identities: tuple[TrustIdentity, ...]
    roles: Mapping[str, Role]
    channels: Mapping[str, ChannelPolicy]
    sigstore_root: Digest | None = None
    """The trusted_root.json that keyless signatures are judged by; None: each reader brings one."""
    rules: int = RULES
    features: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The document, the predicate of its statement."""
        return {
            "format": FORMAT,
            "version": self.version,
            "store": self.store,
            "rules": self.rules,
            "features": list(self.features),
            "created": times.format(self.created),
            "expires": times.format(self.expires),
            "identities": {entry.name: entry.to_json() for entry in self.identities},
            "roles": {name: role.to_json() for name, role in self.roles.items()},
            "channels": {name: policy.to_json() for name, policy in self.channels.items()},
            **({"sigstoreRoot": self.sigstore_root} if self.sigstore_root else {}),
        }

    @cached_property
    def digest(self) -> Digest:
        """The digest of the document's canonical form."""
        return digests.sha256(canonical.dumps(self.to_json()))

    def statement(self) -> Statement:
        """What the owners sign."""
        return Statement((Subject(f"trust-root/{self.version}", self.digest),), TYPE, self.to_json())

    def holders(self, role: str) -> tuple[str, ...]:
        """The names that hold a role."""
        return self.roles[role].identities if role in self.roles else ()

    def threshold(self, role: str) -> int:
        """How many distinct holders must agree."""
        return self.roles[role].threshold if role in self.roles else 1

    def names_of(self, identity: str, at: datetime) -> frozenset[str]:
        """The names under which an identity is known and valid."""
        return frozenset(e.name for e in self.identities if e.identity == identity and e.valid_at(at))

    def roles_of(self, identity: str, at: datetime) -> frozenset[str]:
        """The roles that an identity holds at a time, under any of its names."""
        names = self.names_of(identity, at)
        return frozenset(role.name for role in self.roles.values() if names & set(role.identities))

    def identity_of(self, name: str) -> TrustIdentity | None:
        """The entry under a name."""
        return next((entry for entry in self.identities if entry.name == name), None)

    def public_pem_of(self, identity: str) -> bytes | None:
        """The public key of a managed-key identity."""
        return next((e.public_pem for e in self.identities if e.identity == identity and e.public_pem), None)


def parse(value: object) -> TrustRoot:
    """The document to value, with every rule of its format. Raises FormatError, TooNew."""
    check_known(value)
    names = ("format", "version", "store", "rules", "features", "created", "expires", "identities", "roles", "channels")
    f = Fields(value, "trust root", required=names, optional=("sigstoreRoot",))
    if f.text("format") != FORMAT:
        raise FormatError(f"trust root: the format is {f.text('format')[:60]!r}, not {FORMAT}")
    entries = tuple(_identity(name, item) for name, item in sorted(f.mapping("identities").items()))
    known = {entry.name: entry for entry in entries}
    root = TrustRoot(
        f.integer("version", least=1),
        f.text("store"),
        f.time("created"),
        f.time("expires"),
        entries,
        {name: _role(name, item, known) for name, item in sorted(f.mapping("roles").items())},
        parse_channels(f.mapping("channels")),
        f.optional_digest("sigstoreRoot"),
        f.integer("rules"),
        f.texts("features"),
    )
    if not root.store:
        raise FormatError("trust root: it names no store")
    if root.expires <= root.created:
        raise FormatError("trust root: it expires before it was created")
    if "owner" not in root.roles:
        raise FormatError("trust root: nobody has the role owner")
    return root


def check_known(document: object) -> None:
    """Raises TooNew for rules and features that this program does not know: their fields may mean anything."""
    f = document if isinstance(document, Mapping) else {}
    rules, features = f.get("rules", RULES), f.get("features", ())
    if isinstance(rules, int) and rules != RULES:
        _stop(f"the rules {rules}; this program knows {RULES}")
    if isinstance(features, list) and (unknown := [name for name in features if name not in FEATURES]):
        _stop(f"the feature {str(unknown[0])[:60]!r}, which this program does not know")


def _stop(what: str) -> None:
    raise TooNew(f"the trust root asks for {what}", hint="upgrade casstore; nothing was judged here")


def _identity(name: str, value: object) -> TrustIdentity:
    if not _NAME.fullmatch(name):
        raise FormatError(
            f"trust root: {name[:60]!r} is no name of an identity",
            hint="use letters, digits, . _ @ + - (at most 128), a letter or digit first",
        )
    what = f"trust root: identity {name}"
    f = Fields(value, what, required=("identity", "validFrom"), optional=("publicKey", "validUntil"))
    pem = f.optional_text("publicKey")
    entry = TrustIdentity(
        name, f.text("identity"), pem.encode() if pem else None, f.time("validFrom"), f.optional_time("validUntil")
    )
    try:
        is_key = identities.is_key(identities.parse(entry.identity))
        if is_key != (entry.public_pem is not None):
            raise FormatError(f"{what}: a managed key needs publicKey, a keyless signer has none")
        if entry.public_pem and keys.identity_of(keys.public_from_pem(entry.public_pem)) != entry.identity:
            raise FormatError(f"{what}: publicKey is another key than identity says")
    except BadInput as exc:
        raise FormatError(f"{what}: {exc.message}") from exc
    return entry


_THRESHOLDS = frozenset({"owner"})
"""Roles whose threshold every reader asks for; another's would be a promise that nothing keeps."""


def _role(name: str, value: object, known: Mapping[str, TrustIdentity]) -> Role:
    what = f"trust root: role {name}"
    if name not in ROLES:
        raise FormatError(f"{what}: there is no such role", hint=f"known: {', '.join(ROLES)}")
    f = Fields(value, what, required=("identities", "threshold"))
    role = Role(name, f.texts("identities"), f.integer("threshold", least=1))
    unknown = [holder for holder in role.identities if holder not in known]
    if unknown:
        raise FormatError(f"{what}: {unknown[0]!r} is no identity of this trust root")
    if role.threshold > 1 and name not in _THRESHOLDS:
        raise FormatError(
            f"{what}: a threshold of {role.threshold} would be asked by nobody",
            hint="say it where it is asked: approvals = N or rebuilds = N of a channel; owner alone has a threshold",
        )
    if len({known[holder].identity for holder in role.identities}) < role.threshold:
        raise FormatError(f"{what}: the threshold {role.threshold} is more than its distinct identities")
    return role


def sign_file(bundles: Sequence[bytes]) -> bytes:
    """The signed trust root file: one attestation per owner, all over the same payload bytes."""
    ordered = [canonical.loads_object(raw, what="attestation") for raw in sorted(set(bundles))]
    return canonical.dumps({"format": SIGNED_FORMAT, "bundles": ordered})


def bundles_of(raw: bytes) -> list[bytes]:
    """The attestations of a signed trust root file. Raises FormatError."""
    value = canonical.loads_canonical(raw, what="signed trust root")
    f = Fields(value, "signed trust root", required=("format", "bundles"))
    if f.text("format") != SIGNED_FORMAT:
        raise FormatError(f"signed trust root: the format is {f.text('format')[:60]!r}, not {SIGNED_FORMAT}")
    if not isinstance(value["bundles"], list) or not value["bundles"]:
        raise FormatError("signed trust root: it has no signature")
    return [canonical.dumps(item) for item in value["bundles"]]


def payload_of(raw: bytes) -> bytes:
    """The payload bytes that every signature of a signed file covers. Raises FormatError."""
    payloads = {sigstore_bundles.SigstoreBundle.parse(item).statement_envelope.payload for item in bundles_of(raw)}
    if len(payloads) != 1:
        raise FormatError("signed trust root: its signatures cover different documents")
    return payloads.pop()


def parse_payload(payload: bytes) -> TrustRoot:
    """The trust root that a payload claims, before any signature is judged. Raises FormatError."""
    statement = statements.parse(payload)
    if statement.predicate_type != TYPE:
        raise FormatError(f"not a trust root: the predicate type is {statement.predicate_type[:100]!r}")
    root = parse(statement.predicate)
    if root.statement().to_bytes() != payload:
        raise FormatError("trust root: the statement is not the one canonical form of its document")
    return root


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
) -> list[OwnerSigned]:
    """The attestations over `claimed` by owners of the trust root `by`, as known at `at`.

    `floor`: the document counts as made no earlier than this, whatever it says (see `verify_next`).
    """
    found = []
    for item in bundles_of(raw):
        try:
            found.append(_owner_signed(item, claimed, by, at, sigstore_root, floor))
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
    floor: datetime | None,
) -> OwnerSigned:
    from attest.trust.verify import verify

    made = claimed.created if floor is None else max(claimed.created, floor)
    keyless = sigstore_bundles.SigstoreBundle.parse(raw).certificate is not None
    until = min(max(at, made), made + SIGNING_PERIOD) if keyless else made
    verified = verify(
        raw, trust_root=by, predicate_type=TYPE, subjects=[claimed.digest], at=until, sigstore_root=sigstore_root
    )
    if verified.signed_at is not None and verified.signed_at < claimed.created - CLOCK_LEEWAY:
        raise TrustError("it was signed before the document says that it was made")
    if "owner" not in by.roles_of(verified.identity, made):
        raise TrustError("its signer is no owner")
    return OwnerSigned(verified.identity, verified.names, verified.bundle)


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
    root = _claimed(raw_signed, at)
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
) -> TrustRoot:
    """Version N+1: signed by the thresholds of the owners of both. Raises FormatError, TrustError.

    `revoked`: identities whose signature counts no more, as long as enough other owners are left:
    else nobody could ever replace them. `floor`: the document counts as made no earlier than this, as long as
    enough owners are left by then.
    """
    try:
        root = _claimed(raw_signed, at)
    except TooNew:
        _require_owners_of(raw_signed, previous, at, pinned_sigstore(previous, read, sigstore_root), revoked)
        raise
    if root.version != previous.version + 1:
        raise TrustError(f"trust root version {previous.version + 1} is wanted next, this is {root.version}")
    if root.store != previous.store:
        raise TrustError("the next trust root is for another store")
    if root.created < previous.created:
        raise TrustError("the next trust root was created before the one that it follows")
    for by in (previous, root):
        _require(raw_signed, root, by, at, pinned_sigstore(by, read, sigstore_root), revoked, floor)
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


def _claimed(raw: bytes, at: datetime) -> TrustRoot:
    root = parse_payload(payload_of(raw))
    if root.created > at + CLOCK_LEEWAY:
        raise TrustError(f"trust root version {root.version} was created in the future: {times.format(root.created)}")
    return root


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
) -> None:
    need = by.threshold("owner")
    if floor is not None and len(_owners(by, max(root.created, floor)) - set(revoked)) < need:
        floor = None  # else a seal that is dated ahead, or time alone, would lock all owners out for good
    signed = {
        item.identity for item in owner_signatures(raw, root, by, at=at, sigstore_root=sigstore_root, floor=floor)
    }
    if len(_owners(by, root.created) - set(revoked)) >= need:
        signed -= set(revoked)
    have = len(signed)
    if have < need:
        raise TrustError(
            f"trust root version {root.version} has {have} of the {need} owner signatures that version"
            f" {by.version} asks for",
            hint=f"owners by version {by.version}: {', '.join(by.holders('owner'))}",
        )


__all__ = ["ROLES", "Role", "TrustIdentity", "TrustRoot", "VerificationError", "parse", "verify_chain"]
