"""The ceremony of a trust root: owners sign one document, each alone, offline, in any order.

payload = draft(root)                     # everybody gets these bytes
bundle = sign(payload, signer)            # each owner, anywhere
raw = combine(payload, [bundle, ...])     # anybody; verified before it is returned
transcript(raw, at=now)                   # who signed what, to be printed and attested
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from attest.core import times
from attest.core.values import dataclass
from attest.digests import Digest, sha256
from attest.errors import BadInput, TrustError
from attest.judging import expressions
from attest.judging.evidence import SigstoreRoots
from attest.signers import Signer
from attest.sigstore import sigstore_bundles
from attest.statements.predicates import ceremony as transcripts
from attest.statements.predicates.ceremony import OwnerSignature, Transcript
from attest.statements.statements import Statement, Subject
from attest.trust import trust_chain, trust_roots
from attest.trust.trust_chain import OwnerSigned
from attest.trust.trust_roots import TrustRoot


@dataclass(frozen=True, slots=True)
class Quorum:
    """How far the owners of one version have signed."""

    version: int
    signed: tuple[str, ...]
    missing: tuple[str, ...]
    threshold: int
    distinct: int
    """How many identities signed; one key under two names is one."""

    @property
    def reached(self) -> bool:
        """Whether enough have signed."""
        return self.distinct >= self.threshold

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "version": self.version,
            "signed": list(self.signed),
            "missing": list(self.missing),
            "threshold": self.threshold,
            "reached": self.reached,
        }


def draft(root: TrustRoot) -> bytes:
    """The payload that is to be signed; the document is checked as a reader would, and every CEL rule compiled.

    Raises FormatError, NotInstalled.
    """
    payload = root.statement().to_bytes()
    trust_roots.parse_payload(payload)
    for policy in root.channels.values():
        for rule in policy.rules:
            expressions.check(rule)
    return payload


def sign(payload: bytes, signer: Signer, *, previous: TrustRoot | None = None) -> bytes:
    """One owner's attestation. Raises TrustError when the signer is no owner of either version."""
    root = trust_roots.parse_payload(payload)
    versions = [root] if previous is None else [root, previous]
    if not any("owner" in version.roles_of(signer.identity, root.created) for version in versions):
        raise TrustError(
            f"{signer.identity} is no owner in trust root version {root.version}",
            hint=f"owners: {', '.join(root.holders('owner'))}",
        )
    return signer.sign_statement(payload)


def status(
    payload: bytes,
    bundles: Sequence[bytes],
    *,
    previous: TrustRoot | None = None,
    at: datetime | None = None,
    sigstore: SigstoreRoots | None = None,
) -> list[Quorum]:
    """Who has signed and who is missing, for this version and, where there is one, the one before.

    `at` (by default when the draft was made) is how late a keyless owner may have signed.
    """
    root = trust_roots.parse_payload(payload)
    _check_same(payload, bundles)
    raw = trust_roots.sign_file(bundles) if bundles else b""
    return [_quorum(_signed(raw, root, by, at or root.created, sigstore), by) for by in _versions(root, previous)]


def combine(
    payload: bytes,
    bundles: Sequence[bytes],
    *,
    at: datetime,
    previous: TrustRoot | None = None,
    sigstore: SigstoreRoots | None = None,
) -> bytes:
    """The signed trust root file. Raises TrustError while signatures are missing."""
    _check_same(payload, bundles)
    if not bundles:
        raise TrustError("nobody has signed yet", hint="each owner: casstore keys ceremony sign")
    raw = trust_roots.sign_file(bundles)
    verify_file(raw, at=at, previous=previous, sigstore=sigstore)
    return raw


def verify_file(
    raw: bytes,
    *,
    at: datetime,
    previous: TrustRoot | None = None,
    sigstore: SigstoreRoots | None = None,
    revoked: Collection[str] = frozenset(),
) -> TrustRoot:
    """A signed file as the version after `previous`, or the first. Raises FormatError, TrustError."""
    roots = sigstore or SigstoreRoots()
    if previous is None:
        root = trust_chain.verify_first(raw, at=at, read=roots.read, sigstore_root=roots.given)
    else:
        root = trust_chain.verify_next(
            raw, previous=previous, at=at, read=roots.read, sigstore_root=roots.given, revoked=revoked
        )
    trust_chain.check_not_ahead(root, at)
    return root


