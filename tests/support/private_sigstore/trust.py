"""What clients are given: trusted root, signing config, client trust config, and a TUF repository of them."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from .authorities import ORGANIZATION, Authority
from .fulcio import spki

P256, ED25519 = "PKIX_ECDSA_P256_SHA_256", "PKIX_ED25519"


@dataclass
class Window:
    """From when, and until when, a part of the instance is good."""

    start: datetime
    end: datetime | None = None

    def to_json(self) -> dict[str, str]:
        text = {"start": _text(self.start)}
        return text if self.end is None else {**text, "end": _text(self.end)}


def _text(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class KnownLog:
    """A log as the trusted root names it."""

    url: str
    key_id: bytes
    public: Any
    window: Window

    def to_json(self) -> dict[str, Any]:
        details = P256 if hasattr(self.public, "curve") else ED25519
        key = {"rawBytes": _b64(spki(self.public)), "keyDetails": details, "validFor": self.window.to_json()}
        return {"baseUrl": self.url, "hashAlgorithm": "SHA2_256", "logId": {"keyId": _b64(self.key_id)},
                "publicKey": key}  # fmt: skip


@dataclass
class KnownAuthority:
    """A certificate or time stamp authority as the trusted root names it."""

    url: str
    authority: Authority
    window: Window

    def to_json(self) -> dict[str, Any]:
        chain = [{"rawBytes": _b64(c.public_bytes(Encoding.DER))} for c in self.authority.chain]
        return {"subject": {"organization": ORGANIZATION, "commonName": "private"}, "uri": self.url,
                "certChain": {"certificates": chain}, "validFor": self.window.to_json()}  # fmt: skip


def trusted_root(parts: Mapping[str, list[Any]]) -> dict[str, Any]:
    """`parts`: tlogs, certificateAuthorities, ctlogs, timestampAuthorities."""
    kind = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
    return {"mediaType": kind, **{name: [part.to_json() for part in found] for name, found in parts.items()}}


def signing_config(url: str, *, rekor: int, stamps: bool, start: datetime) -> dict[str, Any]:
    def service(path: str = "", version: int = 1) -> dict[str, Any]:
        window = Window(start).to_json()
        return {"url": url + path, "majorApiVersion": version, "operator": ORGANIZATION, "validFor": window}

    return {
        "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
        "caUrls": [service()],
        "oidcUrls": [service()],
        "rekorTlogUrls": [service(version=rekor)],
        "tsaUrls": [service("/api/v1/timestamp")] if stamps else [],
        "rekorTlogConfig": {"selector": "ANY"},
        "tsaConfig": {"selector": "ANY"},
    }


def client_trust_config(root: Mapping[str, Any], config: Mapping[str, Any]) -> bytes:
    kind = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"
    return json.dumps({"mediaType": kind, "trustedRoot": root, "signingConfig": config}).encode()


def tuf_files(targets: Mapping[str, Any]) -> dict[str, bytes]:
    """A TUF repository as path -> bytes, the way sigstore clients fetch their trust material."""
    from securesystemslib.signer import CryptoSigner
    from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

    expires = datetime.now(UTC) + timedelta(days=30)
    signer = CryptoSigner.generate_ed25519()
    root, listed, files = Root(expires=expires), Targets(expires=expires), {}
    for role in ("root", "targets", "snapshot", "timestamp"):
        root.add_key(signer.public_key, role)
    for path, value in targets.items():
        data = json.dumps(value).encode()
        listed.targets[path] = TargetFile.from_data(path, data, ["sha256"])
        files[f"/targets/{hashlib.sha256(data).hexdigest()}.{path}"] = data
    signed = {
        "/1.root.json": root,
        "/1.targets.json": listed,
        "/1.snapshot.json": Snapshot(expires=expires, meta={"targets.json": MetaFile(1)}),
        "/timestamp.json": Timestamp(expires=expires, snapshot_meta=MetaFile(1)),
    }
    for path, payload in signed.items():
        metadata = Metadata(payload)
        metadata.sign(signer)
        files[path] = metadata.to_bytes()
    return files


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
