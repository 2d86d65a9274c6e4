"""ProductManifests in a stream: packed rows are the rows, whatever the pieces; hostile text ends in one line."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest import canonical
from attest.core import limits
from attest.digests import from_raw, sha256
from attest.errors import BadInput, FormatError
from bundlers.products import product_manifests
from bundlers.products.product_files import FileRows, ProductFile, in_order
from bundlers.products.product_manifests import ComponentTree, ProductFolder, ProductManifest

CONTENT = sha256(b"content")
ODD = ['a"b', "a\\b", "r\u00e9sum\u00e9", "\U0001f600/x", "plain", "a-b", "a/b", "a0"]


def manifest(*files: ProductFile, **more: object) -> ProductManifest:
    made = ProductManifest("core", "tar.gz", {"c": ComponentTree(sha256(b"tree"))}, files)
    return replace(made, **more)  # type: ignore[arg-type]


def file(path: str, size: int = 7) -> ProductFile:
    return ProductFile(path, 0o644, size, CONTENT, component="c")


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


@pytest.mark.parametrize("size", [1, 2, 7, 64, 1 << 20])
def test_it_is_read_however_it_is_cut(size: int) -> None:
    links = [
        ProductFile("lib/a\\b", link='to"it', component="c"),
        ProductFile("lib/\u00fc", link="\u00e4", component="c"),
    ]
    files = sorted([*map(file, ODD), *links], key=lambda one: one.path.encode())
    made = manifest(*files, folders=(ProductFolder("var", 0o700, "c"),))
    assert b"".join(made.pieces()) == made.to_bytes() == canonical.dumps(made.to_json())
    found = product_manifests.read(cut(made.to_bytes(), size))
    assert found == made
    assert list(found.files) == files
    assert found.digest == sha256(made.to_bytes())


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=("Cs",), exclude_characters="/\x00", min_codepoint=1), min_size=1),
            st.integers(0, 2**53 - 1),
            st.binary(min_size=32, max_size=32),
            st.sampled_from((0o600, 0o640, 0o644, 0o700, 0o750, 0o755)),
            st.booleans(),
        ),
        max_size=20,
        unique_by=lambda row: row[0],
    )
)
def test_packed_rows_are_the_rows(given_rows: list[tuple[str, int, bytes, int, bool]]) -> None:
    rows = [
        ProductFile(path, link="x/y", component=f"c{size % 3}")
        if link
        else ProductFile(path, mode, size, from_raw(raw), component=f"c{size % 3}")
        for path, size, raw, mode, link in given_rows
    ]
    packed = FileRows.of(rows)
    assert list(packed) == [packed[number] for number in range(len(packed))] == rows == packed
    assert packed.size == sum(row.size for row in rows)
    assert [row.digest for row in rows if row.digest] == list(packed.digests())
    ordered = packed.sorted()
    assert list(ordered) == sorted(rows, key=lambda row: row.path.encode())
    assert list(in_order([ordered, ordered]))[::2] == list(ordered)
    below = ordered.below("top")
    for row in rows:
        assert below.get(f"top/{row.path}") is not None
        assert below.get(row.path) is None
    assert [row.path for row in below] == [f"top/{row.path}" for row in ordered]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (b'"mode":"0644"', b'"mode":"0666"', "mode that no product keeps"),
        (b'"mode":"0644"', b'"mode": "0644"', "canonical"),
        (b'"path":"a"', b'"path":"\\u0061"', "canonical"),
        (b'"path":"a"', b'"path":"\\ud800"', "canonical"),
        (b'"path":"a"', b'"path":"\xff"', "UTF-8"),
        (b'"size":7', b'"size":07', "cannot be read"),
        (b'"size":7', b'"size":-7', "size"),
        (b'"size":7', b'"size":9007199254740993', "2\\*\\*53"),
        (b'"size":7}', b'"size":7,"more":1}', "unknown field 'more'"),
        (b'"path":"a",', b"", "'path' is missing"),
        (b'"digest":"sha256:', b'"digest":"sha256:A', "digest"),
        (b'"files":[', b'"files":[,', "cannot be read"),
        (b'"files":[', b'"files":[ ', "cannot be read"),
        (b"}],", b"},],", "cannot be read"),
        (b"}],", b"}", "canonical"),
        (b'"format"', b'"folders":7,"format"', "folders is no list"),
        (b'"format"', b'"folders":[],"format"', "empty field"),
        (b'"path":"a"', b'"path":"a/../b"', "not a path"),
        (b'"component":"c","digest"', b'"component":"d","digest"', "component that the product has not"),
        (b',"files":[', b',"filed":[', "unknown field|has no files"),
    ],
)
def test_what_would_not_be_written_is_refused_in_one_line(old: bytes, new: bytes, told: str) -> None:
    data = manifest(file("a")).to_bytes()
    assert old in data
    for size in (3, len(data) + 9):
        with pytest.raises(FormatError, match=told) as caught:
            product_manifests.read(cut(data.replace(old, new, 1), size))
        assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("paths", "folders", "told"),
    [
        (["b", "a"], [], "not sorted"),
        (["a", "a"], [], "stands twice"),
        (["a", "a-b", "a/b"], [], "a is a file and the folder of a/b"),
        (["a/b"], ["a"], "a is an empty folder, and a/b lies in it"),
        (["a"], ["a"], "a is a file and an empty folder"),
        (["a"], ["a/b"], "a is a file and the folder of a/b"),
        (["b"], ["a", "a-b", "a/c"], "a is an empty folder, and a/c lies in it"),
    ],
)
def test_a_path_is_no_others_folder(paths: list[str], folders: list[str], told: str) -> None:
    made = manifest(*map(file, paths), folders=tuple(ProductFolder(path, 0o755, "c") for path in folders))
    with pytest.raises(FormatError, match=told):
        product_manifests.parse(made.to_bytes())


def test_a_row_that_no_reader_takes_is_not_written() -> None:
    long = manifest(file("a/" * (limits.MANIFEST_ROW // 2) + "b"))
    with pytest.raises(BadInput, match="the row of a/a/"):
        long.to_bytes()
    row = canonical.dumps(file("b" * limits.MANIFEST_ROW).to_json())
    data = manifest(file("a")).to_bytes().replace(b"}],", b"}," + row + b"],")
    with pytest.raises(FormatError, match=f"more than {limits.MANIFEST_ROW} bytes"):
        product_manifests.parse(data)


def test_files_are_a_list() -> None:
    for wrong in ({}, None, "x"):
        with pytest.raises(FormatError, match="files is no list"):
            product_manifests.parse(canonical.dumps({**manifest(file("a")).to_json(), "files": wrong}))


def test_what_claims_to_be_endless_is_left_when_it_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PRODUCT_MANIFEST", 8 << 20)
    rows = b"".join(b"%b," % canonical.dumps(file(f"f{number:06}").to_json()) for number in range(9000))
    head = manifest(file("a")).to_bytes().partition(b'"files":[')[0] + b'"files":['
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        yield head
        while True:
            taken += len(rows)
            yield rows

    with pytest.raises(FormatError, match=f"more than the limit of {limits.PRODUCT_MANIFEST} bytes"):
        product_manifests.read(endless())
    assert taken < limits.PRODUCT_MANIFEST + 2 * len(rows)

    def folders() -> Iterator[bytes]:
        yield head + b"]"
        while True:
            yield b'"folders":[' + b'{"path":"x"},' * 100_000

    with pytest.raises(FormatError, match="beside its files"):
        product_manifests.read(folders())


def test_a_product_of_many_files_costs_a_few_of_its_paths() -> None:
    made = manifest(*(file(f"folder/{number:06}") for number in range(50_000)))
    tracemalloc.start()
    found = product_manifests.read(made.pieces())
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.files) == 50_000
    assert kept < 50_000 * 110
    assert peak < 50_000 * 110 + (12 << 20)
