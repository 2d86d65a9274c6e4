"""`casstore config check`: every mistake at once, with file, line and key; exit code 2."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bundlers.releases.configuration import every_mistake
from casstore import config
from casstore.config.starter import starter
from casstore.errors import ConfigError
from cli.main import invoke

WRONG = """\
[store]
urll = "./store"
durability = "some"
[components.a]
include = []
[components.b]
include = ["b/**"]
build = "make"
[components.c]
include = ["c/**"]
[products.one]
components = ["c", "nothing"]
format = "rar"
[products.two]
components = ["c"]
format = "zip"
[gates]
secretz = {}
seal = { strict = true }
budget = { archive = "10 apples", filez = 3 }
drift = { command = ["x"], timeout = -1 }
[isolation]
min_copy = 3
copiez = "off"
[isolation.references]
libc = "none"
[channels.dev]
approvals = -1
[channels.prod]
from = "develop"
approvals = "two"
require = ["magic"]
max_age = { isolation = "soon" }
soak = "2 moons"
sign = true
[channels."Bad Name"]
approvals = 0
[network]
allow = ["https://x", "good.example"]
[[consumers]]
name = "web"
"""
EXPECTED = [
    (2, "store.urll"),
    (3, "store.durability"),
    (5, "components.a.include"),
    (8, "components.b.build"),
    (9, "components.c"),
    (12, "products.one.components"),
    (13, "products.one.format"),
    (18, "gates.secretz"),
    (19, "gates.seal.strict"),
    (20, "gates.budget.archive"),
    (20, "gates.budget.filez"),
    (21, "gates.drift.timeout"),
    (23, "isolation.min_copy"),
    (24, "isolation.copiez"),
    (25, "isolation.references"),
    (28, "channels.dev.approvals"),
    (30, "channels.prod.from"),
    (31, "channels.prod.approvals"),
    (32, "channels.prod.require"),
    (33, "channels.prod.max_age"),
    (34, "channels.prod.soak"),
    (35, "channels.prod.sign"),
    (36, "channels.Bad Name"),
    (39, "network.allow.0"),
    (40, "consumers.0.forge"),
    (40, "consumers.0.repository"),
    (40, "consumers.0.required_checks"),
]


def places(text: str) -> list[tuple[int, str]]:
    return sorted((mistake.line, mistake.key) for mistake in every_mistake(text.encode(), "casstore.toml"))


def test_every_mistake_is_named_once() -> None:
    assert places(WRONG) == sorted(EXPECTED)


def test_what_is_right_has_none() -> None:
    for text in (starter("/nowhere"), '[components.a]\ninclude = ["x"]\n'):
        assert places(text) == []


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("[store]\nurl = x\n[components.a]\ninclude = ['b]\n[products]\np = 3\n", [2, 4, 6]),
        ("[store\nurl = 'x'\n[components.a]\ninclud = ['b']\n", [1, 4]),
        ("[components.a]\ninclude = ['x',\n[components.b]\ninclude = ['y']\n[stor]\n", [2, 5]),
        ("a = 1\na = 2\n[store]\nurl = 1\n", [1, 2, 4]),
        ("[store]\nurl = 'a'\n[store]\nurl = 'b'\n[x]\n", [3, 5]),
        ('[store]\nurl = """never closed\n', [2]),
        ("\n\n\x01", [3]),
        ("[channels.dev]\napprovals = \n[channels.prod]\nfrom = 'dev'\napprovals = 0\nsok = 1\n", [2, 6]),
    ],
)
def test_broken_grammar_hides_no_other_mistake(text: str, lines: list[int]) -> None:
    assert [line for line, _ in places(text)] == lines


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[components.a]\ninclude = ['ok/**', '../x']\n", (2, "components.a.include")),
        ("[components.a]\ninclude = ['x']\nexclude = ['!y']\n", (3, "components.a.exclude")),
        ("[components.a]\ninclude = ['x']\ninputs = ['/etc']\n", (3, "components.a.inputs")),
        ("[store]\nurl = ''\n", (2, "store.url")),
        ("[store]\nurl = 's4://bucket'\n", (2, "store.url")),
        ("[destinations.d]\nurl = 'http://me:secret@host/'\n", (2, "destinations.d.url")),
        ("[destinations.d]\nurl = './x'\nfallback = 'nope://x'\n", (3, "destinations.d.fallback")),
        (
            "[[consumers]]\nname = 'web'\nforge = 'gitgub'\nrepository = 'a/b'\nrequired_checks = ['x']\n",
            (3, "consumers.0.forge"),
        ),
    ],
)
def test_what_only_a_later_command_would_meet(text: str, place: tuple[int, str]) -> None:
    assert places(text) == [place]


@pytest.mark.parametrize("url", ["./public", "s3://b/p", "az://c", "gs://b", "https://host/x", "file:///x", "/abs"])
def test_places_that_may_be(url: str) -> None:
    assert places(f"[store]\nurl = '{url}'\n[destinations.d]\nurl = '{url}'\nfallback = ''\n") == []


def test_components_that_two_products_carry() -> None:
    text = '[components.a]\ninclude = ["x"]\n[products.p]\ncomponents = ["a", "a"]\nformat = "zip"\n'
    text += '[products.q]\ncomponents = ["a"]\nformat = "zip"\n'
    assert places(text) == [(1, "components.a"), (4, "products.p.components")]


@pytest.mark.parametrize("data", [b"\xff", b"a = " + b"[" * 100_000, b"#" * (1 << 21), b"", b"\0", b"channels = 3\n"])
def test_no_bytes_are_too_odd(data: bytes) -> None:
    found = every_mistake(data, "casstore.toml")
    try:
        config.parse(data[: 1 << 21], "casstore.toml")
    except ConfigError:
        assert found
    else:
        assert len(data) > 1 << 20 or not found


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke(["config", "check"]) == 2
    assert "no casstore.toml" in capsys.readouterr().err
    path = tmp_path / "casstore.toml"
    path.write_text(WRONG)
    assert invoke(["config", "check"]) == 2
    told = capsys.readouterr()
    assert f"{path}:2: key 'store.urll': there is no such key, did you mean 'url'?" in told.out.splitlines()
    assert len(told.out.splitlines()) == len(EXPECTED) and told.err == f"{len(EXPECTED)} mistakes\n"
    assert invoke(["config", "check", "casstore.toml", "--json"]) == 2
    assert len(json.loads(capsys.readouterr().out)["mistakes"]) == len(EXPECTED)
    path.write_text(starter(str(tmp_path)))
    assert invoke(["config", "check"]) == 0
    assert capsys.readouterr().out == f"{path}: right\n"
