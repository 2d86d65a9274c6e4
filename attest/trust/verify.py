"""Verify an attestation: bytes in, a verified statement out, or an error. Never a flag.

Rules, in this order; nothing of the payload is parsed before rule 3 has passed:

1. at least one expected subject and the expected predicate type are given by the caller;
2. the payload type is in-toto's;
3. the one DSSE signature holds, by a key or certificate identity that the trust root names;
4. that identity is inside its validity window, at the asked time and, where it is proven, at
   the signing time; it holds the asked role;
5. the payload is a Statement, its predicate type is exactly the expected one, and every
   expected subject is among its subjects.

Leaves to others: what the predicate means (`predicates`), how many are needed (`decisions`).

    found = verify(raw, trust_root=root, predicate_type=APPROVAL, subjects=[release], at=now, role="approver")
    found.statement.predicate
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from attest.core import times
from attest.core.remembered import keep
from attest.core.values import dataclass
from attest.digests import Digest, is_digest, sha256
from attest.errors import BadInput, CasstoreError, OutOfTime, TrustError, VerificationError
from attest.keys import identities, keys
from attest.keys.keys import PublicKey
from attest.sigstore.sigstore_bundles import SigstoreBundle, hint_of
from attest.statements import statements
from attest.statements.envelopes import Envelope, attestation_id, pae
from attest.statements.statements import Statement
from attest.trust.trust_roots import TrustRoot

if TYPE_CHECKING:
    from attest.sigstore.keyless import KeylessSignature


KEPT = 16 * 1024
"""Payloads up to this size are remembered with who signed them."""


@dataclass(frozen=True, slots=True)
class VerifiedStatement:
    """A statement whose signature, signer, type and subjects were verified."""

    statement: Statement
    payload: bytes
    """The very bytes that were signed."""
    identity: str
    names: frozenset[str]
    """The trust root's names of that identity; empty when verified with a bare key."""
    roles: frozenset[str]
    bundle: Digest
    """The digest of the attestation's bytes."""
    signed_at: datetime | None
    """The proven signing time (log or time stamp authority); None for a plain managed key."""

    builders: tuple[str, ...] = ()
    """The builder ids that the trust root binds its signer to."""
    sources: tuple[str, ...] = ()
    """The git sources, likewise."""
    certified: str = ""
    """Issuer and subject of the certificate, where the trust root names the signer by conditions."""

    @property
    def proven(self) -> str:
        """Whom the signature itself proves: the certificate's own subject, else the identity."""
        return self.certified or self.identity

    @property
    def id(self) -> Digest:
        """What the attestation is, however its bytes are written (docs/formats/attestation.md)."""
        return attestation_id(statements.PAYLOAD_TYPE, self.payload)


def verify(
    raw: bytes,
    *,
    trust_root: TrustRoot,
    predicate_type: str,
    subjects: Collection[Digest],
    at: datetime,
    role: str | None = None,
    sigstore_root: bytes | None = None,
) -> VerifiedStatement:
    """Verify against a trust root at a time.

    `sigstore_root` is the trusted_root.json that keyless signatures are judged by. Raises
    BadInput, FormatError, VerificationError; TrustError when the signer is not trusted for it.
    """
    _check_expectations(predicate_type, subjects)
    bundle = SigstoreBundle.parse(raw)
    _check_payload_type(bundle.statement_envelope)
    signed_at, certified = None, ""
    if bundle.certificate is None:
        known = _verify_managed(bundle, trust_root)
        identity, signed_at = known.identity, _proven_time(bundle, known.public, sigstore_root, at)
    else:
        _check_pinned(trust_root, sigstore_root)
        found = _verify_keyless(bundle, sigstore_root, at)
        identity, signed_at = _named_by(found, trust_root), found.signed_at
        certified = found.identity if found.identity != identity else ""
    names, roles = _judge_signer(identity, trust_root, at, signed_at, role)
    payload = bundle.statement_envelope.payload
    statement = _judge_statement(payload, predicate_type, subjects)
    bound = [entry for entry in trust_root.identities if entry.name in names]
    return VerifiedStatement(
        statement,
        payload,
        identity,
        names,
        roles,
        sha256(raw),
        signed_at,
        tuple(pattern for entry in bound for pattern in entry.builders),
        tuple(pattern for entry in bound for pattern in entry.sources),
        certified,
    )


def still(
    found: VerifiedStatement, trust_root: TrustRoot, ends: datetime, role: str | None = None
) -> VerifiedStatement:
    """The same with the names and roles that its signer still has at a later time. Raises TrustError for none."""
    names, roles = _judge_signer(found.identity, trust_root, ends, None, role)
    return found if names >= found.names else replace(found, names=found.names & names, roles=found.roles & roles)


