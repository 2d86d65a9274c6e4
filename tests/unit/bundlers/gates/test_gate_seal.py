"""The seal gate on its own: each way in which files drift is told apart."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.digests import sha256
from attest.errors import BadInput
from bundlers.gates.builtin import drift, seal
from bundlers.products.product_manifests import ProductFile, ProductManifest

TEXT = "name = 'value' - naïve\nsecond line\n".encode()
VALUE = {"b": [1, 2.5, None], "a": {"é": "ü", "t": True}}
JSON_FORMS = [
    json.dumps(VALUE).encode(),
    json.dumps(VALUE, indent=2).encode() + b"\n",
    json.dumps(VALUE, ensure_ascii=False, separators=(",", ":")).encode(),
    json.dumps(VALUE, ensure_ascii=False, indent=4).encode() + b"\n",
    json.dumps(VALUE, indent="\t").encode() + b"\n",
]


def told(listed: bytes, found: bytes) -> str:
    return drift.explain(found, sha256(listed), len(listed))


@pytest.mark.parametrize(
    ("listed", "found", "said"),
    [
        (TEXT, b"\xef\xbb\xbf" + TEXT, drift.BOM),
        (b"\xef\xbb\xbf" + TEXT, TEXT, drift.NO_BOM),
        (TEXT, TEXT.replace(b"\n", b"\r\n"), drift.CRLF),
        (TEXT.replace(b"\n", b"\r\n"), TEXT, drift.LF),
        (TEXT, b"\xef\xbb\xbf" + TEXT.replace(b"\n", b"\r\n"), f"{drift.BOM}, and {drift.CRLF}"),
        (TEXT, TEXT[:-1], "the newline at the end was taken away"),
        (TEXT, TEXT + b"\n", "a newline was added at the end"),
        (TEXT, unicodedata.normalize("NFD", TEXT.decode()).encode(), "Unicode drift: it was normalised to NFD"),
        (unicodedata.normalize("NFD", TEXT.decode()).encode(), TEXT, "Unicode drift: it was normalised to NFC"),
        (
            TEXT,
            TEXT.decode().replace("-", "\u2013").encode(),
            "Unicode drift: U+2013 EN DASH instead of the plain form",
        ),
        (b'say "x"', "say \u201cx\u201d".encode(), "Unicode drift: U+201C LEFT DOUBLE"),
        (b"a - b 'c'", "a \u2014 b \u2019c\u2019".encode(), "Unicode drift: U+2014 EM DASH, U+2019"),
        ("a \u2013 b".encode(), b"a - b", "Unicode drift: the plain form instead of U+2013 EN DASH"),
        ("naïve".encode("latin-1"), "naïve".encode(), "rewritten from latin-1 to UTF-8"),
        (TEXT, TEXT.decode().encode("utf-16"), "rewritten in UTF-16"),
        (TEXT, TEXT.replace(b"value", b"walue"), f"sha256 mismatch, same byte length {len(TEXT)}"),
        (TEXT, TEXT[:10], f"sha256 mismatch, byte length 10 instead of {len(TEXT)}"),
        (b"\xff\xfe\x00", b"\xff\xfe\x01", "sha256 mismatch, same byte length 3"),
    ],
)
def test_each_drift_has_its_name(listed: bytes, found: bytes, said: str) -> None:
    assert said in told(listed, found)


@pytest.mark.parametrize("listed", JSON_FORMS)
@pytest.mark.parametrize("found", JSON_FORMS)
def test_json_written_anew(listed: bytes, found: bytes) -> None:
    if listed != found:
        assert told(listed, found) == drift.JSON


def test_json_with_sorted_keys() -> None:
    assert told(json.dumps(VALUE, sort_keys=True).encode(), json.dumps(VALUE).encode()) == drift.JSON


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_explaining_never_fails(listed: bytes, found: bytes) -> None:
    assert told(listed, found)


# folders

FILES = {"bin/tool": b"#!/bin/sh\n", "etc/a.json": JSON_FORMS[1], "share/n\u00e4me": b"x\n"}


def manifest() -> ProductManifest:
    rows = [
        ProductFile(path, 0o755 if path.startswith("bin") else 0o644, len(data), sha256(data))
        for path, data in FILES.items()
    ]
    rows.append(ProductFile("bin/link", link="tool"))
    rows.sort(key=lambda row: row.path.encode())
    return ProductManifest("core", "tar.gz", {}, tuple(rows))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    (tmp_path / "bin/tool").chmod(0o755)
    (tmp_path / "bin/link").symlink_to("tool")
    return tmp_path


def compared(folder: Path) -> dict[str, str]:
    result = seal.compare_folder(manifest(), str(folder))
    assert result.passed is not bool(result.messages)
    return dict(message.split(": ", 1) for message in result.messages)


def test_sealed_folder(folder: Path) -> None:
    assert compared(folder) == {}


def test_all_differences_are_told_at_once(folder: Path) -> None:
    (folder / "bin/tool").chmod(0o644)
    (folder / "etc/a.json").write_bytes(JSON_FORMS[0])
    (folder / "etc/extra").write_bytes(b"")
    (folder / "bin/link").unlink()
    assert compared(folder) == {
        "bin/tool": "mode 0644, not 0755",
        "etc/a.json": drift.JSON,
        "etc/extra": "extra, the ProductManifest does not list it",
        "bin/link": "missing",
    }


def test_link_that_points_elsewhere(folder: Path) -> None:
    (folder / "bin/link").unlink()
    (folder / "bin/link").symlink_to("other")
    assert compared(folder) == {"bin/link": "not the link to tool that is listed"}


def test_file_that_became_a_link_or_a_folder(folder: Path) -> None:
    (folder / "etc/a.json").unlink()
    (folder / "etc/a.json").symlink_to("/etc/passwd")
    assert compared(folder) == {"etc/a.json": "not a regular file"}


def test_name_in_another_normal_form(folder: Path) -> None:
    (folder / "share/n\u00e4me").rename(folder / "share/na\u0308me")
    found = compared(folder)
    assert "another Unicode form: 'share/na\\u0308me'" in found["share/n\u00e4me"]
    assert found["share/na\u0308me"].startswith("extra")


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such folder"):
        seal.compare_folder(manifest(), str(tmp_path / "none"))
