"""A tool for two platforms and an installer, as people ship them: from build folders to linked programs.

Archives are read by tar and unzip; the second release changes one small product and touches nothing else.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from small_line import BEGIN, Place

from casstore.objects.platforms import Platform

HERE = str(Platform.of_table({"os": "linux", "arch": platform.machine()}))
TRUE = Path(shutil.which("true") or "/bin/true").resolve()
EXE = (
    b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + struct.pack("<H", 0x8664) + bytes(300) + b"acme for windows"
)
TOML = f"""\
[store]
url = "./store"
[components.acme-linux]
root = "dist/cli/linux"
include = ["**"]
strip = 2
to = "bin"
mode = {{ "bin/*" = "0755" }}
[components.acme-windows]
root = "dist/cli/windows"
include = ["**"]
rename = {{ "acme-cli.exe" = "acme.exe" }}
to = "bin"
[components.docs]
include = ["README.md"]
[components.setup]
root = "dist/setup"
include = ["**"]

[products.acme]
components = ["docs"]
format = "tar.gz"
[products.acme.builds.{HERE}]
components = ["acme-linux"]
bin = ["bin/acme"]
[products.acme.builds.windows-x86_64]
components = ["acme-windows"]
format = "zip"
bin = ["bin/acme.exe"]
wrap = "{{product}}-for-{{os}}"
[products.setup]
components = ["setup"]
format = "file"

[channels.dev]
approvals = 0
[destinations.public]
url = "./public"
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "casstore.toml").write_text(TOML)
    write(tmp_path / "dist/cli/linux/acme-0.1.data/scripts/acme", TRUE.read_bytes())
    write(tmp_path / "dist/cli/windows/acme-cli.exe", EXE)
    write(tmp_path / "README.md", b"# acme\r\n")
    write(tmp_path / "dist/setup/acme_amd64.deb", b"!<arch>\n" + b"setup 1" * 1000)
    made = Place(tmp_path)
    for words in BEGIN:
        made.must(*words)
    return made


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def released(place: Place, version: str) -> dict[str, dict[str, str]]:
    """Archive name -> its row."""
    place.must("put", "--all", "--release-version", version)
    report = json.loads(place.must("release", version, "--out", f"dist/{version}", "--json"))
    return {row["name"]: row for row in report["archives"]}


def told(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def test_archives_are_laid_out_as_people_ship_them(place: Place) -> None:
    place.must("put", "--all", "--release-version", "1.0.0")
    listed = place.must("release", "1.0.0", "--dry-run", "--list")
    assert f"acme-1.0.0-{HERE}.tar.gz: acme/{HERE} for {HERE}, 2 files" in listed
    assert " 0755 " in listed and "acme/bin/acme" in listed and "acme-for-windows/bin/acme.exe" in listed
    names = released(place, "1.0.0")
    assert set(names) == {f"acme-1.0.0-{HERE}.tar.gz", "acme-1.0.0-windows-x86_64.zip", "acme_amd64.deb"}
    out = place.folder / "dist" / "1.0.0"
    rows = told("tar", "tzvf", str(out / f"acme-1.0.0-{HERE}.tar.gz")).splitlines()
    assert [(row.split()[0], row.split()[-1]) for row in rows] == [
        ("-rw-r--r--", "acme/README.md"),
        ("-rwxr-xr-x", "acme/bin/acme"),
    ]
    unzipped = told("unzip", "-Z1", str(out / "acme-1.0.0-windows-x86_64.zip")).split()
    assert unzipped == ["acme-for-windows/README.md", "acme-for-windows/bin/acme.exe"]
    assert told("unzip", "-p", str(out / "acme-1.0.0-windows-x86_64.zip"), unzipped[0]) == "# acme\n"
    assert (out / "acme_amd64.deb").read_bytes() == (place.folder / "dist/setup/acme_amd64.deb").read_bytes()
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=out, check=True)


def test_what_did_not_change_costs_nothing(place: Place) -> None:
    first = released(place, "1.0.0")
    place.must("promote", "1.0.0", "--to", "dev")
    place.must("publish", "dev", "--to", "public")
    place.must("install", f"acme/{HERE}", "--from", "./public", "--channel", "dev", "--into", "acme")
    write(place.folder / "dist/setup/acme_amd64.deb", b"!<arch>\n" + b"setup 2" * 1000)
    second = released(place, "1.1.0")
    for old, new in ((f"acme-1.0.0-{HERE}.tar.gz", f"acme-1.1.0-{HERE}.tar.gz"), ("acme_amd64.deb", "acme_amd64.deb")):
        assert (first[old]["digest"] == second[new]["digest"]) == (old != new), (old, new)
    assert [row.get("kept") for row in second.values()] == ["1.0.0", "1.0.0", None]
    provenance = list((place.folder / "dist" / "1.1.0").glob("acme-1.1.0-*.sigstore.json"))
    assert [p.read_bytes() for p in sorted(provenance)] == [
        p.read_bytes() for p in sorted((place.folder / "dist" / "1.0.0").glob("acme-1.0.0-*.sigstore.json"))
    ], "nothing is signed a second time"
    place.must("promote", "1.1.0", "--to", "dev")
    place.must("publish", "dev", "--to", "public")
    targets = [path.name for path in (place.folder / "public" / "targets" / "archives").iterdir()]
    assert len(targets) == 4, "two of acme for both versions, two of the installer"
    assert (place.folder / "public/releases/1.1.0" / f"acme-1.1.0-{HERE}.tar.gz").stat().st_nlink > 2
    report = json.loads(
        place.must("install", "acme", "--from", "./public", "--channel", "dev", "--into", "acme", "--json")
    )
    assert (report["changed"], report["fetched"], report["receipt"]["version"]) == (True, 0, "1.1.0")
    assert "0 blockers" in place.run("audit", "dev").stderr
    place.must("install", "--rollback", "--into", "acme")
    place.whole()


