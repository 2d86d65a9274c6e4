"""Asks witnesses for their lines below what is published somewhere: whoever can read it and write lines may do so.

Promises: only a checkpoint is posted that the role `ledger` signed, under the chain of trust roots that begins at the
one given; only witnesses of the newest trust root are asked; each one's answer is told. Leaves to others: how one is
asked (`c2sp`), and where its line is put (`publishing.asking`).

    report = run(PostingSettings(source, out, {"witness.example/w1": url}, first), now=now, network=guard)
    report.signed, report.failed
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attest.core.values import dataclass
from attest.digests import Digest, from_raw
from attest.errors import CasstoreError, PolicyDenied
from attest.log import merkle
from bundlers.publishing import cosigned
from bundlers.publishing.asking import Asking, Question
from bundlers.publishing.layout.destinations import open_destination
from bundlers.witnessing import logs
from bundlers.witnessing.c2sp import C2spWitness
from casstore.network.network import NetworkGuard


@dataclass(frozen=True, slots=True)
class PostingSettings:
    """What is read, who is asked, and where lines go."""

    source: str
    out: str
    posts: Mapping[str, str]
    """Name in the trust root -> submission prefix."""
    first_trust_root: Digest
    sigstore_root: bytes | None = None


@dataclass(frozen=True, slots=True)
class PostingReport:
    """What each witness said."""

    size: int
    root_hash: Digest
    signed: tuple[str, ...]
    """Those whose line over this checkpoint lies there."""
    failed: Mapping[str, CasstoreError]

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        failed = {name: exc.message for name, exc in sorted(self.failed.items())}
        return {"size": self.size, "rootHash": self.root_hash, "signed": list(self.signed), "failed": failed}


def run(settings: PostingSettings, *, now: datetime, network: NetworkGuard) -> PostingReport:
    """Raises PolicyDenied for a name that is no witness, VerificationError, NoSuchObject, StorageUnavailable."""
    first, sigstore_root = settings.first_trust_root, settings.sigstore_root
    log = logs.open_log(settings.source, network=network, first=first, at=now, sigstore_root=sigstore_root)
    named = {one.name: one for one in (log.root.witnesses.keys if log.root.witnesses else ())}
    for name in settings.posts:
        if name not in named:
            raise PolicyDenied(
                f"{name[:128]} is no witness of trust root {log.root.version}",
                hint=f"its witnesses: {', '.join(named) or 'none'}; the owners name one by keys ceremony",
            )
    asking = Asking({name: C2spWitness(url, network, now) for name, url in settings.posts.items()})
    destination, asked = open_destination(settings.out, network=network), [named[name] for name in settings.posts]
    asking.ask(
        destination,
        asked,
        Question(log.note, log.root, lambda old: merkle.consistency_proof(log.hashes, old, log.size), log.size),
    )
    here = cosigned.small(destination)
    signed = [one.name for one in asked if cosigned.line(here, one, log.checkpoint) is not None]
    return PostingReport(log.size, from_raw(log.checkpoint.root), tuple(signed), asking.said)
