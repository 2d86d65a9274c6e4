"""A builder who ships another product's sources, or what a product may never hold: nobody lets it."""

from __future__ import annotations

import io
import json
import tomllib
import zipfile
from pathlib import Path

import pytest

from bundlers.isolation.comparing import Comparison
from cli.main import invoke

CORE = '[components.core]\ninclude = ["core/**"]\n'
AGENT = """
[components.agent]
include = ["out/agent"]
build = ["sh", "-c", "mkdir -p out && sort edge/agent/main.py > out/agent"]
inputs = ["edge/agent/**"]
"""
TABLES = """
[store]
url = "./store"
[destinations.public]
url = "./public"
{core}
{agent}
[products.core]
components = ["core"]
format = "tar.gz"
{never}
[products.agent]
components = ["agent"]
format = "zip"
"""
POLICY = """
[channels.dev]
approvals = 0
require = ["isolation"]
[channels.prod]
from = "dev"
approvals = 0
require = ["isolation"]
"""
SOURCE = "".join(f"def step_{number}(): return {number * 7919 % 1000}\n" for number in range(200))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "line"
    for folder in ("edge/agent", "core"):
        (place / folder).mkdir(parents=True)
    (place / "edge" / "agent" / "main.py").write_text(SOURCE)
    (place / "edge" / "agent" / "util.py").write_text("x = 1\n")
    (place / "core" / "core.py").write_text("print('core')\n")
    monkeypatch.chdir(place)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("CASSTORE_STORE", "CASSTORE_KEY", "CASSTORE_PASSWORD", "XDG_CACHE_HOME", "XDG_STATE_HOME", "CI"):
        monkeypatch.delenv(name, raising=False)
    assert invoke(["keys", "generate", "key.pem", "--no-passphrase"]) == 0
    return place


def start(core: str = CORE, agent: str = AGENT, never: str = "") -> None:
    Path("casstore.toml").write_text(TABLES.format(core=core, agent=agent, never=never) + POLICY)
    if not Path("store").exists():
        assert invoke(["init", "--key", "key.pem"]) == 0


def put() -> None:
    assert invoke(["put", "--all", "--release-version", "1.0.0", "--key", "key.pem", "--replace"]) == 0


def release(*more: str) -> int:
    return invoke(["release", "1.0.0", "--key", "key.pem", *more])


def zipped(name: str, data: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, data)
    return made.getvalue()


@pytest.mark.parametrize("agent", [AGENT, AGENT.replace("build =", "# build =").replace("out/agent", "edge/README")])
def test_what_another_product_is_built_from_is_that_products(
    here: Path, capsys: pytest.CaptureFixture[str], agent: str
) -> None:
    """With a build, and without one that could be recorded."""
    (here / "edge" / "README").write_text("the agent\n")
    start(CORE.replace('"core/**"', '"core/**", "edge/agent/**"'), agent)
    put()
    capsys.readouterr()
    assert release("--dry-run") == 11
    assert release() == 11
    told = capsys.readouterr().err
    assert "edge/agent/main.py is core: edge/agent/main.py" in told and "is an input of agent" in told
    assert invoke(["isolation", "show", "1.0.0"]) == 11


