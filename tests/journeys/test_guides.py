"""Every command line of every guide, typed: in a project where what the guide speaks of has happened.

A guide is typed from top to bottom in one shell, each line with the exit code that it must have. What a page
can only name by an example - a host, a digest - stands for what is really there (`STANDS_FOR`). A line that
cannot be typed here is in `NOT_HERE`, with the reason.
"""

from __future__ import annotations

import functools
import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import click
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from attest.keys import keys
from cli.main import main
from tests.support.c2sp_witness import C2spWitness, serving
from tests.support.system_calls import DEEP
from tests.support.typed_pages import command_lines

GUIDES = Path(__file__).resolve().parents[2] / "docs" / "guide"
BIN = str(Path(sys.executable).parent)

NOT_HERE: Mapping[str, str] = {}
"""Line -> why no machine of ours can type it."""

RUST = ("CARGO_HOME", "RUSTUP_HOME")
NEEDS = {"workspace": ("rust-toolchain", ("cargo", "rustc", "cc"))}
"""Guide -> what its lines call and .ci/run does not install, and the programs of it."""
NO_LINES = {"library", "odd-input", "reading-from-python"}
"""Guides about Python and about files, without a command line."""

ELSEWHERE = {"installing": ".ci/wheel-check"}
"""Guide -> what types it: what takes all that a lock names cannot be told in seconds."""

PROJECT = """
mkdir -p build/core/bin build/core/share LICENSES
printf '#!/bin/sh\\necho core 1.3.0\\n' > build/core/bin/core
chmod +x build/core/bin/core
printf 'id,name\\n1,one\\n' > build/core/share/table.csv
cat > LICENSES/MIT.txt <<'END'
MIT License

Copyright (c) 2026 Example

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
END
cat > casstore.toml <<'END'
[store]
url = "./store"
[components.core-bin]
root = "build/core"
include = ["**"]
[components.licences]
include = ["LICENSES/**"]
shared = "every product ships the licence texts"
[products.core]
components = ["core-bin", "licences"]
format = "tar.gz"
[gates]
secrets = {}
[channels.dev]
approvals = 0
[channels.prod]
from = "dev"
approvals = 1
require = ["slsa-provenance", "isolation"]
[destinations.cdn]
url = "./public"
END
cat > cases.toml <<'END'
[people]
alice = ["approver"]
ci = ["builder"]
[[cases]]
name = "nobody approved"
channel = "prod"
in = { dev = 0 }
expect = "deny"
END
for who in bob carol ci ci-2027 petra pia log; do casstore keys generate $who.pem --no-passphrase; done
"""
BEGUN = """
casstore keys generate alice.pem --no-passphrase
casstore init
casstore keys ceremony draft --out root.draft --identity alice=alice.pem.pub --identity bob=bob.pem.pub \\
  --identity carol=carol.pem.pub --identity ci=ci.pem.pub --identity petra=petra.pem.pub \\
  --identity pia=pia.pem.pub --identity log=log.pem.pub --role owner=alice,bob,carol:2 --role builder=ci \\
  --role approver=alice,bob --role promoter=petra --role publisher=pia --role ledger=log --role auditor=alice
for who in alice bob; do casstore keys ceremony sign root.draft --key $who.pem --out $who.sig; done
casstore keys ceremony finish root.draft alice.sig bob.sig
ship() {
  casstore put --all --release-version $1 --key ci.pem
  casstore release $1 --key ci.pem
  casstore promote $1 --to dev --key petra.pem
}
ship 1.3.0
casstore approve 1.3.0 --channel prod --key alice.pem
casstore promote 1.3.0 --to prod --key petra.pem
casstore publish prod --to cdn --key pia.pem --ledger-key log.pem
casstore install core --from ./public --channel prod --into ./opt/core
printf '#!/bin/sh\\necho core 1.4.0\\n' > build/core/bin/core
ship 1.4.0
"""
IN_PROD = """
casstore approve 1.4.0 --channel prod --key alice.pem
casstore promote 1.4.0 --to prod --key petra.pem
casstore publish prod --to cdn --key pia.pem --ledger-key log.pem
"""
TWO_PLATFORMS = f"""
mkdir -p dist/cli/linux/acme-1.1.0.data/scripts dist/cli/windows
printf '#!/bin/sh\\necho acme\\n' > dist/cli/linux/acme-1.1.0.data/scripts/acme
echo 'for windows' > dist/cli/windows/acme-cli.exe
echo '# acme' > README.md
cp LICENSES/MIT.txt LICENSE
cat >> casstore.toml <<'END'
{re.findall(r"```toml(.*?)```", (GUIDES / "builds.md").read_text(encoding="utf-8"), re.DOTALL)[0]}
END
"""
IN_COMMON = f"""
mkdir -p dist/scan/bin dist/serve/bin vendor/libfast
python - <<'END'
import random
chance = random.Random(4)
core, fast = chance.randbytes(20_000), chance.randbytes(9_000)
open("vendor/libfast/libfast.so", "wb").write(fast)
for name, before in (("scan", 60_000), ("serve", 70_000)):
    open(f"dist/{{name}}/bin/{{name}}", "wb").write(chance.randbytes(before) + core + chance.randbytes(5_000) + fast)
END
cat >> casstore.toml <<'END'
{re.findall(r"```toml(.*?)```", (GUIDES / "two-products.md").read_text(encoding="utf-8"), re.DOTALL)[0]}
END
"""
WORKSPACE = f"""
cp -r {GUIDES.parents[1] / "tests" / "data" / "workspace"}/. .
cat > casstore.toml <<'END'
{re.findall(r"```toml(.*?)```", (GUIDES / "workspace.md").read_text(encoding="utf-8"), re.DOTALL)[0]}
END
"""
TOOLCHAIN = {name: os.environ.get(name, os.path.expanduser(f"~/.{name[:-5].lower()}")) for name in RUST}
FIRST_ROOT = (
    "$(python -c 'from attest.trust import trust_roots as t;"
    ' print(t.parse_payload(t.payload_of(open("public/trust-root/1.json", "rb").read())).digest)\')'
)
TREE = '$(casstore ls --json | python -c \'import json, sys; print(json.load(sys.stdin)["components"][0]["tree"])\')'


