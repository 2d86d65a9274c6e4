"""SHA256SUMS.asc: made by real GPG, accepted by real GPG, refused when a checksum changes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from attest.digests import sha256
from attest.errors import FormatError, SignerError
from bundlers.audit import gpg
from bundlers.products import checksums
from casstore.errors import Conflict, NoSuchObject
from tests.support.on_disk import tmp_path as tmp_path  # its agent's socket has a short path

GPG = shutil.which("gpg")
pytestmark = [pytest.mark.foreign, pytest.mark.skipif(GPG is None, reason="needs a foreign tool: gpg")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("GNUPGHOME", str(home))
    words = ["gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", "releases@example.org", "ed25519"]
    subprocess.run(words, check=True, capture_output=True)
    release = tmp_path / "dist"
    release.mkdir()
    (release / checksums.NAME).write_bytes(checksums.to_bytes({"core-1.tar.gz": sha256(b"x")}))
    return release


def verified(folder: Path) -> bool:
    words = ["gpg", "--batch", "--verify", f"{checksums.NAME}.asc", checksums.NAME]
    return subprocess.run(words, cwd=folder, capture_output=True).returncode == 0


def test_gpg_takes_what_gpg_made(folder: Path) -> None:
    assert gpg.sign_checksums(str(folder), key="releases@example.org") == str(folder / "SHA256SUMS.asc")
    assert sorted(os.listdir(folder)) == ["SHA256SUMS", "SHA256SUMS.asc"]
    assert verified(folder)
    with pytest.raises(Conflict):
        gpg.sign_checksums(str(folder), key="releases@example.org")
    (folder / checksums.NAME).write_bytes(checksums.to_bytes({"core-1.tar.gz": sha256(b"y")}))
    assert not verified(folder)


def test_a_relative_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    assert gpg.sign_checksums(folder.name, key="releases@example.org") == str(folder / "SHA256SUMS.asc")


def test_nothing_is_left_where_gpg_does_not_sign(folder: Path) -> None:
    with pytest.raises(SignerError, match="GPG did not sign"):
        gpg.sign_checksums(str(folder), key="nobody@example.org")
    (folder / checksums.NAME).write_bytes(b"not ours\n")
    with pytest.raises(FormatError):
        gpg.sign_checksums(str(folder), key="releases@example.org")
    assert os.listdir(folder) == ["SHA256SUMS"]
    with pytest.raises(NoSuchObject):
        gpg.sign_checksums(str(folder / "nowhere"), key="releases@example.org")
