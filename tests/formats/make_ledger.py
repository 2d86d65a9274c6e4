"""Makes the golden files of the ledger's formats: python tests/formats/make_ledger.py

Keys and nonces are derived from fixed texts, so that every run gives the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ed25519

from attest import digests, signers
from attest.digests import Digest, sha256
from attest.judging.explained import Explained, ordered
from attest.log import checkpoints
from attest.log.checkpoints import Checkpoint
from casstore.ledger import checkpoints as kept
from casstore.ledger import entries as formats
from casstore.ledger.entries import Entry, EntryKind
from casstore.ledger.release_diffs import release_diff
from casstore.ledger.release_objects import Release, ReleaseArchive, ReleaseBuild, label
from casstore.objects import tree as trees
from casstore.objects.platforms import Platform
from casstore.objects.tree import TreeEntry

GOLDEN = Path(__file__).parent / "golden"
STORE = "b3c1f0a26d574c0e9a540d1f6d9a7e11"
NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)

STEPS: tuple[tuple[EntryKind, str | None, int], ...] = (
    (EntryKind.GENESIS, None, 1),
    (EntryKind.COMPONENT, None, 2),
    (EntryKind.RELEASE, None, 0),
    (EntryKind.PROMOTE, "dev", 0),
    (EntryKind.EVIDENCE, None, 0),
    (EntryKind.ROLLBACK, "prod", 0),
)


def entries() -> list[Entry]:
    """A chain; what the statements say does not matter here."""
    chain: list[Entry] = []
    for number, (kind, channel, packs) in enumerate(STEPS):
        chain.append(
            formats.make(
                number,
                chain[-1].digest if chain else digests.ZERO,
                hashlib.sha256(b"nonce %d" % number).hexdigest()[:32],
                NOW + timedelta(minutes=number),
                kind,
                sha256(b"statement %d" % number),
                channel=channel,
                packs=[sha256(b"pack %d of %d" % (n, number)) for n in range(packs)],
                pack_list=sha256(b"list") if kind is EntryKind.COMPONENT else None,
            )
        )
    return chain


class Objects:
    """Objects by digest."""

    def __init__(self) -> None:
        self.known: dict[Digest, bytes] = {}

    def put(self, data: bytes) -> Digest:
        self.known[sha256(data)] = data
        return sha256(data)

    def read(self, digest: Digest, *, max_bytes: int = 2**30) -> bytes:
        return self.known[digest]


def releases(objects: Objects) -> tuple[Release, Release]:
    """Two releases that differ in every way that a diff tells."""
    old = {
        b"LICENSE": TreeEntry(b"LICENSE", "file", 0o644, 5, sha256(b"free\n")),
        b"core": TreeEntry(b"core", "file", 0o644, 6, sha256(b"core 1")),
        b"gone": TreeEntry(b"gone", "file", 0o644, 4, sha256(b"gone")),
        b"lib.so": TreeEntry(b"lib.so", "link", target=b"lib.so.1"),
        b"turns": TreeEntry(b"turns", "file", 0o644, 1, sha256(b"x")),
        b"was": TreeEntry(b"was", "dir", 0o755, 0, objects.put(trees.encode(()))),
    }
    inner = objects.put(trees.encode([TreeEntry(b"n\xff\x01w", "file", 0o644, 3, sha256(b"new"))]))
    new = {
        b"LICENSE": old[b"LICENSE"],
        b"core": TreeEntry(b"core", "file", 0o755, 7, sha256(b"core 22")),
        b"lib.so": TreeEntry(b"lib.so", "link", target=b"lib.so.2"),
        b"comes": TreeEntry(b"comes", "dir", 0o755, 0, trees.EMPTY),
        b"turns": TreeEntry(b"turns", "dir", 0o755, 0, inner),
    }
    first = _release("1.4.0", {"core-bin": objects.put(trees.encode(old.values())), "old": sha256(b"t")}, ("core",))
    second = _release(
        "1.4.1", {"core-bin": objects.put(trees.encode(new.values()))}, ("core", "probe/linux-x86_64", "probe/any")
    )
    for release in (first, second):
        objects.put(release.to_bytes())
    return first, second


def _release(version: str, components: dict[str, Digest], products: tuple[str, ...]) -> Release:
    return Release(
        store=STORE,
        ledger="main",
        version=version,
        epoch=1767225600,
        components=components,
        builds={name: _product(name, version) for name in products},
        checksums=sha256(b"sums " + version.encode()),
        evidence=tuple(sorted(sha256(b"evidence %d" % n) for n in range(2))),
        config=sha256(b"config") if version == "1.4.0" else None,
        explained=ordered(_explained(version)),
        taken={} if version == "1.4.0" else {"core-bin": "1.4.0"},
        notes=None if version == "1.4.0" else sha256(b"notes"),
    )


def _explained(version: str) -> Iterator[Explained]:
    """One stays, one goes, two come."""
    yield Explained("reference", "CPython 3.11", sha256(b"CPython"), 30_000_000, 1200)
    if version == "1.4.0":
        yield Explained("acceptance", "old", sha256(b"old"), 900, 1, ("core", "probe"), "both had it")
        return
    yield Explained("acceptance", "blas", sha256(b"blas"), 3_100_000, 1924, ("core", "probe"), "both link it", True)
    yield Explained("acceptance", "fonts", sha256(b"fonts"), 9_100_000, 12, ("core", "probe"), "both show it", True)


def _product(key: str, version: str) -> ReleaseBuild:
    archive = f"{label(key)}-{version}.tar.gz"
    made = ReleaseBuild(
        "tar.gz", ReleaseArchive(archive, sha256(archive.encode()), 1000 + len(archive)), sha256(key.encode())
    )
    if key == "core":
        return replace(made, layout={"wrap": "core", "bin": ["bin/core"], "components": {"core-bin": {"strip": 1}}})
    if key == "probe/any":
        return replace(made, platform=Platform("any"), foreign="it carries a launcher for each system")
    return replace(made, platform=Platform("linux", "x86_64", "musl"))


def checkpoint() -> bytes:
    """A signed checkpoint over the chain."""
    signer = signers.from_private_key(
        ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"ledger test key").digest())
    )
    name = kept.origin(STORE, "main")
    made = Checkpoint(name, len(STEPS), kept.root_of(entries()))
    return checkpoints.sign(made, name, signer.public_pem, signer.sign_bytes)


def files() -> dict[str, bytes]:
    """Path below the golden folder -> content."""
    objects = Objects()
    first, second = releases(objects)
    return {
        **{f"ledger-entry/{entry.number:020d}": entry.raw for entry in entries()},
        "ledger-entry/pack-list.json": formats.pack_list([sha256(b"b"), sha256(b"a")]),
        "release-object/1.4.0.json": first.to_bytes(),
        "release-object/1.4.1.json": second.to_bytes(),
        "release-diff/first.json": release_diff(objects, None, first.digest).to_bytes(),
        "release-diff/next.json": release_diff(objects, first.digest, second.digest).to_bytes(),
        f"ledger-checkpoint/{len(STEPS):020d}": checkpoint(),
    }


if __name__ == "__main__":
    for path, content in files().items():
        target = GOLDEN / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
