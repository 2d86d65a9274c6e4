"""The pinned gate: lock files of each kind, with and without digests."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from attest.digests import sha256
from attest.errors import BadInput
from bundlers.gates.base import GateResult, ReleaseView
from bundlers.gates.builtin.pinned import Settings, check

HEX = "0123456789abcdef" * 4
SHA = "0123456789abcdef0123456789abcdef01234567"

GOOD = {
    "requirements.txt": f"""
# pinned
--index-url https://index.example/simple
click==8.1.8 \\
    --hash=sha256:{HEX} \\
    --hash=sha256:{HEX}   # via us
tool @ https://host.example/tool.whl#sha256={HEX}
other @ git+https://git.example/other@{SHA}
""",
    "package-lock.json": json.dumps(
        {
            "lockfileVersion": 3,
            "packages": {
                "": {"name": "web"},
                "packages/own": {},
                "node_modules/own": {"link": True},
                "node_modules/a": {"integrity": "sha512-x"},
                "node_modules/a/node_modules/b": {"inBundle": True},
            },
        }
    ),
    "Cargo.lock": f"""
[[package]]
name = "own"
[[package]]
name = "serde"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "{HEX}"
[[package]]
name = "forked"
source = "git+https://git.example/forked?branch=x#{SHA}"
""",
    "uv.lock": f"""
[[package]]
name = "own"
source = {{ editable = "." }}
[[package]]
name = "click"
source = {{ registry = "https://index.example/simple" }}
sdist = {{ url = "x", hash = "sha256:{HEX}" }}
wheels = [{{ url = "y", hash = "sha256:{HEX}" }}]
[[package]]
name = "forked"
source = {{ git = "https://git.example/forked?rev=x#{SHA}" }}
""",
    "poetry.lock": f"""
[[package]]
name = "click"
files = [{{file = "click.whl", hash = "sha256:{HEX}"}}]
""",
    "pylock.toml": f"""
[[packages]]
name = "click"
wheels = [{{ url = "x", hashes = {{ sha256 = "{HEX}" }} }}]
[[packages]]
name = "forked"
vcs = {{ type = "git", url = "x", commit-id = "{SHA}" }}
[[packages]]
name = "own"
directory = {{ path = "." }}
""",
    "go.sum": "example.org/m v1.0.0 h1:" + "A" * 43 + "=\nexample.org/m v1.0.0/go.mod h1:" + "A" * 43 + "=\n",
    "Dockerfile": f"""
FROM --platform=linux/amd64 python:3.11@sha256:{HEX} AS build
FROM build AS test
FROM scratch
""",
    "ci.yml": f"""
jobs:
  build:
    container:
      image: python@sha256:{HEX}
    steps:
      - uses: actions/checkout@{SHA}  # v4
      - uses: ./ci/own
      - uses: docker://alpine@sha256:{HEX}
""",
}

BAD: list[tuple[str, str, str]] = [
    ("requirements.txt", "click==8.1.8\n", "click==8.1.8 has no --hash"),
    ("requirements.txt", "-r other.txt\n", "leads to another file"),
    ("dev-requirements.txt", f"click --hash=md5:{HEX[:32]}\n", "has no --hash"),
    ("package-lock.json", '{"packages":{"node_modules/a":{"integrity":"sha1-x"}}}', "node_modules/a has no sha512"),
    ("package-lock.json", '{"dependencies":{}}', "it has no packages"),
    ("package-lock.json", "[", "cannot be read"),
    ("Cargo.lock", '[[package]]\nname = "x"\nsource = "registry+y"\n', "x has no checksum"),
    ("Cargo.lock", '[[package]]\nname = "x"\nsource = "git+y#abc"\n', "no full Git revision"),
    ("uv.lock", '[[package]]\nname = "x"\nsource = { registry = "y" }\nwheels = [{ url = "z" }]\n', "without a hash"),
    ("poetry.lock", '[[package]]\nname = "x"\nfiles = []\n', "x has a file without a hash"),
    ("go.sum", "example.org/m v1.0.0\n", "has no h1 hash"),
    ("Dockerfile", "FROM python:3.11\n", "the image python:3.11 is not named by digest"),
    ("x.Dockerfile", "FROM a@sha256:12\n", "is not named by digest"),
    ("ci.yml", "steps:\n  - uses: actions/checkout@v4\n", "actions/checkout@v4 is not named by a full revision"),
    ("ci.yaml", "image: python:3\n", "the image python:3"),
    ("Gemfile.lock", "", "no kind of lock file that is known here"),
]


def judged(root: Path, *files: str, revision: bool = False, provenance: Any = None) -> GateResult:
    view = ReleaseView(
        "1",
        {"app": sha256(b"")},
        {},
        SimpleNamespace(),
        str(root),
        provenance={"app": provenance or {}},  # type: ignore[arg-type]
    )
    return check(view, Settings(files, revision))


@pytest.mark.parametrize("name", GOOD)
def test_pinned(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(GOOD[name])
    result = judged(tmp_path, name)
    assert result.passed, result.messages


@pytest.mark.parametrize(("name", "text", "said"), BAD)
def test_not_pinned(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    result = judged(tmp_path, name)
    assert not result.passed
    assert said in result.messages[0]
    assert result.files == (name,)


def test_globs_and_all_problems(tmp_path: Path) -> None:
    (tmp_path / ".ci" / "deep").mkdir(parents=True)
    (tmp_path / ".ci" / "deep" / "a.yml").write_text("- uses: a@v1\n- uses: b@v2\n")
    result = judged(tmp_path, ".ci/**/*.yml", "nowhere/*.lock")
    assert len(result.messages) == 3
    assert "nowhere/*.lock: there is no such file" in result.messages


@pytest.mark.parametrize("pattern", ["../x.txt", "/etc/requirements.txt"])
def test_it_does_not_leave_the_project(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(BadInput, match="leaves the project"):
        judged(tmp_path, pattern)


@pytest.mark.parametrize(
    ("revision", "passed"),
    [({"commit": SHA, "dirty": False}, True), ({"commit": SHA, "dirty": True}, False), (None, False)],
)
def test_revision_of_the_components(tmp_path: Path, revision: Any, passed: bool) -> None:
    provenance = {"buildDefinition": {"internalParameters": {"revision": revision} if revision else {}}}
    assert judged(tmp_path, revision=True, provenance=provenance).passed is passed


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="nothing to read"):
        judged(tmp_path)
