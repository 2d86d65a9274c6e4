"""The network gate: hosts in casstore.toml, in shipped configuration, and what builds could reach."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from attest.errors import BadInput
from bundlers.errors import GateFailed
from bundlers.gates import Phase, run
from bundlers.gates.base import GateResult, ReleaseView
from bundlers.gates.builtin.network import Settings, check
from casstore.store.store import Store
from tests.support.lines import FILES, TOML, Line


def judged(folder: Path, files: dict[str, bytes], settings: Settings = Settings(), **view: Any) -> GateResult:  # noqa: B008
    work = folder / "work"
    for name, data in files.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_bytes(data)
    work.mkdir(parents=True, exist_ok=True)
    store = Store.init(str(folder / "store"))
    return check(ReleaseView("1", {"app": store.put_tree(str(work)).tree}, {}, store, str(folder), **view), settings)


def test_allowed_hosts_pass(tmp_path: Path) -> None:
    files = {"etc/app.conf": b"url = https://api.example.com/v1\nother=http://cdn.example.net:8080/x\n[::1]\n"}
    settings = Settings(allow=("*.example.com", "cdn.example.net:8080"))
    found = judged(tmp_path, files, settings)
    assert (found.passed, found.messages, found.warnings) == (True, (), ())


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("url = https://evil.example/x", "https://evil.example"),
        ("dsn: postgresql://user:s3cret@db.internal:5432/x", "postgresql://db.internal:5432"),
        ('{"a": "wss://sub.api.example.com.evil.example"}', "wss://sub.api.example.com.evil.example"),
        ("# see http://10.0.0.7", "http://10.0.0.7"),
        ("u = https://api.example.com:8443/", "https://api.example.com:8443"),
        ("u = https://api.example.com@evil.example/", "https://evil.example"),
        ("u = http://[fd00::1]:80/x", "http://[fd00::1]:80"),
    ],
)
def test_other_hosts_are_named_with_file_and_line(tmp_path: Path, line: str, told: str) -> None:
    settings = Settings(allow=("api.example.com:443",))
    found = judged(tmp_path, {"etc/app.yaml": f"a: 1\n{line}\n".encode()}, settings)
    assert found.messages == (f"app/etc/app.yaml: line 2 names {told}",)
    assert found.files == ("app/etc/app.yaml",) and "s3cret" not in str(found)


def test_templates_are_warnings_and_local_names_nothing(tmp_path: Path) -> None:
    files = {"a.conf": b"u = https://${HOST}/x\nv = https://{{ host }}/\nw = file:///etc/x\nx = unix:///run/s\n"}
    found = judged(tmp_path, files)
    assert found.passed and len(found.warnings) == 2 and "template" in found.warnings[0]


def test_only_configuration_is_read_and_what_is_excluded_is_not(tmp_path: Path) -> None:
    files = {"bin/app": b"https://evil.example", "etc/a.conf": b"https://evil.example", "doc/b.json": b"http://x.y"}
    found = judged(tmp_path, files, Settings(exclude=("app/doc/*",)))
    assert [message.split(":")[0] for message in found.messages] == ["app/etc/a.conf"]
    assert judged(tmp_path / "again", files, Settings(files=("app/bin/*",))).files == ("app/bin/app",)
    idle = judged(tmp_path / "idle", files, Settings(files=("bin/*",), exclude=("doc/*",)))
    assert idle.warnings == ("exclude: 'doc/*' hits nothing", "files: 'bin/*' hits nothing")


def test_urls_of_casstore_toml_are_held_by_its_own_allowlist(tmp_path: Path) -> None:
    urls = {"store.url": "./store", "destinations.cdn.url": "https://cdn.example/x", "consumers.a.forge": "https://f.e"}
    found = judged(tmp_path, {}, urls=urls, allow=("cdn.example",))
    assert found.messages == (
        "casstore.toml: consumers.a.forge names https://f.e, which [network] allow does not hold",
    )


@pytest.mark.parametrize(
    ("network", "passed"), [("none", True), ("allowed", False), ("unenforced", False), (None, False)]
)
def test_builds_had_no_network(tmp_path: Path, network: str | None, passed: bool) -> None:
    build = {} if network is None else {"network": network}
    definition = {
        "externalParameters": {"components": {"app": {"build": ["make"]}}},
        "internalParameters": {"builds": {"app": build}},
    }
    found = judged(tmp_path, {}, provenance={"app": {"buildDefinition": definition}})
    assert found.passed is passed
    assert passed or "its build had a network" in found.messages[0]
    assert judged(tmp_path / "again", {}, Settings(builds=False), provenance={"app": definition}).passed


def test_wrong_entries_fail(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"https://x\.y"):
        judged(tmp_path, {}, Settings(allow=("https://x.y",)))


def test_in_a_release(tmp_path: Path) -> None:
    """With the gate's own allowlist, and without one that of [network]."""
    named = {**FILES, "core/etc/core.conf": b"upstream = https://api.example.com\n"}
    gates = '[network]\nallow = ["api.example.com"]\n[gates]\nnetwork = {}\n'
    line = Line.make(tmp_path, toml=TOML + gates, files=named)
    line.put("1.0.0")
    assert line.ship("1.0.0").entry is not None
    line.configure(TOML + gates.replace("network = {}", 'network = { allow = ["other.example"] }'))
    line.put("1.1.0")
    with pytest.raises(GateFailed, match=r"core-bin/core/etc/core.conf: line 1 names https://api.example.com"):
        line.ship("1.1.0")


def test_it_is_known_by_name() -> None:
    view = ReleaseView("1", {}, {}, object(), "/", urls={"store.url": "https://s.e"})  # type: ignore[arg-type]
    (outcome,) = run(view, {"network": {}}, Phase.INPUTS)
    assert not outcome.passed
