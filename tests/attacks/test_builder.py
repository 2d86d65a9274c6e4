"""A builder whose ProductManifest lists other files than the components that were put, signed and shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from lines import Line

from attest.digests import sha256
from attest.errors import VerificationError
from bundlers.products import agreement, product_manifests
from bundlers.products.product_manifests import ComponentTree, ProductFile, ProductManifest
from casstore.ledger import release_objects
from casstore.ledger.release_objects import Release

Forge = Callable[[ProductManifest], ProductManifest]


def swapped(manifest: ProductManifest) -> ProductManifest:
    first, *rest = manifest.files
    return replace(manifest, files=(replace(first, digest=sha256(b"evil")), *rest))


def added(manifest: ProductManifest) -> ProductManifest:
    return replace(manifest, files=(*manifest.files, ProductFile("zz", 0o755, 4, sha256(b"evil"))))


def left_out(manifest: ProductManifest) -> ProductManifest:
    return replace(manifest, files=(*manifest.files[1:], ProductFile("zz", 0o644, 4, sha256(b"evil"))))


def executable(manifest: ProductManifest) -> ProductManifest:
    first, *rest = manifest.files
    return replace(manifest, files=(replace(first, mode=0o644 if first.mode == 0o755 else 0o755), *rest))


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
    name, product = min(made.products.items(), key=lambda item: item[0])
    forged = forge(product_manifests.parse(line.store.read(product.product_manifest)))
    digest = line.store.put_bytes(forged.to_bytes())
    products = {**made.products, name: replace(product, product_manifest=digest)}
    with pytest.raises(VerificationError, match=f"product {name}") as caught:
        agreement.check_release(line.store, replace(made, products=products))
    assert caught.value.exit_code == 3
