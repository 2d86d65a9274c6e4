"""Sigstore bundles: the one file format of our attestations (docs/formats/attestation.md).

Promises: writes v0.3 with a managed key's hint and one DSSE signature; reads 0.1 to 0.3 of any
tool into plain values, refusing what is ambiguous (two contents, two kinds of key material,
two signatures). Leaves to others: whether any of it is true (`verify`, `keyless`).

    raw = of_managed_key(envelope, spki_der)
    SigstoreBundle.parse(raw).envelope.payload

Source: https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from attest import canonical
from attest.core import limits
from attest.core.remembered import Remembered
from attest.core.values import dataclass
from attest.digests import Digest, sha256
from attest.errors import FormatError
from attest.statements import envelopes
from attest.statements.envelopes import Envelope

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
V01 = "application/vnd.dev.sigstore.bundle+json;version=0.1"
READ_MEDIA_TYPES = (
    MEDIA_TYPE,
    "application/vnd.dev.sigstore.bundle+json;version=0.3",
    "application/vnd.dev.sigstore.bundle+json;version=0.2",
    V01,
)
DIGESTS = {"SHA2_256": ("sha256", 32), "SHA2_384": ("sha384", 48), "SHA2_512": ("sha512", 64)}
"""sigstore's name -> ours, and its size in bytes."""
_KEY_MATERIAL = ("publicKey", "certificate", "x509CertificateChain")
_CONTENT = ("dsseEnvelope", "messageSignature")


@dataclass(frozen=True, slots=True)
class MessageSignature:
    """A signature over an artifact itself (read from foreign bundles, never written)."""

    signature: bytes
    digest: str | None
    """`sha256:HEX`, `sha384:HEX` or `sha512:HEX`; None where it does not say."""

    @property
    def algorithm(self) -> str:
        """By which digest the artifact is meant; SHA-256 where it does not say."""
        return "sha256" if self.digest is None else self.digest.partition(":")[0]


@dataclass(frozen=True, slots=True)
class SigstoreBundle:
    """What a bundle file says; nothing of it is verified."""

    raw: bytes
    media_type: str
    envelope: Envelope | None
    message_signature: MessageSignature | None
    key_hint: str | None
    """Set when a managed key signed: an opaque, unauthenticated hint, "" where none was written."""
    certificate: bytes | None
    """DER of the leaf certificate, when it was signed keyless."""
    log_entries: int
    timestamps: int
    material: Mapping[str, Any] = field(repr=False, default_factory=dict)
    """`verificationMaterial` as it was read."""

    @property
    def promise_is_enough(self) -> bool:
        """Whether a log's signed promise may stand without a proof of inclusion: in version 0.1 alone."""
        return self.media_type == V01

    @property
    def certificates(self) -> list[bytes]:
        """All certificates in DER, the signing one first. Raises FormatError for another version's way of writing."""
        chain = self.material.get("x509CertificateChain")
        if (chain is not None) == (self.media_type in READ_MEDIA_TYPES[:2]):
            raise FormatError("sigstore bundle: version 0.3 holds one certificate, those before it a chain")
        if chain is None:
            return [] if self.certificate is None else [self.certificate]
        rows = [row if isinstance(row, dict) else {} for row in _list(chain, "certificates")]
        return [envelopes.decode_base64(row.get("rawBytes"), "sigstore bundle: certificate") for row in rows]

    @staticmethod
    def parse(raw: bytes) -> SigstoreBundle:
        """Bytes to bundle. Raises FormatError."""
        return _parsed(raw)

    @staticmethod
    def _parse(raw: bytes) -> SigstoreBundle:
        value = canonical.loads_object(raw, what="sigstore bundle", max_bytes=limits.ATTESTATION)
        media_type = value.get("mediaType")
        if media_type not in READ_MEDIA_TYPES:
            raise FormatError(f"sigstore bundle: mediaType is {str(media_type)[:80]!r}", hint=f"wanted: {MEDIA_TYPE}")
        content = _exactly_one(value, _CONTENT, "sigstore bundle")
        material = _object(value, "verificationMaterial")
        kind = _exactly_one(material, _KEY_MATERIAL, "verificationMaterial")
        return SigstoreBundle(
            raw,
            media_type,
            envelopes.parse(value[content]) if content == "dsseEnvelope" else None,
            _message_signature(_object(value, content)) if content == "messageSignature" else None,
            _hint(_object(material, kind)) if kind == "publicKey" else None,
            _leaf(material, kind) if kind != "publicKey" else None,
            len(_list(material, "tlogEntries")),
            len(_list(material.get("timestampVerificationData") or {}, "rfc3161Timestamps")),
            material,
        )

    @property
    def digest(self) -> Digest:
        """The digest of the bundle's bytes, by which it is stored and named."""
        return sha256(self.raw)

    @property
    def signature(self) -> bytes:
        """The raw signature, over DSSE's PAE or over an artifact."""
        holder = self.envelope or self.message_signature
        return b"" if holder is None else holder.signature

    @property
    def stamps(self) -> list[bytes]:
        """The RFC 3161 responses. Raises FormatError."""
        found = _list(self.material.get("timestampVerificationData") or {}, "rfc3161Timestamps")
        if not all(isinstance(item, dict) for item in found):
            raise FormatError("sigstore bundle: a time stamp is no object")
        return [envelopes.decode_base64(item.get("signedTimestamp"), "sigstore bundle: time stamp") for item in found]

    @property
    def logged(self) -> list[Any]:
        """The `tlogEntries`, as they are."""
        return _list(self.material, "tlogEntries")

    @property
    def statement_envelope(self) -> Envelope:
        """The DSSE envelope. Raises FormatError for a bundle that signs an artifact directly."""
        if self.envelope is None:
            raise FormatError("sigstore bundle: it signs an artifact directly and holds no statement")
        return self.envelope