@dataclass(frozen=True)
class Stage:
    """What has happened before a guide is typed, and what its examples stand for."""

    before: tuple[str, ...] = (PROJECT, BEGUN, IN_PROD)
    here: str = ""
    """Some more, for this guide alone."""
    environment: Mapping[str, str] = field(default_factory=dict)
    stands_for: Mapping[str, str] = field(default_factory=dict)
    codes: Mapping[str, int] = field(default_factory=dict)
    """Line -> exit code, where it is not 0."""


STAGES: Mapping[str, Stage] = {
    "tutorial": Stage(before=()),
    "owners": Stage(before=(PROJECT,), environment={"CASSTORE_PASSWORD": "some words"}),
    "auditor": Stage(here="casstore rehearse prod --key petra.pem\n"),
    "ci": Stage(before=(PROJECT, BEGUN), environment={"VERSION": "1.5.0"}),
    "release-manager": Stage(
        before=(PROJECT, BEGUN),
        stands_for={"sha256:5f2b...90aa": TREE},
        codes={"casstore explain 1.4.0 --to prod": 4},  # nobody has approved it yet
    ),
    "consumer": Stage(
        here="casstore export 1.4.0 kit.tar\ncp public/releases/1.4.0/* .\n"
        'printf \'[products.core]\\nfrom = "./public"\\nchannel = "prod"\\ninto = "./opt/core"\\n\' > consumer.toml\n',
        stands_for={"https://releases.example": "http://127.0.0.1:{port}", "/opt/core": "./opt/core"},
    ),
    "builds": Stage(
        before=(PROJECT, BEGUN),
        here=TWO_PLATFORMS,
        stands_for={"https://releases.example": "http://127.0.0.1:{port}"},
    ),
    "two-products": Stage(
        before=(PROJECT, BEGUN),
        here=IN_COMMON,
        codes={"casstore isolation show 2.0.0 --report shared.json": 11},  # it is what stops the release
    ),
    "witnesses": Stage(
        here='printf \'[witnesses]\\n"w1.example.org" = "./w1-site"\\n\' >> casstore.toml\n',
        environment={"CASSTORE_PASSWORD": "some words"},
        stands_for={
            "https://releases.example": "http://127.0.0.1:{port}",
            "=https://witness.example": "={witness}",
            "sha256:5f2b...90aa": FIRST_ROOT,
        },
        codes={"casstore publish prod --to cdn --key pia.pem --ledger-key log.pem": 4},  # staged
    ),
    "workspace": Stage(
        before=(),
        here=WORKSPACE,
        environment=TOOLCHAIN,
        codes={"casstore isolation show 1.0.0": 11},
    ),
    "cleaning-up": Stage(
        here="cp -r store ../mirror\n", stands_for={"sha256:eb2f...e91b": TREE, "s3://mirror/store": "../mirror"}
    ),
}


def guides() -> list[str]:
    return sorted(page.stem for page in GUIDES.glob("*.md") if page.stem not in ELSEWHERE)


def lines_of(guide: str) -> list[str]:
    """What is typed: all lines of blocks, and in sentences what is more than the name of a command."""
    text = (GUIDES / f"{guide}.md").read_text(encoding="utf-8")
    found = command_lines(text)
    return [line for line, in_block in found if (in_block or not is_name(line)) and line not in NOT_HERE]


