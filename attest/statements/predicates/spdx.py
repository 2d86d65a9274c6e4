"""SPDX documents as predicates: any document of 2.2, 2.3 or 3.0, checked and passed through as it is.

Source: https://github.com/in-toto/attestation/blob/main/spec/predicates/spdx.md
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attest.errors import FormatError

TYPE = "https://spdx.dev/Document"
TYPE_V23 = "https://spdx.dev/Document/v2.3"
TYPE_V3 = "https://spdx.dev/Document/v3"


def type_of(document: Mapping[str, Any]) -> str:
    """The predicate type for a document. Raises FormatError."""
    check(document)
    if "@graph" in document:
        return TYPE_V3
    return TYPE_V23 if document["spdxVersion"] == "SPDX-2.3" else TYPE


def check(document: Mapping[str, Any]) -> None:
    """Whether it is an SPDX document. Raises FormatError."""
    if "@graph" in document:
        if "spdx.org/rdf/3." not in str(document.get("@context")) or not isinstance(document["@graph"], list):
            raise FormatError("SPDX 3: @context is not SPDX's or @graph is no list")
        return
    version = document.get("spdxVersion")
    if not isinstance(version, str) or not version.startswith("SPDX-2."):
        raise FormatError("SPDX: spdxVersion is not SPDX-2.x")
    if document.get("SPDXID") != "SPDXRef-DOCUMENT" or not isinstance(document.get("name"), str):
        raise FormatError("SPDX: it is no document (SPDXID or name)")
