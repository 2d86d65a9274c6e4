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
SRI = f"sha512-{'A' * 86}=="
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
                "node_modules/a": {"integrity": SRI},
                "node_modules/g": {"resolved": f"git+ssh://git@git.example/g.git#{SHA}"},
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
    "Pipfile.lock": json.dumps(
        {"_meta": {}, "default": {"click": {"hashes": [f"sha256:{HEX}"]}, "g": {"git": "x", "ref": SHA}}}
    ),
    "yarn.lock": f"""# yarn lockfile v1


"@a/b@^1.0.0", "@a/b@^1.1.0":
  version "1.1.0"
  resolved "https://registry.example/@a/b/-/b-1.1.0.tgz#abc"
  integrity {SRI}
  dependencies:
    c "^1"
""",
    "pnpm-lock.yaml": f"""
lockfileVersion: '9.0'
packages:
  a@1.0.0:
    resolution: {{integrity: {SRI}}}
  own@file:own:
    resolution: {{directory: own, type: directory}}
  g@https://codeload.example/x:
    resolution: {{commit: {SHA}, repo: x, type: git}}
""",
    "Dockerfile": f"""
# syntax=docker/dockerfile:1@sha256:{HEX}
# escape=`
ARG BASE=python:3.11@sha256:{HEX}
FROM --platform=linux/amd64 ${{BASE}} AS build
RUN --mount=type=cache,target=/x --mount=type=bind,from=build,source=/a ls `
  # a comment between
  && true
RUN <<EOF
FROM nothing:latest
EOF
FROM build AS Test
COPY --from=build /a /b
COPY --from=0 --chown=1 /a /b
COPY --from=nginx@sha256:{HEX} /a /b
ADD --checksum=sha256:{HEX} https://host.example/x /x
ADD local /x
FROM scratch
COPY --from=test /a /b
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
    "action.yml": """
runs:
  using: docker
  image: Dockerfile
""",
    "gitlab.yml": f"""
include:
  - local: /ci/own.yml
  - template: Jobs/Build.gitlab-ci.yml
  - remote: https://host.example/x.yml
    integrity: sha256-{"A" * 43}=
  - project: group/ci
    ref: {SHA}
    file: x.yml
.base: &base
  image: {{name: "alpine@sha256:{HEX}", entrypoint: [""]}}
  services: ["postgres@sha256:{HEX}"]
job:
  <<: *base
  script: [!reference [.base, script], make]
""",
    "compose.yaml": f"""
