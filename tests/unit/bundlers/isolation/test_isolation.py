"""Products are kept apart by construction, and by content whatever the names say."""

from __future__ import annotations

import gzip
import io
import tarfile
import tomllib
import zipfile
from dataclasses import fields
from pathlib import Path

import pytest

from bundlers import isolation
from bundlers.errors import CrossProductLeak
from bundlers.products import manifest_building, products
from bundlers.products.product_manifests import ComponentTree, ProductManifest
from casstore import config
from casstore.errors import UnsupportedInput
from casstore.objects.platforms import Platform
from casstore.store.store import Store

SECRET_SAUCE = b"the agent's own binary, several times " * 50


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.init(str(tmp_path / "store"))


def component(store: Store, tmp_path: Path, name: str, files: dict[str, bytes]) -> ComponentTree:
    for path, data in files.items():
        target = tmp_path / name / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return ComponentTree(store.put_tree(str(tmp_path / name)).tree)


def made(store: Store, name: str, *components: ComponentTree, platform: str = "") -> ProductManifest:
    named = {f"c{number}": tree for number, tree in enumerate(components)}
    return manifest_building.build(
        store, name, "tar.gz", named, platform=Platform.of_text(platform) if platform else None
    )


def tar(name: str, data: bytes, mode: str = "w") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as packed:  # type: ignore[call-overload]
        info = tarfile.TarInfo(name)
        info.size = len(data)
        packed.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zipped(name: str, data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(name, data)
    return out.getvalue()


LEAKS = {
    "another name": {"theme.dat": SECRET_SAUCE},
    "in a tar": {"x.tar": tar("y", SECRET_SAUCE)},
    "in a tar.gz": {"x.bin": tar("y", SECRET_SAUCE, "w:gz")},
    "in a tar.xz": {"x": tar("y", SECRET_SAUCE, "w:xz")},
    "in a zip": {"x.jar": zipped("y", SECRET_SAUCE)},
    "in a gz": {"x.gz": gzip.compress(SECRET_SAUCE)},
    "in a zip in a tar.gz": {"x": tar("y", zipped("z", SECRET_SAUCE), "w:gz")},
    "in a zip behind a program": {"setup.exe": b"MZ" + b"\0" * 600 + zipped("y", SECRET_SAUCE)},
}


@pytest.mark.parametrize("how", LEAKS)
def test_a_leak_is_found_and_names_both_sides(store: Store, tmp_path: Path, how: str) -> None:
    agent = made(store, "agent", component(store, tmp_path, "agent", {"bin/agent": SECRET_SAUCE}))
    core = made(store, "core", component(store, tmp_path, "core", {"main": b"core's own", **LEAKS[how]}))
    report = isolation.check(store, isolation.Contents.each({"agent": agent, "core": core}), isolation.Settings())
    assert report.findings
    with pytest.raises(CrossProductLeak) as caught:
        report.require()
    assert caught.value.exit_code == 11
    for part in ("agent", "bin/agent", "core", next(iter(LEAKS[how]))):
        assert part in caught.value.message


def test_what_is_shared_with_a_reason_and_what_is_empty_is_no_leak(store: Store, tmp_path: Path) -> None:
    licence = component(store, tmp_path, "licence", {"LICENSE": b"text of the licence"})
    shared = ComponentTree(licence.tree, "everyone ships it")
    one = made(store, "one", component(store, tmp_path, "one", {"a": b"1", "__init__.py": b""}), shared)
    two = made(store, "two", component(store, tmp_path, "two", {"a": b"2", "__init__.py": b""}), shared)
    report = isolation.check(store, isolation.Contents.each({"one": one, "two": two}), isolation.Settings())
    assert not report.findings
    assert report.shared == {"c1": "everyone ships it"}


CONFIG = """
[components.a]
include = ["**"]
[products.one]
components = ["a"]
format = "zip"
[products.two]
components = ["a"]
format = "zip"
"""


def test_a_component_in_two_products_needs_a_reason() -> None:
    with pytest.raises(CrossProductLeak, match="one and two"):
        products.check_construction(config.parse(CONFIG.encode(), "casstore.toml"))
    blank = CONFIG.replace('include = ["**"]', 'include = ["**"]\nshared = "  "')
    with pytest.raises(CrossProductLeak):
        products.check_construction(config.parse(blank.encode(), "casstore.toml"))
    reasoned = CONFIG.replace('include = ["**"]', 'include = ["**"]\nshared = "licences"')
    products.check_construction(config.parse(reasoned.encode(), "casstore.toml"))


@pytest.mark.parametrize("name", ["aux", "con.txt", "a:b", "dot.", "what?", "space "])
def test_a_windows_product_refuses_names_that_windows_cannot_hold(store: Store, tmp_path: Path, name: str) -> None:
    tree = component(store, tmp_path, "c", {name: b"x"})
    with pytest.raises(UnsupportedInput, match="windows"):
        made(store, "w", tree, platform="windows-x64")
    made(store, "l", tree, platform="linux")


def test_a_windows_product_refuses_case_collisions_and_links(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedInput, match="case"):
        made(store, "w", component(store, tmp_path, "c", {"a": b"1", "A": b"2"}), platform="windows")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "l").symlink_to("x")
    with pytest.raises(UnsupportedInput, match="link"):
        made(store, "w", ComponentTree(store.put_tree(str(tmp_path / "d")).tree), platform="windows")


@pytest.mark.parametrize("page", ["docs/isolation.md", "docs/formats/config.md"])
def test_the_pages_tell_every_setting_and_its_default(page: str) -> None:
    text = (Path(__file__).parents[4] / page).read_text()
    block = text[text.index("min_size = ") :].partition("\n\n")[0].partition("[isolation.")[0]
    told = tomllib.loads(block)
    assert isolation.Settings.parse(told) == isolation.Settings()
    assert set(told) == {item.name for item in fields(isolation.Settings)} - {"references", "accepted"}
