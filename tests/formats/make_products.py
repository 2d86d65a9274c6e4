"""Makes the golden files of ProductManifest and archives: python tests/formats/make_products.py"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from attest.digests import Digest, sha256
from bundlers import formats
from bundlers.products import checksums
from bundlers.products.product_manifests import ComponentTree, ProductFile, ProductManifest
from bundlers.products.reader import ProductReader

GOLDEN = Path(__file__).parent / "golden"
EPOCH = 1767225600

CONTENTS = {
    "LICENSE": b"Do what you like.\n",
    "bin/tool": b"#!/bin/sh\necho tool\n" * 400,
    "doc/empty": b"",
    "doc/r\u00e9sum\u00e9.txt": b"UTF-8 name\n",
    "lib/" + "deep/" * 22 + "name-of-more-than-a-hundred-bytes": b"long name\n",
}


class Blobs:
    """The contents, by digest."""

    def chunks(self, digest: Digest) -> Iterator[bytes]:
        yield next(data for data in CONTENTS.values() if sha256(data) == digest)

    def chunks_of(self, wanted: Sequence[Digest]) -> Iterator[Iterator[bytes]]:
        return (self.chunks(digest) for digest in wanted)


def manifest(archive_format: str) -> ProductManifest:
    """The same product in another format."""
    files = [
        ProductFile(path, 0o755 if path.startswith("bin/") else 0o644, len(data), sha256(data))
        for path, data in CONTENTS.items()
    ]
    files.append(ProductFile("bin/alias", link="tool"))
    components = {
        "core-bin": ComponentTree(sha256(b"tree of core-bin")),
        "licences": ComponentTree(sha256(b"tree of licences"), "every product ships the licence texts"),
    }
    ordered = tuple(sorted(files, key=lambda file: file.path.encode()))
    return ProductManifest("core", "1.4.0", archive_format, EPOCH, components, ordered, "linux")


def image() -> ProductManifest:
    """The same files as an image with a layer per component (ProductManifest version 2)."""
    base = manifest("oci")
    files = tuple(replace(f, component="licences" if f.path == "LICENSE" else "core-bin") for f in base.files)
    return replace(base, product="image", files=files)


def archive(made: ProductManifest) -> bytes:
    """The bytes of an archive."""
    out = io.BytesIO()
    formats.write(made, ProductReader(Blobs(), made), out)
    return out.getvalue()


def files() -> dict[str, bytes]:
    """Name below `golden` -> bytes."""
    made = {
        "product-manifest/core.json": manifest("tar.gz").to_bytes(),
        "product-manifest/image.json": image().to_bytes(),
        "archives/image-1.4.0.oci.tar": archive(image()),
    }
    sums: dict[str, Digest] = {}
    for name in formats.FORMATS:
        file = formats.archive_name(manifest(name))
        made[f"archives/{file}"] = archive(manifest(name))
        sums[file] = sha256(made[f"archives/{file}"])
    return {**made, "archives/SHA256SUMS": checksums.to_bytes(sums)}


if __name__ == "__main__":
    for name, data in files().items():
        path = GOLDEN / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
