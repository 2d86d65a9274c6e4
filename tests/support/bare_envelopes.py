"""Envelopes as SLSA generators publish them, with the entry in a private log alone."""

from __future__ import annotations

import base64
import json
from typing import Any

from private_sigstore import PrivateSigstore

KINDS = (("intoto", "0.0.1"), ("intoto", "0.0.2"), ("dsse", "0.0.1"))


def line_of(bundle: bytes, *, certificate: bool = True) -> str:
    """The envelope of a keyless bundle on one line, as Go writes it, with the certificate inside or without any."""
    document = json.loads(bundle)
    envelope, sig = document["dsseEnvelope"], document["dsseEnvelope"]["signatures"][0]["sig"]
    cert = f',"cert":{json.dumps(pem_of(document))}' if certificate else ""
    return (
        f'{{"payloadType":"{envelope["payloadType"]}","payload":"{envelope["payload"]}",'
        f'"signatures":[{{"keyid":"","sig":"{sig}"{cert}}}]}}'
    )


def pem_of(document: dict[str, Any]) -> str:
    """The certificate of a keyless bundle."""
    text = document["verificationMaterial"]["certificate"]["rawBytes"]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *_wrapped(text), "-----END CERTIFICATE-----", ""])


def logged(instance: PrivateSigstore, line: str, pem: str, kind: tuple[str, str]) -> bytes:
    """Log a line; the log's answer, as somebody saved it."""
    envelope, verifier = json.loads(line), _b64(pem)
    (signature,) = envelope["signatures"]
    twice = {"sig": _b64(signature["sig"]), "publicKey": verifier}
    content = {
        "envelope": {
            "payload": _b64(envelope["payload"]),
            "payloadType": envelope["payloadType"],
            "signatures": [twice],
        },
        "hash": {"algorithm": "sha256", "value": _hash(line)},
    }
    specs: dict[tuple[str, str], Any] = {
        ("intoto", "0.0.1"): {"content": {"envelope": line}, "publicKey": verifier},
        ("intoto", "0.0.2"): {"content": content},
        ("dsse", "0.0.1"): {"proposedContent": {"envelope": line, "verifiers": [verifier]}},
    }
    proposal = {"kind": kind[0], "apiVersion": kind[1], "spec": specs[kind]}
    return json.dumps(instance.rekor_v1.add(json.dumps(proposal).encode(), {})).encode()


def _wrapped(text: str) -> list[str]:
    return [text[at : at + 64] for at in range(0, len(text), 64)]


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _hash(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()