def test_the_build_for_this_machine_is_installed_and_its_programs_linked(place: Place) -> None:
    released(place, "1.0.0")
    place.must("promote", "1.0.0", "--to", "dev")
    place.must("publish", "dev", "--to", "public")
    verified = place.must("verify", "./public", "--channel", "dev")
    assert f"acme/{HERE} for {HERE}: archive acme-1.0.0-{HERE}.tar.gz: every byte holds" in verified
    common = ("--from", "./public", "--channel", "dev")
    done = place.run("install", "acme", *common, "--into", "acme", "--link-bin", "bin")
    assert done.returncode == 0 and f"acme 1.0.0 ({HERE}) in force" in done.stdout
    assert "other builds: windows-x86_64" in done.stderr
    subprocess.run([str(place.folder / "bin" / "acme")], check=True)
    assert os.readlink(place.folder / "bin" / "acme").endswith("/acme/current/bin/acme")
    place.must("install", "acme", *common, "--into", "acme", "--link-bin", "bin")
    write(place.folder / "taken" / "acme", b"mine")
    assert place.run("install", "acme", *common, "--into", "other", "--link-bin", "taken").returncode == 9
    assert not (place.folder / "other").exists()
    place.must("install", "acme", *common, "--into", "for-windows", "--platform", "windows/amd64")
    assert (place.folder / "for-windows/current/bin/acme.exe").read_bytes() == EXE
    receipt = json.loads(next((place.folder / "for-windows/receipts").glob("*[0-9a-f].json")).read_bytes())
    assert (receipt["product"], receipt["build"]) == ("acme", "windows-x86_64")
    refused = place.run("install", "acme", *common, "--into", "x", "--platform", "macos-arm64")
    assert refused.returncode == 8 and f"it has: {HERE}, windows-x86_64" in refused.stderr
    place.must("install", "setup", *common, "--into", "setup")
    assert (place.folder / "setup/current/acme_amd64.deb").exists()
    assert place.must("ls", f"dev/acme/{HERE}").count("bin/acme") == 1
    place.must("get", "dev/acme/windows-x86_64/bin/acme.exe", "got.exe")
    assert (place.folder / "got.exe").read_bytes() == EXE
    place.must("attest", "sbom", f"1.0.0/acme/{HERE}", "--out", "acme.cdx.json")


def test_builds_are_no_way_around_isolation(place: Place) -> None:
    write(place.folder / "dist/cli/linux/acme-0.1.data/scripts/helper.exe", EXE + b"another")
    place.must("put", "--all", "--release-version", "1.0.0")
    refused = place.run("release", "1.0.0")
    assert refused.returncode == 10
    assert f"acme/{HERE}/bin/helper.exe: is for windows-x86_64, the build for {HERE}" in refused.stderr
    toml = TOML.replace('bin = ["bin/acme"]\n', 'bin = ["bin/acme"]\nforeign = "it starts the program under Wine"\n')
    (place.folder / "casstore.toml").write_text(toml)
    place.must("release", "1.0.0")
    place.must("promote", "1.0.0", "--to", "dev")
    without = toml.replace('[products.setup]\ncomponents = ["setup"]\nformat = "file"\n', "")
    other = '[products.acme.builds.other]\ncomponents = ["setup"]\nplatform = '
    (place.folder / "casstore.toml").write_text(f'{without}\n{other}"{HERE}"\nbin = []\n')
    place.must("put", "--all", "--release-version", "1.1.0")
    refused = place.run("release", "1.1.0")
    assert refused.returncode == 11 and f"are both for {HERE}, and only one has" in refused.stderr
    (place.folder / "casstore.toml").write_text(f'{without}\n{other}"macos-arm64"\nbin = []\n')
    place.must("release", "1.1.0")
    done = place.run("approve", "1.1.0", "--channel", "dev")
    assert (
        done.returncode == 0
        and "+ acme/other" in done.stdout + done.stderr
        and "for macos-aarch64" in (done.stdout + done.stderr)
    )
