"""What a release is asked with, and what it tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any

from attest.core.values import dataclass
from attest.digests import Digest
from attest.signers import Signer
from bundlers.gates import Outcome, StagedArchive
from bundlers.isolation import IsolationReport
from casstore.config import Config
from casstore.ledger.book.log import Ledger
from casstore.machine.progress import NullProgress, Progress
from casstore.store.store import Store


@dataclass(frozen=True, slots=True)
class ReleaseRequest:
    """Everything that a release needs."""

    store: Store
    ledger: Ledger
    config: Config
    version: str
    signer: Signer
    now: datetime
    out: str | None = None
    """A folder that does not exist yet; None writes no output folder."""
    epoch: int | None = None
    """Seconds since 1970 for all files; by default each component has the time of its tree's first put."""
    components: Mapping[str, Digest] = field(default_factory=dict)
    """Trees by hand; the others are what the ledger has for this version."""
    times: Mapping[tuple[str, Digest], int] = field(default_factory=dict)
    """Component and tree -> the time that its files bear, as another release has it."""
    source: str | None = None
    """A release or channel that components are taken from which were not put for this version."""
    notes: bytes | None = None
    """A text for people, UTF-8."""
    blockers: str | None = None
    """Where blockers are written, whether the release fails or not."""
    dry_run: bool = False
    strict: bool = False
    """Whether an empty folder that a product would lose is an error."""
    workers: int | None = None
    """Threads; by default as many as there are cores."""
    progress: Progress = field(default_factory=NullProgress)


@dataclass(frozen=True, slots=True)
class Would:
    """What a dry run would have done."""

    entry: int
    """The number of its ledger entry, if nobody else writes first."""
    objects: int
    bytes: int
    files: tuple[str, ...]
    """Names in the output folder."""

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"entry": self.entry, "objects": self.objects, "bytes": self.bytes, "files": list(self.files)}


@dataclass(frozen=True, slots=True)
class ReleaseReport:
    """What was released, or would be."""

    version: str
    release: Digest | None
    """The release object; None in a dry run, whose signatures are thrown away."""
    entry: int | None
    epoch: int
    components: Mapping[str, Digest]
    archives: tuple[StagedArchive, ...]
    outcomes: tuple[Outcome, ...]
    isolation: IsolationReport | None
    out: str | None
    evidence: tuple[Digest, ...] = ()
    would: Would | None = None
    dropped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Build -> empty folders of its components, which no archive has."""
    taken: Mapping[str, str] = field(default_factory=dict)
    """Component that was not put for this version -> the version that it was taken from."""
    again: bool = False
    """The very same release was in the ledger already."""

    @property
    def dry_run(self) -> bool:
        """Whether nothing was done."""
        return self.would is not None

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "version": self.version,
            "release": self.release,
            "entry": self.entry,
            "epoch": self.epoch,
            "components": dict(self.components),
            "taken": dict(self.taken),
            "archives": [archive.to_json() for archive in self.archives],
            "gates": [outcome.to_json() for outcome in self.outcomes],
            "isolation": self.isolation.to_json() if self.isolation else None,
            "evidence": list(self.evidence),
            "out": self.out,
            "dryRun": self.dry_run,
            "would": self.would.to_json() if self.would else None,
            "dropped": {product: list(paths) for product, paths in self.dropped.items()},
            "again": self.again,
        }
