"""reproducible = { builds = true }: built again from the recorded inputs, in another folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bundlers.gates.base import ReleaseView
from bundlers.gates.builtin.reproducible import Settings, check
from casstore.store.attestations import find
from tests.support.lines import TOML, Line

MAKE = "import os; os.makedirs('core/made', exist_ok=True); open('core/made/out', 'w').write({})"


def judged(tmp_path: Path, made: str, *, harm: bool = False) -> tuple[str, ...]:
    line = Line.make(tmp_path)
    words = ", ".join(f"'''{word}'''" for word in (sys.executable, "-c", MAKE.format(made)))
    build = f'[components.core-bin]\nbuild = [{words}]\ninputs = ["src/**"]'
    toml = TOML.replace("[components.core-bin]", build).replace('include = ["core/**"]', 'include = ["core/made/**"]')
    line.configure(toml)
    line.write({"src/a": b"source"})
    (item,) = line.put("1.0.0", "core-bin").components
    (found,) = find(line.store, item.report.tree)
    if harm:
        line.write({"src/a": b"changed since"})
    provenance = {"core-bin": found.statement.predicate}
    tree = item.report.tree
    view = ReleaseView("1.0.0", {"core-bin": tree}, {}, line.store, str(line.root), provenance=provenance)
    assert check(view, Settings()).passed, "without `builds` nothing is built"
    result = check(view, Settings(builds=True))
    assert result.passed is not bool(result.messages)
    return result.messages


def test_the_same_tree_again(tmp_path: Path) -> None:
    assert judged(tmp_path, "open('src/a').read()") == ()


@pytest.mark.parametrize("made", ["os.urandom(9).hex()", "os.getcwd()"])
def test_what_differs_is_named(tmp_path: Path, made: str) -> None:
    (told,) = judged(tmp_path, made)
    assert told == "core-bin: built again from the same inputs, core/made/out (content) differ"


def test_what_is_no_recorded_input_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"its build.* ended with exit code 1"):
        judged(tmp_path, "open('agent/readme.txt').read()")


def test_inputs_must_be_those_of_the_provenance(tmp_path: Path) -> None:
    (told,) = judged(tmp_path, "open('src/a').read()", harm=True)
    assert "are not those that its provenance records" in told
