"""JSON files of the project that gates read: SBOMs, scan reports, VEX documents."""

from __future__ import annotations

import os
from typing import Any

from attest import canonical
from attest.core import limits
from attest.errors import BadInput
from attest.statements.statements import STATEMENT_V01, STATEMENT_V1

_MAX = limits.ATTESTATION


def read(root: str, name: str) -> dict[str, Any]:
    """A JSON object below the project's folder; of an in-toto statement its predicate.

    Raises BadInput for a name that leaves the project or is not there, FormatError for what is no
    strict JSON.
    """
    top = os.path.realpath(root)
    path = os.path.realpath(os.path.join(top, name))
    if os.path.commonpath([top, path]) != top:
        raise BadInput(f"{name!r} leaves the project", hint="name a file below casstore.toml")
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX + 1)
    except OSError as exc:
        raise BadInput(f"{name}: cannot be read: {exc.strerror}", hint="make it before the release") from exc
    value = canonical.loads_object(data, what=name, max_bytes=_MAX)
    predicate = value.get("predicate")
    return predicate if value.get("_type") in (STATEMENT_V1, STATEMENT_V01) and isinstance(predicate, dict) else value