def verify_with_key(
    raw: bytes,
    public_pem: bytes,
    *,
    predicate_type: str,
    subjects: Collection[Digest],
    sigstore_root: bytes | None = None,
    at: datetime | None = None,
) -> VerifiedStatement:
    """Verify against one public key, with no trust root: no role, no window. Raises as `verify`.

    With `sigstore_root` and `at`, a log entry and time stamps beside the signature must hold, and prove `signed_at`.
    """
    _check_expectations(predicate_type, subjects)
    bundle = SigstoreBundle.parse(raw)
    envelope = bundle.statement_envelope
    _check_payload_type(envelope)
    if bundle.certificate is not None:
        raise VerificationError("it is signed keyless, not by a key", hint="verify it with a sigstore trusted root")
    public = keys.public_from_pem(public_pem)
    _verify_envelope(envelope, public)
    statement = _judge_statement(envelope.payload, predicate_type, subjects)
    identity = keys.identity_of(public)
    signed_at = None if at is None else _proven_time(bundle, public, sigstore_root, at)
    return VerifiedStatement(statement, envelope.payload, identity, frozenset(), frozenset(), sha256(raw), signed_at)


def _check_expectations(predicate_type: str, subjects: Collection[Digest]) -> None:
    if not predicate_type:
        raise BadInput("verify: no predicate type was asked for")
    if not subjects or isinstance(subjects, str) or not all(is_digest(s) for s in subjects):
        raise BadInput("verify: at least one expected subject is needed, each as sha256:<hex>")


def _check_payload_type(envelope: Envelope) -> None:
    if envelope.payload_type != statements.PAYLOAD_TYPE:
        raise VerificationError(
            f"the payload type is {envelope.payload_type[:80]!r}, not {statements.PAYLOAD_TYPE}",
            hint="this file is no in-toto attestation",
        )


def _verify_envelope(envelope: Envelope, public: PublicKey) -> None:
    keys.verify_signature(public, envelope.signature, pae(envelope.payload_type, envelope.payload))


def _check_signature(known: _KnownKey, envelope: Envelope) -> None:
    if len(envelope.payload) > KEPT:
        return _verify_envelope(envelope, known.public)
    return _signed(known.pem, envelope.payload_type, envelope.payload, envelope.signature)


@lru_cache(maxsize=1024)
def _signed(pem: bytes, payload_type: str, payload: bytes, signature: bytes) -> None:
    """That this key signed this: it holds for ever, whatever a trust root says of the key. What raises is not kept."""
    if not _learned.pop((pem, payload_type, payload, signature), False):
        keys.verify_signature(_known_key(pem).public, signature, pae(payload_type, payload))


_learned: OrderedDict[tuple[bytes, str, bytes, bytes], bool] = OrderedDict()


def learn(pem: bytes, envelope: Envelope) -> None:
    """That the envelope's signature is this key's, as another process of ours has verified: a fact, and no verdict."""
    if len(envelope.payload) <= KEPT:
        keep(_learned, (pem, envelope.payload_type, envelope.payload, envelope.signature), True)


def _proven_time(
    bundle: SigstoreBundle, public: PublicKey, sigstore_root: bytes | None, at: datetime
) -> datetime | None:
    """The signing time that a log or a time stamp authority of the sigstore root proves of a managed key's bundle."""
    if sigstore_root is None or not (bundle.log_entries or bundle.timestamps):
        return None
    from attest.sigstore import managed_proofs

    return managed_proofs.judge(bundle, public, root_json=sigstore_root, at=at).signed_at


def _verify_managed(bundle: SigstoreBundle, trust_root: TrustRoot) -> _KnownKey:
    """The identity whose key made the signature; the hint only says which key to try first."""
    pems = {entry.public_pem for entry in trust_root.identities if entry.public_pem is not None}
    candidates = sorted((_known_key(pem) for pem in pems), key=lambda known: known.hint != bundle.key_hint)
    for known in candidates:
        try:
            _check_signature(known, bundle.statement_envelope)
        except VerificationError:
            continue
        return known
    if candidates and candidates[0].hint == bundle.key_hint:
        raise VerificationError(
            f"the signature does not match {identities.short(candidates[0].identity)}, the key that it names",
            hint="the bytes were changed: get the attestation again from where it was made",
        )
    raise TrustError(
        f"no key of trust root version {trust_root.version} made this signature",
        hint="a trust root that names the signer's key is needed; the owners add a key by a ceremony",
    )


