"""A managed key's signature with proofs beside it: an entry in a transparency log, RFC 3161 time stamps.

Promises: wraps any signer of a managed key; the log and the stamps are asked for after signing, and
their answers are verified before the bundle is handed on (wholly where the instance's trusted root is
given; without it, that the answer is about this very signature). A service that is down, slow or lies
ends in one error and no bundle. Leaves to others: the URLs and the root (a client trust config).

    signer = LoggedSigner(inner, Services(rekor="https://log.example", tsa=url, root_json=root), network=guard)
    raw = signer.sign_statement(payload)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime
from typing import Any

from attest import canonical
from attest.core import limits
from attest.core.values import dataclass
from attest.errors import BadInput, SignerError
from attest.keys import keys
from attest.log import log_bodies, log_entries
from attest.log.logged_texts import b64
from attest.signers import NetworkGuard, Signer
from attest.signers.services import door, post
from attest.sigstore import managed_proofs, rekor_answers
from attest.sigstore.sigstore_bundles import SigstoreBundle

_FAR = datetime(9999, 1, 1, tzinfo=UTC)
"""The times are the services' own; whoever verifies later judges them by a clock."""


@dataclass(frozen=True, slots=True)
class Services:
    """Where to log and stamp; each may be left out."""

    rekor: str | None = None
    rekor_version: int = 1
    tsa: str | None = None
    root_json: bytes | None = None

    @staticmethod
    def of_trust_config(raw: bytes) -> Services:
        """The first log and the first time stamp authority of a client trust config. Raises FormatError."""
        value = canonical.loads_object(raw, what="client trust config")
        config = value.get("signingConfig")
        root = value.get("trustedRoot")
        if not isinstance(config, dict) or not isinstance(root, dict):
            raise BadInput("client trust config: trustedRoot and signingConfig are wanted")
        log, tsa = _first(config, "rekorTlogUrls"), _first(config, "tsaUrls")
        version = log.get("majorApiVersion", 1)
        return Services(log.get("url"), version, tsa.get("url"), canonical.dumps(root))


@dataclass(frozen=True, slots=True)
class LoggedSigner:
    """Signs as the signer inside does, and adds the proofs."""

    inner: Signer
    services: Services
    network: NetworkGuard | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.inner.public_pem is None:
            raise BadInput("a keyless signature is logged and stamped by its instance", hint="leave out --rekor, --tsa")
        if self.services.rekor_version not in (1, 2):
            raise BadInput(f"Rekor's API version {self.services.rekor_version} is not known", hint="1 or 2")
        if self._log_is_v2 and not log_bodies.loggable_v2(self._public):
            raise BadInput("Rekor v2 takes no Ed25519 signatures", hint="use a P-256 key, or a Rekor v1 log")

    @property
    def identity(self) -> str:
        """The key's."""
        return self.inner.identity

    @property
    def public_pem(self) -> bytes | None:
        """The key's."""
        return self.inner.public_pem

    def sign_bytes(self, data: bytes) -> bytes:
        """The raw signature, without proofs: there is no place for them."""
        return self.inner.sign_bytes(data)

    def as_securesystemslib(self) -> Any:
        """The key's."""
        return self.inner.as_securesystemslib()

    def sign_statement(self, payload: bytes) -> bytes:
        """Statement bytes to bundle bytes. Raises SignerError, ServiceUnavailable."""
        bundle = SigstoreBundle.parse(self.inner.sign_statement(payload))
        value = canonical.loads_object(bundle.raw, what="sigstore bundle", max_bytes=limits.ATTESTATION)
        material = value["verificationMaterial"]
        if self.services.tsa is not None:
            stamp = {"signedTimestamp": b64(self._stamp(bundle.signature, self.services.tsa))}
            material["timestampVerificationData"] = {"rfc3161Timestamps": [stamp]}
        if self.services.rekor is not None:
            material["tlogEntries"] = [self._entry(bundle, value["dsseEnvelope"], self.services.rekor)]
        return self._judged(canonical.dumps(value))

    @property
    def _public(self) -> keys.PublicKey:
        return keys.public_from_pem(self.inner.public_pem or b"")

    @property
    def _log_is_v2(self) -> bool:
        return self.services.rekor is not None and self.services.rekor_version == 2

    def _stamp(self, signature: bytes, url: str) -> bytes:
        with door("no time stamp"):
            from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

            request = TimestampRequestBuilder().hash_algorithm(HashAlgorithm.SHA256).data(signature).nonce(nonce=True)
            return post(url, request.build().as_bytes(), kind="application/timestamp-query", network=self.network)

    def _entry(self, bundle: SigstoreBundle, envelope: Mapping[str, Any], url: str) -> dict[str, Any]:
        base = url.rstrip("/")
        with door(f"{url[:80]}: not logged"):
            if self._log_is_v2:
                body = log_bodies.hashedrekord_v2(managed_proofs.signed_by(bundle, self._public))
                request = {"hashedRekordRequestV002": _v2_request(body)}
                answer = self._ask(f"{base}/api/v2/log/entries", request)
                return {name: answer[name] for name in _V2_FIELDS if answer.get(name) is not None}
            return rekor_answers.entry_of(self._ask(f"{base}/api/v1/log/entries", self._v1_request(envelope)))

    def _v1_request(self, envelope: Mapping[str, Any]) -> dict[str, Any]:
        content = {
            "envelope": canonical.dumps(dict(envelope)).decode(),
            "verifiers": [b64(keys.public_to_pem(self._public))],
        }
        return {"apiVersion": "0.0.1", "kind": "dsse", "spec": {"proposedContent": content}}

    def _ask(self, url: str, request: Mapping[str, Any]) -> dict[str, Any]:
        raw = post(url, canonical.dumps(dict(request)), kind="application/json", network=self.network)
        return canonical.loads_object(raw, what=f"the answer of {url[:80]}")

    def _judged(self, raw: bytes) -> bytes:
        bundle = SigstoreBundle.parse(raw)
        with door("what the services answered does not hold"):
            if self.services.root_json is None:
                for entry in bundle.logged:
                    log_bodies.check(log_entries.parse(entry), managed_proofs.signed_by(bundle, self._public))
                return raw
            proven = managed_proofs.judge(bundle, self._public, root_json=self.services.root_json, at=_FAR)
        missing = [] if proven.logged or not bundle.logged else ["log"]
        missing += [] if proven.stamped or not bundle.stamps else ["time stamp authority"]
        if missing:
            raise SignerError(
                f"the trusted root does not vouch for the {missing[0]} that answered",
                hint="name the services of the same instance, or none of its trusted root",
            )
        return raw


_V2_FIELDS = ("logIndex", "logId", "kindVersion", "inclusionProof", "canonicalizedBody")


def _v2_request(body: Mapping[str, Any]) -> dict[str, Any]:
    return {"digest": body["data"]["digest"], "signature": body["signature"]}


def _first(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = config.get(name) or [{}]
    return found[0] if isinstance(found, list) and isinstance(found[0], dict) else {}
