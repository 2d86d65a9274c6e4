"""A bill of materials of a tree: the same tree, the same bytes; real packages are named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import pytest

pytest.importorskip("cyclonedx", reason="cyclonedx-python-lib is not installed (extra sbom)")

from attest.digests import Digest, hex_of, sha256
from attest.statements.predicates import cyclonedx
from bundlers.inspection import sbom
from casstore.objects.tree import TreeEntry
from casstore.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.init(str(tmp_path / "store"))


def tree(store: Store, files: Mapping[bytes, bytes]) -> Digest:
    return store.build_tree(
        {
            path: TreeEntry(path.rpartition(b"/")[2], "file", 0o644, len(data), store.put_bytes(data))
            for path, data in files.items()
        }
    )


def test_every_file_is_a_component_with_its_digest(store: Store) -> None:
    document = sbom.of_tree(store, tree(store, {b"bin/core": b"core", b"x": b""}), name="core", version="1.0").document
    rows = {row["name"]: row for row in document["components"]}
    assert rows["bin/core"]["hashes"] == [{"alg": "SHA-256", "content": hex_of(sha256(b"core"))}]
    assert document["metadata"]["component"]["version"] == "1.0"
    cyclonedx.check(document)


def test_the_same_tree_gives_the_same_bytes(store: Store) -> None:
    made = tree(store, {f"f{n}".encode(): bytes([n]) for n in range(50)})
    one, two = (sbom.to_bytes(sbom.of_tree(store, made, name="x", version="1").document) for _ in range(2))
    assert one == two


def test_installed_packages_are_named_with_purl_and_licence(store: Store) -> None:
    """The real metadata of a package that is installed here, and an npm package."""
    real = metadata.distribution("click")
    files = {
        b"site/click.dist-info/METADATA": (real.read_text("METADATA") or "").encode(),
        b"web/node_modules/@scope/thing/package.json": json.dumps(
            {"name": "@scope/thing", "version": "2.1.0", "license": "MIT"}
        ).encode(),
    }
    document = sbom.of_tree(store, tree(store, files), name="x", version="1").document
    purls = {row.get("purl") for row in document["components"]}
    assert {f"pkg:pypi/click@{real.version}", "pkg:npm/%40scope/thing@2.1.0"} <= purls


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"Name: only\n", b"{", b'{"name": 1, "version": "1"}'])
def test_metadata_that_says_nothing_is_only_a_file(store: Store, data: bytes) -> None:
    files = {b"a.dist-info/METADATA": data, b"node_modules/p/package.json": data}
    document = sbom.of_tree(store, tree(store, files), name="x", version="1").document
    assert {row["type"] for row in document["components"]} == {"file"}


def test_names_that_are_not_utf8_are_shown(store: Store) -> None:
    document = sbom.of_tree(store, tree(store, {b"n\xffw": b"1"}), name="x", version="1").document
    assert document["components"][0]["name"] == "n\\xffw"


def test_the_command_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    from cli.main import invoke

    monkeypatch.chdir(tmp_path)
    made = tree(store, {b"bin/core": b"core"})
    store.close()
    assert invoke(["--store", str(tmp_path / "store"), "attest", "sbom", made, "--out", "x.cdx.json"]) == 0
    document = json.loads((tmp_path / "x.cdx.json").read_text())
    assert [row["name"] for row in document["components"]] == ["bin/core"]
    assert invoke(["--store", str(tmp_path / "store"), "attest", "sbom", made, "--out", "x.cdx.json"]) == 9


def test_metadata_that_nobody_can_read_is_named(store: Store) -> None:
    files = {
        b"node_modules/a/package.json": b"{",
        b"node_modules/@s/b/package.json": b"[]",
        b"node_modules/c/package.json": b'{"name": "c", "version": "1"}',
        b"node_modules/c/esm/package.json": b'{"type": "module"}',
        b"d-1.dist-info/METADATA": b"no headers",
    }
    made = sbom.of_tree(store, tree(store, files), name="x", version="1")
    assert set(made.unread) == {
        "node_modules/a/package.json",
        "node_modules/@s/b/package.json",
        "d-1.dist-info/METADATA",
    }


def test_what_real_packages_have_in_their_metadata(store: Store) -> None:
    """A byte order mark, a name that stands twice, a number beyond 2**53, letters beyond ASCII: each was seen."""
    files = {
        b"node_modules/bom/package.json": b'\xef\xbb\xbf{"name": "bom", "version": "1"}',
        b"node_modules/dup/package.json": b'{"name": "dup", "version": "1", "scripts": {"a": "1", "a": "2"}}',
        b"node_modules/big/package.json": b'{"name": "big", "version": "1", "config": {"n": 12345678901234567890}}',
        b"ok-1.dist-info/METADATA": b"Metadata-Version: 2.1\nName: ok\nVersion: 1\nLicense: Copyright \xc2\xa9 2020\n",
        b"old-1.dist-info/METADATA": b"Metadata-Version: 2.1\nName: old\nVersion: 1\nLicense: \xa9 of before UTF-8\n",
    }
    made = sbom.of_tree(store, tree(store, files), name="x", version="1")
    assert made.unread == ()
    named = {row["name"] for row in made.document["components"] if row["type"] == "library"}
    assert named == {"bom", "dup", "big", "ok", "old"}
    cyclonedx.check(made.document)
