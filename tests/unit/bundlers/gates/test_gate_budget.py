"""The budget gate: every limit, below, at and above."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from attest.digests import sha256
from attest.errors import BadInput
from bundlers.gates.base import GateResult, ReleaseView, StagedArchive
from bundlers.gates.builtin.budget import Settings, check
from bundlers.gates.settings import settings_of
from bundlers.products.product_manifests import ProductFile, ProductManifest
from casstore.ledger.release_objects import Release, ReleaseArchive, ReleaseBuild

D = sha256(b"x")
FILES = (ProductFile("a", 0o644, 700, D), ProductFile("b", 0o644, 300, D))
BUILT = {
    "buildDefinition": {
        "externalParameters": {"components": {"app": {"build": ["make"]}}},
        "internalParameters": {"builds": {"app": {"seconds": 12.5, "maxRssBytes": 1000}}},
    }
}
UNBUILT = {"buildDefinition": {"externalParameters": {"components": {"app": {"build": []}}}}}
UNRECORDED = {"buildDefinition": {"externalParameters": {"components": {"app": {"build": ["make"]}}}}}


def judged(table: dict[str, Any], *, before: int | None = None, provenance: Any = BUILT) -> GateResult:
    manifest = ProductManifest("core", "zip", {}, FILES)
    archive = StagedArchive("core-2.zip", "/q", D, 500, manifest)
    product = ReleaseBuild("zip", ReleaseArchive("core-1.zip", D, before or 0), D)
    previous = Release("s", "main", "1", 0, {}, {"core": product}, D, ()) if before is not None else None
    view = ReleaseView(
        "2",
        {"app": D},
        {},
        SimpleNamespace(),
        "/",
        {"core": archive},
        None,
        previous,
        {"app": provenance},  # type: ignore[arg-type]
    )
    return check(view, settings_of(Settings, table, "budget"))


@pytest.mark.parametrize(
    ("table", "passed"),
    [
        ({"archive": 500}, True),
        ({"archive": 499}, False),
        ({"archive": "0.5kB"}, True),
        ({"product": 1000}, True),
        ({"product": 999}, False),
        ({"files": 2}, True),
        ({"files": 1}, False),
        ({"file": 700}, True),
        ({"file": 699}, False),
        ({"build_seconds": 12.5}, True),
        ({"build_seconds": 12}, False),
        ({"build_memory": 1000}, True),
        ({"build_memory": 999}, False),
        ({"archive": 500, "files": 1}, False),
    ],
)
def test_limits(table: dict[str, Any], passed: bool) -> None:
    assert judged(table).passed is passed


@pytest.mark.parametrize(("before", "passed"), [(None, True), (400, True), (399, False), (1000, True)])
def test_growth(before: int | None, passed: bool) -> None:
    assert judged({"growth": 1.25}, before=before).passed is passed


@pytest.mark.parametrize(("provenance", "passed"), [(BUILT, True), (UNBUILT, True), (UNRECORDED, False), ({}, False)])
def test_build_that_nobody_measured_fails(provenance: Any, passed: bool) -> None:
    assert judged({"build_seconds": 60}, provenance=provenance).passed is passed


def test_all_that_is_exceeded_is_told_with_figures() -> None:
    result = judged({"archive": 1, "product": 1, "files": 1, "file": 1})
    assert result.messages == (
        "core-2.zip: the archive has 500 bytes, the budget is 1",
        "core-2.zip: the product has 1000 bytes, the budget is 1",
        "core-2.zip: 2 files, the budget is 1",
        "core-2.zip: a has 700 bytes, the budget is 1",
        "core-2.zip: b has 300 bytes, the budget is 1",
    )
    assert result.files == ("core-2.zip",)
    assert result.measured["core-2.zip"]["largest"] == 700


def test_budget_without_a_limit_is_none() -> None:
    with pytest.raises(BadInput, match="no limit"):
        judged({})