services:
  web: {{build: ., image: ours:dev}}
  db: {{image: "postgres@sha256:{HEX}"}}
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
    ("requirements.txt", "--requirement other.txt\n", "leads to another file"),
    ("requirements.txt", "--requirement=other.txt\n", "leads to another file"),
    ("requirements.txt", "--req other.txt\n", "leads to another file"),
    ("requirements.txt", "-rother.txt\n", "leads to another file"),
    ("requirements.txt", "--constraint c.txt\n", "leads to another file"),
    ("requirements.txt", "--editable .\n", "leads to another file"),
    ("requirements.txt", "-e git+https://git.example/x@main#egg=x\n", "leads to another file"),
    ("requirements.txt", "--wat x\n", "is no option that is known here"),
    ("requirements.txt", f"click==8 --hash=sha256:{HEX} --hash md5:x\n", "no --hash that is strong"),
    ("requirements.txt", f"click==8  # --hash=sha256:{HEX}\n", "has no --hash"),
    ("requirements.txt", "git+https://git.example/x@v1\n", "has no --hash"),
    ("requirements.txt", "./folder\n", "./folder has no --hash"),
    ("requirements.in", "click\n", "click has no --hash"),
    ("constraints.txt", "click==8\n", "click==8 has no --hash"),
    (
        "package-lock.json",
        '{"packages":{"node_modules/a":{"link":true,"resolved":"https://x.example/a.tgz"}}}',
        "no sha512",
    ),
    ("package-lock.json", '{"packages":{"a":{"resolved":"git+https://x.example/a#main"}}}', "no sha512"),
    (
        "pnpm-lock.yaml",
        "lockfileVersion: '9.0'\npackages:\n  a@1:\n    resolution: {tarball: https://x.example/a.tgz}\n",
        "a@1",
    ),
    ("pnpm-lock.yaml", "packages: {}\n", "no lockfileVersion"),
    ("yarn.lock", 'a@^1:\n  version "1"\n  resolved "https://x.example/a.tgz#sha1"\n', "a@^1 has no integrity"),
    ("Pipfile.lock", '{"_meta":{},"default":{"x":{"version":"==1"}}}', "x has no hashes"),
    ("Dockerfile", f"FROM a@sha256:{HEX}\nCOPY --from=nginx:latest /a /b\n", "the image nginx:latest"),
    ("Dockerfile", f"FROM a@sha256:{HEX}\nCOPY --chown=1 --from=nginx /a /b\n", "the image nginx is"),
    ("Dockerfile", f"FROM a@sha256:{HEX}\nRUN --mount=type=bind,from=alpine:3,target=/x ls\n", "the image alpine:3"),
    ("Dockerfile", f"FROM a@sha256:{HEX}\nADD https://host.example/x /x\n", "has no --checksum"),
    ("Dockerfile", f"FROM a@sha256:{HEX}\nONBUILD COPY --from=b:1 /a /b\n", "the image b:1"),
    ("Dockerfile", f"# syntax=docker/dockerfile:1\nFROM a@sha256:{HEX}\n", "the syntax docker/dockerfile:1"),
    ("Dockerfile", "ARG V=3\nFROM python:${V}\n", "the image python:${V}"),
    ("Dockerfile", f"ARG V\nFROM a@sha256:{HEX}$V\n", "is not named by digest"),
    ("Dockerfile", f"from a@sha256:{HEX} as b\nfrom \\\n  python:3\n", "the image python:3"),
    ("Dockerfile", f"FROM a@sha256:{HEX}\nRUN x=$((1<<2))\nFROM python:3\n", "does not end"),
    ("ci.yml", "jobs: {a: {container: 'node:18'}}\n", "the image node:18"),
    ("ci.yml", "jobs:\n  a:\n    steps: [{uses: x@v4}]\n", "x@v4 is not named by a full revision"),
    ("ci.yml", '"jobs": {"a": {"steps": [{"uses": "x@v4"}]}}\n', "x@v4"),
    ("ci.yml", "jobs:\n  a:\n    steps:\n      - uses: >-\n          x@v4\n", "x@v4"),
    ("ci.yml", "a: &a {uses: x@v4}\njobs: {b: {steps: [*a]}}\n", "x@v4"),
    ("ci.yml", "jobs:\n  a:\n    services:\n      db: {image: postgres}\n", "the image postgres"),
    ("ci.yml", "jobs: {a: {uses: o/r/.github/workflows/x.yml@main}}\n", "@main is not"),
    ("ci.yml", "---\njobs: {}\n---\njobs: {a: {container: x}}\n", "the image x"),
    ("ci.yml", "job:\n  script: x\n  services: [postgres, {name: redis}]\n", "the image postgres"),
    ("ci.yml", "include: https://host.example/x.yml\n", "include https://host.example/x.yml"),
    ("ci.yml", "include: [{remote: https://host.example/x.yml}]\n", "has no integrity"),
    ("ci.yml", "include: {project: g/ci, ref: main, file: x}\n", "names no full revision"),
    ("ci.yml", "include: [{component: host.example/c/x@1.0}]\n", "names no full revision"),
    ("ci.yml", "uses: a\nuses: b\n", "stands twice"),
    ("ci.yml", "a: [\n", "cannot be read"),
    ("ci.yml", "[" * 3000, "cannot be read"),
    ("environment.yml", "dependencies: [python=3]\n", "no pipeline that is known here"),
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