def is_name(line: str) -> bool:
    """Whether a text only names a command, as `casstore keys ceremony draft` does."""
    command: click.Command = main
    words = line.split()
    for word in words[1:]:
        found = command.get_command(click.Context(command), word) if isinstance(command, click.Group) else None
        if found is None:
            return False
        command = found
    return words[0] == "casstore"


def environment(place: Path, **more: str) -> dict[str, str]:
    return {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "HOME": str(place / "home"), **more}


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, ...], Path]:
    """Steps -> a project where they were done; each begins with a copy of the one before."""
    found: dict[tuple[str, ...], Path] = {}
    for count, steps in enumerate(((), (PROJECT,), (PROJECT, BEGUN), (PROJECT, BEGUN, IN_PROD))):
        place = tmp_path_factory.mktemp("world") / "place"
        if count < 2:
            (place / "line").mkdir(parents=True)
            (place / "home").mkdir()
        else:
            shutil.copytree(found[steps[:-1]], place, symlinks=True)
        if steps:
            must(place, steps[-1])
        found[steps] = place
    return found


def must(place: Path, script: str) -> None:
    command = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(command, cwd=place / "line", env=environment(place), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def served(tmp_path: Path) -> Iterator[int]:
    """A web server for what the project has published."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "place/line/public"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


class EveryLog(dict[str, list[bytes]]):
    """Whatever the project is called, a public witness knows it by the key of its ledger."""

    def __init__(self, public: Path) -> None:
        super().__init__()
        self.public = public

    def __contains__(self, _: object) -> bool:
        return True

    def __missing__(self, _: str) -> list[bytes]:
        return [keys.public_to_der(keys.public_from_pem(self.public.read_bytes()))[-32:]]


@pytest.fixture
def posted_to(tmp_path: Path) -> Iterator[str]:
    """The public witness of the guide, whose key stands there."""
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    with serving(C2spWitness(key, "witness.example/w1", EveryLog(tmp_path / "place/line/log.pem.pub"))) as url:
        yield url


def runs(program: str) -> bool:
    """Whether a program is there and works: a name may stand for a toolchain that is not there."""
    if shutil.which(program) is None:
        return False
    return subprocess.run([program, "--version"], capture_output=True).returncode == 0


@pytest.mark.slow
@pytest.mark.foreign
@pytest.mark.parametrize("guide", guides())
def test_every_line_of_a_guide(
    guide: str, tmp_path: Path, worlds: dict[tuple[str, ...], Path], served: int, posted_to: str
) -> None:
    stage, lines = STAGES.get(guide, Stage()), lines_of(guide)
    if not lines:
        assert guide in NO_LINES
        return
    if guide == "workspace" and not DEEP:
        pytest.skip("deep profile: cargo builds a workspace for half a minute")
    if missing := [name for name in NEEDS.get(guide, ("", ()))[1] if not runs(name)]:
        pytest.skip(f"NO {NEEDS[guide][0]} ({', '.join(missing)}): the guide {guide} is not typed here")
    place = tmp_path / "place"
    shutil.copytree(worlds[stage.before], place, symlinks=True)
    if stage.here:
        must(place, stage.here)
    typed = [functools.reduce(lambda text, item: text.replace(*item), stage.stands_for.items(), line) for line in lines]
    script = "".join(f'{line}\necho "@@ {number} $?" >&3\n' for number, line in enumerate(typed))
    log = tmp_path / "codes"
    done = subprocess.run(
        ["bash", "-c", f"exec 3>{log}\n" + script.replace("{port}", str(served)).replace("{witness}", posted_to)],
        cwd=place / "line",
        env=environment(place, **stage.environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    codes = [int(found) for found in re.findall(r"^@@ \d+ (\d+)$", log.read_text(), re.MULTILINE)]
    expected = [stage.codes.get(line.partition(" #")[0].rstrip(), 0) for line in lines]
    wrong = [
        f"{line}  # ended with {code}" for line, code, want in zip(lines, codes, expected, strict=False) if code != want
    ]
    assert (wrong, len(codes)) == ([], len(lines)), done.stdout + done.stderr
    assert "\\n" not in done.stdout + done.stderr, "a line end is told as two characters"


def test_what_cannot_be_typed_stands_on_a_page() -> None:
    """The list above stays short, and holds nothing that has gone."""
    every = {line for page in GUIDES.glob("*.md") for line, _ in command_lines(page.read_text(encoding="utf-8"))}
    assert set(NOT_HERE) - every == set()
    assert len(NOT_HERE) <= 5


@pytest.mark.parametrize("guide", ELSEWHERE)
def test_what_is_typed_elsewhere_is(guide: str) -> None:
    script = (GUIDES.parents[1] / ELSEWHERE[guide]).read_text(encoding="utf-8")
    assert f"docs/guide/{guide}.md | grep" in script and lines_of(guide)
    assert "make --no-print-directory wheel-check" in (GUIDES.parents[1] / ".ci/run").read_text(encoding="utf-8")
