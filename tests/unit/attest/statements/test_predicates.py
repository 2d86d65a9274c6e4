"""Predicates: what is written reads back, what is not of its form is refused."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from moves import NOW

from attest import canonical
from attest.errors import FormatError
from attest.statements import predicates
from attest.statements.predicates import (
    OWN_NAMES,
    baseline,
    own,
    release,
    slsa_provenance,
    test_result,
    vsa,
)

MADE: dict[str, Any] = runpy.run_path(str(Path(__file__).parents[3] / "formats/make_trust.py"))["predicates"]()


def plain(value: Any) -> Any:
    return json.loads(canonical.dumps(value.to_json()))


@pytest.mark.parametrize("name", OWN_NAMES)
def test_reads_back(name: str) -> None:
    assert own(name)(plain(MADE[name])).to_json() == MADE[name].to_json()


@pytest.mark.parametrize("name", OWN_NAMES)
def test_an_unknown_field_is_refused(name: str) -> None:
    with pytest.raises(FormatError, match="unknown field 'more'"):
        own(name)({**plain(MADE[name]), "more": 1})


OPTIONAL = {"comment", "reason", "reference", "unopened"}


@pytest.mark.parametrize("name", OWN_NAMES)
def test_each_field_is_needed_and_has_its_kind(name: str) -> None:
    whole = plain(MADE[name])
    for field in whole:
        if field not in OPTIONAL or name == "revocation":
            with pytest.raises(FormatError):
                own(name)({key: value for key, value in whole.items() if key != field})
        with pytest.raises(FormatError):
            own(name)({**whole, field: 0.5})


def test_short_names_and_types() -> None:
    assert predicates.types_of("approval") == ("https://casstore.dev/approval/v1",)
    assert predicates.types_of("https://example.com/p") == ("https://example.com/p",)
    assert predicates.short_name("https://slsa.dev/provenance/v1") == "slsa-provenance"
    assert predicates.short_name("https://example.com/p") == "https://example.com/p"
    assert len(predicates.types_of("sbom")) == 13


def test_baseline_tells_what_is_larger_or_no_longer_measured() -> None:
    figure, tolerance = baseline.Figure, baseline.Tolerance
    figures = {"a": figure(100, 90, 110, "ms"), "b": figure(5, 5, 5, "bytes"), "c": figure(1, 1, 1)}
    limits = {"a": tolerance(1.5), "b": tolerance(plus=1), "c": tolerance()}
    claim = baseline.Baseline(
        "core",
        "default",
        "1.0.0",
        NOW,
        baseline.Measuring(("bench", "bench"), {}, 3, "none", "product"),
        baseline.Machine("", "x86_64", "Linux", 1, 0),
        figures,
        baseline.Reference("prod", limits),
    )
    later = {"a": figure(150.1, 1, 200, "ms"), "c": figure(1, 1, 1, "s")}
    found = claim.exceeded(later)
    assert found["a"] == "is 150.1 ms, the baseline is 100, at most 150 is allowed"
    assert found["b"] == "was not measured"
    assert found["c"] == "was measured in s, the baseline in none" and list(found) == ["a", "b", "c"]
    assert baseline.parse(claim.to_json()) == claim
    plain = claim.to_json()
    for changes in (
        {"figures": {}},
        {"figures": {**plain["figures"], "d": plain["figures"]["a"]}},
        {"figures": {**plain["figures"], "a": {"median": 89, "min": 90, "max": 110, "unit": "ms"}}},
        {"measuring": {**plain["measuring"], "sees": "much"}},
        {"measuring": {**plain["measuring"], "command": []}},
        {"machine": {**plain["machine"], "cores": 0}},
    ):
        with pytest.raises(FormatError):
            baseline.parse({**plain, **changes})


def test_provenance_of_other_tools_is_read() -> None:
    claim = slsa_provenance.Provenance("https://b", {"x": 1}, "https://ci", started_on=NOW, finished_on=NOW)
    slsa_provenance.check(claim.to_json())
    assert slsa_provenance.builder_of(claim.to_json()) == "https://ci"
    foreign = {**claim.to_json(), "extra": {"kept": True}}
    slsa_provenance.check(foreign)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"buildDefinition": {}},
        {"buildDefinition": {"buildType": "x"}, "runDetails": {"builder": {"id": "x"}}},
        {"buildDefinition": {"buildType": "x", "externalParameters": {}}},
        {"buildDefinition": {"buildType": "x", "externalParameters": {}}, "runDetails": {"builder": {"id": ""}}},
        {"buildDefinition": {"buildType": 1, "externalParameters": {}}, "runDetails": {"builder": {"id": "x"}}},
    ],
)
def test_provenance_without_what_slsa_requires_is_refused(value: Any) -> None:
    with pytest.raises(FormatError):
        slsa_provenance.check(value)


def test_result_and_release_ignore_what_they_do_not_know() -> None:
    claim = test_result.ResultClaim("WARNED", ({"name": "unit"},), "https://log", ("a",), ("b",), ())
    assert test_result.parse({**plain(claim), "more": 1}) == test_result.parse(plain(claim))
    assert test_result.parse(plain(claim)).to_json() == claim.to_json()
    assert release.parse({"purl": "pkg:generic/a@1", "more": 1}).purl == "pkg:generic/a@1"
    assert release.purl_of("main line", "1.0+x") == "pkg:generic/main%20line@1.0%2Bx"


@pytest.mark.parametrize("value", [None, {}, {"result": "passed", "configuration": []}, {"result": "PASSED"}])
def test_a_result_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(FormatError):
        test_result.parse(value)


@pytest.mark.parametrize("value", [None, {}, {"verificationResult": "passed"}])
def test_a_summary_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(FormatError):
        vsa.result_of(value)