def transcript(
    raw: bytes, *, at: datetime, previous: TrustRoot | None = None, sigstore: SigstoreRoots | None = None
) -> Transcript:
    """What happened: what the version changes, and who signed it. Raises as `verify_file`."""
    root = verify_file(raw, at=at, previous=previous, sigstore=sigstore)
    rows: dict[Digest, OwnerSignature] = {}
    for by in _versions(root, previous):
        for item in _signed(raw, root, by, at, sigstore):
            names = item.names | set(rows[item.bundle].names if item.bundle in rows else ())
            rows[item.bundle] = OwnerSignature(item.identity, tuple(sorted(names)), item.bundle)
    signatures = tuple(sorted(rows.values(), key=lambda row: (row.identity, row.signature)))
    before = previous.digest if previous else None
    return Transcript(root.store, root.version, before, changes(root, previous), signatures, at)


def transcript_statement(found: Transcript, root: Digest) -> Statement:
    """A transcript as a statement about the trust root with this digest."""
    return Statement((Subject(f"trust-root/{found.version}", root),), transcripts.TYPE, found.to_json())


def changes(root: TrustRoot, previous: TrustRoot | None) -> tuple[str, ...]:
    """What a version says otherwise than the one before, in words."""
    old = previous.to_json() if previous else {}
    new = root.to_json()
    said = [f"expires {times.format(root.expires)}"]
    for table, what in (("identities", "identity"), ("roles", "role"), ("channels", "channel")):
        before, after = old.get(table, {}), new[table]
        for name in sorted({*before, *after}):
            if before.get(name) != after.get(name):
                said.append(f"{what} {name}: {_change(before.get(name), after.get(name))}")
    said += _witness_changes(old.get("witnesses", {}), new.get("witnesses", {}))
    for name in ("clock", "settle"):
        if old.get(name) != new.get(name):
            said.append(f"{name}: {_short(old.get(name))} -> {_short(new.get(name))}")
    if old.get("sigstoreRoot") != new.get("sigstoreRoot"):
        said.append(f"sigstore root: {old.get('sigstoreRoot', 'none')} -> {new.get('sigstoreRoot', 'none')}")
    return tuple(said)


def _witness_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    old, new = before.get("keys", {}), after.get("keys", {})
    said = [
        f"witness {name}: {_change(old.get(name), new.get(name)) or 'another key'}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]
    if before.get("quorum") != after.get("quorum"):
        said.append(f"quorum of witnesses: {_short(before.get('quorum'))} -> {_short(after.get('quorum'))}")
    return said


def _change(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> str:
    if before is None or after is None:
        return "added" if before is None else "removed"
    differing = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
    return ", ".join(
        f"{key} {_short(before.get(key))} -> {_short(after.get(key))}" for key in differing if key != "publicKey"
    )


def _short(value: object) -> str:
    text = ",".join(map(str, value)) if isinstance(value, list) else "none" if value is None else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _check_same(payload: bytes, bundles: Sequence[bytes]) -> None:
    for bundle in bundles:
        if sigstore_bundles.SigstoreBundle.parse(bundle).statement_envelope.payload != payload:
            raise BadInput(
                f"the signature {sha256(bundle)[:19]} covers another draft than this one",
                hint="every owner signs the very same draft file",
            )


def _versions(root: TrustRoot, previous: TrustRoot | None) -> list[TrustRoot]:
    """Those whose owners must sign."""
    return [root] if previous is None else [previous, root]


def _signed(
    raw: bytes, root: TrustRoot, by: TrustRoot, at: datetime, sigstore: SigstoreRoots | None
) -> list[OwnerSigned]:
    if not raw:
        return []
    found = (sigstore or SigstoreRoots()).of(by)
    return trust_chain.owner_signatures(raw, root, by, at=at, sigstore_root=found)


def _quorum(made: Sequence[OwnerSigned], by: TrustRoot) -> Quorum:
    found = {item.identity for item in made}
    holders = {name: by.identity_of(name) for name in by.holders("owner")}
    signed = tuple(name for name, entry in holders.items() if entry and entry.identity in found)
    missing = tuple(name for name in holders if name not in signed)
    return Quorum(by.version, signed, missing, by.threshold("owner"), len(found))
