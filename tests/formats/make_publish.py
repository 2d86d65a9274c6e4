"""Makes the golden files of what is published, installed and exported: python tests/formats/make_publish.py

Keys and nonces are derived from fixed texts, so that every run gives the same bytes.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ed25519

from attest import canonical, digests, signers
from attest.digests import Digest, hex_of, sha256
from attest.log import log_nodes
from attest.log.merkle import MemoryTree
from attest.statements.predicates.publication import PublishedRole, PublishedTarget
from bundlers.building.provenance_told import Inputs
from bundlers.consuming import install_ids
from bundlers.consuming.state import PinnedMove, Pins
from bundlers.formats.pieces import Pieces
from bundlers.installing.receipts import Receipt
from bundlers.publishing import file_lists
from bundlers.publishing.file_lists import ListedComponent, ListedRelease
from bundlers.publishing.layout import kit_files, published_paths, tuf_lists, tuf_repository
from bundlers.publishing.layout.kit_files import Member
from bundlers.publishing.layout.older_lists import Part
from bundlers.publishing.layout.records import CanaryRecord, ChannelRecord, LedgerProof, ProvenEntry, PublishedBuild
from bundlers.publishing.layout.tuf_lists import OlderRoles
from bundlers.publishing.layout.tuf_repository import TargetInfo, TufSigners
from casstore.ledger import entries as formats
from casstore.ledger.entries import EntryKind
from casstore.ledger.release_objects import label
from casstore.ledger.states.views import RecordedSigner
from casstore.objects import small_records
from casstore.promotion.known_vulnerabilities import KnownVulnerabilities
from casstore.promotion.reports import ChannelSpan

GOLDEN = Path(__file__).parent / "golden"
STORE = "b3c1f0a26d574c0e9a540d1f6d9a7e11"
NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
EPOCH = 1_772_357_400


def known(text: str) -> Digest:
    """A digest that is easy to tell."""
    return sha256(text.encode())


def channel_record() -> ChannelRecord:
    """Two products in prod."""
    version = "1.2.0"
    builds = {
        key: PublishedBuild(
            f"{label(key)}-{version}.{kind}",
            published_paths.archive_path(key, kind, known(key)),
            known(key),
            size,
            published_paths.release_path(version, f"{label(key)}.product-manifest.json"),
        )
        for key, kind, size in (
            ("core/linux-x86_64", "tar.gz", 1_834_022),
            ("core/any", "zip", 99),
            ("agent", "zip", 512),
        )
    }
    return ChannelRecord(STORE, "main", "prod", version, known("release"), 41, known("move"), 2, known("root"), builds)


def shared_record() -> ChannelRecord:
    """5 % of prod get the next version."""
    builds = {"agent": replace(channel_record().builds["agent"], archive="agent-1.3.0.zip", digest=known("next"))}
    return replace(channel_record(), canary=CanaryRecord("1.3.0", known("next release"), 5, 41, known("move"), builds))


def ledger_proof() -> LedgerProof:
    """Two of three entries; what the statements say does not matter here."""
    raws: list[bytes] = []
    statements = [b"statement %d" % number for number in range(3)]
    for number, kind in enumerate((EntryKind.GENESIS, EntryKind.RELEASE, EntryKind.PROMOTE)):
        entry = formats.make(
            number,
            sha256(raws[-1]) if raws else digests.ZERO,
            hashlib.sha256(b"nonce %d" % number).hexdigest()[:32],
            NOW + timedelta(minutes=number),
            kind,
            sha256(statements[number]),
            channel="prod" if kind is EntryKind.PROMOTE else None,
        )
        raws.append(entry.raw)
    tree = MemoryTree(raws)
    proven = tuple(ProvenEntry(raws[n], statements[n], tuple(tree.inclusion(n))) for n in (0, 2))
    return LedgerProof(STORE, "main", 3, proven)


def receipt() -> Receipt:
    """An installed core."""
    return Receipt(
        store=STORE,
        ledger="main",
        channel="prod",
        product="core",
        build="linux-x86_64",
        platform="linux-x86_64-gnu",
        version="1.2.0",
        release=known("release"),
        archive_name="core-1.2.0.tar.gz",
        archive=known("core"),
        archive_size=1_834_022,
        product_manifest=known("manifest"),
        move_number=41,
        move=known("move"),
        trust_root_version=2,
        trust_root=known("root"),
        checkpoint_size=42,
        root_hash=known("tree"),
        evidence=tuple(sorted((known("provenance"), known("approval")))),
        approved_by=("alice", "bob"),
        made=tuple(sorted((known("release"), known("core"), known("tree of core")))),
        attestations=tuple(sorted((known("provenance's id"), known("approval's id")))),
        signers=(RecordedSigner(f"key:{known('ci')}", 38), RecordedSigner(f"key:{known('alice')}", 40)),
        source="https://cdn.example/releases",
        verdict="valid",
        as_of=NOW,
        installed_at=NOW + timedelta(seconds=4),
        previous=None,
    )


def pins() -> Pins:
    """What a consumer remembers."""
    move = PinnedMove(41, known("move"))
    return Pins(STORE, "main", known("first root"), 2, known("root"), 42, known("tree"), {"prod": move})


TREE = MemoryTree(b"entry %d" % number for number in range(42))


def kit() -> bytes:
    """The container with small members, one of them with a long name."""
    head = canonical.dumps(
        {
            "format": "casstore-kit/1",
            "store": STORE,
            "ledger": "main",
            "version": "1.2.0",
            "release": known("release"),
            "channels": ["prod"],
        }
    )
    files = {
        kit_files.HEAD: head,
        published_paths.channel_path("prod"): channel_record().to_bytes(),
        published_paths.release_path("1.2.0", "core-1.2.0.tar.gz"): b"archive",
        published_paths.evidence_path("1.2.0-rc.1+build.20260301", known("provenance")): b"evidence",
    }
    out = io.BytesIO()
    members = {name: Member(len(data), lambda data=data: (data,)) for name, data in files.items()}  # type: ignore[misc]
    kit_files.write(out, members, mtime=EPOCH)
    return out.getvalue()


def metadata() -> dict[str, bytes]:
    """TUF metadata of publication 7, by an Ed25519 key (whose signatures never differ)."""
    key = ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"publisher").digest())
    tuf = TufSigners.single(signers.from_private_key(key))
    root = tuf_repository.next_root(None, tuf, now=NOW)
    assert root is not None
    targets = {published_paths.channel_path("prod"): TargetInfo(known("record"), 907)}
    files = tuf_repository.make_metadata(7, root, targets, tuf, now=NOW, existing=lambda _: None)
    return {"1.root.json": root, **{file.name: file.data for file in files}}


def older() -> dict[str, bytes]:
    """TUF metadata of publication 26 by the same key: the older roles of 24 and of 16, whose list is parted."""
    key = signers.from_private_key(ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"publisher").digest()))
    signed, name = TufSigners.single(key), published_paths.release_path("1.2.0", "release.json")
    root = tuf_repository.next_root(None, signed, now=NOW)
    assert root is not None
    few = {name: PublishedTarget(known("1.2.0"), 2041)}
    many = {f"objects/{hex_of(known(str(number)))}": PublishedTarget(known(str(number)), 9) for number in range(8193)}
    parts = (Part("older-0", 24, few), Part("older-1", 16, many))
    expires = NOW + timedelta(days=360)
    made = {
        published_paths.role_path(part.number, part.name): tuf_lists.role_bytes(
            part, part.name, few if part is parts[0] else {}, part.number, key, expires=expires
        )
        for part in parts
    }
    rows = {part.name: (part.number, made[published_paths.role_path(part.number, part.name)]) for part in parts}
    rows |= {one.name: (16, one.name.encode()) for one in parts[1].bins} | {"older-2": (8, b"of before")}
    roles = {of: PublishedRole(number, expires, sha256(data), len(data)) for of, (number, data) in rows.items()}
    targets = {published_paths.channel_path("prod"): TargetInfo(known("record"), 907)}
    files = tuf_repository.make_metadata(
        26, root, targets, signed, now=NOW, existing=lambda _: None, older=OlderRoles(parts, roles)
    )
    return {**{path.removeprefix("metadata/"): data for path, data in made.items()}, **{f.name: f.data for f in files}}


def archive_pieces() -> Pieces:
    """Of an archive of three pieces."""
    return Pieces(known("core"), (301_442, 288_190, 9_120), tuple(hex_of(known(f"piece {n}")) for n in range(3)))


def listed() -> dict[str, ListedRelease]:
    """Two releases, one of them revoked."""
    by, commit = "urn:casstore:builder:key:sha256:5f", "git+https://example/core 1f0a"
    scanned = KnownVulnerabilities(2, "2026-02-03T10:00:00Z", {"critical": 1, "low": 4}, 57)
    spans = (ChannelSpan("prod", "2026-01-02T10:00:00Z", "2026-02-01T10:00:00Z", ("ann", "ben")),)
    return {
        "1.2.0": ListedRelease(
            known("1.2.0"), 0, spans, "a back door", {"core-bin": ListedComponent(by, commit)}, scanned
        ),
        "1.3.0": ListedRelease(
            known("1.3.0"),
            1,
            (ChannelSpan("prod", "2026-02-01T10:00:00Z", None),),
            None,
            {"core-bin": ListedComponent(by, commit, Inputs(87, "git", known("list")))},
            KnownVulnerabilities(0, None, {}),
        ),
    }


def rows() -> list[list[str]]:
    """A file and an archive."""
    made = [["core", "bin/core", "core-bin"], ["core", "", ""]]
    return sorted([digests.hex_of(known(row[1])), *row] for row in made)


def golden() -> dict[str, bytes]:
    """Relative name to bytes."""
    return {
        "publication/channel-record.json": channel_record().to_bytes(),
        "publication/withdrawn-record.json": replace(channel_record(), builds={}, withdrawn=(44,)).to_bytes(),
        "publication/shared-record.json": shared_record().to_bytes(),
        "publication/ledger-proof.json": ledger_proof().to_bytes(),
        "published-layout/files/index.json": file_lists.index_bytes(listed()),
        "published-layout/files/all.json": file_lists.piece_bytes(rows()),
        "receipt/first.json": receipt().to_bytes(),
        "receipt/next.json": replace(receipt(), version="1.3.0", previous=receipt().name, verdict="stale").to_bytes(),
        "consumer-state/install-id": canonical.dumps(
            small_records.sealed({"format": install_ids.FORMAT, "id": hex_of(known("install id"))})
        ),
        "consumer-state/pins.json": pins().to_bytes(),
        "kit/kit.tar": kit(),
        "kit/nodes.json": log_nodes.to_bytes((17, 30), 42, TREE.hash_at),
        "archive-pieces/core.pieces": archive_pieces().to_bytes(),
        **{f"published-layout/metadata/{name}": data for name, data in metadata().items()},
        **{f"published-layout/older/{name}": data for name, data in older().items()},
    }


if __name__ == "__main__":
    for name, data in golden().items():
        path = GOLDEN / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
