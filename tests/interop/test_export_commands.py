"""The lines that `attest export` prints are typed as they stand, with the tools that they name."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.main import invoke
from tests.support.typed_line import begun, released, to_prod

BIN = os.path.dirname(sys.executable)


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """1.0.0 is in prod, by one Ed25519 key."""
    begun(tmp_path, monkeypatch)
    (tmp_path / "a" / "tool").write_text("#!/bin/sh\n")
    released("1.0.0")
    to_prod("1.0.0")
    return tmp_path


def printed(capsys: pytest.CaptureFixture[str], form: str) -> str:
    """What it says to type."""
    capsys.readouterr()
    assert invoke(["attest", "export", "1.0.0", "some where", "--format", form, "--json"]) == 0
    return str(json.loads(capsys.readouterr().out)["command"])


def typed(command: str, here: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(["bash", "-c", command], cwd=here, env=environment, capture_output=True, text=True)


def need(tool: str) -> None:
    if shutil.which(tool) is None and not os.path.exists(os.path.join(BIN, tool)):
        pytest.skip(f"needs a foreign tool: {tool}")


@pytest.mark.foreign
def test_in_toto_verify_takes_the_layout(line: Path, capsys: pytest.CaptureFixture[str]) -> None:
    need("in-toto-verify")
    command = printed(capsys, "in-toto").replace("KEY.pub", f"{line}/key.pem.pub")
    done = typed(command, line)
    assert done.returncode == 0, done.stdout + done.stderr
    with open(line / "some where" / "one-1.0.0.tar.gz", "ab") as archive:
        archive.write(b"x")
    assert typed(command, line).returncode != 0, "a changed archive"


@pytest.mark.foreign
def test_skopeo_copies_the_layout(line: Path, capsys: pytest.CaptureFixture[str]) -> None:
    need("skopeo")
    command = printed(capsys, "oci")
    done = typed(command, line)
    assert done.returncode == 0, done.stdout + done.stderr
    copied = json.loads((line / "some where.copied" / "manifest.json").read_text())
    for layer in copied["layers"]:
        path = line / "some where" / "blobs" / "sha256" / layer["digest"].removeprefix("sha256:")
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(bytes(data))
    shutil.rmtree(line / "some where.copied")
    assert copied["layers"] and typed(command, line).returncode != 0, "a changed layer"


def summary(line: Path, name: str) -> dict[str, Any]:
    file = line / "some where" / name
    envelope = json.loads(file.read_text())
    return dict(json.loads(base64.b64decode(envelope["payload"])))


def test_the_summary_has_what_slsa_verifier_asks_for(line: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its rules, computed: the digest, the verifier and the resource are those of the statement, each level that begins
    with SLSA_ has a track and a number. https://github.com/slsa-framework/slsa-verifier
    (verifiers/internal/vsa/verifier.go)."""
    words = shlex.split(printed(capsys, "dsse"))
    assert words[:5] == ["cd", "some where", "&&", "slsa-verifier", "verify-vsa"]
    flags = dict(zip(words[5::2], words[6::2], strict=True))
    statement = summary(line, flags["--attestation-path"])
    predicate = statement["predicate"]
    assert statement["predicateType"] == "https://slsa.dev/verification_summary/v1"
    kind, _, value = flags["--subject-digest"].partition(":")
    assert value in [subject["digest"][kind] for subject in statement["subject"]]
    assert flags["--verifier-id"] == predicate["verifier"]["id"] and flags["--resource-uri"] == predicate["resourceUri"]
    assert predicate["verificationResult"] == "PASSED" and predicate["verifiedLevels"]
    for level in predicate["verifiedLevels"]:
        assert not level.startswith("SLSA_") or re.fullmatch(r"SLSA_[^_]+_LEVEL_\d+", level), level


@pytest.mark.foreign
def test_slsa_verifier_takes_the_summary(line: Path, capsys: pytest.CaptureFixture[str]) -> None:
    need("slsa-verifier")
    command = printed(capsys, "dsse").replace("PROMOTER.pub", f"{line}/key.pem.pub")
    done = typed(command, line)
    assert done.returncode == 0 and "PASSED" in done.stderr, done.stdout + done.stderr
    assert typed(command.replace("--verifier-id ", "--verifier-id x"), line).returncode != 0, "another verifier"