_parsed = Remembered(SigstoreBundle._parse)


def learn(bundle: SigstoreBundle) -> None:
    """What `parse` gives for its bytes, as another process of ours has found."""
    _parsed.learn(bundle.raw, bundle)


def of_managed_key(envelope: Envelope, spki_der: bytes) -> bytes:
    """The canonical bytes of a v0.3 bundle around an envelope that a managed key signed."""
    material = {"publicKey": {"hint": hint_of(spki_der)}, "tlogEntries": []}
    return canonical.dumps(
        {"mediaType": MEDIA_TYPE, "verificationMaterial": material, "dsseEnvelope": envelope.to_json()}
    )


def hint_of(spki_der: bytes) -> str:
    """The hint that cosign writes and looks up: base64 of SHA-256 over the DER SubjectPublicKeyInfo."""
    return base64.b64encode(hashlib.sha256(spki_der).digest()).decode()


def _exactly_one(value: Mapping[str, Any], names: tuple[str, ...], what: str) -> str:
    present = [name for name in names if value.get(name) is not None]
    if len(present) != 1:
        raise FormatError(f"{what}: exactly one of {', '.join(names)} is wanted, {len(present)} are there")
    return present[0]


def _object(value: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = value.get(name)
    if not isinstance(found, dict):
        raise FormatError(f"sigstore bundle: {name} is no object")
    return found


def _list(value: Any, name: str) -> list[Any]:
    found = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, dict) and found is None:
        return []
    if not isinstance(found, list):
        raise FormatError(f"sigstore bundle: {name} is no list")
    return found


def _hint(value: Mapping[str, Any]) -> str:
    hint = value.get("hint", "")
    if not isinstance(hint, str):
        raise FormatError("sigstore bundle: hint is no text")
    return hint


def _leaf(material: Mapping[str, Any], kind: str) -> bytes:
    holder = _object(material, kind)
    if kind == "x509CertificateChain":
        chain = _list(holder, "certificates")
        if not chain or not isinstance(chain[0], dict):
            raise FormatError("sigstore bundle: the certificate chain is empty")
        holder = chain[0]
    return envelopes.decode_base64(holder.get("rawBytes"), "sigstore bundle: certificate")


def _message_signature(value: Mapping[str, Any]) -> MessageSignature:
    signature = envelopes.decode_base64(value.get("signature"), "sigstore bundle: signature")
    digest = value.get("messageDigest")
    if digest is None:
        return MessageSignature(signature, None)
    algorithm, size = DIGESTS.get(str(digest.get("algorithm")), ("", 0)) if isinstance(digest, dict) else ("", 0)
    if not algorithm:
        raise FormatError(f"sigstore bundle: messageDigest is none of {', '.join(DIGESTS)}")
    raw = envelopes.decode_base64(digest.get("digest"), "sigstore bundle: messageDigest")
    if len(raw) != size:
        raise FormatError(f"sigstore bundle: messageDigest has {len(raw)} bytes, not {size}")
    return MessageSignature(signature, f"{algorithm}:{raw.hex()}")
