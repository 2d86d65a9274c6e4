"""The golden files of ProductManifest and archives are what the code writes, and stay readable."""

from __future__ import annotations

import io
import runpy
import zlib
from pathlib import Path

import pytest

from attest.digests import sha256
from bundlers import formats
from bundlers.products import checksums, product_manifests
from bundlers.products.product_manifests import ProductManifest
from bundlers.products.products import archive_name

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"
MADE = runpy.run_path(str(HERE / "make_products.py"))
SAME_ZLIB = "ng" not in zlib.ZLIB_RUNTIME_VERSION


@pytest.mark.parametrize("name", sorted(MADE["files"]()))
def test_golden_file_is_what_is_written_now(name: str) -> None:
    if not SAME_ZLIB and name.startswith("archives/"):
        pytest.skip("another zlib packs the same content otherwise (docs/formats/archives.md)")
    assert (GOLDEN / name).read_bytes() == MADE["files"]()[name]


@pytest.mark.parametrize("name", sorted(formats.FORMATS))
def test_golden_archives_stay_readable(name: str) -> None:
    manifest = MADE["manifest"](name)
    data = (GOLDEN / "archives" / archive_name(manifest, "1.4.0")).read_bytes()
    read = {file.path: b"".join(chunks) for file, chunks in formats.read(manifest, io.BytesIO(data))}
    whole = {**MADE["CONTENTS"], "bin/alias": b""}
    assert read == ({"bin/tool": whole["bin/tool"]} if name == "file" else whole)


@pytest.mark.parametrize(
    ("name", "made"), [("core", MADE["manifest"]("tar.gz")), ("plain", MADE["plain"]()), ("ruled", MADE["ruled"]())]
)
def test_golden_manifests_stay_readable(name: str, made: ProductManifest) -> None:
    assert product_manifests.parse((GOLDEN / "product-manifest" / f"{name}.json").read_bytes()) == made


def test_golden_checksums_are_those_of_the_archives() -> None:
    listed = checksums.parse((GOLDEN / "archives" / "SHA256SUMS").read_bytes())
    assert listed == {name: sha256((GOLDEN / "archives" / name).read_bytes()) for name in listed}
