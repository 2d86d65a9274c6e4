"""What a gate is: a name, a phase, typed settings, and a pure check over a read-only view.

    @dataclass(frozen=True, slots=True)
    class Settings: ...                                    # every field a TOML key of [gates.NAME]
    def check(view: ReleaseView, settings: Settings) -> GateResult: ...

A gate reads what the view offers and nothing else; it returns a result, or raises - which fails
it. How gates are found, run and limited is left to the package and to `running`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, Protocol

from attest.core.values import dataclass
from attest.digests import Digest
from bundlers.products.product_manifests import ProductManifest
from casstore.ledger.release_objects import Release, ReleaseBuild
from casstore.objects.tree import TreeEntry

if TYPE_CHECKING:
    from attest.trust.verify import VerifiedStatement
    from casstore.config import Consumer
    from casstore.network.network import NetworkGuard


class Phase(enum.StrEnum):
    """When a gate is asked."""

    SOURCES = "sources"
    """On what components are built from, before a build of `casstore run`; and with `inputs`."""
    INPUTS = "inputs"
    """Before a byte is packed."""
    STAGED = "staged"
    """On the archives in quarantine."""
    CHANNEL = "channel"
    """At promotion, where the signed policy asks for it."""


class ViewStore(Protocol):
    """What a gate may read of the store."""

    def walk(self, digest: Digest) -> Iterator[tuple[bytes, TreeEntry]]:
        """(path, entry) of every file and link below a tree."""

    def open_blob(self, digest: Digest) -> BinaryIO:
        """A seekable, verified stream."""

    def chunks(self, digest: Digest) -> Iterator[bytes]:
        """The bytes, piece by piece, verified at the end."""

    def chunks_of(self, wanted: Iterable[Digest]) -> Iterator[Iterator[bytes]]:
        """As `chunks` of one after the other."""

    def read(self, digest: Digest, *, max_bytes: int | None = None) -> bytes:
        """All bytes, verified."""


@dataclass(frozen=True, slots=True)
class StagedArchive:
    """An archive in quarantine."""

    name: str
    path: str
    digest: Digest
    size: int
    manifest: ProductManifest
    kept: str = ""
    """The version whose archive it is, where nothing changed; then `path` is empty unless a gate needs the file."""

    def to_json(self) -> dict[str, Any]:
        """For reports."""
        rows = {"name": self.name, "product": self.manifest.product, "build": self.manifest.build}
        kept = {"kept": self.kept} if self.kept else {}
        return {**rows, "digest": self.digest, "size": self.size, "files": len(self.manifest.files), **kept}


@dataclass(frozen=True, slots=True)
class ChannelView:
    """The channel that a release is to come to, for gates of the phase `channel`."""

    name: str
    release: Digest
    head: Digest | None
    """The release that it names now."""
    store: str
    ledger: str
    attested: Callable[[str], Sequence[VerifiedStatement]]
    """Predicate type -> what the ledger recorded of it, verified, signer and statement not revoked."""
    guard: NetworkGuard
    """Asked before any socket opens."""
    builds: Mapping[str, ReleaseBuild] = field(default_factory=dict)
    """`product`, or `product/build` -> what the release ships."""
    signers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Requirement -> the roles that the signed policy wants it from, where it says so."""


@dataclass(frozen=True, slots=True)
class ReleaseView:
    """A release in the making, to look at."""

    version: str
    trees: Mapping[str, Digest]
    """Component -> tree."""
    manifests: Mapping[str, ProductManifest]
    """`product`, or `product/build` for one of several."""
    store: ViewStore
    root: str
    """The folder of casstore.toml, where a user's own commands run."""
    archives: Mapping[str, StagedArchive] = field(default_factory=dict)
    """As `manifests` -> archive; only in the phase `staged`."""
    config: Digest | None = None
    """The digest of casstore.toml."""
    previous: Release | None = None
    """The newest release of the ledger, to compare with."""
    provenance: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Component -> the provenance that the ledger accepted for its tree."""
    now: datetime | None = None
    """The time of the release; a gate reads no clock."""
    allow: tuple[str, ...] = ()
    """`[network] allow` of casstore.toml."""
    urls: Mapping[str, str] = field(default_factory=dict)
    """Key of casstore.toml -> the URL that stands there."""
    consumers: Sequence[Consumer] = ()
    """`[[consumers]]` of casstore.toml."""
    kept: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Of the builds that did not change: the `[gates]` of the release that made them, all passed then."""
    channel: ChannelView | None = None
    """Only in the phase `channel`."""

    def files(self) -> Iterator[tuple[str, str, TreeEntry]]:
        """(component, path, entry) of every file of every component."""
        for component, tree in sorted(self.trees.items()):
            for path, entry in self.store.walk(tree):
                if entry.kind == "file":
                    yield component, path.decode("utf-8", "backslashreplace"), entry


@dataclass(frozen=True, slots=True)
class GateResult:
    """What a gate found."""

    passed: bool
    messages: tuple[str, ...] = ()
    """Why it failed, one per problem."""
    files: tuple[str, ...] = ()
    """COMPONENT/PATH, or an archive's name."""
    suggested_fix: str = ""
    measured: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    """What does not fail it, and should be read."""


class Gate(Protocol):
    """One file of this package, or an object that another distribution offers by entry point."""

    NAME: ClassVar[str]
    PHASE: ClassVar[Phase]
    SUMMARY: ClassVar[str]
    Settings: type[Any]
    """A frozen dataclass."""

    def check(self, view: ReleaseView, settings: Any) -> GateResult:
        """Judge. Raising fails the gate."""
