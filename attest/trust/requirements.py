"""What a word of `require` asks for: which predicates, over which subjects, by which roles (DESIGN 10)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from attest.core.values import dataclass
from attest.errors import FormatError
from attest.statements.predicates import (
    baseline,
    cyclonedx,
    openvex,
    slsa_provenance,
    spdx,
    vsa,
    vulns,
)

GATE = "gate:"
"""A requirement `gate:NAME` asks for a passed test-result of that gate."""

_GATE_WORD = re.compile(r"gate:[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")

ROLES = ("owner", "builder", "approver", "promoter", "publisher", "ledger", "auditor")
"""All roles of a trust root."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a word of `require` asks for."""

    over: str
    """`archives`, or `trees and archives`."""
    roles: tuple[str, ...]
    """Who may sign it, where the policy names nobody else."""
    holds: Callable[[Mapping[str, Any]], None] | None = None
    """Raises FormatError where a predicate does not say what is required."""
    whole: bool = False
    """Whether one attestation must cover all archives: what was compared apart was never compared."""


def _passed_summary(predicate: Mapping[str, Any]) -> None:
    if vsa.result_of(dict(predicate)) != "PASSED":
        raise FormatError("the verification summary did not pass")


def _sbom(predicate: Mapping[str, Any]) -> None:
    (cyclonedx if "bomFormat" in predicate else spdx).check(predicate)


_SCANNED = ("builder", "auditor")

REQUIREMENTS: dict[str, Requirement] = {
    "slsa-provenance": Requirement("trees and archives", ("builder",), slsa_provenance.check),
    "isolation": Requirement("archives", ("builder",), whole=True),
    "sbom": Requirement("archives", _SCANNED, _sbom),
    "spdx": Requirement("archives", _SCANNED, spdx.check),
    "cyclonedx": Requirement("archives", _SCANNED, cyclonedx.check),
    "vulns": Requirement("archives", _SCANNED, vulns.check),
    "openvex": Requirement("archives", _SCANNED, openvex.check),
    "baseline": Requirement("archives", ("auditor",), baseline.check),
    "vsa": Requirement("archives", ("promoter", "auditor"), _passed_summary),
}

GATE_ROLES = _SCANNED

AT_PROMOTION = frozenset(f"{GATE}{name}" for name in ("baseline", "branch-protection", "rollback-capability"))
"""Gates that are asked at promotion, about one channel and its last move: their results count for nothing else."""
AT_PROMOTION_ROLES = ("promoter", "auditor", "builder")
AT_PROMOTION_SECONDS = 24 * 3600
"""How old such a result may be, where the policy's maxAge says nothing."""


def roles_for(name: str) -> tuple[str, ...]:
    """Who usually signs what a requirement asks for."""
    if name in AT_PROMOTION:
        return AT_PROMOTION_ROLES
    return GATE_ROLES if name.startswith(GATE) else REQUIREMENTS[name].roles


def check_known(name: str, what: str) -> None:
    """Raises FormatError for a word that asks for nothing known."""
    if name not in REQUIREMENTS and not _GATE_WORD.fullmatch(name):
        raise FormatError(
            f"{what}: unknown requirement {name[:60]!r}", hint=f"known: {', '.join(REQUIREMENTS)}, {GATE}NAME"
        )
