"""secrets: no key, token or private key in what is shipped.

    [gates]
    secrets = { allow = ["3f2a..."], exclude = ["*/testdata/*"] }

Rules are the fixed forms that issuers document for their own tokens, and PEM private keys with a
body: few false alarms in compiled files and texts alike, and no guess by entropy. A finding names
rule, file and the first 16 digits of the SHA-256 of the secret (to be allowed by), never the secret.
"""

from __future__ import annotations

import fnmatch
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from attest.digests import Digest
from bundlers.gates.base import GateResult, Phase, ReleaseView

NAME = "secrets"
PHASE = Phase.INPUTS
SUMMARY = "No key, token or private key is in any component, text or binary."

_PIECE = 1024 * 1024
_OVERLAP = 16 * 1024

RULES: dict[str, bytes] = {
    "private-key": rb"-----BEGIN (?:[A-Z0-9]+ ){0,2}PRIVATE KEY(?: BLOCK)?-----\s+"
    rb"(?:[!-~ ]{1,200}\s+){0,4}[A-Za-z0-9+/=\s\\]{64,}",
    "aws-access-key": rb"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b",
    "github-token": rb"\bgh[pousr]_[A-Za-z0-9]{36}\b|\bgithub_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}\b",
    "gitlab-token": rb"\bglpat-[A-Za-z0-9_-]{20}\b",
    "slack-token": rb"\bxox[abprs]-[0-9]{10,13}-[A-Za-z0-9-]{16,}\b",
    "google-api-key": rb"\bAIza[A-Za-z0-9_-]{35}\b",
    "stripe-key": rb"\b[rs]k_live_[A-Za-z0-9]{24,}\b",
    "npm-token": rb"\bnpm_[A-Za-z0-9]{36}\b",
    "pypi-token": rb"\bpypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,}",
    "azure-storage-key": rb"\bAccountKey=[A-Za-z0-9+/]{86}==",
    "url-password": rb"\b(?:https?|ftp|postgres(?:ql)?|mysql|amqp|redis)://[A-Za-z0-9._-]{1,64}:"
    rb"[^\s/:@'\"<>{}$%]{8,64}@[A-Za-z0-9-]{2,}\.[A-Za-z]{2,}",
}
_PATTERN = re.compile(b"|".join(b"(?P<%s>%s)" % (n.replace("-", "_").encode(), r) for n, r in RULES.items()))


@dataclass(frozen=True, slots=True)
class Settings:
    """What is let through, by fingerprint, and which files are not read, by glob over COMPONENT/PATH."""

    allow: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Secret:
    """A finding; the secret itself is not kept."""

    rule: str
    fingerprint: str
    offset: int


def check(view: ReleaseView, settings: Settings) -> GateResult:
    """Every file of every component, each content once."""
    seen: dict[Digest, tuple[Secret, ...]] = {}
    messages, files = [], []
    for component, path, entry in view.files():
        name = f"{component}/{path}"
        if any(fnmatch.fnmatchcase(name, glob) for glob in settings.exclude):
            continue
        if entry.content not in seen:
            with view.store.open_blob(entry.content) as blob:
                seen[entry.content] = tuple(scan(blob))
        for secret in seen[entry.content]:
            if secret.fingerprint not in settings.allow:
                messages.append(f"{name}: {secret.rule} at byte {secret.offset} (fingerprint {secret.fingerprint})")
                files.append(name)
    return GateResult(
        not messages,
        tuple(messages),
        tuple(dict.fromkeys(files)),
        "take the secret out and revoke it; a false alarm is allowed by its fingerprint in [gates] secrets.allow",
        {"scanned": len(seen)},
    )


def scan(stream: BinaryIO) -> Iterator[Secret]:
    """The secrets in a stream, each one once."""
    found: set[str] = set()
    offset, tail = 0, b""
    while piece := stream.read(_PIECE):
        window = tail + piece
        for match in _PATTERN.finditer(window):
            fingerprint = hashlib.sha256(match[0]).hexdigest()[:16]
            if match.end() == len(window) and len(piece) == _PIECE:
                continue  # it may go on: the next window, which begins before it, sees it whole
            if fingerprint not in found:
                found.add(fingerprint)
                yield Secret((match.lastgroup or "").replace("_", "-"), fingerprint, offset - len(tail) + match.start())
        offset += len(piece)
        tail = window[-_OVERLAP:]