@dataclass(frozen=True, slots=True)
class _KnownKey:
    pem: bytes
    public: PublicKey
    hint: str
    identity: str


@lru_cache(maxsize=256)
def _known_key(pem: bytes) -> _KnownKey:
    public = keys.public_from_pem(pem)
    return _KnownKey(pem, public, hint_of(keys.public_to_der(public)), keys.identity_of(public))


def _check_pinned(trust_root: TrustRoot, sigstore_root: bytes | None) -> None:
    """All readers judge keyless signatures by the one file that the trust root pins, if it pins one."""
    pinned = trust_root.sigstore_root
    if pinned is not None and sigstore_root is not None and sha256(sigstore_root) != pinned:
        raise TrustError(
            f"trust root version {trust_root.version} pins the sigstore root {pinned}, another one was given",
            hint="leave the trusted root out: the store has the one that the owners signed",
        )


def _named_by(found: KeylessSignature, trust_root: TrustRoot) -> str:
    """The identity that a certificate stands for here: its own where that is named, else that of conditions it fits."""
    if any(entry.identity == found.identity for entry in trust_root.identities):
        return found.identity
    issuer, _ = identities.issuer_and_subject(found.identity)
    fit = {
        entry.identity: entry.name
        for entry in trust_root.identities
        if entry.certificate is not None and entry.certificate.fits(issuer, found.claims)
    }
    if len(fit) > 1:
        raise TrustError(
            f"the conditions of {' and of '.join(sorted(fit.values()))} both fit its certificate",
            hint="the owners set them apart, so that one signer is one identity",
        )
    return next(iter(fit), found.identity)


def _verify_keyless(bundle: SigstoreBundle, sigstore_root: bytes | None, at: datetime) -> KeylessSignature:
    if sigstore_root is None:
        raise TrustError(
            "it is signed keyless and no sigstore trusted root was given",
            hint="give the instance's trusted_root.json with --trusted-root",
        )
    from attest.sigstore.keyless import verify_keyless

    found = verify_keyless(bundle.raw, trusted_root_json=sigstore_root, at=at)
    if (found.payload, found.payload_type) != (bundle.statement_envelope.payload, statements.PAYLOAD_TYPE):
        raise VerificationError("two readers of this bundle see different payloads")
    return found


def _judge_signer(
    identity: str, trust_root: TrustRoot, at: datetime, signed_at: datetime | None, role: str | None
) -> tuple[frozenset[str], frozenset[str]]:
    known = [entry for entry in trust_root.identities if entry.identity == identity]
    if not known:
        raise TrustError(
            f"{identities.short(identity)} signed it, whom trust root version {trust_root.version} does not name",
            hint="casstore keys list shows who is named; the owners add an identity by a ceremony",
        )
    for moment in (at,) if signed_at is None else (at, signed_at):
        there, known = known, [entry for entry in known if entry.valid_at(moment)]
        if not known:
            windows = "; ".join(f"{entry.name} counts {entry.window}" for entry in there)
            raise OutOfTime(
                f"{identities.short(identity)} is not valid at {times.format(moment)}, which this is judged at:"
                f" {windows} (trust root version {trust_root.version})",
                hint="an identity that counts then must sign, or the owners extend it by a ceremony",
            )
    names = frozenset(entry.name for entry in known)
    roles = frozenset(held.name for held in trust_root.roles.values() if names & set(held.identities))
    if role is not None and role not in roles:
        raise TrustError(
            f"{' / '.join(sorted(names))} has not the role {role!r} (has: {', '.join(sorted(roles)) or 'none'})",
            hint=f"one of {', '.join(sorted(trust_root.holders(role))) or 'nobody'} must sign it",
        )
    return names, roles


def _judge_statement(payload: bytes, predicate_type: str, subjects: Collection[Digest]) -> Statement:
    try:
        statement = statements.parse(payload)
    except CasstoreError as exc:
        raise VerificationError(f"the signed payload is no statement: {exc.message}") from exc
    if statement.predicate_type != predicate_type:
        raise VerificationError(
            f"the predicate type is {statement.predicate_type[:120]!r}, not {predicate_type!r}",
            hint="this attestation says something else than was asked",
        )
    missing = sorted(set(subjects) - statement.digests)
    if missing:
        raise VerificationError(
            f"it does not speak of {missing[0]}" + (f" and {len(missing) - 1} more" if len(missing) > 1 else ""),
            hint="the artifact was changed, or this attestation belongs to another one",
        )
    return statement
