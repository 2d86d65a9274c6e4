"""casstore isolation accept and reference: from a release that was stopped to one that is made."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
import tarfile
import zipfile
from pathlib import Path

import pytest
from lines import Line

from attest.errors import BadInput
from bundlers.errors import Blocked
from bundlers.isolation import Settings
from bundlers.isolation.explained import acceptances
from cli.main import invoke

RANDOM = random.Random(23)
TOML = """
# what we ship
[store]
url = "../store"
[components.core-bin]
include = ["core/**"]
[components.agent-bin]
include = ["agent/**"]
[products.core]
components = ["core-bin"]
format = "tar.gz"
[products.agent]
components = ["agent-bin"]
format = "zip"
"""
LIBRARY, FONT, PART = RANDOM.randbytes(9000), RANDOM.randbytes(4000), RANDOM.randbytes(3000)


def files(seed: int = 1) -> dict[str, bytes]:
    own = random.Random(seed)
    made = {}
    for product in ("core", "agent"):
        made |= {
            f"{product}/lib/{product}.so": own.randbytes(50_000) + LIBRARY + own.randbytes(20_000),
            f"{product}/font-{product}.ttf": FONT,
            f"{product}/bin/{product}": own.randbytes(90_000) + PART + own.randbytes(9000),
            f"{product}/main": own.randbytes(200_000),
        }
    return made


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Line:
    made = Line.make(tmp_path, toml=TOML, files=files())
    made.put("1.0.0")
    monkeypatch.chdir(made.root)
    return made


def run(line: Line, *args: str) -> int:
    return invoke(["--store", line.store.url, "isolation", *args])


def settings(line: Line) -> Settings:
    line.configure((line.root / "casstore.toml").read_text())
    return Settings.parse(line.config.isolation)


def test_a_pair_is_released_after_it_was_accepted_and_the_next_one_is_quiet(
    line: Line, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(line, "show", "1.0.0", "--report", "report.json") == 11
    with pytest.raises(Blocked):
        line.ship("1.0.0")
    args = ("accept", "report.json", "core:*", "agent:*", "--reason", "both link the library, and have its font")
    assert run(line, *args) == 0
    told = capsys.readouterr().out
    assert "left, needs exact paths or --whole: agent: agent/font-agent.ttf" in told
    (first,) = settings(line).accepted
    assert (first.name, first.between) == ("agent+core-1", ("agent", "core"))
    assert not acceptances.read(line.store, first.tree)[0].whole
    assert (line.root / "casstore.toml").read_text().startswith(TOML), "nothing else is changed"
    with pytest.raises(Blocked) as caught:
        line.ship("1.0.0")
    assert [blocker.files for blocker in caught.value.blockers] == [
        ("agent/agent/font-agent.ttf", "core/core/font-core.ttf")
    ]
    exact = (
        "accept",
        "1.0.0",
        "agent:agent/font-agent.ttf",
        "core:core/font-core.ttf",
        "--reason",
        "one font",
        "--name",
        "font",
    )
    assert run(line, *exact) == 0
    assert acceptances.read(line.store, settings(line).accepted[1].tree)[0].whole
    report = line.ship("1.0.0").isolation
    assert report is not None and not report.found
    assert [row["name"] for row in report.predicate().accepted] == ["agent+core-1", "font"]
    line.write(files(seed=2) | {"core/new/name.so": files(seed=3)["core/lib/core.so"]})
    line.put("1.1.0")
    again = line.ship("1.1.0").isolation
    assert again is not None and not again.found, "the same content, at any path, in files that changed"


def test_what_is_new_is_added_to_an_acceptance(line: Line, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(line, "accept", "1.0.0", "core:*", "agent:*", "--whole", "--reason", "r", "--name", "rust") == 0
    before = settings(line).accepted[0]
    more = RANDOM.randbytes(5000)
    held = files()
    line.write({f"{p}/bin/{p}": held[f"{p}/bin/{p}"] + p.encode() + more for p in ("core", "agent")})
    line.put("1.1.0")
    capsys.readouterr()
    assert run(line, "accept", "1.1.0", "core:core/bin/*", "agent:agent/bin/*", "--again", "rust", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["findings"], told["name"]) == (1, "rust")
    (after,) = settings(line).accepted
    assert (after.name, after.reason) == (before.name, before.reason) and after.tree != before.tree
    line.ship("1.1.0")
    one, two = (acceptances.read(line.store, row.tree)[0] for row in (before, after))
    assert set(one.stretches) < set(two.stretches) and one.contents == two.contents


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("1.0.0", "core:*", "agent:*"), "needs a reason"),
        (("1.0.0", "core:*", "agent:*", "--reason", " "), "needs a reason"),
        (("1.0.0", "core:*", "--reason", "r"), "between two products"),
        (("1.0.0", "core:nothing", "agent:*", "--reason", "r"), "matches on both sides"),
        (("1.0.0", "core:*/font*", "agent:*", "--reason", "r"), "1 whole ones need exact paths"),
        (("1.0.0", "core", "agent:*", "--reason", "r"), "PRODUCT:GLOB"),
        (("1.0.0", "core:*", "agent:*", "--again", "x"), "no acceptance is called"),
        (("casstore.toml", "core:*", "agent:*", "--reason", "r"), "isolation report"),
    ],
)
def test_what_is_not_accepted(line: Line, capsys: pytest.CaptureFixture[str], args: tuple[str, ...], told: str) -> None:
    assert run(line, "accept", *args) in (2, 3)
    assert told in capsys.readouterr().err
    assert (line.root / "casstore.toml").read_text() == TOML


def test_a_report_that_is_not_true_is_refused(line: Line, capsys: pytest.CaptureFixture[str]) -> None:
    """Another place of the file than the report's digest is of: nothing unseen is slipped in."""
    assert run(line, "show", "1.0.0", "--report", "report.json") == 11
    report = json.loads((line.root / "report.json").read_text())
    for row in report["found"]:
        for stretch in row.get("stretches", ()):
            stretch[0] -= 700
    (line.root / "changed.json").write_text(json.dumps(report))
    assert run(line, "accept", "changed.json", "core:*", "agent:*", "--reason", "r") == 2
    assert "has not the bytes that the report says" in capsys.readouterr().err


