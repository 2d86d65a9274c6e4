"""A line of publications without a store: the lists of targets alone, as they are recorded, signed and read.

line = Listings()
line.publish("1.0.0")
line.stock(tmp_path / "a").get_targetinfo("releases/1.0.0/release.json")
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater

from attest.digests import Digest, sha256
from attest.keys import keys
from attest.signers import Signer, from_private_key
from attest.statements.predicates.publication import Publication, PublishedTarget
from bundlers.consuming.tuf_client import TufClient
from bundlers.publishing import older_signing
from bundlers.publishing.layout import older_lists, published_paths, target_lists, tuf_repository
from bundlers.publishing.layout.older_lists import Part
from bundlers.publishing.layout.records import ChannelRecord, PublishedBuild
from bundlers.publishing.layout.tuf_lists import OlderRoles
from bundlers.publishing.layout.tuf_repository import Lifetimes, TargetInfo, TufSigners
from casstore.errors import NoSuchObject

NOW = datetime.now(UTC).replace(microsecond=0)
ZERO = sha256(b"")
FILES = ("release.json", "SHA256SUMS", "core.product-manifest.json", "evidence/{hex}.sigstore.json")


def target(text: str) -> PublishedTarget:
    """A file that holds this text."""
    return PublishedTarget(sha256(text.encode()), len(text))


def release(version: str) -> dict[str, PublishedTarget]:
    """What one release of one product brings."""
    named = target(version)
    hexed = named.digest.removeprefix("sha256:")
    paths = [published_paths.release_path(version, name.format(hex=hexed)) for name in FILES]
    paths += [f"files/{version}/all.json", published_paths.archive_path("core", "tar.gz", named.digest)]
    return dict.fromkeys(paths, named)


@dataclass
class Listings:
    """`files` are those of the destination; `told` the records; `kept` what a store would have."""

    signer: Signer = field(default_factory=lambda: from_private_key(keys.generate("ed25519")))
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    now: datetime = NOW
    files: dict[str, bytes] = field(default_factory=dict)
    kept: dict[Digest, bytes] = field(default_factory=dict)
    told: list[Publication] = field(default_factory=list)

    def claim(self, number: int) -> Publication:
        """A record as it is."""
        return self.told[number - 1]

    @property
    def whole(self) -> Publication:
        """The last publication with all its targets."""
        return target_lists.whole(self.claim, len(self.told))

    @property
    def parts(self) -> tuple[Part, ...]:
        """Its older roles."""
        return older_lists.parts_of(self.claim, len(self.told))

    @property
    def older(self) -> OlderRoles:
        """Those, with what the records say of them."""
        return OlderRoles(self.parts, self.whole.roles)

    @property
    def root(self) -> bytes:
        """TUF's first."""
        return self.files["metadata/1.root.json"]

    def publish(self, version: str, *, without: str | None = None, root: tuple[Signer, ...] = ()) -> Publication:
        """One more release, shown in prod; `without` a release that was revoked. Returns what it names."""
        number = len(self.told) + 1
        targets = dict(self.whole.targets) if self.told else {}
        if without is not None:
            targets = {path: one for path, one in targets.items() if path not in release(without)}
        if self.told:
            targets[published_paths.publication_path(number - 1)] = target(f"publication {number - 1}")
        targets |= {**release(version), "ledger/checkpoint": target(f"checkpoint {number}")}
        targets["channels/prod.json"] = self._record(version)
        claim = Publication("s", "main", "cdn", "prod", version, number, ZERO, self.now, targets)
        parts = older_lists.parts_with(self.claim, claim)
        if parts and self.told:
            before = older_signing.Before(self.whole, self.parts)
            claim, made = older_signing.signed(claim, parts, before, self.signer, self.kept.__getitem__, self.lifetimes)
            self.kept |= {sha256(data): data for data in made}
        self.told.append(target_lists.told(self.claim, claim))
        self.lay_out(claim, parts, root)
        return claim

    def _record(self, version: str) -> PublishedTarget:
        archive = release(version)[f"files/{version}/all.json"]
        path = published_paths.archive_path("core", "tar.gz", archive.digest)
        build = PublishedBuild("core.tar.gz", path, archive.digest, archive.length, "core.json")
        raw = ChannelRecord("s", "main", "prod", version, ZERO, 1, ZERO, 1, ZERO, {"core": build}).to_bytes()
        self.kept[sha256(raw)] = raw
        return PublishedTarget(sha256(raw), len(raw))

    def lay_out(self, claim: Publication, parts: tuple[Part, ...], root: tuple[Signer, ...]) -> None:
        """The metadata of a publication."""
        signers = TufSigners(self.signer, root)
        version = max((int(name.split("/")[1].split(".")[0]) for name in self.files if "root.json" in name), default=0)
        newest = self.files.get(f"metadata/{version}.root.json")
        due = tuf_repository.next_root(newest, signers, now=self.now, lifetimes=self.lifetimes)
        if due is not None:
            self.files[f"metadata/{version + 1}.root.json"] = newest = due
        assert newest is not None
        older = OlderRoles(parts, claim.roles)
        for name, row in older.live.items():
            self.files[published_paths.role_path(row.version, name)] = self.kept[row.digest]
        shown = older_lists.shown_by(claim.targets, self.kept.__getitem__)
        listed = {
            path: TargetInfo(one.digest, one.length)
            for path, one in older_lists.top_of(claim.targets, claim.targets, parts, shown).items()
        }
        made = tuf_repository.make_metadata(
            claim.number,
            newest,
            listed,
            signers,
            now=self.now,
            existing=lambda _: None,
            lifetimes=self.lifetimes,
            older=older,
        )
        self.files |= {f"metadata/{file.name}": file.data for file in made}

    def stock(self, folder: Path) -> Updater:
        """python-tuf's client as it is, refreshed."""
        folder.mkdir(exist_ok=True)
        made = Updater(str(folder), "metadata", fetcher=_Fetcher(self), bootstrap=self.root)
        made.refresh()
        return made

    def client(self, folder: Path, at: datetime | None = None) -> TufClient:
        """Ours, refreshed."""
        made = TufClient(Reader(self), folder=str(folder), root=self.root, at=at or self.now)
        made.refresh()
        return made

    def later(self, days: int) -> None:
        """Time goes by."""
        self.now += timedelta(days=days)


@dataclass
class Reader:
    """What was published, and which names were asked for."""

    line: Listings
    url: str = "memory"
    remote: bool = False
    asked: list[str] = field(default_factory=list)

    def chunks(self, path: str) -> Iterator[bytes]:
        self.asked.append(path)
        if path not in self.line.files:
            raise NoSuchObject(path)
        return iter((self.line.files[path],))

    def part(self, path: str, start: int, end: int) -> Iterator[bytes]:
        return iter((b"".join(self.chunks(path))[start:end],))


class _Fetcher(FetcherInterface):
    def __init__(self, line: Listings) -> None:
        self._line = line

    def _fetch(self, url: str) -> Iterator[bytes]:
        if url not in self._line.files:
            raise DownloadHTTPError(url, 404)
        return iter((self._line.files[url],))


def again(line: Listings) -> Listings:
    """A copy to be harmed."""
    return replace(line, files=dict(line.files), kept=dict(line.kept), told=list(line.told))
