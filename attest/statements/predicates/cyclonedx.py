"""CycloneDX documents as predicates: any bill of materials of 1.x, checked and passed through as it is.

Source: https://github.com/in-toto/attestation/blob/main/spec/predicates/cyclonedx.md
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from attest.errors import FormatError

TYPE = "https://cyclonedx.org/bom"

_VERSION = re.compile(r"1\.[0-9]{1,2}")


def check(document: Mapping[str, Any]) -> None:
    """Whether it is a CycloneDX document. Raises FormatError."""
    if document.get("bomFormat") != "CycloneDX":
        raise FormatError("CycloneDX: bomFormat is not CycloneDX")
    version = document.get("specVersion")
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise FormatError("CycloneDX: specVersion is not 1.x")
    if not isinstance(document.get("components", []), list):
        raise FormatError("CycloneDX: components is no list")


def component_names(document: Mapping[str, Any]) -> tuple[str, ...]:
    """`name@version` of the components, sorted. Raises FormatError."""
    check(document)
    rows = [row for row in document.get("components", []) if isinstance(row, Mapping)]
    return tuple(sorted(f"{row.get('name', '')}@{row.get('version', '')}" for row in rows))
