"""A small team around a real store: keys, a signed trust root, releases, and a clock that the test turns.

world = World.make(str(tmp_path / "store"))
release = world.release("1.0.0")
world.promote("1.0.0", "dev")
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Self

from attest import signers
from attest.ceremony import ceremony
from attest.digests import Digest
from attest.keys import keys
from attest.signers import Signer
from attest.statements import statements
from attest.statements.predicates import release as releases
from attest.statements.predicates import slsa_provenance
from attest.trust.policies import ChannelPolicy
from attest.trust.trust_roots import Role, TrustIdentity, TrustRoot
from casstore import promotion
from casstore.ledger.book.log import Ledger
from casstore.ledger.commit import commit
from casstore.ledger.entries import EntryKind
from casstore.ledger.folding import replay
from casstore.ledger.release_objects import Release, ReleaseArchive, ReleaseBuild
from casstore.ledger.states.state import LedgerState
from casstore.objects.kinds import Kind
from casstore.objects.tree import TreeEntry
from casstore.store.attestations import put_attestation
from casstore.store.store import Store

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
EXPIRES = NOW + timedelta(days=365)

ROLES = {
    "olga": ("owner",),
    "otto": ("owner",),
    "ci": ("builder",),
    "ann": ("approver",),
    "bob": ("approver",),
    "builder-bob": ("builder", "approver"),
    "pam": ("promoter",),
    "paul": ("promoter", "approver"),
    "pete": ("publisher",),
    "pia": ("publisher",),
    "aud": ("auditor",),
}
WITNESSES = ("w1", "w2", "w3", "w4")
CHANNELS = {
    "dev": ChannelPolicy(None, 0),
    "staging": ChannelPolicy("dev", 1),
    "prod": ChannelPolicy("staging", 2, ("slsa-provenance",), rollback_approvals=0),
}


@cache
def signer(name: str) -> Signer:
    """The same key for the same name, within one test run."""
    return signers.from_private_key(keys.generate("ed25519" if name == "log" or name in WITNESSES else "ecdsa-p256"))


def trust_root(store_id: str, **changes: Any) -> TrustRoot:
    """Version 1 for a store; `changes` replace fields."""
    roles: dict[str, list[str]] = {}
    for name, held in ROLES.items():
        for role in held:
            roles.setdefault(role, []).append(name)
    roles["ledger"] = ["log"]
    values: dict[str, Any] = {
        "version": 1,
        "store": store_id,
        "created": NOW - timedelta(days=1),
        "expires": EXPIRES,
        "identities": tuple(identity(name) for name in sorted({*ROLES, "log"})),
        "roles": {role: Role(role, tuple(names), 2 if role == "owner" else 1) for role, names in sorted(roles.items())},
        "channels": dict(CHANNELS),
    }
    return TrustRoot(**{**values, **changes})


def identity(name: str, key: str = "", **changes: Any) -> TrustIdentity:
    """The entry of one person; `key` names another key than their first."""
    who = signer(key or name)
    values: dict[str, Any] = {"valid_from": NOW - timedelta(days=30), "valid_until": None, **changes}
    return TrustIdentity(name, who.identity, who.public_pem, **values)


def signed(root: TrustRoot, *owners: str, previous: TrustRoot | None = None) -> bytes:
    """The signed trust root file."""
    payload = ceremony.draft(root)
    bundles = [ceremony.sign(payload, signer(name), previous=previous) for name in owners or ("olga", "otto")]
    return ceremony.combine(payload, bundles, at=root.created, previous=previous)


@dataclass
class World:
    """A store with a ledger and people who act on it."""

    store: Store
    now: datetime = NOW
    ledger_name: str = "main"
    made: dict[str, Release] = field(default_factory=dict)

    @classmethod
    def make(cls, url: str, **changes: Any) -> Self:
        """A new store whose ledger begins with a trust root."""
        world = cls(Store.init(url))
        world.genesis(trust_root(world.store.store_id, **changes))
        return world

    @property
    def ledger(self) -> Ledger:
        """A fresh handle, as each command has one."""
        return Ledger(self.store, self.ledger_name)

    @property
    def state(self) -> LedgerState:
        """The fold of everything."""
        return replay(self.ledger, self.store)

    def later(self, **delta: float) -> World:
        """Turn the clock."""
        self.now += timedelta(**(delta or {"minutes": 1}))
        return self

    def genesis(self, root: TrustRoot) -> None:
        digest = self.store.put_bytes(signed(root), subjects=[root.digest], kind=Kind.ATTESTATION)
        commit(self.ledger, self.store, self.state, EntryKind.GENESIS, digest, now=self.now)

    def next_root(self, *owners: str, **changes: Any) -> TrustRoot:
        """The next trust root, in force from now on; `changes` replace fields."""
        old = self.state.require_trust_root()
        new = replace(old, **{"version": old.version + 1, "created": self.now, **changes})
        raw = signed(new, *owners, previous=old)
        digest = self.store.put_bytes(raw, subjects=[new.digest], kind=Kind.ATTESTATION)
        commit(self.ledger, self.store, self.state, EntryKind.TRUST_ROOT, digest, now=self.now)
        return new

    def rotate(self, *names: str) -> TrustRoot:
        """New keys for some people: `signer("ci#2")` is ci's from now on."""
        entries = self.state.require_trust_root().identities
        return self.next_root(
            identities=tuple(identity(e.name, f"{e.name}#2") if e.name in names else e for e in entries)
        )

    def append(self, kind: EntryKind, raw: bytes, channel: str | None = None) -> None:
        """An entry as a careful writer makes it."""
        digest = put_attestation(self.store, raw)
        commit(self.ledger, self.store, self.state, kind, digest, channel=channel, now=self.now)

    def force(self, kind: EntryKind, raw: bytes, channel: str | None = None) -> str:
        """An entry that nobody judged before it was written; the reason why it is void, or ''."""
        digest = put_attestation(self.store, raw)
        entry = self.ledger.append(kind, digest, channel=channel, now=self.now)
        return dict(self.state.void).get(entry.number, "")

    def component(self, name: str, version: str, files: Mapping[bytes, bytes], by: str = "ci") -> Digest:
        """Put a tree with provenance, as CI does."""
        entries = {
            path: TreeEntry(path.rpartition(b"/")[2], "file", 0o644, len(data), self.store.put_bytes(data))
            for path, data in files.items()
        }
        tree = self.store.build_tree(entries)
        self.append(EntryKind.COMPONENT, provenance({name: tree}, by, releaseVersion=version))
        return tree

    def release(self, version: str, *, by: str = "ci", content: bytes = b"") -> Release:
        """Components, archives, evidence, release object, release entry."""
        files = {b"bin/core": b"core " + version.encode() + content, b"LICENSE": b"free\n"}
        tree = self.component("core-bin", version, files, by)
        archive = self.store.put_bytes(b"archive " + version.encode() + content)
        name, manifest = f"core-{version}.tar.gz", self.store.put_bytes(b"manifest")
        evidence = put_attestation(self.store, provenance({name: archive}, by))
        made = Release(
            store=self.store.store_id,
            ledger=self.ledger_name,
            version=version,
            epoch=0,
            components={"core-bin": tree},
            builds={"core": ReleaseBuild("tar.gz", ReleaseArchive(name, archive, 20), manifest)},
            checksums=self.store.put_bytes(b"sums " + version.encode()),
            evidence=(evidence,),
        )
        self.store.put_bytes(made.to_bytes())
        self.append(EntryKind.RELEASE, release_statement(made, by))
        self.made[version] = made
        return made

    def approve(self, release: str, channel: str, by: str, **options: Any) -> promotion.ApprovalReport:
        options = {"expires": self.now + timedelta(days=7), **options}
        return promotion.approve(
            self.store, self.ledger, release, channel=channel, signer=signer(by), now=self.now, **options
        )

    def promote(self, release: str, channel: str, by: str = "pam", **options: Any) -> promotion.MoveReport:
        return promotion.promote(
            self.store, self.ledger, release, channel=channel, signer=signer(by), now=self.now, **options
        )

    def rollback(self, channel: str, by: str = "pam", **options: Any) -> promotion.MoveReport:
        options = {"reason": "it crashes", **options}
        return promotion.rollback(self.store, self.ledger, channel=channel, signer=signer(by), now=self.now, **options)

    def revoke_identity(self, who: str, **options: Any) -> promotion.RevocationReport:
        """By both owners, as it takes for whoever holds a role."""
        options = {"reason": "leaked", "now": self.now, **options}
        half = promotion.revoke(
            self.store, self.ledger, who, kind="identity", signer=signer("olga"), hand_in=False, **options
        )
        return promotion.join(self.store, self.ledger, half.raw, signer=signer("otto"), now=self.now)

    def to_staging(self, version: str, approver: str = "ann") -> None:
        """A release through dev into staging."""
        self.promote(version, "dev")
        self.approve(version, "staging", approver)
        self.promote(version, "staging")

    def to_prod(self, version: str) -> None:
        """A release all the way."""
        self.to_staging(version)
        self.approve(version, "prod", "ann")
        self.approve(version, "prod", "bob")
        self.promote(version, "prod")


def provenance(subjects: Mapping[str, Digest], by: str, **parameters: str) -> bytes:
    """Signed SLSA provenance."""
    claim = slsa_provenance.Provenance("https://example.org/build/v1", parameters, f"https://example.org/{by}")
    return signer(by).sign_statement(statements.of_digests(subjects, slsa_provenance.TYPE, claim.to_json()).to_bytes())


def release_statement(made: Release, by: str) -> bytes:
    """The signed release statement."""
    claim = releases.ReleaseClaim(releases.purl_of(made.ledger, made.version))
    subjects = {"release": made.digest, **made.archives}
    return signer(by).sign_statement(statements.of_digests(subjects, releases.TYPE, claim.to_json()).to_bytes())
