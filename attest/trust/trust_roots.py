"""The trust root: who may sign what, and what each channel requires (docs/formats/trust-root.md).

A document, the statement that owners sign over it, and the file that holds their signatures. Whether
they signed it, and which version follows which: `attest.trust.trust_chain`.

    root = parse_payload(payload_of(raw))
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from attest import canonical, digests
from attest.core import times
from attest.core.fields import Fields
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import BadInput, FormatError, TooNew
from attest.keys import identities, keys
from attest.sigstore import signed_files
from attest.statements import statements
from attest.statements.predicates import OWN
from attest.statements.statements import Statement, Subject
from attest.trust import certificate_conditions, origins, witnesses
from attest.trust.certificate_conditions import CertificateConditions
from attest.trust.policies import ChannelPolicy, parse_channels
from attest.trust.requirements import ROLES
from attest.trust.witnesses import Witnesses

TYPE = OWN.format("trust-root")
FORMAT = "casstore-trust-root/1"
SIGNED_FORMAT = "casstore-signed-trust-root/1"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")
"""Names are shown, listed with commas, and written as NAME=VALUE."""

CLOCK_LEEWAY = timedelta(minutes=10)
"""So far a window may begin after the time that something is judged at."""

RULES = 2
"""The rules that this program judges entries by (docs/formats/ledger-entry.md)."""
SHARES = "shares"
FEATURES = frozenset({SHARES})
"""What it knows beside them."""


@dataclass(frozen=True, slots=True)
class TrustIdentity:
    """One name and who it stands for, within a time window."""

    name: str
    identity: str
    public_pem: bytes | None
    valid_from: datetime
    valid_until: datetime | None = None
    builders: tuple[str, ...] = ()
    """Patterns of builder ids that are this one's: what it claims beyond them is no proof."""
    sources: tuple[str, ...] = ()
    """Patterns of git sources that it builds from."""
    certificate: CertificateConditions | None = None
    """What its certificates must say, where it is no one subject; `identity` is computed from it."""

    def valid_at(self, at: datetime) -> bool:
        """Whether the window holds the time; a clock that is ten minutes slow does not keep somebody out."""
        return self.valid_from - CLOCK_LEEWAY <= at and (self.valid_until is None or at < self.valid_until)

    @property
    def window(self) -> str:
        """From when until when, for people."""
        until = f" until {times.format(self.valid_until)}" if self.valid_until else ""
        return f"from {times.format(self.valid_from)}{until}"

    def to_json(self) -> dict[str, Any]:
        """The entry under its name."""
        return {
            "identity": self.identity,
            **({"publicKey": self.public_pem.decode()} if self.public_pem else {}),
            **({"certificate": self.certificate.to_json()} if self.certificate else {}),
            "validFrom": times.format(self.valid_from),
            "validUntil": times.format(self.valid_until) if self.valid_until else None,
            **({"builders": list(self.builders)} if self.builders else {}),
            **({"sources": list(self.sources)} if self.sources else {}),
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


@dataclass(frozen=True, slots=True)
class Clock:
    """What the owners say of the ledger's clocks."""

    gap: timedelta | None = None
    """How far apart seals may be for the clocks between them to be believed; None: 24 hours."""
    seal: int | None = None
    """A seal whose clock was wrong, and what it should have shown."""
    shown: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """The field `clock`."""
        gap = {} if self.gap is None else {"gap": int(self.gap.total_seconds())}
        return gap if self.shown is None else {**gap, "seal": self.seal, "is": times.format(self.shown)}


@dataclass(frozen=True, slots=True)
class Settlement:
    """Which state was true at a disputed seal."""

    seal: int
    state: Digest

    def to_json(self) -> dict[str, Any]:
        """The field `settle`."""
        return {"seal": self.seal, "state": self.state}


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
    clock: Clock | None = None
    settle: Settlement | None = None
    witnesses: Witnesses | None = None
    """Whose lines a reader asks for below a checkpoint; None: nobody's."""

    def to_json(self) -> dict[str, Any]:
        """The document, the predicate of its statement."""
        return {
            "format": FORMAT,
            "version": self.version,
            "store": self.store,
            "rules": self.rules,
            "features": list(self.asked),
            "created": times.format(self.created),
            "expires": times.format(self.expires),
            "identities": {entry.name: entry.to_json() for entry in self.identities},
            "roles": {name: role.to_json() for name, role in self.roles.items()},
            "channels": {name: policy.to_json() for name, policy in self.channels.items()},
            **({"sigstoreRoot": self.sigstore_root} if self.sigstore_root else {}),
            **({"clock": self.clock.to_json()} if self.clock else {}),
            **({"settle": self.settle.to_json()} if self.settle else {}),
            **({"witnesses": self.witnesses.to_json()} if self.witnesses else {}),
        }

    @property
    def asked(self) -> tuple[str, ...]:
        """The features that a reader must know: those that are named, and what the policies are made of."""
        shares = {SHARES} if any(policy.steps for policy in self.channels.values()) else set()
        return tuple(sorted({*self.features, *shares}))

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

    @property
    def unwatched(self) -> tuple[str, ...]:
        """Who seals, and publishes or promotes too, with one key and no witness: what they hide nobody sees."""
        if self.witnesses is not None:
            return ()
        acting = {self._key(name) for role in ("publisher", "promoter") for name in self.holders(role)}
        return tuple(name for name in self.holders("ledger") if self._key(name) in acting)

    def _key(self, name: str) -> str:
        found = self.identity_of(name)
        return name if found is None else found.identity

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


def parse(value: object) -> TrustRoot:
    """The document to value, with every rule of its format. Raises FormatError, TooNew."""
    check_known(value)
    names = ("format", "version", "store", "rules", "features", "created", "expires", "identities", "roles", "channels")
    f = Fields(value, "trust root", required=names, optional=("sigstoreRoot", "clock", "settle", "witnesses"))
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
        _clock(f.mapping("clock")) if f.has("clock") else None,
        _settlement(f.mapping("settle")) if f.has("settle") else None,
        witnesses.parse(f.mapping("witnesses"), "trust root: witnesses") if f.has("witnesses") else None,
    )
    if root.witnesses is not None:
        witnesses.check_apart(root.witnesses, {entry.identity: entry.name for entry in entries})
    if root.asked != root.features:
        raise FormatError(f"trust root: features must be {list(root.asked)}, for its policies")
    if not root.store:
        raise FormatError("trust root: it names no store")
    if root.expires <= root.created:
        raise FormatError("trust root: it expires before it was created")
    if "owner" not in root.roles:
        raise FormatError("trust root: nobody has the role owner")
    return root


