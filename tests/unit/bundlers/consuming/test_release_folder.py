"""`casstore verify FOLDER` over what `release --out` left: every file counts, and nothing may lie beside them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.main import invoke

CONFIG = """\
[store]
url = "./store"
[components.a]
include = ["**"]
root = "a"
[components.b]
include = ["**"]
root = "b"
[products.p]
components = ["a"]
format = "tar.gz"
[products.q]
components = ["b"]
format = "zip"
[channels.dev]
approvals = 0
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HOME", str(folder / "home"))
        for name in ("CASSTORE_STORE", "CASSTORE_PASSWORD"):
            patch.delenv(name, raising=False)
        patch.setenv("CASSTORE_KEY", "key.pem")
        (folder / "casstore.toml").write_text(CONFIG)
        for name in ("a", "b"):
            (folder / name).mkdir()
            (folder / name / "file").write_text(f"content of {name}")
        for words in (
            ["keys", "generate", "key.pem", "--no-passphrase"],
            ["init"],
            ["keys", "ceremony", "draft", "--identity", "me=key.pem.pub",
             *(word for role in ("owner", "builder", "promoter", "approver", "publisher", "ledger", "auditor")
               for word in ("--role", f"{role}=me")), "--out", "draft"],
            ["keys", "ceremony", "sign", "draft", "--out", "sig"],
            ["keys", "ceremony", "finish", "draft", "sig", "--out", "root.signed"],
            ["put", "--all", "--release-version", "1.0.0"],
            ["release", "1.0.0", "--out", "dist"],
        ):  # fmt: skip
            assert invoke(words) == 0
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that has the folder and the trust root, no store."""
    shutil.copytree(made / "dist", tmp_path / "dist")
    shutil.copy(made / "root.signed", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CASSTORE_STORE", raising=False)
    return tmp_path


def verified(*more: str) -> int:
    return invoke(["verify", "dist", "--trust-root-file", "root.signed", *more])


def test_what_was_released_verifies_without_a_store(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verified("--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["version"], told["archives"], told["signedBy"]) == ("1.0.0", ["p-1.0.0.tar.gz", "q-1.0.0.zip"], ["me"])


def test_the_trust_root_of_the_store_counts_too(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made)
    assert invoke(["verify", "dist"]) == 0


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


PAPERS = [
    "p-1.0.0.tar.gz", "q-1.0.0.zip", "SHA256SUMS", "p.product-manifest.json", "release.json",
    "release.json.sigstore.json", "q-1.0.0.zip.sigstore.json",
]  # fmt: skip


@pytest.mark.parametrize("name", PAPERS)
@pytest.mark.parametrize(
    ("harm", "codes"), [(flip, {3}), (Path.unlink, {8}), (lambda path: path.write_bytes(b""), {3})]
)
def test_each_file_counts(
    name: str, harm: Callable[[Path], object], codes: set[int], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    harm(here / "dist" / name)
    assert verified() in codes
    assert "unexpected" not in capsys.readouterr().err


def test_nothing_lies_beside(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "dist" / "p-1.0.1.tar.gz").write_bytes(b"x")
    assert verified() == 3
    assert "p-1.0.1.tar.gz is not named by the release" in capsys.readouterr().err


def test_files_of_two_products_are_not_swapped(here: Path) -> None:
    one, two = here / "dist" / "p-1.0.0.tar.gz.sigstore.json", here / "dist" / "q-1.0.0.zip.sigstore.json"
    first = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(first)
    assert verified() == 3


def test_a_link_is_no_file(here: Path) -> None:
    path = here / "dist" / "p-1.0.0.tar.gz"
    path.rename(here / "elsewhere")
    path.symlink_to(here / "elsewhere")
    assert verified() == 8


def test_another_trust_root(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verified("--trust-root", "sha256:" + "0" * 64) == 3
    assert "that was given" in capsys.readouterr().err