def test_packed_and_in_part(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start()
    (here / "core" / "lib.whl").write_bytes(zipped("core/hidden.py", SOURCE.encode()))
    put()
    assert release() == 11
    (here / "core" / "lib.whl").write_bytes(b"".join([b"# more\n", SOURCE[300:4000].encode(), b"print(1)\n"]))
    put()
    capsys.readouterr()
    assert release() == 11
    assert "main.py is an input of agent" in capsys.readouterr().err


def test_what_several_are_built_from_is_common_ground(here: Path) -> None:
    (here / "common").mkdir()
    (here / "common" / "base.py").write_text(SOURCE.replace("step", "base"))
    start(
        CORE.replace('"core/**"', '"core/**", "common/**"') + 'inputs = ["core/**", "common/**"]\n',
        AGENT.replace('"edge/agent/**"', '"edge/agent/**", "common/**"'),
    )
    put()
    assert release() == 0
    assert invoke(["isolation", "show", "1.0.0"]) == 0


def test_it_is_no_way_to_explain_what_two_products_ship(here: Path) -> None:
    """Whoever names everything as an input of everything hides nothing by that."""
    (here / "core" / "both.py").write_text(SOURCE.replace("step", "both"))
    start(
        CORE + 'inputs = ["**/*.py"]\n',
        AGENT.replace('"out/agent"', '"out/agent", "core/both.py"').replace("edge/agent/**", "**/*.py"),
    )
    put()
    assert release() == 11


@pytest.mark.parametrize(
    ("rule", "path", "packed"),
    [
        ("edge/**", "edge/agent/util.py", ""),
        ("edge/**", "core/lib.whl", "edge/agent/util.py"),
        ("Edge/**", "core/lib.whl", "./EDGE/agent/util.py"),
        ("*.pdb", "core/deep/core.PDB", ""),
        ("edge", "core/edge/x", ""),
    ],
)
def test_what_may_never_be_in_a_product(
    here: Path, capsys: pytest.CaptureFixture[str], rule: str, path: str, packed: str
) -> None:
    (here / path).parent.mkdir(parents=True, exist_ok=True)
    (here / path).write_bytes(zipped(packed, b"x = 2\n") if packed else b"x = 2\n")
    start(
        CORE.replace('"core/**"', '"core/**", "edge/agent/util.py"') if path.startswith("edge") else CORE,
        AGENT.replace("edge/agent/**", "edge/agent/main.py"),
        f'never = ["{rule}"]',
    )
    put()
    capsys.readouterr()
    assert release("--dry-run") == 11
    told = capsys.readouterr().err
    assert "may never be in core" in told and rule in told and "never = [...]" in told
    assert release() == 11


def test_a_builder_who_takes_the_rule_out_meets_the_signed_policy(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start(never='never = ["edge/**"]')
    signed = Path("casstore.toml").read_text()
    (here / "core" / "lib.whl").write_bytes(zipped("edge/agent/other.py", b"x = 2\n"))
    Path("casstore.toml").write_text(signed.replace('never = ["edge/**"]', ""))
    put()
    assert release() == 0
    capsys.readouterr()
    assert invoke(["promote", "1.0.0", "--to", "dev", "--key", "key.pem"]) == 4
    told = capsys.readouterr().err
    assert "core never holds 'edge/**'" in told


def test_the_rule_stands_in_what_is_signed_and_is_shown(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start(never='never = ["edge/**"]')
    assert tomllib.loads(Path("casstore.toml").read_text())["products"]["core"]["never"] == ["edge/**"]
    put()
    assert release("--out", "dist") == 0
    manifest = json.loads(Path("dist/core.product-manifest.json").read_text())
    assert manifest["never"] == ["edge/**"]
    assert invoke(["promote", "1.0.0", "--to", "dev", "--key", "key.pem"]) == 0
    Path("casstore.toml").write_text(Path("casstore.toml").read_text().replace('never = ["edge/**"]', ""))
    assert invoke(["put", "--all", "--release-version", "1.1.0", "--key", "key.pem"]) == 0
    assert invoke(["release", "1.1.0", "--key", "key.pem"]) == 0
    capsys.readouterr()
    assert invoke(["diff", "1.0.0", "1.1.0"]) == 0
    assert '"never":["edge/**"]' in capsys.readouterr().out


def test_whoever_verifies_or_installs_looks_again(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The builder's own casstore does not look: readers do."""
    monkeypatch.setattr(Comparison, "_never", lambda _: iter(()))
    (here / "core" / "lib.whl").write_bytes(zipped("edge/agent/other.py", b"x = 2\n"))
    start(never='never = ["edge/**"]')
    put()
    assert release() == 0
    assert invoke(["promote", "1.0.0", "--to", "dev", "--key", "key.pem"]) == 0
    assert invoke(["publish", "dev", "--to", "public", "--key", "key.pem"]) == 0
    capsys.readouterr()
    assert invoke(["verify", "public", "--channel", "dev"]) == 3
    assert "core/lib.whl!edge/agent/other.py, which it may never (edge/**)" in capsys.readouterr().err
    assert invoke(["install", "core", "--from", "public", "--channel", "dev", "--into", "there"]) == 3
    assert not list(here.glob("there/releases/*"))