def _clock(value: object) -> Clock:
    f = Fields(value, "trust root: clock", required=(), optional=("gap", "seal", "is"))
    if f.has("seal") != f.has("is") or not (f.has("gap") or f.has("seal")):
        raise FormatError("trust root: clock needs gap, or seal and is together")
    gap = timedelta(seconds=f.integer("gap", least=60, most=_LONGEST_GAP)) if f.has("gap") else None
    return Clock(gap, f.integer("seal", least=1), f.time("is")) if f.has("seal") else Clock(gap)


def _settlement(value: object) -> Settlement:
    f = Fields(value, "trust root: settle", required=("seal", "state"))
    return Settlement(f.integer("seal", least=1), f.digest("state"))


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
    optional = ("publicKey", "validUntil", "builders", "sources", "certificate")
    f = Fields(value, what, required=("identity", "validFrom"), optional=optional)
    pem = f.optional_text("publicKey")
    entry = TrustIdentity(
        name,
        f.text("identity"),
        pem.encode() if pem else None,
        f.time("validFrom"),
        f.optional_time("validUntil"),
        tuple(origins.check_pattern(one, f"{what}: builders") for one in f.texts("builders", ())),
        tuple(origins.check_source(one, f"{what}: sources") for one in f.texts("sources", ())),
        certificate_conditions.parse(value["certificate"], what) if "certificate" in value else None,  # type: ignore[index,operator]
    )
    try:
        is_key = identities.is_key(identities.parse(entry.identity))
        if is_key != (entry.public_pem is not None):
            raise FormatError(f"{what}: a managed key needs publicKey, a keyless signer has none")
        conditions = entry.certificate.identity if entry.certificate else None
        named = entry.identity.partition("#")[2].startswith(certificate_conditions.PREFIX)
        if conditions != (entry.identity if named else None):
            raise FormatError(f"{what}: identity is not that of its conditions", hint=f"it is {conditions}")
        if entry.public_pem and keys.identity_of(keys.public_from_pem(entry.public_pem)) != entry.identity:
            raise FormatError(f"{what}: publicKey is another key than identity says")
    except BadInput as exc:
        raise FormatError(f"{what}: {exc.message}") from exc
    return entry


_LONGEST_GAP = 366 * 24 * 3600
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
    return signed_files.combine(SIGNED_FORMAT, bundles)


def bundles_of(raw: bytes) -> list[bytes]:
    """The attestations of a signed trust root file. Raises FormatError."""
    return signed_files.bundles_of(raw, SIGNED_FORMAT, what="signed trust root")


def payload_of(raw: bytes) -> bytes:
    """The payload bytes that every signature of a signed file covers. Raises FormatError."""
    return signed_files.payload_of(raw, SIGNED_FORMAT, what="signed trust root")


def parse_payload(payload: bytes) -> TrustRoot:
    """The trust root that a payload claims, before any signature is judged. Raises FormatError."""
    statement = statements.parse(payload)
    if statement.predicate_type != TYPE:
        raise FormatError(f"not a trust root: the predicate type is {statement.predicate_type[:100]!r}")
    root = parse(statement.predicate)
    if root.statement().to_bytes() != payload:
        raise FormatError("trust root: the statement is not the one canonical form of its document")
    return root


__all__ = ["ROLES", "Role", "TrustIdentity", "TrustRoot", "parse"]
