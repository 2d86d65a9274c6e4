"""Reports of test runners as in-toto test-result: JUnit XML, which nearly all of them write.

Promises: a report that cannot be read whole, that lists no test, or whose counts say more failures than it lists, is
an error and no passed run; what was rerun until it passed is a warning. A row of `configuration` is named
`junit:SUITE`, which no gate can be named: what is imported never passes for a gate's result.

    predicate = read(data, what="report.xml").predicate()
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from attest import digests
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import FormatError
from attest.statements.predicates.test_result import ResultClaim
from casstore.errors import OverBudget
from casstore.hostile import Budget, Door

DOOR = Door("bundlers.inspection.junit")
FORM = "junit"
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class TestReport:
    """What was run, by which suites, and how it ended."""

    digest: Digest
    """Of the report."""
    suites: tuple[Mapping[str, Any], ...]
    """`name`, `counts`; `timestamp` and `seconds` where they are told."""
    tests: Mapping[str, tuple[str, ...]]
    """passed, flaky, failed, skipped -> names."""

    @property
    def told(self) -> str:
        """Suites and counts in a line."""
        names = ", ".join(dict.fromkeys(str(one["name"]) or "(no name)" for one in self.suites))
        return f"{names}: {', '.join(f'{len(self.tests[kind])} {kind}' for kind in self.tests)}"

    def predicate(self) -> dict[str, Any]:
        """in-toto test-result v0.1."""
        failed, flaky = self.tests["failed"], self.tests["flaky"]
        result = "FAILED" if failed else "WARNED" if flaky else "PASSED"
        rows = [
            {
                "name": f"{FORM}:{one['name']}",
                "digest": {"sha256": digests.hex_of(self.digest)},
                "mediaType": "application/xml",
                "annotations": {name: value for name, value in one.items() if name != "name"},
            }
            for one in self.suites
        ]
        return ResultClaim(result, rows, passed=self.tests["passed"], warned=flaky, failed=failed).to_json()


def is_report(data: bytes) -> bool:
    """Whether it is XML at all."""
    return data.removeprefix(_BOM).lstrip()[:1] == b"<"


def read(data: bytes, *, what: str) -> TestReport:
    """A report. Raises FormatError."""
    try:
        *parts, suites = DOOR.ask(FORM, io.BytesIO(data), len(data), None, Budget())
    except (FormatError, OverBudget) as exc:
        raise FormatError(f"{what}: {exc.message}", hint=exc.hint) from exc
    rows = [(kind, name) for part in parts for kind, name in part]
    if all(kind == "skipped" for kind, _ in rows):
        raise FormatError(f"{what}: no test was run", hint="an empty report shows nothing")
    kinds = ("passed", "flaky", "failed", "skipped")
    tests = {kind: tuple(dict.fromkeys(name for one, name in rows if one == kind)) for kind in kinds}
    again = (set(tests["failed"]) | set(tests["flaky"])) & set(tests["passed"])
    tests["passed"] = tuple(name for name in tests["passed"] if name not in again)
    return TestReport(digests.sha256(data), tuple(suites), tests)
