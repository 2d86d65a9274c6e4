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
from bundlers import formats
from bundlers.audit import evidence_export
from bundlers.errors import HostileArchive
from bundlers.formats import oci_export
from bundlers.products import manifest_building
from bundlers.products.product_manifests import ComponentTree
from bundlers.products.products import SUFFIXES
from bundlers.products.reader import ProductReader
from casstore.ledger.release_objects import Release, ReleaseArchive, ReleaseBuild
from casstore.objects.platforms import Platform
from casstore.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.init(str(tmp_path / "store"))


def released(store: Store, tmp_path: Path) -> Release:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "tool").write_bytes(b"a tool " * 9999)
    tree = store.put_tree(str(tmp_path / "in")).tree
    products = {}
    for name, archive_format in (("core", "oci"), ("agent", "zip")):
        manifest = manifest_building.build(
            store, name, archive_format, {"c": ComponentTree(tree)}, platform=Platform("linux", "x86_64")
        )
        out = io.BytesIO()
        info = formats.write(manifest, ProductReader(store, manifest), out)
        store.put_bytes(out.getvalue())
        archive = ReleaseArchive(f"{name}-1.0.{SUFFIXES[manifest.archive_format]}", info.digest, info.size)
        products[name] = ReleaseBuild(archive_format, archive, store.put_bytes(manifest.to_bytes()))
    return Release("s", "main", "1.0", 0, {"c": tree}, products, sha256(b"sums"), ())


def written(store: Store, made: Release, folder: Path) -> tuple[oci_export.Layout, dict[Digest, bytes]]:
    evidence = {}
    for row in made.builds.values():
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
    bad = ReleaseBuild("oci", ReleaseArchive("x", digest, 13 * 99), digest)
    with pytest.raises(HostileArchive):
        oci_export.layout(store, Release("s", "main", "1.0", 0, {}, {"x": bad}, made.checksums, ()), b"{}", {})


def shared_images(store: Store, tmp_path: Path) -> Release:
    """Two images that share a component."""
    trees = {}
    for name, path, data in (("licences", "LICENSE", b"text " * 999), ("a", "bin/a", b"a" * 99), ("b", "bin/b", b"b")):
        (tmp_path / name / path).parent.mkdir(parents=True)
        (tmp_path / name / path).write_bytes(data)
        trees[name] = store.put_tree(str(tmp_path / name)).tree
    products = {}
    for name in ("a", "b"):
        parts = {name: ComponentTree(trees[name]), "licences": ComponentTree(trees["licences"], "both ship it")}
        manifest = manifest_building.build(store, name, "oci", parts, platform=Platform("linux", "x86_64"))
        out = io.BytesIO()
        info = formats.write(manifest, ProductReader(store, manifest), out)
        store.put_bytes(out.getvalue())
        archive = ReleaseArchive(f"{name}-1.0.{SUFFIXES[manifest.archive_format]}", info.digest, info.size)
        products[name] = ReleaseBuild("oci", archive, store.put_bytes(manifest.to_bytes()))
    return Release("s", "main", "1.0", 0, trees, products, sha256(b"sums"), ())


def layers(folder: Path, tag: str) -> dict[str, str]:
    """Component -> digest of its layer."""
    rows = json.loads((folder / "index.json").read_bytes())["manifests"]
    (row,) = (row for row in rows if row.get("annotations", {}).get("org.opencontainers.image.ref.name") == tag)
    image = json.loads(blob(folder, row))
    return {layer["annotations"]["dev.casstore.component"]: layer["digest"] for layer in image["layers"]}


def test_a_shared_component_is_one_layer_that_is_kept_once(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "oci"
    plan, _ = written(store, shared_images(store, tmp_path), folder)
    one, two = layers(folder, "a-1.0"), layers(folder, "b-1.0")
    assert set(one) == {"a", "licences"} and set(two) == {"b", "licences"}
    assert one["licences"] == two["licences"]
    assert len(plan.parts) == 3


@pytest.mark.foreign
@pytest.mark.skipif(shutil.which("umoci") is None, reason="umoci is not installed")
@pytest.mark.parametrize("name", ["a", "b"])
def test_umoci_puts_the_layers_of_an_image_together(store: Store, tmp_path: Path, name: str) -> None:
    written(store, shared_images(store, tmp_path), tmp_path / "oci")
    command = ["umoci", "unpack", "--rootless", "--image", f"oci:{name}-1.0", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    root = tmp_path / "out" / "rootfs"
    assert {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()} == {"LICENSE", f"bin/{name}"}


@pytest.mark.foreign
def test_the_oras_library_reads_the_layout(store: Store, tmp_path: Path) -> None:
    pytest.importorskip("oras", reason="oras is not installed")
    from oras.layout.layout import NewLayout

    made, folder = shared_images(store, tmp_path), tmp_path / "oci"
    raw = provenance({"a": made.builds["a"].archive.digest}, "ci")
    plan = oci_export.layout(store, made, made.to_bytes(), {sha256(raw): raw})
    evidence_export._write(store, str(folder), plan.files, plan.blobs, plan.parts)
    read = NewLayout(str(folder))  # validates the layout, its index and every blob's place
    for tag, component in (("a-1.0", "a"), ("b-1.0", "b")):
        found = read.get_ordered_blobs(tag)
        assert set(layers(folder, tag).values()) < set(found) and layers(folder, tag)[component] in found
        assert all(read.blob_exists(digest) for digest in found)
    assert sha256(made.to_bytes()) in read.get_ordered_blobs("release-1.0")


@pytest.mark.foreign
@pytest.mark.skipif(shutil.which("oras") is None, reason="oras-binary is not installed")
def test_oras_finds_the_attestations_of_an_archive(store: Store, tmp_path: Path) -> None:
    written(store, released(store, tmp_path), tmp_path / "oci")
    command = ["oras", "discover", "--oci-layout", "--format", "json", "oci:agent-1.0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and oci_export.BUNDLE in done.stdout, done.stderr


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
