"""Archives: the same bytes whatever the surroundings, and a reader that takes nothing but them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from attest.digests import Digest, sha256
from attest.errors import BadInput, FormatError
from bundlers import formats
from bundlers.errors import CrossProductLeak, HostileArchive
from bundlers.formats import tar_zst
from bundlers.installing.extract import extract
from bundlers.products import checksums
from bundlers.products.product_manifests import ComponentTree, ProductFile, ProductManifest, parse
from bundlers.products.reader import ProductReader
from casstore.errors import Conflict

FORMATS = ("tar.gz", "tar.zst", "zip", "oci")
HERE = os.path.dirname(os.path.abspath(__file__))


class Blobs:
    def __init__(self, contents: dict[str, bytes]) -> None:
        self.by_digest = {sha256(data): data for data in contents.values()}

    def chunks(self, digest: Digest) -> Iterator[bytes]:
        data = self.by_digest[digest]
        for at in range(0, len(data), 100_000):
            yield data[at : at + 100_000]

    def chunks_of(self, wanted: Iterable[Digest]) -> Iterator[Iterator[bytes]]:
        return (self.chunks(digest) for digest in wanted)


def product(contents: dict[str, bytes], archive_format: str, links: dict[str, str] | None = None) -> ProductManifest:
    files = [ProductFile(path, 0o644, len(data), sha256(data), component="c") for path, data in contents.items()]
    files += [ProductFile(path, link=target, component="c") for path, target in (links or {}).items()]
    ordered = tuple(sorted(files, key=lambda file: file.path.encode()))
    return ProductManifest("p", archive_format, {"c": ComponentTree(sha256(b"t"), time=1_700_000_000)}, ordered)


def written(manifest: ProductManifest, contents: dict[str, bytes], workers: int = 2) -> bytes:
    out = io.BytesIO()
    formats.write(manifest, ProductReader(Blobs(contents), manifest), out, workers=workers)
    return out.getvalue()


def read(manifest: ProductManifest, data: bytes) -> dict[str, bytes]:
    return {file.path: b"".join(chunks) for file, chunks in formats.read(manifest, io.BytesIO(data))}


SOME = {
    "a/b": b"x" * 3_000_000,
    "a/c": random.Random(1).randbytes(2_500_000),
    "empty": b"",
    "z" * 120: b"long",
    "\u00fc": b"u",
}
HEX = b"0" * 64
LINKS = {"a/l": "b", "m": "a/c"}


@pytest.mark.parametrize("archive_format", FORMATS)
def test_the_bytes_do_not_depend_on_workers(archive_format: str) -> None:
    manifest = product(SOME, archive_format, LINKS)
    assert len({hashlib.sha256(written(manifest, SOME, workers)).digest() for workers in (1, 2, 8)}) == 1


@pytest.mark.parametrize("archive_format", FORMATS)
def test_the_bytes_do_not_depend_on_surroundings(archive_format: str, tmp_path: Path) -> None:
    code = (
        f"import sys, hashlib; sys.path.insert(0, {HERE!r}); import test_archives as t;"
        f"print(hashlib.sha256(t.written(t.product(t.SOME, {archive_format!r}, t.LINKS), t.SOME)).hexdigest())"
    )
    seen = set()
    for surroundings in (
        {"TZ": "UTC"},
        {"TZ": "Pacific/Kiritimati", "LC_ALL": "C"},
        {"TZ": "America/St_Johns", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "7", "HOME": str(tmp_path)},
    ):
        done = subprocess.run(
            [sys.executable, "-c", f"import os; os.umask({len(seen) * 0o077 & 0o777}); {code}"],
            env={**os.environ, **surroundings},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        seen.add(done.stdout)
    assert len(seen) == 1


@pytest.mark.parametrize("archive_format", FORMATS)
@given(contents=st.dictionaries(st.text("abc/\u00e9", min_size=1, max_size=130), st.binary(max_size=2000), max_size=6))
def test_what_is_written_is_read_back(archive_format: str, contents: dict[str, bytes]) -> None:
    try:
        manifest = parse(product(contents, archive_format).to_bytes())
    except FormatError:
        return
    assert read(manifest, written(manifest, contents)) == contents


@pytest.mark.parametrize("archive_format", FORMATS)
def test_any_changed_cut_or_added_byte_is_refused(archive_format: str, tmp_path: Path) -> None:
    contents = {"a": b"some text " * 300, "b/c": random.Random(2).randbytes(5000)}
    manifest = product(contents, archive_format, {"l": "a"})
    data = written(manifest, contents)
    bad = [data[:cut] for cut in range(0, len(data), max(1, len(data) // 60))]
    bad += [data + b"\0", data + data, b"\0" + data, data[1:]]
    for at in range(0, len(data), max(1, len(data) // 400)):
        changed = bytearray(data)
        changed[at] ^= 1 << (at % 8)
        bad.append(bytes(changed))
    taken = 0
    for hostile in bad:
        try:
            extract(manifest, io.BytesIO(hostile), str(tmp_path / "into"))
        except HostileArchive:
            assert os.listdir(tmp_path) == []
        else:  # padding bits of a compressed stream decode to the same: the archive's own digest tells those
            assert {path: (tmp_path / "into" / path).read_bytes() for path in contents} == contents
            assert len(hostile) == len(data)
            shutil.rmtree(tmp_path / "into")
            taken += 1
    assert taken <= len(bad) // 100


def test_a_second_gzip_member_is_refused() -> None:
    contents = {"a": b"x" * 1000}
    manifest = product(contents, "tar.gz")
    with pytest.raises(HostileArchive):
        read(manifest, written(manifest, contents) + gzip.compress(b"more"))


def test_what_other_tools_pack_is_refused() -> None:
    contents = {"a": b"x" * 1000}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        info = tarfile.TarInfo("a")
        info.size = 1000
        tar.addfile(info, io.BytesIO(contents["a"]))
    with pytest.raises(HostileArchive):
        read(product(contents, "tar.gz"), out.getvalue())
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a", contents["a"])
    with pytest.raises(HostileArchive):
        read(product(contents, "zip"), out.getvalue())


def test_zip_headers_must_agree() -> None:
    contents = {"a": b"x" * 1000}
    manifest = product(contents, "zip")
    data = bytearray(written(manifest, contents))
    central = data.index(b"PK\1\2")
    struct.pack_into("<I", data, central + 24, 999)
    with pytest.raises(HostileArchive):
        read(manifest, bytes(data))


def test_extraction_writes_exactly_the_product(tmp_path: Path) -> None:
    manifest = product(SOME, "tar.gz", LINKS)
    count = extract(manifest, io.BytesIO(written(manifest, SOME)), str(tmp_path / "in" / "to"))
    assert count == sum(map(len, SOME.values()))
    for path, data in SOME.items():
        assert (tmp_path / "in" / "to" / path).read_bytes() == data
    assert os.readlink(tmp_path / "in" / "to" / "a" / "l") == "b"
    with pytest.raises(Conflict):
        extract(manifest, io.BytesIO(b""), str(tmp_path / "in" / "to"))


def test_a_reader_opens_nothing_else() -> None:
    mine, other = {"a": b"mine"}, {"b": b"another product's"}
    reader = ProductReader(Blobs({**mine, **other}), product(mine, "tar.gz"))
    assert b"".join(reader.chunks(sha256(b"mine"))) == b"mine"
    with pytest.raises(CrossProductLeak):
        reader.chunks(sha256(b"another product's"))
    with pytest.raises(CrossProductLeak):
        reader.chunks_of([sha256(b"mine"), sha256(b"another product's")])
    assert [name for name in dir(reader) if not name.startswith("_")] == ["chunks", "chunks_of"]


@pytest.mark.parametrize(
    ("path", "link"),
    [
        ("l", "/etc/passwd"),
        ("l", "../x"),
        ("a/l", "../../x"),
        ("a/l", "b/../../../x"),
        ("l", ""),
        ("../l", "x"),
        ("a//b", "x"),
        ("a/./b", "x"),
        ("/a", "x"),
        ("a\nb", "x"),
    ],
)
def test_a_manifest_with_a_path_or_link_that_leaves_is_refused(path: str, link: str) -> None:
    with pytest.raises(FormatError):
        parse(product({}, "tar.gz", {path: link}).to_bytes())


def test_a_manifest_with_a_file_as_folder_is_refused() -> None:
    with pytest.raises(FormatError):
        parse(product({"a": b"", "a/b": b""}, "tar.gz").to_bytes())
    with pytest.raises(FormatError):
        parse(product({"a/b": b""}, "tar.gz", {"a": "c"}).to_bytes())


def test_a_blob_of_another_size_than_listed_is_not_written() -> None:
    manifest = product({"a": b"four"}, "tar.gz")
    lying = ProductManifest(
        "p", "tar.gz", manifest.components, (ProductFile("a", 0o644, 5, sha256(b"four"), component="c"),)
    )
    with pytest.raises(HostileArchive):
        written(lying, {"a": b"four"})


@pytest.mark.parametrize(
    "data", [b"x", b"0" * 64 + b" a\n", b"0" * 64 + b"  a", b"0" * 64 + b"  b\n" + b"0" * 64 + b"  a\n"]
)
def test_checksums_are_read_strictly(data: bytes) -> None:
    with pytest.raises(FormatError):
        checksums.parse(data)


def test_checksums_refuse_names_that_need_escapes() -> None:
    with pytest.raises(BadInput):
        checksums.to_bytes({"a\\b": sha256(b"")})
    listed = {"b": sha256(b"b"), "a": sha256(b"a")}
    assert checksums.parse(checksums.to_bytes(listed)) == listed


@pytest.mark.parametrize("archive_format", FORMATS)
@pytest.mark.parametrize("frames", [1, 2])
def test_a_tar_of_whole_pieces_has_no_empty_last_one(archive_format: str, frames: int) -> None:
    contents = {"a": random.Random(3).randbytes(frames * tar_zst.FRAME - 512 - 1024)}
    manifest = product(contents, archive_format)
    assert read(manifest, written(manifest, contents)) == contents


def test_zstd_frames_of_other_sizes_are_refused() -> None:
    contents = {"a": b"x" * 10_000}
    manifest = product(contents, "tar.zst")
    tar = zstandard.ZstdDecompressor().decompress(written(manifest, contents))
    packed = zstandard.ZstdCompressor(write_checksum=True).compress
    assert read(manifest, packed(tar)) == contents  # the same content, packed by another level
    skipped = b"\x50\x2a\x4d\x18" + struct.pack("<I", 4) + b"evil"
    for other in (packed(tar[:512]) + packed(tar[512:]), packed(tar) + packed(b""), skipped + packed(tar)):
        with pytest.raises(HostileArchive):
            read(manifest, other)


@pytest.mark.parametrize(("epoch", "year"), [(0, 1980), (315532800, 1980), (1_700_000_000, 2023), (8**11 - 1, 2107)])
def test_zip_times_are_held_between_what_the_format_can_say(epoch: int, year: int) -> None:
    manifest = product({"a": b"x"}, "zip")
    manifest = replace(manifest, components={"c": replace(manifest.components["c"], time=epoch)})
    data = written(manifest, {"a": b"x"})
    assert read(manifest, data) == {"a": b"x"}
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        assert packed.infolist()[0].date_time[0] == year


def test_a_zip_member_that_claims_more_packed_bytes_is_refused_at_once() -> None:
    contents = {"a": b"x" * 1000}
    manifest = product(contents, "zip")
    data = bytearray(written(manifest, contents))
    packed = struct.unpack_from("<I", data, 18)[0]
    struct.pack_into("<I", data, 18, packed + 50)
    data[31 + packed : 31 + packed] = b"\0" * 50
    with pytest.raises(HostileArchive, match="does not end where it says"):
        read(manifest, bytes(data))


LATE = {"c": ComponentTree(sha256(b"t"), time=8**11)}


@pytest.mark.parametrize(
    "changes",
    [
        {"build": "../x"},
        {"build": ""},
        {"product": "a/b"},
        {"components": LATE},
        {"wrap": "../x"},
        {"wrap": "/"},
        {"bin": ("b",)},
        {"archive_format": "file", "files": ()},
    ],
)
def test_a_manifest_whose_names_or_time_no_archive_can_have_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        parse(replace(product({"a": b"x"}, "zip"), **changes).to_bytes())


def oci_members(data: bytes) -> list[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return [(member.name, tar.extractfile(member).read()) for member in tar]  # type: ignore[union-attr]


def test_an_image_layout_names_only_what_it_holds() -> None:
    manifest = product(SOME, "oci", LINKS)
    members = oci_members(written(manifest, SOME))
    blobs = {f"blobs/sha256/{sha256(data)[7:]}": data for _, data in members}
    assert members[0][0] == "oci-layout"
    assert all(blobs[name] == data for name, data in members[1:4])
    (described,) = json.loads(members[4][1])["manifests"]
    image = json.loads(blobs[f"blobs/sha256/{described['digest'][7:]}"])
    config = json.loads(blobs[f"blobs/sha256/{image['config']['digest'][7:]}"])
    layer = blobs[f"blobs/sha256/{image['layers'][0]['digest'][7:]}"]
    assert config["rootfs"]["diff_ids"] == [sha256(gzip.decompress(layer))]
    assert layer == written(replace(manifest, archive_format="tar.gz"), SOME)


def test_an_image_layout_packed_by_others_is_refused() -> None:
    manifest = product({"a": b"x"}, "oci")
    members = oci_members(written(manifest, {"a": b"x"}))
    other_layer = [(f"blobs/sha256/{sha256(b'')[7:]}" if "blobs" in name else name, data) for name, data in members]
    for hostile in (members[::-1], [*members, ("more", b"")], members[:4], members[:1], other_layer):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for name, data in hostile:
                info = tarfile.TarInfo(name)
                info.size, info.mtime = len(data), manifest.epoch
                tar.addfile(info, io.BytesIO(data))
        with pytest.raises(HostileArchive):
            read(manifest, out.getvalue())


def layered(contents: dict[str, bytes], **components: str) -> ProductManifest:
    """An image whose files at these paths are of these components; `a_b` stands for the path `a/b`."""
    base = product(contents, "oci", LINKS)
    of = {path.replace("_", "/"): component for path, component in components.items()}
    files = tuple(file._replace(component=of.get(file.path, "rest")) for file in base.files)
    trees = {name: ComponentTree(sha256(name.encode())) for name in {*of.values(), "rest"}}
    return replace(base, files=files, components=trees)


def layers_of(data: bytes) -> dict[str, bytes]:
    """Component -> layer."""
    blobs = {sha256(blob): blob for _, blob in oci_members(data)}
    (described,) = json.loads(oci_members(data)[-1][1])["manifests"]
    image = json.loads(blobs[described["digest"]])
    assert json.loads(blobs[image["config"]["digest"]])["rootfs"]["diff_ids"] == [
        sha256(gzip.decompress(blobs[row["digest"]])) for row in image["layers"]
    ]
    return {row["annotations"]["dev.casstore.component"]: blobs[row["digest"]] for row in image["layers"]}


def test_an_image_has_one_layer_per_component_and_a_shared_one_is_the_same_in_all() -> None:
    shared = {"licence": b"text " * 900}
    one = layered({**shared, "bin": b"one" * 500}, licence="licences", bin="one")
    two = layered({**shared, "agent": b"two" * 700}, licence="licences", agent="two")
    data = {
        "one": written(one, {**shared, "bin": b"one" * 500}),
        "two": written(two, {**shared, "agent": b"two" * 700}),
    }
    parts = {name: layers_of(raw) for name, raw in data.items()}
    assert list(parts["one"]) == ["licences", "one", "rest"] and list(parts["two"]) == ["licences", "rest", "two"]
    assert parts["one"]["licences"] == parts["two"]["licences"]
    with tarfile.open(fileobj=io.BytesIO(parts["one"]["licences"])) as tar:
        assert tar.getnames() == ["licence"]
    assert {file.path for file in one.files} == set(read(one, data["one"]))
    with pytest.raises(HostileArchive):
        read(two, data["one"])
    swapped = replace(one, files=tuple(f._replace(component="rest") for f in one.files))
    with pytest.raises(HostileArchive):
        read(swapped, data["one"])


def test_every_file_names_its_component() -> None:
    good = layered({"x": b"x", "y": b"y"}, x="one")
    assert parse(good.to_bytes()) == good
    first, *others = good.files
    for name in ("", "unknown"):
        with pytest.raises(FormatError):
            parse(replace(good, files=(first._replace(component=name), *others)).to_bytes())
