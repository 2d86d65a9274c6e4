"""The main job as a stranger runs it: the demo in its own process, then foreign readers on what it left."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.system_calls import DEEP

CASSTORE = [sys.executable, "-m", "cli.main"]


def environment(home: Path) -> dict[str, str]:
    """An empty home; nothing of ours taken from outside."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CASSTORE_", "XDG_", "SOURCE_"))}
    return {**kept, "HOME": str(home)}


def casstore(folder: Path, home: Path, *args: str, code: int = 0) -> str:
    done = subprocess.run([*CASSTORE, *args], cwd=folder, env=environment(home), capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(the demo's folder, an empty home) after one whole demo."""
    base = tmp_path_factory.mktemp("demo")
    home = base / "home"
    home.mkdir()
    told = casstore(base, home, "demo", "--into", "demo")
    assert "== All as told" in told
    return base / "demo" / "run-1", home


@pytest.mark.skipif(not DEEP, reason="deep profile: the demo once more beside the first run")
def test_a_second_run_works_too(run: tuple[Path, Path]) -> None:
    folder, home = run
    casstore(folder.parent.parent, home, "demo", "--into", "demo")
    assert (folder.parent / "run-2" / "installed" / "core" / "current").is_symlink()


def test_what_the_demo_says_to_try_works(run: tuple[Path, Path]) -> None:
    folder, home = run
    assert "1.0.0" in casstore(folder, home, "channel", "log", "prod")
    assert "0 void" in casstore(folder, home, "ledger", "verify")
    casstore(folder, home, "explain", "1.3.0", "--to", "prod", code=4)
    assert casstore(folder, home, "--offline", "verify", "kit.tar").startswith("valid")
    assert casstore(folder, home, "fsck").startswith("whole")
    assert casstore(folder, home, "doctor").startswith("ok")


def test_the_same_content_is_in_store_archive_and_install(run: tuple[Path, Path]) -> None:
    folder, home = run
    installed = folder / "installed" / "core" / "current" / "swagger_ui_bundle"
    some = next(path for path in sorted(installed.rglob("*.js")))
    name = some.relative_to(folder / "installed" / "core" / "current")
    stored = subprocess.run(
        [*CASSTORE, "cat", f"1.0.0/core/{name}"], cwd=folder, env=environment(home), capture_output=True, check=True
    ).stdout
    assert hashlib.sha256(stored).digest() == hashlib.sha256(some.read_bytes()).digest()


def test_failed_releases_left_nothing(run: tuple[Path, Path]) -> None:
    folder, home = run
    assert sorted(os.listdir(folder / "dist")) == ["1.0.0", "1.1.0", "1.3.0"]
    assert "1.2" not in casstore(folder, home, "ls").split("RELEASE")[1]


@pytest.mark.foreign
@pytest.mark.parametrize("tool", ["sha256sum", "tar", "unzip", "openssl"])
def test_foreign_readers(run: tuple[Path, Path], tmp_path: Path, tool: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"needs a foreign tool: {tool}")
    folder, _ = run
    published = folder / "public" / "releases" / "1.0.0"
    commands = {
        "sha256sum": ["sha256sum", "-c", "SHA256SUMS"],
        "tar": ["tar", "-xzf", "core-1.0.0.tar.gz", "-C", str(tmp_path)],
        "unzip": ["unzip", "-q", "agent-1.0.0-windows.zip", "-d", str(tmp_path)],
        "openssl": [
            "sh",
            "-euc",
            f'cd "$1"\n{openssl_steps()}',
            "sh",
            str(tmp_path),
            str(folder / "ci.pem.pub"),
            str(published),
        ],
    }
    done = subprocess.run(commands[tool], cwd=published, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr.strip()


def openssl_steps() -> str:
    """The commands of the consumer's guide, with the demo's names in them and its line for ECDSA keys."""
    page = Path(__file__).parents[2] / "docs" / "guide" / "consumer.md"
    text = page.read_text()
    block = next(part for part in text.split("```") if "openssl base64" in part).removeprefix("sh\n")
    ecdsa = " ".join(re.search(r"`(openssl dgst [^`]+)`", text)[1].split())  # type: ignore[index]
    block = re.sub(r"^openssl pkeyutl .*$", ecdsa, block, flags=re.MULTILINE)
    assert "core-1.4.0.tar.gz" in block and "ci.pem.pub" in block
    return block.replace("1.4.0", "1.0.0").replace("ci.pem.pub", '"$2"').replace("f=core", 'f="$3"/core')


@pytest.mark.foreign
def test_in_toto_verify_accepts_and_refuses(run: tuple[Path, Path], tmp_path: Path) -> None:
    tool = os.path.join(os.path.dirname(sys.executable), "in-toto-verify")
    if not os.path.exists(tool):
        pytest.skip("needs a foreign tool: in-toto-verify")
    folder, home = run
    target = tmp_path / "in-toto"
    casstore(folder, home, "attest", "export", "1.0.0", str(target), "--format", "in-toto", "--key", "olga.pem")
    words = [tool, "--layout", "root.layout", "--verification-keys", str(folder / "olga.pem.pub"), "--link-dir", "."]
    assert subprocess.run(words, cwd=target, capture_output=True).returncode == 0
    with open(target / "core-1.0.0.tar.gz", "ab") as file:
        file.write(b"x")
    assert subprocess.run(words, cwd=target, capture_output=True).returncode != 0
