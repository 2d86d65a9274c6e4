"""Two real products go from their wheels to an installed one by what the guide says: ruff and maturin, by digest."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

WHEELS = {
    "ruff": ("0.17.6", "aa3b08254a732acba246891089a152c47c5733dc36b8ecb76ce8602f8326e5e4"),
    "maturin": ("1.16.0", "837db2f4d93d4899c3ac393fb3cc9eebf35b6002336e5d574f4a4fb6c49fe283"),
}
TOML = """
[store]
url = "./store"
[components.ruff-bin]
root = "dist/ruff"
include = ["**"]
[components.maturin-bin]
root = "dist/maturin"
include = ["**"]
[products.ruff]
components = ["ruff-bin"]
format = "tar.gz"
[products.maturin]
components = ["maturin-bin"]
format = "tar.gz"
[channels.dev]
approvals = 0
require = ["isolation"]
[destinations.public]
url = "./public"
"""
STOPS = "casstore release 1.0.0"
COMMANDS = """
casstore isolation accept 1.0.0 "ruff:*" "maturin:*" --reason "both are built by one compiler from the same crates"
casstore release 1.0.0
casstore approve 1.0.0 --channel dev --key ann.pem
casstore promote 1.0.0 --to dev
casstore publish dev --to public
casstore install ruff --from ./public --channel dev --into ./installed
"""
BEGUN = """
for who in key ann; do casstore keys generate $who.pem --no-passphrase; done
casstore init
casstore keys ceremony draft --out root.draft --identity me=key.pem.pub --identity ann=ann.pem.pub --role owner=me \\
  --role builder=me --role approver=ann --role promoter=me --role publisher=me --role ledger=me --role auditor=ann
casstore keys ceremony sign root.draft --key key.pem --out me.sig
casstore keys ceremony finish root.draft me.sig
casstore put --all --release-version 1.0.0
"""


def unpacked(folder: Path, name: str) -> None:
    version, digest = WHEELS[name]
    (folder / "asked.txt").write_text(f"{name}=={version} --hash=sha256:{digest}\n")
    tags = ["manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_12_x86_64", "manylinux2010_x86_64"]
    options = [word for tag in tags for word in ("--platform", tag)]
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    done = subprocess.run(
        [*command, *options, "-d", f"wheels/{name}", "-r", "asked.txt"], cwd=folder, capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(
            f"NO PACKAGE INDEX: {name} {version} cannot be had, two real products are not tried: {done.stderr[-200:]}"
        )
    (wheel,) = (folder / "wheels" / name).iterdir()
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder / "dist" / name)


def typed(folder: Path, script: str, code: int = 0) -> str:
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder / "home"),
        "CASSTORE_KEY": "key.pem",
    }
    command = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.foreign
def test_ruff_and_maturin_are_released_after_one_command(tmp_path: Path) -> None:
    for name in WHEELS:
        unpacked(tmp_path, name)
    (tmp_path / "home").mkdir()
    (tmp_path / "casstore.toml").write_text(TOML)
    typed(tmp_path, BEGUN)
    assert "carries another's content" in typed(tmp_path, STOPS, 11)
    told = typed(tmp_path, COMMANDS)
    assert "accepted: maturin" in told
    (found,) = (tmp_path / "installed" / "current").rglob("scripts/ruff")
    assert found.stat().st_size > 20_000_000
