"""Makes the golden files of ProductManifest and archives: python tests/formats/make_products.py"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from attest.digests import Digest, sha256
from bundlers import formats
from bundlers.products import checksums
from bundlers.products.product_manifests import ComponentTree, ProductFile, ProductFolder, ProductManifest
from bundlers.products.products import archive_name
from bundlers.products.reader import ProductReader
from casstore.objects.platforms import Platform

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

    def chunks_of(self, wanted: Iterable[Digest]) -> Iterator[Iterator[bytes]]:
        return (self.chunks(digest) for digest in wanted)


def manifest(archive_format: str) -> ProductManifest:
    """The same build in another format; for `file` one that is a single file."""
    files = [
        ProductFile(path, 0o755 if path.startswith("bin/") else 0o644, len(data), sha256(data), component=_by(path))
        for path, data in CONTENTS.items()
    ]
    files.append(ProductFile("bin/alias", link="tool", component="core-bin"))
    if archive_format == "file":
        files = [file for file in files if file.path == "bin/tool"]
    folders = [ProductFolder("var/lib", 0o700, "core-bin"), ProductFolder("var/log", 0o755, "licences")]
    components = {
        "core-bin": ComponentTree(sha256(b"tree of core-bin"), time=EPOCH),
        "licences": ComponentTree(sha256(b"tree of licences"), "every product ships the licence texts", EPOCH - 86400),
    }
    ordered = tuple(sorted(files, key=lambda file: file.path.encode()))
    linux = Platform("linux", "x86_64", "gnu", "2.28")
    wrap = "" if archive_format in ("oci", "file") else "core"
    made = ProductManifest("core", archive_format, components, ordered, "linux-x86_64", linux, wrap, ("bin/tool",))
    return replace(made, folders=() if archive_format == "file" else tuple(folders))


def plain() -> ProductManifest:
    """A product with one build that says no more than it must."""
    files = (ProductFile("LICENSE", 0o644, 18, sha256(CONTENTS["LICENSE"]), component="c"),)
    return ProductManifest("plain", "zip", {"c": ComponentTree(sha256(b"tree"))}, files)


def ruled() -> ProductManifest:
    """A product that says what it may never hold."""
    return replace(plain(), product="ruled", never=("*.pdb", "edge/**"))


def _by(path: str) -> str:
    return "licences" if path == "LICENSE" else "core-bin"


def archive(made: ProductManifest) -> bytes:
    """The bytes of an archive."""
    out = io.BytesIO()
    formats.write(made, ProductReader(Blobs(), made), out)
    return out.getvalue()


def files() -> dict[str, bytes]:
    """Name below `golden` -> bytes."""
    made = {
        "product-manifest/core.json": manifest("tar.gz").to_bytes(),
        "product-manifest/plain.json": plain().to_bytes(),
        "product-manifest/ruled.json": ruled().to_bytes(),
    }
    sums: dict[str, Digest] = {}
    for name in formats.FORMATS:
        file = archive_name(manifest(name), "1.4.0")
        made[f"archives/{file}"] = archive(manifest(name))
        sums[file] = sha256(made[f"archives/{file}"])
    return {**made, "archives/SHA256SUMS": checksums.to_bytes(sums)}


if __name__ == "__main__":
    for name, data in files().items():
        path = GOLDEN / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
