"""Empty folders of a product: kept where casstore.toml says so, by the layout, and never where something lies."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from attest import canonical
from attest.digests import Digest, sha256
from attest.errors import BadInput, FormatError
from bundlers import formats
from bundlers.errors import HostileArchive
from bundlers.gates.builtin import seal
from bundlers.installing.extract import extract
from bundlers.products import manifest_building, product_manifests
from bundlers.products.layouts import Layout
from bundlers.products.product_manifests import ComponentTree, ProductManifest
from bundlers.products.reader import ProductReader
from casstore.errors import UnsupportedInput
from casstore.objects.platforms import Platform
from casstore.objects.tree import EMPTY, TreeEntry

X = sha256(b"x")
ALL = Layout(folders={"**": "0755"})


class Trees:
    """Components by the digest of their names; a path that ends in a slash is an empty folder."""

    def __init__(self, **components: list[str | bytes]) -> None:
        self.paths = {sha256(name.encode()): paths for name, paths in components.items()}

    def contents(self, digest: Digest) -> Iterator[tuple[bytes, TreeEntry]]:
        for path in self.paths[digest]:
            raw = path.encode() if isinstance(path, str) else path
            name = raw.rstrip(b"/").rpartition(b"/")[2]
            folder = raw.endswith(b"/")
            entry = TreeEntry(name, "dir", 0o755, 0, EMPTY) if folder else TreeEntry(name, "file", 0o644, 1, X)
            yield raw.rstrip(b"/"), entry


class One:
    """The one content."""

    def chunks_of(self, wanted: Iterable[Digest]) -> Iterator[Iterator[bytes]]:
        return (iter((b"x",)) for _ in wanted)


def build(
    layout: Layout | dict[str, Layout] = ALL,
    archive_format: str = "tar.gz",
    platform: str = "",
    never: tuple[str, ...] = (),
    **components: list[str | bytes],
) -> ProductManifest:
    names = {name: ComponentTree(sha256(name.encode())) for name in components}
    layouts = layout if isinstance(layout, dict) else dict.fromkeys(names, layout)
    at = Platform.of_text(platform) if platform else None
    return manifest_building.build(
        Trees(**components), "p", archive_format, names, platform=at, never=never, layouts=layouts
    )


def kept(manifest: ProductManifest) -> dict[str, str]:
    assert product_manifests.parse(manifest.to_bytes()) == manifest
    return {folder.path: f"{folder.mode:04o}" for folder in manifest.folders}


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        (Layout(), {}),
        (ALL, {"a/b/c": "0755", "log": "0755"}),
        (Layout(folders={"log": "0750"}), {"log": "0750"}),
        (Layout(to="var", folders={"var/log": "0700"}), {"var/log": "0700"}),
        (Layout(rename={"log": "spool/in"}, folders={"spool/*": "0755"}), {"spool/in": "0755"}),
        (Layout(strip=1, folders={"**": "0755"}), {"b/c": "0755"}),
        (Layout(mode={"**": "0600"}, folders={"**": "0755"}), {"a/b/c": "0755", "log": "0755"}),
    ],
)
def test_which_are_kept_and_where(layout: Layout, expected: dict[str, str]) -> None:
    file = "d/f" if layout.strip else "f"
    assert kept(build(layout, c=[file, "a/b/c/", "log/"])) == expected
    assert Layout.parse(json.loads(json.dumps(layout.to_json()))) == layout


@pytest.mark.parametrize(
    ("layout", "told"),
    [
        (Layout(folders={"logs": "0755"}), "its folders rule 'logs' fits no empty folder"),
        (Layout(folders={"f": "0755"}), "its folders rule 'f' fits no empty folder"),
        (Layout(mode={"log": "0755"}), "its mode rule 'log' fits no file"),
        (Layout(folders={"*": "0755", "log": "0700"}), "say different modes for log"),
        (Layout(rename={"log": "f"}, folders={"f": "0755"}), "f is a file and an empty folder"),
        (Layout(rename={"log": "f/x"}, folders={"**": "0755"}), "f is a file and the folder of f/x"),
    ],
)
def test_rules_that_cannot_be(layout: Layout, told: str) -> None:
    with pytest.raises((BadInput, UnsupportedInput), match=told):
        build(layout, c=["f", "log/"])


@pytest.mark.parametrize("modes", [{"folders": {"log": "0644"}}, {"folders": {"log": ["0755"]}}, {"mode": {"f": []}}])
def test_a_layout_of_others_is_checked(modes: object) -> None:
    with pytest.raises(FormatError, match="cannot have"):
        Layout.parse(modes)


def test_what_another_component_fills() -> None:
    assert kept(build(a=["f", "log/"], b=["log/x"])) == {}
    assert kept(build(a=["f", "log/"], b=["log/deep/"])) == {"log/deep": "0755"}
    assert kept(build(a=["f", "log/"], b=["log/"])) == {"log": "0755"}
    private = {"a": Layout(folders={"log": "0700"}), "b": ALL}
    with pytest.raises(BadInput, match="and another one fills it"):
        build(private | {"b": Layout()}, a=["f", "log/"], b=["log/x"])
    with pytest.raises(BadInput, match="another mode"):
        build(private, a=["f", "log/"], b=["log/"])
    with pytest.raises(UnsupportedInput, match="a file and an empty folder"):
        build({"a": ALL}, a=["f", "log/"], b=["log"])


@pytest.mark.parametrize(
    ("archive_format", "platform", "path", "told"),
    [
        ("oci", "", "v/.wh.x/", "deletes other files"),
        ("zip", "windows-x86_64", "aux/", "reserved name"),
        ("zip", "windows-x86_64", "v/end./", "forbids"),
        ("zip", "windows-x86_64", "F/", "only in case"),
        ("zip", "macos-aarch64", "F/", "only in case"),
        ("file", "", "v/", "no folder"),
        ("tar.gz", "", b"v\xff/", "UTF-8"),
        ("tar.gz", "", "v\n/", "control characters"),
    ],
)
def test_names_that_a_format_or_a_platform_cannot_hold(
    archive_format: str, platform: str, path: str | bytes, told: str
) -> None:
    with pytest.raises(UnsupportedInput, match=told):
        build(ALL, archive_format, platform, c=["f", path])
    assert kept(build(Layout(), archive_format, platform, c=["f", path])) == {}, "what is not kept has no name"


def test_only_folders_are_no_product() -> None:
    with pytest.raises(BadInput, match="hold no file"):
        build(c=["log/"])


def test_too_many_layers_count_components_of_folders_alone() -> None:
    components: dict[str, list[str | bytes]] = {f"c{n}": [f"d{n}/"] for n in range(127)}
    build(ALL, "oci", c0=["f"], **{name: paths for name, paths in components.items() if name != "c0"})
    with pytest.raises(UnsupportedInput, match="128 components"):
        build(dict.fromkeys(components, ALL), "oci", z=["f"], **components)


def row(path: str, mode: str = "0755", component: str = "c") -> dict[str, str]:
    return {"path": path, "mode": mode, "component": component}


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([], "would be left out"),
        ([row("f")], "f is a file and an empty folder"),
        ([row("f/x")], "f is a file and the folder of f/x"),
        ([row("d")], "d is an empty folder, and d/f lies in it"),
        ([row("e"), row("e/x")], "e is an empty folder, and e/x lies in it"),
        ([row("z"), row("e")], "not sorted"),
        ([row("e"), row("e")], "stands twice"),
        ([row("e", "0644")], "no folder of a product"),
        ([row("e", component="d")], "has not"),
        ([row("/e")], "not a path"),
        ([row("e/")], "not a path"),
        ([row("../e")], "not a path"),
        ([row("e") | {"size": "1"}], "size"),
        ([row("secret/e")], "may never"),
        ({}, "no list"),
    ],
)
def test_a_reader_refuses(rows: object, told: str) -> None:
    value = json.loads(build(ALL, c=["d/f", "f"], never=("secret/**",)).to_bytes())
    with pytest.raises(FormatError, match=told):
        product_manifests.parse(canonical.dumps(value | {"folders": rows}))


@pytest.mark.parametrize("archive_format", ["tar.gz", "tar.zst", "zip", "oci"])
def test_an_archive_without_its_folders_is_another_one(archive_format: str, tmp_path: Path) -> None:
    layout = Layout(folders={"l/*": "0755", "l/private": "0700"})
    with pytest.raises(BadInput):
        build(layout, archive_format, c=["f", "l/private/"])
    layout = Layout(folders={"log": "0755", "private": "0700"})
    full, bare = (build(one, archive_format, c=["f", "log/", "private/"]) for one in (layout, Layout()))
    written = {}
    for manifest in (full, bare):
        out = io.BytesIO()
        formats.write(manifest, ProductReader(One(), manifest), out)
        written[manifest.digest] = out.getvalue()
    for manifest, other in ((full, bare), (bare, full)):
        with pytest.raises(HostileArchive):
            extract(manifest, io.BytesIO(written[other.digest]), str(tmp_path / "refused"))
    extract(full, io.BytesIO(written[full.digest]), str(tmp_path / "into"))
    assert not seal.compare_folder(full, str(tmp_path / "into")).messages
    (tmp_path / "into" / "private").chmod(0o755)
    (tmp_path / "into" / "log").rmdir()
    assert seal.compare_folder(full, str(tmp_path / "into")).messages == (
        "log: an empty folder, No such file or directory",
        "private: mode 0755, not 0700",
    )
