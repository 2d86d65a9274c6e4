"""Who signs a publication, and what one reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from attest.core.values import dataclass
from attest.digests import Digest
from attest.signers import Signer
from bundlers.publishing.layout.records import CanaryRecord
from bundlers.publishing.layout.tuf_repository import TufSigners


@dataclass(frozen=True, slots=True)
class PublishSigners:
    """Who signs: the record and TUF's online roles; the checkpoint (Ed25519); TUF's root."""

    publisher: Signer
    ledger: Signer
    root: tuple[Signer, ...] = ()
    """By default the publisher, or whoever holds it; the new one first and the one before second, to rotate it."""
    reset: bool = False
    """When TUF starts anew: forget the numbers that consumers saw, since who had the lost key counted them up."""

    @property
    def tuf(self) -> TufSigners:
        """For the metadata."""
        return TufSigners(self.publisher, self.root)


@dataclass(frozen=True, slots=True)
class PublishReport:
    """What was published where."""

    destination: str
    url: str
    channel: str
    version: str
    release: Digest
    number: int
    """The publication that the destination shows."""
    unchanged: bool
    """It showed this already, and nothing was due."""
    finished: tuple[int, ...]
    """Publications that an interrupted run had left."""
    files: int
    bytes: int
    skipped: int
    staged: str | None = None
    """Which witnesses are lacking: all is written, and consumers are shown the publication before."""
    witnesses: Mapping[str, str] = field(default_factory=dict)
    """Those that were asked and did not sign, and why."""
    disputed: bool = False
    """One of them signed another history under the ledger's key, or more entries than there are."""
    withdrawn: bool = False
    """It says that what the channel names may be installed no more."""
    canary: CanaryRecord | None = None
    """What a share of the channel's consumers gets instead."""
    fallback: str | None = None
    """Why the fallback folder was used, or None."""
    hooks: tuple[str, ...] = field(default=())
    """Invalidation commands that failed."""

    @property
    def exit_code(self) -> int:
        """3: a witness knows another history; then 12: it went to the fallback folder; 4: witnesses are lacking;
        1: an invalidation failed; else 0."""
        return (
            3
            if self.disputed
            else 12
            if self.fallback is not None
            else 4
            if self.staged is not None
            else 1
            if self.hooks
            else 0
        )

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "destination": self.destination,
            "url": self.url,
            "channel": self.channel,
            "version": self.version,
            "release": self.release,
            "number": self.number,
            "unchanged": self.unchanged,
            "finished": list(self.finished),
            "files": self.files,
            "bytes": self.bytes,
            "skipped": self.skipped,
            "withdrawn": self.withdrawn,
            "canary": None if self.canary is None else self.canary.told,
            "staged": self.staged,
            "witnesses": dict(self.witnesses),
            "disputed": self.disputed,
            "fallback": self.fallback,
            "failedHooks": list(self.hooks),
        }
