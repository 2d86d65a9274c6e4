"""affected: by recorded bills of materials and scans, with the real commands."""

from __future__ import annotations

import json
import shutil
import zlib
from pathlib import Path

import pytest

from cli.main import invoke
from tests.unit.bundlers.inspection.test_linked import with_section

DATA = Path(__file__).parents[4] / "data" / "scanners"
CRATES = {"packages": [{"name": "openssl", "version": "0.10.45", "source": "crates.io"}]}
LOCK = """
version = 4
[[package]]
name = "openssl"
version = "0.10.45"
source = "registry+https://example.org/index"
[[package]]
name = "own"
version = "1.0.0"
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "app"
    (place / "build" / "bin").mkdir(parents=True)
    (place / "build" / "bin" / "tool").write_bytes(b"hello\n")
    monkeypatch.chdir(place)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("CASSTORE_STORE", "CASSTORE_KEY", "CASSTORE_PASSWORD", "XDG_CACHE_HOME", "XDG_STATE_HOME", "CI"):
        monkeypatch.delenv(name, raising=False)
    typed("keys generate key.pem --no-passphrase", "init --key key.pem --yes")
    return place


def typed(*lines: str) -> None:
    for line in lines:
        assert invoke(line.split()) == 0, line


def release(version: str) -> None:
    typed(
        f"put --all --release-version {version} --key key.pem",
        f"release {version} --key key.pem --out dist-{version}",
        f"promote {version} --to dev --key key.pem",
    )


def bill(version: str, *more: str) -> None:
    name = f"app-{version}.tar.gz"
    assert invoke(["attest", "sbom", f"{version}/app", "--out", f"{version}.cdx.json", *more]) == 0
    typed(
        f"attest sign dist-{version}/{name} --type cyclonedx --predicate {version}.cdx.json --key key.pem --hand-in",
    )


def test_what_is_linked_in_is_found_by_package_and_by_report(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not shutil.which("gcc") or not shutil.which("objcopy"):
        pytest.skip("gcc and objcopy are not here")
    import subprocess

    (tmp_path / "tool.c").write_text("int main(void) { return 0; }\n")
    subprocess.run(["gcc", "-o", "tool", "tool.c"], cwd=tmp_path, check=True)
    made = with_section(tmp_path / "tool", ".dep-v0", zlib.compress(json.dumps(CRATES).encode()))
    tool = here / "build" / "bin" / "tool"
    tool.write_bytes(made)
    tool.chmod(0o755)
    release("1.0.0")
    bill("1.0.0")
    document = json.loads(Path("1.0.0.cdx.json").read_text())
    (crate,) = [row for row in document["components"] if row.get("purl") == "pkg:cargo/openssl@0.10.45"]
    assert crate["properties"] == [{"name": "casstore:within", "value": "bin/tool"}]
    tool.write_bytes(b"mended\n")
    release("1.1.0")
    capsys.readouterr()
    assert invoke(["affected", "pkg:cargo/openssl"]) == 1
    told = capsys.readouterr()
    assert "1.0.0" in told.out and "pkg:cargo/openssl@0.10.45" in told.out and "1.1.0" in told.err
    assert "1 archives unknown" in told.out
    bill("1.1.0")
    capsys.readouterr()
    assert invoke(["affected", str(DATA / "grype.json"), "--json"]) == 1
    value = json.loads(capsys.readouterr().out)
    assert [(row["version"], row["vulnerability"], row["channels"]) for row in value["affected"]] == [
        ("1.0.0", "GHSA-xcg2-9pp4-j82x", [])
    ]
    assert value["unknown"] == [] and value["reports"][0].startswith("grype 0.94.0 with grype-db")
    assert invoke(["affected", "pkg:cargo/openssl@0.10.48"]) == 0


def test_a_lock_file_and_a_scan(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("Cargo.lock").write_text(LOCK)
    release("1.0.0")
    bill("1.0.0", "--lock", "Cargo.lock")
    names = [row["name"] for row in json.loads(Path("1.0.0.cdx.json").read_text())["components"]]
    assert "openssl" in names and "own" not in names
    assert invoke(["affected", "pkg:cargo/openssl@0.10.45"]) == 1
    assert invoke(["affected", "CVE-2023-0001"]) == 0
    capsys.readouterr()
    argv = ["attest", "sign", "dist-1.0.0/app-1.0.0.tar.gz", "--type", "vulns", "--predicate"]
    assert invoke([*argv, str(DATA / "trivy.json"), "--key", "key.pem", "--hand-in", "--out", "scan.json"]) == 0
    assert "report of trivy 0.69.1" in capsys.readouterr().err
    for name in ("CVE-2023-0001", "GHSA-xcg2-9pp4-j82x"):
        assert invoke(["affected", name]) == 1
        told = capsys.readouterr().out
        assert "dev" in told and "scan of" in told and "pkg:cargo/openssl@0.10.45" in told
    Path("vex.json").write_text(
        json.dumps(
            {
                "@context": "https://openvex.dev/ns/v0.2.0",
                "@id": "https://example.org/1",
                "author": "us",
                "timestamp": "2026-01-01T00:00:00Z",
                "version": 1,
                "statements": [
                    {
                        "vulnerability": {"name": "CVE-2023-0001"},
                        "products": [{"@id": "app"}],
                        "status": "not_affected",
                        "justification": "vulnerable_code_not_in_execute_path",
                    }
                ],
            }
        )
    )
    argv = ["attest", "sign", "dist-1.0.0/app-1.0.0.tar.gz", "--type", "openvex", "--predicate", "vex.json"]
    assert invoke([*argv, "--key", "key.pem", "--hand-in", "--out", "vex.sigstore.json"]) == 0
    capsys.readouterr()
    assert invoke(["affected", "CVE-2023-0001"]) == 0
    assert "1 explained by OpenVEX" in capsys.readouterr().out


def test_what_cannot_be_asked(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    release("1.0.0")
    Path("half.json").write_text('{"matches": [{}], "descriptor": {"name": "grype"}}')
    assert invoke(["affected", "half.json"]) == 3
    assert invoke(["affected", "missing.json"]) == 2
    assert invoke(["affected", "pkg:nothing"]) == 3
    assert "Traceback" not in capsys.readouterr().err


def test_the_gate_reads_scanners_own_reports(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(DATA / "grype.json", "grype.json")
    text = Path("casstore.toml").read_text()
    gate = 'secrets = {}\nvulnerabilities = { reports = { app = "grype.json" } }\n'
    Path("casstore.toml").write_text(text.replace("secrets = {}\n", gate))
    typed("put --all --release-version 1.0.0 --key key.pem")
    capsys.readouterr()
    assert invoke(["release", "1.0.0", "--key", "key.pem"]) == 10
    assert "1 high, at most 0: GHSA-xcg2-9pp4-j82x" in capsys.readouterr().err
