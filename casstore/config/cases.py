"""Tables of policy cases as TOML or JSON bytes, for `attest.ceremony.policy_cases`.

read_table(data, "policy-cases.toml")      # times as text, as in JSON
"""

from __future__ import annotations

import codecs
from datetime import date, datetime, time
from typing import Any

from attest import canonical
from attest.core import times
from casstore.errors import ConfigError
from casstore.machine import toml_text


def read_table(data: bytes, path: str) -> dict[str, Any]:
    """The table; a file that begins with `{` is JSON. Raises ConfigError, FormatError."""
    if data.removeprefix(codecs.BOM_UTF8).lstrip()[:1] == b"{":
        return canonical.loads_object(data.removeprefix(codecs.BOM_UTF8), what=path)
    try:
        found = toml_text.read(data)
    except ValueError as exc:
        raise ConfigError(f"{path}: {exc}", hint="casstore help policy-cases shows a table") from exc
    table: dict[str, Any] = _plain(found, path)
    return table


def _plain(value: Any, path: str) -> Any:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return times.format(value)
    if isinstance(value, date | time):
        raise ConfigError(f"{path}: a time without time zone", hint="write 2026-12-20T00:00:00Z")
    if isinstance(value, dict):
        return {key: _plain(item, path) for key, item in value.items()}
    return [_plain(item, path) for item in value] if isinstance(value, list) else value
