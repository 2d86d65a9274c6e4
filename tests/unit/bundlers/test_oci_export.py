"""A release as OCI layout: closed under its digests, every attestation refers to what it speaks of."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from worlds import provenance

from attest.digests import Digest, sha256
from bundlers import evidence_export, formats, oci_export, product_manifests
from bundlers.errors import HostileArchive
from bundlers.product_manifests import ComponentTree
from bundlers.reader import ProductReader
from casstore.release_objects import Release, ReleaseArchive, ReleaseProduct
from casstore.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.init(str(tmp_path / "store"))


def released(store: Store, tmp_path: Path) -> Release:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "tool").write_bytes(b"a tool " * 9999)
    tree = store.put_tree(str(tmp_path / "in")).tree
    products = {}
    for name, archive_format in (("core", "oci"), ("agent", "zip")):
        manifest = product_manifests.build(
            store, name, archive_format, {"c": ComponentTree(tree)}, "1.0", 0, platform="linux-x86_64"
        )
        out = io.BytesIO()
        info = formats.write(manifest, ProductReader(store, manifest), out)
        store.put_bytes(out.getvalue())
        archive = ReleaseArchive(info.name, info.digest, info.size)
        products[name] = ReleaseProduct(archive_format, archive, store.put_bytes(manifest.to_bytes()))
    return Release("s", "main", "1.0", 0, {"c": tree}, products, sha256(b"sums"), ())


def written(store: Store, made: Release, folder: Path) -> tuple[oci_export.Layout, dict[Digest, bytes]]:
    evidence = {}
    for row in made.products.values():
        raw = provenance({row.archive.name: row.archive.digest}, "ci")
        evidence[sha256(raw)] = raw
    raw = provenance({"elsewhere": sha256(b"x")}, "ci")
    plan = oci_export.layout(store, made, made.to_bytes(), {**evidence, sha256(raw): raw})
    evidence_export._write(store, str(folder), plan.files, plan.blobs, plan.parts)
    return plan, evidence


def blob(folder: Path, row: dict[str, Any]) -> bytes:
    return (folder / "blobs" / "sha256" / row["digest"].removeprefix("sha256:")).read_bytes()


def test_every_digest_leads_to_its_bytes_and_nothing_is_left_over(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "oci"
    written(store, released(store, tmp_path), folder)
    index = json.loads((folder / "index.json").read_bytes())
    reached = set()
    for row in index["manifests"]:
        image = json.loads(blob(folder, row))
        for part in (row, image["config"], *image["layers"], *([image["subject"]] if "subject" in image else [])):
            data = blob(folder, part)
            assert (sha256(data), len(data)) == (part["digest"], part["size"])
            reached.add(part["digest"].removeprefix("sha256:"))
    assert reached == {path.name for path in (folder / "blobs" / "sha256").iterdir()}
    tags = [
        row["annotations"]["org.opencontainers.image.ref.name"] for row in index["manifests"] if "annotations" in row
    ]
    assert tags == ["release-1.0", "agent-1.0", "core-1.0"]


def test_attestations_refer_to_their_subjects_alone(store: Store, tmp_path: Path) -> None:
    made = released(store, tmp_path)
    plan, evidence = written(store, made, tmp_path / "oci")
    images = [json.loads(data) for data in plan.files.values() if b'"subject"' in data]
    referrers = [image for image in images if image.get("artifactType") == oci_export.BUNDLE]
    assert {image["layers"][0]["digest"] for image in referrers} == set(evidence)
    assert all(image["layers"][0]["mediaType"] == oci_export.BUNDLE for image in referrers)
    assert len({image["subject"]["digest"] for image in referrers}) == 2


def test_the_layout_is_a_function_of_the_release(store: Store, tmp_path: Path) -> None:
    made = released(store, tmp_path)
    plans = [oci_export.layout(store, made, made.to_bytes(), {}) for _ in range(2)]
    assert plans[0] == plans[1]


def test_an_oci_archive_that_is_none_is_refused(store: Store, tmp_path: Path) -> None:
    made = released(store, tmp_path)
    digest = store.put_bytes(b"no tar at all" * 99)
    bad = ReleaseProduct("oci", ReleaseArchive("x", digest, 13 * 99), digest)
    with pytest.raises(HostileArchive):
        oci_export.layout(store, Release("s", "main", "1.0", 0, {}, {"x": bad}, made.checksums, ()), b"{}", {})


@pytest.mark.foreign
@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
@pytest.mark.parametrize("tag", ["core-1.0", "agent-1.0", "release-1.0"])
def test_skopeo_copies_every_tag(store: Store, tmp_path: Path, tag: str) -> None:
    written(store, released(store, tmp_path), tmp_path / "oci")
    done = subprocess.run(
        ["skopeo", "copy", f"oci:oci:{tag}", "dir:out"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr.lower()


@pytest.mark.foreign
@pytest.mark.skipif(shutil.which("umoci") is None, reason="umoci is not installed")
def test_umoci_unpacks_the_image(store: Store, tmp_path: Path) -> None:
    written(store, released(store, tmp_path), tmp_path / "oci")
    subprocess.run(
        ["umoci", "unpack", "--rootless", "--image", "oci:core-1.0", "out"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    assert (tmp_path / "out" / "rootfs" / "tool").read_bytes() == b"a tool " * 9999
