"""Reads JUnit reports, in a cell: `bundlers.inspection.test_reports` is its door.

Read by junitparser, from a tree that defusedxml made: no document type, no entity, nothing from elsewhere. What the
library passes over is looked for: a test case where none may be, a suite that counts more failures than it lists.

Source of the form: https://github.com/jenkinsci/xunit-plugin , types/model/xsd/junit-10.xsd
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, cast
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml import ElementTree as SafeTree
from junitparser import xunit2
from junitparser.junitparser import JUnitXmlError

from attest.errors import FormatError
from casstore.hostile import Scratch

_BAD = ("failure", "error")
_PART = 4096

Tell = Callable[[Any], None]


def junit(blob: IO[bytes], _: Any, __: Scratch, tell: Tell) -> list[dict[str, Any]]:
    """Tells [kind, name] of the test cases, in parts; returns name, counts, time stamp and seconds of each suite.

    Kinds: passed, flaky (passed at last), failed, skipped. Raises FormatError.
    """
    root = _tree(blob)
    try:
        suites = cast("list[xunit2.TestSuite]", list(xunit2.JUnitXml.fromroot(cast("Any", root))))
    except JUnitXmlError as exc:
        raise FormatError(f"no JUnit report: it begins with {root.tag[:60]!r}") from exc
    told = [[_row(suite.name, cast("xunit2.TestCase", case)) for case in suite] for suite in suites]
    rows = [row for part in told for row in part]
    _check(root, rows)
    for start in range(0, len(rows), _PART):
        tell(rows[start : start + _PART])
    return [_suite(suite, part) for suite, part in zip(suites, told, strict=True)]


def _tree(blob: IO[bytes]) -> Element:
    blob.seek(0)
    try:
        root: Element = SafeTree.parse(blob, forbid_dtd=True).getroot()
    except DefusedXmlException as exc:
        raise FormatError(f"XML of a kind that no report needs: {type(exc).__name__}") from exc
    except (ParseError, ValueError, LookupError) as exc:
        raise FormatError(f"no XML: {exc}") from exc
    return root


def _row(suite: str | None, case: xunit2.TestCase) -> list[str]:
    name = ".".join(part for part in (case.classname or suite, case.name) if part)
    if not name:
        raise FormatError("a test case has no name")
    kind = "failed" if case.is_failure or case.is_error else "skipped" if case.is_skipped else ""
    return [kind or ("flaky" if case.is_flaky else "passed"), name]


def _check(root: Element, rows: list[list[str]]) -> None:
    """Raises FormatError for what the library has passed over, and for counts that say more than is listed."""
    cases = sum(_local(one) == "testcase" for one in root.iter())
    if cases != len(rows):
        raise FormatError(f"{cases} test cases stand in it, and {len(rows)} of them where they belong")
    listed = sum(kind == "failed" for kind, _ in rows)
    if (failing := sum(_failed(one) for one in root.iter() if _local(one) == "testcase")) != listed:
        raise FormatError(f"it has a failure that is not read: {failing} test cases have one, {listed} are listed")
    for suite in root.iter():
        if _local(suite) in ("testsuite", "testsuites"):
            shown = sum(_local(one) in _BAD for one in suite.iter())
            said = sum(_number(suite, name) for name in ("failures", "errors"))
            if said > shown or any(_local(one) in _BAD for one in suite):
                raise FormatError(f"the suite {suite.get('name', '')[:60]!r} tells of failures that it does not list")


def _failed(case: Element) -> bool:
    return any(_local(one) in _BAD for one in case.iter())


def _number(suite: Element, name: str) -> int:
    value = suite.get(name, "0")
    if not value.isdecimal() or len(value) > 9:
        raise FormatError(f"{name} of a suite is no number: {value[:20]!r}")
    return int(value)


def _local(element: Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _suite(suite: xunit2.TestSuite, rows: list[list[str]]) -> dict[str, Any]:
    kinds = [kind for kind, _ in rows]
    counts = {kind: kinds.count(kind) for kind in ("passed", "flaky", "failed", "skipped")}
    return {"name": suite.name or "", "counts": counts, **dict(_when(suite))}


def _when(suite: xunit2.TestSuite) -> Iterator[tuple[str, Any]]:
    if suite.timestamp:
        yield "timestamp", str(suite.timestamp)[:40]
    try:
        seconds = float(suite._elem.get("time") or "nan")  # the library would make one where there is none
    except ValueError:
        return
    if math.isfinite(seconds):
        yield "seconds", round(seconds, 3)


PARSERS: Mapping[str, Callable[[IO[bytes], Any, Scratch, Tell], Any]] = {"junit": junit}
