"""The page on gates says what the code does."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from bundlers import gates
from bundlers.gates.base import ReleaseView

PAGE = (Path(__file__).parents[4] / "docs" / "gates.md").read_text()


def section(name: str) -> str:
    return PAGE.split(f"\n## {name}\n", 1)[1].split("\n## ", 1)[0]


@pytest.mark.parametrize("name", gates.GATES)
def test_every_gate_has_a_section_and_a_row(name: str) -> None:
    assert section(name).strip()
    assert re.search(rf"\| \[{name}\]\(#{name}\) \|", PAGE)


@pytest.mark.parametrize("name", gates.GATES)
def test_every_setting_is_told(name: str) -> None:
    for item in fields(gates.load(name).Settings):
        assert re.search(rf"`{item.name}\b|\[gates\.{name}\.{item.name}\]|^{item.name} = ", section(name), re.MULTILINE)


@pytest.mark.parametrize("name", gates.GATES)
def test_every_gate_explains_itself(name: str) -> None:
    info = gates.describe(name)
    assert info.help.startswith(f"{name}: ")
    assert info.to_json()["settings"].keys() == {item.name for item in fields(gates.load(name).Settings)}


def test_plug_in_of_the_page_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code = re.search(r"```python\n(.*?)```", section("A gate from another package"), re.DOTALL)
    assert code is not None
    (tmp_path / "licences_of_the_page.py").write_text(code[1])
    monkeypatch.syspath_prepend(tmp_path)
    found = import_module("licences_of_the_page")
    point = SimpleNamespace(name="licences", value="our_gates.licences", load=lambda: found)
    monkeypatch.setattr(gates, "_plug_ins", lambda: {"licences": point})
    manifest = SimpleNamespace(files=[SimpleNamespace(path="bin/x")])
    view = ReleaseView("1", {}, {"core": manifest}, SimpleNamespace(), "/")  # type: ignore[arg-type, dict-item]
    (outcome,) = gates.run(view, {"licences": {}}, gates.Phase.INPUTS)
    assert outcome.result.messages == ("core: no LICENSES/",)


def test_examples_are_toml() -> None:
    examples = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert len(examples) == 4
    for example in examples:
        tomllib.loads(example)
