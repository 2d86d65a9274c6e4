"""in-toto test-result v0.1: what a gate said.

Source: https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import FormatError

TYPE = "https://in-toto.io/attestation/test-result/v0.1"


RESULTS = ("PASSED", "WARNED", "FAILED")


@dataclass(frozen=True, slots=True)
class ResultClaim:
    """The result, the configuration it stands on, and the names of what passed, warned and failed."""

    result: str
    configuration: Sequence[Mapping[str, Any]]
    url: str = ""
    passed: Sequence[str] = ()
    warned: Sequence[str] = ()
    failed: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """The predicate."""
        value: dict[str, Any] = {
            "result": self.result,
            "configuration": [dict(item) for item in self.configuration],
            "passedTests": list(self.passed),
            "warnedTests": list(self.warned),
            "failedTests": list(self.failed),
        }
        return {**value, "url": self.url} if self.url else value


def place_of(channel: str, from_move: Digest | None) -> dict[str, Any]:
    """The `annotations` of a gate that was asked at promotion: which channel, after which move."""
    return {"channel": channel, "from": from_move}


def parse(value: object) -> ResultClaim:
    """The predicate's JSON to value; unknown fields are ignored (spec). Raises FormatError."""
    if not isinstance(value, dict) or value.get("result") not in RESULTS:
        raise FormatError(f"test-result: result is not one of {', '.join(RESULTS)}")
    configuration = value.get("configuration")
    if not isinstance(configuration, list) or not all(isinstance(item, dict) for item in configuration):
        raise FormatError("test-result: configuration is no list of objects")
    names = (_names(value, key) for key in ("passedTests", "warnedTests", "failedTests"))
    return ResultClaim(value["result"], tuple(configuration), str(value.get("url", "")), *names)


def _names(value: Mapping[str, Any], key: str) -> tuple[str, ...]:
    found = value.get(key, [])
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise FormatError(f"test-result: {key} is no list of texts")
    return tuple(found)
