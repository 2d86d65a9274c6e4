"""What a platform cannot hold is refused when a product for it is built, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from attest.digests import Digest, sha256
from bundlers.products import manifest_building
from bundlers.products.platforms import go_platform
from bundlers.products.product_manifests import ComponentTree, ProductManifest
from casstore.errors import UnsupportedInput
from casstore.objects.platforms import Platform
from casstore.objects.tree import TreeEntry

TREE = sha256(b"tree")


class Paths:
    """A store with one tree of these paths."""

    def __init__(self, *paths: str) -> None:
        self.paths = paths

    def contents(self, digest: Digest) -> Iterator[tuple[bytes, TreeEntry]]:
        for path in self.paths:
            raw = path.encode()
            yield raw, TreeEntry(raw.rpartition(b"/")[2], "file", 0o644, 1, sha256(b"x"))


def _of(platform: str) -> Platform | None:
    return Platform.of_text(platform) if platform else None


def build(platform: str, *paths: str, wrap: str = "", kind: str = "zip") -> ProductManifest:
    trees = {"c": ComponentTree(TREE)}
    return manifest_building.build(Paths(*paths), "p", kind, trees, platform=_of(platform), wrap=wrap)


@pytest.mark.parametrize(
    ("kind", "platform", "wrap"),
    [("oci", "", ".wh.etc"), ("oci", "", "a/.wh..wh..opq"), ("zip", "windows", "aux"), ("zip", "windows", "p/a:b")],
)
def test_the_folder_that_all_lies_in_has_a_name_too(kind: str, platform: str, wrap: str) -> None:
    with pytest.raises(UnsupportedInput, match=r"deletes other files|reserved name|forbids"):
        build(platform, "file", wrap=wrap, kind=kind)
    build("linux", "file", wrap=wrap, kind="tar.gz")


@pytest.mark.parametrize("path", [".wh.f", "etc/.wh..wh..opq", ".wh.d/f"])
def test_a_name_that_deletes_in_an_image(path: str) -> None:
    with pytest.raises(UnsupportedInput, match="deletes other files"):
        build("linux", path, kind="oci")
    build("linux", path, "wh.f", kind="tar.gz")
    build("linux", "a.wh.f", "wh.f", kind="oci")


@pytest.mark.parametrize(
    "name", ["COM1", "lpt9.txt", "nul .c", "CONIN$", "com\u00b9", "a/prn/b", "x|y", 'q"', "end. ", "t."]
)
def test_names_that_windows_forbids(name: str) -> None:
    with pytest.raises(UnsupportedInput, match="windows-x86_64"):
        build("windows-x86_64", name)
    build("linux-x86_64", name)
    build("", name)


@pytest.mark.parametrize("name", ["com10", "console", "nulls.txt", ".hidden", "a..b", "\u65e5\u672c", "lib/common.dll"])
def test_names_that_windows_takes(name: str) -> None:
    build("windows", name)


@pytest.mark.parametrize("paths", [("a", "A"), ("lib/x", "LIB/y"), ("data", "Data/x"), ("\u00e9", "\u00c9")])
@pytest.mark.parametrize("platform", ["windows", "windows/amd64", "macos-aarch64", "darwin"])
def test_files_and_folders_that_differ_only_in_case(platform: str, paths: tuple[str, str]) -> None:
    with pytest.raises(UnsupportedInput, match="only in case"):
        build(platform, *paths)
    build("linux", *paths)


def test_two_unicode_forms_of_one_name() -> None:
    paths = ("caf\u00e9", "cafe\u0301")
    for platform in ("macos", "windows", "linux", ""):
        with pytest.raises(UnsupportedInput, match="Unicode form"):
            build(platform, *paths)
        build(platform, paths[1])
    with pytest.raises(UnsupportedInput, match="Unicode form"):
        build("", "K", "\u212a")


def test_the_length_of_a_path_is_counted_as_windows_does() -> None:
    build("windows", "d/" * 100 + "\u65e5" * 40)
    with pytest.raises(UnsupportedInput, match="UTF-16"):
        build("windows", "d/" * 100 + "\U0001f600" * 21)


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ("", ("linux", "unknown")),
        ("linux", ("linux", "unknown")),
        ("linux-x86_64", ("linux", "amd64")),
        ("linux/arm64", ("linux", "arm64")),
        ("macos-aarch64", ("darwin", "arm64")),
        ("Windows-x64", ("windows", "amd64")),
        ("freebsd-riscv64", ("freebsd", "riscv64")),
    ],
)
def test_platforms_as_images_name_them(platform: str, expected: tuple[str, str]) -> None:
    assert go_platform(_of(platform)) == expected
