"""What somebody without keys can do with all that was ever published: take any of it, and put it together anew.

public = Public.of(folder)
public.kit(path, "prod", "1.1.0", drop={EntryKind.REVOKE})
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from attest import canonical
from attest.digests import Digest, hex_of, sha256
from attest.log import checkpoints, merkle, tiles
from bundlers.consuming.sources import KIT_FORMAT
from bundlers.publishing.layout import kit_files, published_paths
from bundlers.publishing.layout.kit_files import HEAD, KitFile, Member
from bundlers.publishing.layout.records import ChannelRecord, LedgerProof, ProvenEntry
from casstore.ledger import entries as formats
from casstore.ledger.entries import EntryKind


@dataclass
class Public:
    """Every file that lies in a published folder, those of earlier publications too."""

    folder: Path
    blobs: dict[Digest, bytes]
    raws: list[bytes]
    checkpoint: bytes

    @staticmethod
    def of(folder: Path) -> Public:
        blobs = {sha256(data): data for data in _contents(folder / "targets")}
        for data in list(blobs.values()):
            if data.startswith(b'{"entries"'):
                blobs |= {sha256(item.statement): item.statement for item in LedgerProof.parse(data).entries}
        checkpoint = (folder / "ledger/checkpoint").read_bytes()
        size = checkpoints.parse(checkpoint)[0].size
        return Public(folder, blobs, _entries(folder, size), checkpoint)

    def kit(
        self,
        path: Path,
        channel: str,
        version: str,
        *,
        drop: Collection[EntryKind] = (),
        old_leaves: bool = False,
        record: ChannelRecord | None = None,
        leaves: Iterable[bytes] = (),
        objects: Iterable[bytes] = (),
    ) -> Path:
        """A kit that shows an old record, or a given one, under a checkpoint and leaves entries of some kinds out.

        `leaves` of a sealed state, and `objects`, are put beside those that were published.
        """
        record = record or self.record(channel, version)
        size = len(self.raws)
        tree = merkle.MemoryTree(self.raws)
        proven = []
        for raw in self.raws:
            entry = formats.parse(raw)
            if entry.kind not in drop and entry.statement in self.blobs:
                inclusion = tuple(tree.inclusion(entry.number, size))
                proven.append(ProvenEntry(raw, self.blobs[entry.statement], inclusion))
        files = {
            published_paths.channel_path(channel): record.to_bytes(),
            published_paths.objects_path(channel): self._tar("objects", objects),
            published_paths.state_path(channel): self._leaves(record, old_leaves, leaves),
            published_paths.PROOF: LedgerProof(record.store, record.ledger, size, tuple(proven)).to_bytes(),
            published_paths.CHECKPOINT: self.checkpoint,
        }
        for tile in tiles.grown(0, size):
            files[f"ledger/{tile.path}"] = tiles.tile_bytes(tile, tree.hash_at)
        for name, data in self._targets():
            if name.startswith(
                (f"releases/{version}/", "trust-root/", *(build.path for build in record.builds.values()))
            ):
                files[name] = data
        head = {"channels": [channel], "format": KIT_FORMAT, "ledger": record.ledger, "release": record.release}
        files[HEAD] = canonical.dumps({**head, "store": record.store, "version": version})
        path.write_bytes(_packed(files))
        return path

    def _targets(self) -> list[tuple[str, bytes]]:
        """Target path -> bytes, of all publications."""
        top = self.folder / "targets"
        found = []
        for path in sorted(top.rglob("*")):
            if path.is_file():
                place = path.relative_to(top)
                found.append((str(place.with_name(place.name.partition(".")[2])), path.read_bytes()))
        return found

    def record(self, channel: str, version: str) -> ChannelRecord:
        """The newest published record of a channel at a version."""
        named = [data for name, data in self._targets() if name == published_paths.channel_path(channel)]
        found = [record for record in map(ChannelRecord.parse, named) if record.version == version]
        return max(found, key=lambda record: (record.move_number, record.withdrawn))

    def _tar(self, kind: str, more: Iterable[bytes] = ()) -> bytes:
        """All objects, or leaves, that were ever published for channels."""
        members = {f"objects/{hex_of(sha256(data))}": data for data in more}
        for name, data in self._targets():
            if name.startswith("channels/") and name.endswith(f".{kind}.tar"):
                tar = KitFile(name, head=False, data=data)
                members |= {member: tar.read(member) for member in tar.names}
        return _packed(members)

    def _leaves(self, record: ChannelRecord, old: bool, more: Iterable[bytes]) -> bytes:
        tar = KitFile("state", head=False, data=self._tar("state"))
        mark = f'"number":{record.move_number}'.encode()
        kept = [data for name in tar.names if mark in (data := tar.read(name)) or not old]
        return _packed({f"objects/{hex_of(sha256(data))}": data for data in (*kept, *more)})


def _contents(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


def _entries(folder: Path, size: int) -> list[bytes]:
    found: dict[int, bytes] = {}
    for path in (folder / "ledger/tile/entries").rglob("*"):
        if path.is_file():
            tile = tiles.Tile.parse(str(path.relative_to(folder / "ledger")))
            rows = tiles.parse_entries(path.read_bytes(), width=tile.width)
            found |= dict(zip(tile.hashes, rows, strict=False))
    return [found[number] for number in range(size)]


def _packed(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    members = {name: Member(len(data), lambda data=data: (data,)) for name, data in files.items()}  # type: ignore[misc]
    kit_files.write(out, members, mtime=0)
    return out.getvalue()