def test_a_leak_beside_what_was_accepted_is_found(line: Line) -> None:
    assert run(line, "accept", "1.0.0", "core:*", "agent:*", "--whole", "--reason", "r") == 0
    settings(line)
    line.write({"agent/lib/agent.so": files()["agent/lib/agent.so"] + files()["core/main"][7000:12_000]})
    line.put("1.1.0")
    with pytest.raises(Blocked, match=r"agent\.so"):
        line.ship("1.1.0")


# references


def wheel(path: Path, data: bytes) -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("lib/runtime.so", data)
        packed.writestr("../../lib/outside", b"x")
    return str(path)


def crate(data: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as packed:
        info = tarfile.TarInfo("package/lib.rs")
        info.size = len(data)
        packed.addfile(info, io.BytesIO(data))
    return out.getvalue()


def sources(folder: Path, monkeypatch: pytest.MonkeyPatch, data: bytes) -> dict[str, str]:
    """The same content in each form."""
    (folder / "plain" / "deep").mkdir(parents=True)
    (folder / "plain" / "deep" / "runtime.so").write_bytes(data)
    packed = crate(data)
    (folder / "lib.tgz").write_bytes(packed)
    sha512 = hashlib.sha512(packed).digest()
    held = folder / "npm" / "_cacache" / "content-v2" / "sha512" / sha512.hex()[:2] / sha512.hex()[2:4]
    held.mkdir(parents=True)
    (held / sha512.hex()[4:]).write_bytes(packed)
    integrity = f"sha512-{base64.b64encode(sha512).decode()}"
    rows = {
        "": {"name": "web"},
        "node_modules/@us/lib": {"version": "1.0.0", "integrity": integrity},
        "node_modules/other": {"version": "2.0.0", "integrity": "sha512-" + base64.b64encode(bytes(64)).decode()},
    }
    (folder / "package-lock.json").write_text(json.dumps({"lockfileVersion": 3, "packages": rows}))
    crates = folder / "cargo" / "registry" / "cache" / "index-1"
    crates.mkdir(parents=True)
    (crates / "lib-1.0.0.crate").write_bytes(packed)
    (folder / "Cargo.lock").write_text(
        f'[[package]]\nname = "lib"\nversion = "1.0.0"\nchecksum = "{hashlib.sha256(packed).hexdigest()}"\n'
        '[[package]]\nname = "own"\nversion = "0.1.0"\n'
    )
    monkeypatch.setenv("npm_config_cache", str(folder / "npm"))
    monkeypatch.setenv("CARGO_HOME", str(folder / "cargo"))
    return {
        "folder": str(folder / "plain"),
        "wheel": wheel(folder / "runtime-1.whl", data),
        "tgz": str(folder / "lib.tgz"),
        "npm": str(folder / "package-lock.json"),
        "cargo": str(folder / "Cargo.lock"),
    }


@pytest.mark.parametrize("form", ["folder", "wheel", "tgz", "npm", "cargo"])
def test_what_a_reference_holds_is_no_leak(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    assert run(line, "accept", "1.0.0", "core:*", "agent:*", "--whole", "--reason", "r") == 0
    runtime = RANDOM.randbytes(30_000)
    held = files()
    line.write({f"{p}/lib/{p}.so": held[f"{p}/lib/{p}.so"] + runtime for p in ("core", "agent")})
    line.write({"agent/runtime.so": runtime})
    line.put("1.1.0")
    settings(line)
    with pytest.raises(Blocked):
        line.ship("1.1.0")
    (tmp_path / "sources").mkdir()
    source = sources(tmp_path / "sources", monkeypatch, runtime)[form]
    assert run(line, "reference", "the runtime 3.11", source) == 0
    if form == "npm":
        assert "other@2.0.0: is in no cache here" in capsys.readouterr().err
    assert list(settings(line).references) == ["the runtime 3.11"]
    report = line.ship("1.1.0").isolation
    assert report is not None and not report.found
    assert not any("outside" in str(path) for path in tmp_path.rglob("outside"))


def test_an_installed_package_is_a_reference_and_a_second_one_is_added(line: Line) -> None:
    assert run(line, "reference", "click", "python:click") == 0
    first = settings(line).references
    paths = [path for path, _ in line.store.walk(first["click"])]
    assert b"click/core.py" in paths and not any(path.endswith(b".pyc") for path in paths)
    (line.root / "x").mkdir()
    (line.root / "x" / "f").write_bytes(b"f")
    assert run(line, "reference", 'odd "name" 3.11', "x") == 0
    assert run(line, "reference", "click", "x") == 0
    found = settings(line).references
    assert sorted(found) == ["click", 'odd "name" 3.11']
    assert found["click"] == found['odd "name" 3.11'] != first["click"]


def test_a_tree_or_an_archive_of_this_ledger_is_no_reference(
    line: Line, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whole files of one product are not hidden in another by what was released before."""
    assert run(line, "accept", "1.0.0", "core:*", "agent:*", "--whole", "--reason", "r") == 0
    settings(line)
    line.ship("1.0.0")
    assert run(line, "reference", "old core", ".") == 2
    assert "has component core-bin of 1.0.0 in it" in capsys.readouterr().err
    archive = next(a.digest for a in line.ship("1.0.0").archives if a.name.startswith("core"))
    (tmp_path / "core.tar.gz").write_bytes(line.store.read(archive))
    assert run(line, "reference", "old core", str(tmp_path / "core.tar.gz")) == 2
    assert "1.0.0" in capsys.readouterr().err
    tree = line.state.components["1.0.0", "core-bin"]
    text = (line.root / "casstore.toml").read_text()
    line.configure(f'{text}\n[isolation.references]\n"by hand" = "{tree}"\n')
    line.put("1.1.0")
    with pytest.raises(BadInput, match="by hand"):
        line.ship("1.1.0")


@pytest.mark.parametrize("source", ["nowhere", "main.txt", "python:no-such-package", "Cargo.lock", "package-lock.json"])
def test_sources_that_are_none(line: Line, source: str, capsys: pytest.CaptureFixture[str]) -> None:
    if source in ("main.txt", "Cargo.lock", "package-lock.json"):
        (line.root / source).write_bytes(b"\0nothing\n" if source == "main.txt" else b"{")
    assert run(line, "reference", "x", source) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_cached_package_that_was_changed_is_refused(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sources").mkdir()
    found = sources(tmp_path / "sources", monkeypatch, RANDOM.randbytes(2000))
    for path in (tmp_path / "sources").rglob("*.crate"):
        path.write_bytes(crate(b"core's own"))
    assert run(line, "reference", "x", found["cargo"]) == 2
    assert "is not the lib-1.0.0" in capsys.readouterr().err
