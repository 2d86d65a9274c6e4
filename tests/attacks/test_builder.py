"""A builder whose ProductManifest lists other files than the components that were put, signed and shown."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from lines import Line

from attest.digests import Digest, sha256
from attest.errors import VerificationError
from bundlers import formats
from bundlers.consuming.service import TrustSettings, verify
from bundlers.errors import HostileArchive
from bundlers.products import agreement, manifest_building, product_manifests
from bundlers.products.product_manifests import ComponentTree, ProductFile, ProductManifest
from bundlers.products.reader import ProductReader
from casstore.ledger import release_objects
from casstore.ledger.entries import EntryKind
from casstore.ledger.release_objects import Release, ReleaseArchive, ReleaseBuild
from tests.support.published import PublishedWorld

Forge = Callable[[ProductManifest], ProductManifest]


def swapped(manifest: ProductManifest) -> ProductManifest:
    first, *rest = manifest.files
    return replace(manifest, files=(first._replace(digest=sha256(b"evil")), *rest))


def added(manifest: ProductManifest) -> ProductManifest:
    return replace(
        manifest,
        files=(*manifest.files, ProductFile("zz", 0o755, 4, sha256(b"evil"), component=min(manifest.components))),
    )


def left_out(manifest: ProductManifest) -> ProductManifest:
    return replace(
        manifest,
        files=(*manifest.files[1:], ProductFile("zz", 0o644, 4, sha256(b"evil"), component=min(manifest.components))),
    )


def executable(manifest: ProductManifest) -> ProductManifest:
    first, *rest = manifest.files
    return replace(manifest, files=(first._replace(mode=0o644 if first.mode == 0o755 else 0o755), *rest))


def other_tree(manifest: ProductManifest) -> ProductManifest:
    name = min(manifest.components)
    return replace(manifest, components={**manifest.components, name: ComponentTree(sha256(b"other"))})


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Line:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    return Line.make(tmp_path)


@pytest.fixture
def made(line: Line) -> Release:
    line.put("1.0.0")
    line.ship("1.0.0")
    return release_objects.parse(line.store.read(line.state.versions["1.0.0"]))


def test_an_honest_release_agrees(line: Line, made: Release) -> None:
    agreement.check_release(line.store, made)


@pytest.mark.parametrize("forge", [swapped, added, left_out, executable, other_tree])
def test_a_list_that_is_not_what_was_put_is_refused(line: Line, made: Release, forge: Forge) -> None:
    name, product = min(made.builds.items(), key=lambda item: item[0])
    forged = forge(product_manifests.parse(line.store.read(product.product_manifest)))
    digest = line.store.put_bytes(forged.to_bytes())
    products = {**made.builds, name: replace(product, product_manifest=digest)}
    with pytest.raises(VerificationError, match=f"product {name}") as caught:
        agreement.check_release(line.store, replace(made, builds=products))
    assert caught.value.exit_code == 3


class _Liar(PublishedWorld):
    """A builder whose archive, and the list of it, hold one file more than what was put."""

    def _bundle(self, product: str, suffix: str, version: str, tree: Digest) -> tuple[ReleaseBuild, tuple[str, Digest]]:
        evil = self.store.put_bytes(b"evil")
        true = manifest_building.build(self.store, product, suffix, {f"{product}-bin": ComponentTree(tree)})
        files = sorted(
            (*true.files, ProductFile("evil", 0o755, 4, evil, component=f"{product}-bin")),
            key=lambda file: file.path.encode(),
        )
        manifest = replace(true, files=tuple(files))
        out = io.BytesIO()
        info = formats.write(manifest, ProductReader(self.store, manifest), out)
        self.store.put_bytes(out.getvalue())
        archive = ReleaseArchive(f"{product}-{version}.{suffix}", info.digest, info.size)
        kept = self.store.put_bytes(manifest.to_bytes())
        return ReleaseBuild(suffix, archive, kept), (archive.name, archive.digest)


@pytest.fixture
def liar(tmp_path: Path) -> PublishedWorld:
    made = _Liar.make(str(tmp_path / "store"))
    made.ship("1.0.0")
    made.promote("1.0.0", "dev")
    return made


def test_it_is_not_published(liar: PublishedWorld, tmp_path: Path) -> None:
    entries = [entry.kind for entry in liar.ledger.entries()]
    with pytest.raises(VerificationError, match="lists evil, which no component holds"):
        liar.publish("dev", str(tmp_path / "public"))
    kinds = [entry.kind for entry in liar.ledger.entries()][len(entries) :]
    assert kinds == [EntryKind.SEAL] and not (tmp_path / "public/targets").exists()


def test_a_consumer_refuses_it_whoever_published_it(
    liar: PublishedWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The publisher looks away; every signature, digest and size is genuine."""

    def looks_away(trees: agreement.TreeStore, release: Release, _: object) -> None:
        for tree in release.components.values():
            list(trees.contents(tree))

    with monkeypatch.context() as patch:
        patch.setattr("bundlers.publishing.proofs.gathering.agreement.check_all", looks_away)
        liar.publish("dev", str(tmp_path / "public"))
    trust = TrustSettings(str(tmp_path / "st"))
    with pytest.raises(VerificationError, match="lists evil, which no component holds") as caught:
        verify(str(tmp_path / "public"), "dev", trust=trust, at=liar.now)
    assert caught.value.exit_code == 3 and not (tmp_path / "st/ledgers").exists()


def test_archive_bytes_are_read_against_the_list(tmp_path: Path) -> None:
    """The list agrees with the trees, the archive holds other bytes under its own digest: neither side takes it."""
    world = PublishedWorld.make(str(tmp_path / "store"))
    world.ship("1.0.0")
    other = world.store.read(world.made["1.0.0"].builds["core"].archive.digest)
    real = _Swapped.make(str(tmp_path / "swapped"))
    real.bytes = other
    real.ship("2.0.0")
    real.promote("2.0.0", "dev")
    with pytest.raises(HostileArchive):
        real.publish("dev", str(tmp_path / "public"))


class _Swapped(PublishedWorld):
    bytes = b""

    def _bundle(self, product: str, suffix: str, version: str, tree: Digest) -> tuple[ReleaseBuild, tuple[str, Digest]]:
        made, (name, digest) = super()._bundle(product, suffix, version, tree)
        if product != "core":
            return made, (name, digest)
        digest = self.store.put_bytes(self.bytes)
        return replace(made, archive=ReleaseArchive(name, digest, len(self.bytes))), (name, digest)
