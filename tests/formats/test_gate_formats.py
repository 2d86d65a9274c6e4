"""The golden files of what gates write are what the code writes, and stay readable."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from attest import canonical
from attest.statements.predicates import test_result
from bundlers import blockers

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"
FORMATS = HERE.parents[1] / "docs" / "formats"
FILES: dict[str, bytes] = runpy.run_path(str(HERE / "make_gates.py"))["files"]()
SCHEMA: dict[str, Any] = json.loads((FORMATS / "blocker.schema.json").read_bytes())


@pytest.mark.parametrize("name", sorted(FILES))
def test_golden_file_is_what_is_written_now(name: str) -> None:
    assert (GOLDEN / name).read_bytes() == FILES[name]


def test_no_golden_file_is_forgotten() -> None:
    kept = {str(p.relative_to(GOLDEN)) for folder in ("blocker", "test-result") for p in (GOLDEN / folder).rglob("*")}
    assert kept == set(FILES)


@pytest.mark.parametrize("name", [name for name in sorted(FILES) if name.startswith("blocker/")])
def test_golden_blockers_are_read(name: str) -> None:
    data = (GOLDEN / name).read_bytes()
    version, found = blockers.parse(data)
    assert blockers.to_bytes(version, found) == data
    fits(json.loads(data), SCHEMA)


@pytest.mark.parametrize("name", ["passed", "warned", "failed"])
def test_golden_results_are_read(name: str) -> None:
    value = canonical.loads((GOLDEN / f"test-result/{name}.json").read_bytes(), what="golden")
    assert test_result.parse(value).result == name.upper()


def test_example_of_the_page_is_a_blockers_file() -> None:
    example = re.search(r"```json\n(.*?)```", (FORMATS / "blocker.md").read_text(), re.DOTALL)
    assert example is not None
    fits(json.loads(example[1]), SCHEMA)
    assert blockers.parse(example[1].encode())[0] == "1.4.0"


def fits(value: Any, schema: dict[str, Any]) -> None:
    """The part of JSON Schema that our schema uses."""
    if "const" in schema:
        assert value == schema["const"]
    if "enum" in schema:
        assert value in schema["enum"]
    kinds = {"object": dict, "array": list, "string": str}
    assert isinstance(value, kinds[schema.get("type", "string")])
    if isinstance(value, dict):
        assert set(schema["required"]) <= set(value) <= set(schema["properties"])
        for key, item in value.items():
            fits(item, schema["properties"][key])
    if isinstance(value, list):
        for item in value:
            fits(item, schema["items"])
    if "pattern" in schema:
        assert re.search(schema["pattern"], value)
