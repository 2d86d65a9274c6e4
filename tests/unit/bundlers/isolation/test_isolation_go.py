"""Two programs of one Go module, built by Go itself: what both are linked from is known by one line."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bundlers.inspection import go_objects, linkable
from cli.main import invoke
from tests.support.go_module import module
from tests.support.system_calls import DEEP
from tests.support.typed_line import begun, said, told, typed

NAMES = ("one", "two")
TOML = '[store]\nurl = "./store"\n[channels.dev]\napprovals = 0\n' + "".join(
    f'[components.{name}]\ninclude = ["**"]\nroot = "bin/{name}"\n'
    f'[products.{name}]\ncomponents = ["{name}"]\nformat = "tar.gz"\n'
    for name in NAMES
)
OWN = {"one": ('"sort"', "sort.Strings(os.Args)"), "two": ('"time"', "fmt.Println(time.Now())")}
CACHE = os.path.join(os.path.expanduser("~"), ".cache", "go-build")


def go(folder: Path, *words: str) -> str:
    """What `go` says; skips where there is none that runs."""
    env = {"GOOS": "linux", "GOARCH": "amd64", "CGO_ENABLED": "0", "GOCACHE": CACHE, "GOFLAGS": "-trimpath"}
    try:
        ended = subprocess.run(
            ["go", *words], cwd=folder, env={**os.environ, **env}, capture_output=True, text=True, check=False
        )
    except OSError:
        pytest.skip("no go-toolchain")
    if ended.returncode and not shutil.which("gofmt"):  # a name that stands for none
        pytest.skip("no go-toolchain")
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def written(folder: Path, leak: str = "") -> None:
    """The module; the program `leak` holds the own package of the other one too."""
    files = module(OWN, ("one", leak), seed=7)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def built(folder: Path) -> None:
    """Each program in the folder of its component."""
    for name in NAMES:
        go(folder, "build", "-ldflags=-s -w", "-o", f"bin/{name}/{name}", f"./cmd/{name}")


@pytest.mark.foreign
@pytest.mark.skipif(not DEEP, reason="deep profile: Go builds its own library first, for a minute")
def test_programs_of_one_module_pass_by_one_line_and_a_leak_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begun(tmp_path, monkeypatch, TOML)
    written(tmp_path)
    built(tmp_path)
    typed("put --all --release-version 1.0.0")
    assert invoke(["release", "1.0.0"]) == 11, "without a reference the house's own toolchain is a leak"
    listed = go(tmp_path, "list", "-export", "-deps", "-f", "{{if .Standard}}{{.Export}}{{end}}", "./cmd/...")
    common = go(tmp_path, "list", "-export", "-f", "{{.Export}}", "./common")
    assert invoke(["isolation", "reference", "Go and common", *listed.split(), *common.split()]) == 0
    typed("release 1.0.0")
    report = told(capsys, "isolation show 1.0.0")
    assert report["findings"] == []
    written(tmp_path, leak="two")
    built(tmp_path)
    typed("put --all --release-version 1.1.0")
    assert "bin/one" not in said(capsys, "release 1.1.0", 11)
    (row,) = told(capsys, "isolation show 1.1.0", 11)["findings"]
    assert row["size"] >= 6144 + 4096, "its table, and most of its function"


@pytest.mark.foreign
def test_an_object_of_go_that_is_cut_tells_what_is_whole(tmp_path: Path) -> None:
    written(tmp_path)
    (path,) = go(tmp_path, "list", "-export", "-f", "{{.Export}}", "./engine").split()
    shutil.copy(path, tmp_path / "engine.a")
    data = (tmp_path / "engine.a").read_bytes()
    begin = data.index(go_objects.HEAD, data.index(b"_go_.o"))
    whole = linkable.pieces(data[begin:])
    assert any(len(content) == 6144 and 0 not in fixed for content, fixed in whole)
    assert (b"example.org/house/engine.Run\0", b"\x01" * 29) in whole
    holed = [(content, fixed) for content, fixed in whole if 0 in fixed]
    assert holed and all(len(content) == len(fixed) for content, fixed in whole)
    for size in range(0, len(data) - begin, 997):
        assert set(linkable.pieces(data[begin : begin + size])) <= set(whole)
    assert linkable.pieces(go_objects.HEAD + b"linux amd64 go1.19\n\n!\n\x00go118ld" + b"\xff" * 4096) == []
