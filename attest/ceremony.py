"""The ceremony of a trust root: owners sign one document, each alone, offline, in any order.

payload = draft(root)                     # everybody gets these bytes
bundle = sign(payload, signer)            # each owner, anywhere
raw = combine(payload, [bundle, ...])     # anybody; verified before it is returned
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from attest import sigstore_bundles, trust_roots
from attest.errors import BadInput, TrustError
from attest.signers import Signer
from attest.trust_roots import TrustRoot


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
    """The payload that is to be signed; the document is checked as a reader would. Raises FormatError."""
    payload = root.statement().to_bytes()
    trust_roots.parse_payload(payload)
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


def status(payload: bytes, bundles: Sequence[bytes], *, previous: TrustRoot | None = None) -> list[Quorum]:
    """Who has signed and who is missing, for this version and, where there is one, the one before."""
    root = trust_roots.parse_payload(payload)
    _check_same(payload, bundles)
    raw = trust_roots.sign_file(bundles) if bundles else b""
    return [_quorum(raw, root, by) for by in ([root] if previous is None else [previous, root])]


def combine(payload: bytes, bundles: Sequence[bytes], *, at: datetime, previous: TrustRoot | None = None) -> bytes:
    """The signed trust root file. Raises TrustError while signatures are missing."""
    _check_same(payload, bundles)
    if not bundles:
        raise TrustError("nobody has signed yet", hint="each owner: casstore keys ceremony sign")
    raw = trust_roots.sign_file(bundles)
    if previous is None:
        trust_roots.verify_first(raw, at=at)
    else:
        trust_roots.verify_next(raw, previous=previous, at=at)
    return raw


def _check_same(payload: bytes, bundles: Sequence[bytes]) -> None:
    for bundle in bundles:
        if sigstore_bundles.SigstoreBundle.parse(bundle).statement_envelope.payload != payload:
            raise BadInput(
                "a signature covers another draft than this one",
                hint="every owner signs the very same draft file",
            )


def _quorum(raw: bytes, root: TrustRoot, by: TrustRoot) -> Quorum:
    found = trust_roots.signers(raw, root, by) if raw else frozenset()
    holders = {name: by.identity_of(name) for name in by.holders("owner")}
    signed = tuple(name for name, entry in holders.items() if entry and entry.identity in found)
    missing = tuple(name for name in holders if name not in signed)
    return Quorum(by.version, signed, missing, by.threshold("owner"), len(found))
