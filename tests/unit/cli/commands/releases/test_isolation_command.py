"""casstore isolation: what two products share and why, as table, JSON and picture; a leak is exit 11."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from lines import FILES, TOML, Line

from cli.main import invoke

SAUCE = random.Random(5).randbytes(3000)


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Line:
    """Released without a look at parts of files; a part of the agent stands in core."""
    made = Line.make(tmp_path, toml=f'{TOML}\n[isolation]\ncopies = "off"\n', files=FILES)
    names = sorted(made.config.products)
    for name in names[:2]:
        component = next(c for c in made.config.products[name].components if not made.config.components[c].shared)
        folder = made.config.components[component].include[0].partition("*")[0].rstrip("/")
        made.write({f"{folder}/sauce-{name}": name.encode() * 20 + SAUCE})
    made.put("1.0.0")
    made.ship("1.0.0")
    monkeypatch.chdir(made.root)
    return made


def run(line: Line, *args: str) -> int:
    return invoke(["--store", line.store.url, "isolation", "show", "1.0.0", *args])


def test_it_tells_what_is_shared_and_why(line: Line, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(line) == 0
    told = capsys.readouterr().out
    assert "PRODUCTS" in told and "allowed" in told
    assert "0 shared without a reason" in told


def test_a_copy_is_a_leak_with_its_place(line: Line, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line.configure(TOML)
    one, two = sorted(line.config.products)[:2]
    assert run(line, one, two, "--json", "--svg", str(tmp_path / "m.svg")) == 11
    report = json.loads(capsys.readouterr().out)
    (found,) = report["findings"]
    assert (found["kind"], found["products"], found["length"]) == ("copy", [one, two], len(SAUCE))
    assert found["offsets"] == [20 * len(one), 20 * len(two)]
    assert "1 leaks" in (tmp_path / "m.svg").read_text()
    assert run(line, one, two) == 11
    assert "LEAK" in capsys.readouterr().out


def test_a_picture_is_never_written_over(line: Line, tmp_path: Path) -> None:
    (tmp_path / "m.svg").write_text("mine")
    assert run(line, "--svg", str(tmp_path / "m.svg")) == 9
    assert (tmp_path / "m.svg").read_text() == "mine"


def test_one_product_alone_is_a_wrong_use(line: Line) -> None:
    assert run(line, sorted(line.config.products)[0]) == 2
