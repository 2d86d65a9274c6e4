"""A world whose releases are real archives, and that publishes.

world = PublishedWorld.make(str(tmp_path / "store"))
world.ship("1.0.0")
world.publish("dev", str(tmp_path / "public"))
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from attest.digests import Digest
from bundlers import formats
from bundlers.consuming import readback
from bundlers.products.checksums import to_bytes
from bundlers.products.manifest_building import build
from bundlers.products.product_manifests import ComponentTree
from bundlers.products.reader import ProductReader
from bundlers.publishing.cosigned import CosignatureLines
from bundlers.publishing.layout.destinations import DestinationSettings
from bundlers.publishing.publication import PublishReport, PublishSigners, publish_to
from casstore.ledger.commit import commit
from casstore.ledger.entries import EntryKind
from casstore.ledger.release_objects import Release, ReleaseArchive, ReleaseBuild
from casstore.store.attestations import put_attestation
from casstore.store.store import Store
from tests.support.worlds import World, provenance, release_statement, signer, trust_root

EPOCH = 1_700_000_000
FILES = {b"bin/core": b"\x7fELF core ", b"share/LICENSE": b"free\n", b"share/empty": b""}


@dataclass
class PublishedWorld(World):
    """Two products, `core` (tar.gz) and `agent` (zip)."""

    product_files: dict[str, Mapping[bytes, bytes]] = field(default_factory=dict)

    @classmethod
    def make(cls, url: str, **changes: Any) -> Self:
        """A new store whose ledger begins with a trust root."""
        world = cls(Store.init(url))
        world.genesis(trust_root(world.store.store_id, **changes))
        return world

    @property
    def signers(self) -> PublishSigners:
        """Pete publishes, the log signs checkpoints."""
        return PublishSigners(signer("pete"), signer("log"))

    def ship(self, version: str, *, content: bytes = b"") -> Release:
        """Components, real archives, evidence, release object, release entry."""
        products, components, archives, evidence = {}, {}, {}, []
        for product, suffix in (("core", "tar.gz"), ("agent", "zip")):
            files = {path: data + version.encode() + content for path, data in FILES.items()}
            files[b"bin/" + product.encode()] = product.encode() * 1000 + version.encode() + content
            tree = self.component(f"{product}-bin", version, files)
            components[f"{product}-bin"] = tree
            products[product], archives[product] = self._bundle(product, suffix, version, tree)
            evidence.append(put_attestation(self.store, provenance({archives[product][0]: archives[product][1]}, "ci")))
        sums = to_bytes(dict(archives.values()))
        made = Release(
            store=self.store.store_id,
            ledger=self.ledger_name,
            version=version,
            epoch=EPOCH,
            components=components,
            builds=products,
            checksums=self.store.put_bytes(sums),
            evidence=tuple(sorted(evidence)),
        )
        self.store.put_bytes(made.to_bytes())
        digest = put_attestation(self.store, release_statement(made, "ci"))
        commit(self.ledger, self.store, self.state, EntryKind.RELEASE, digest, now=self.now)
        self.made[version] = made
        return made

    def _bundle(self, product: str, suffix: str, version: str, tree: Digest) -> tuple[ReleaseBuild, tuple[str, Digest]]:
        manifest = build(self.store, product, suffix, {f"{product}-bin": ComponentTree(tree, time=EPOCH)})
        out = io.BytesIO()
        info = formats.write(manifest, ProductReader(self.store, manifest), out)
        self.store.put_bytes(out.getvalue())
        kept = self.store.put_bytes(manifest.to_bytes())
        archive = ReleaseArchive(f"{product}-{version}.{suffix}", info.digest, info.size)
        return ReleaseBuild(suffix, archive, kept), (archive.name, archive.digest)

    def publish(self, channel: str, url: str, **changes: Any) -> PublishReport:
        """Publish to a destination named `cdn`."""
        lines = CosignatureLines(changes.pop("places", ()), changes.pop("wait", 0))
        asking = changes.pop("asking", None)
        settings = replace(DestinationSettings("cdn", url), **changes)
        return publish_to(
            self.store,
            self.ledger,
            channel,
            settings,
            self.signers,
            now=self.now,
            lines=lines,
            asking=asking,
            read_back=readback.check,
        )
