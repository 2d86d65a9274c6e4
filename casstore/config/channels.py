"""`[channels.*]`: the proposed policies as people write them, to the form that owners sign.

Keys are written with `_`, times as TOML times, lengths of time as seconds or `"48h"`. What a policy
may say is judged by `attest.trust.policies`; here an error only gets its file, line and key.

    channels({"prod": {"approvals": 2, "soak": "48h"}}, text, "casstore.toml")["prod"].soak   # 172800
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import date, datetime, time
from difflib import get_close_matches
from typing import Any

from attest.core import shares, times
from attest.errors import CasstoreError, FormatError
from attest.trust.policies import KEYS, ChannelPolicy, parse_channels
from casstore.config import gates
from casstore.config.lines import line_of
from casstore.errors import ConfigError

_DURATION = re.compile(r"(\d{1,9})\s*(s|m|h|d|w)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SIGNED = {re.sub("[A-Z]", lambda upper: "_" + upper[0].lower(), key): key for key in KEYS}
"""The key in TOML -> the key in the signed policy."""

Key = tuple[str, ...]


def channels(value: Any, text: str, path: str, others: Mapping[str, Any]) -> dict[str, ChannelPolicy]:
    """The table of all channels to policies; none where there is none. Raises ConfigError.

    `others`: the other tables of the file, whose `gates`, `consumers` and `never` of products are signed with what
    asks for them.
    """
    if value is None or value == {}:
        return {}
    if wrong := first_problem(value, others, path):
        key, error = wrong
        where = f"{path}:{line_of(text, key)}: key '{'.'.join(key)}'"
        hint = error.hint or "casstore help policy: every key"
        raise ConfigError(f"{where}: {error.message}", hint=hint) from error
    return parse_channels(_signed_form(value, others, path))


def first_problem(value: Any, others: Mapping[str, Any], path: str) -> tuple[Key, CasstoreError] | None:
    """The key and the first thing that is wrong with the table of all channels."""
    if value is None or value == {}:
        return None
    try:
        parse_channels(_signed_form(value, others, path))
    except CasstoreError as exc:
        return _key_of(exc.message, value), exc
    return None


def _signed_form(value: Any, others: Mapping[str, Any], path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FormatError("it is not a table")
    found = {name: _policy(name, table) if isinstance(table, dict) else table for name, table in value.items()}
    tables, consumers = others.get("gates"), others.get("consumers")
    for table in found.values():
        if isinstance(table, dict) and "gates" not in _wrongly_typed(table):
            settings = gates.of_channel(
                table.get("require"),
                table.get("gates"),
                tables if isinstance(tables, dict) else {},
                root=os.path.dirname(os.path.abspath(path)),
                consumers=[_whole(one) for one in consumers or () if isinstance(one, dict)],
            )
            table |= {"gates": settings} if settings else {}
        if isinstance(table, dict):
            _take_never(table, others.get("products"))
    return found


def _take_never(table: dict[str, Any], products: object) -> None:
    """What products may never hold is signed where isolation is required, unless the channel says it itself."""
    require, own = table.get("require"), table.get("isolation", {})
    if not isinstance(require, list) or "isolation" not in require or not isinstance(own, dict) or "never" in own:
        return
    rows = products.items() if isinstance(products, dict) else ()
    rules = {name: found for name, row in rows if isinstance(row, dict) and (found := _ruled(row))}
    table |= {"isolation": {**own, "never": rules}} if rules else {}


def _ruled(product: Mapping[str, Any]) -> list[str]:
    """The rules of a product and of all its builds, which the isolation check knows by product."""
    builds = product.get("builds")
    tables = [product, *(builds.values() if isinstance(builds, dict) else ())]
    lists = [table.get("never") for table in tables if isinstance(table, dict)]
    return sorted({rule for rules in lists if isinstance(rules, list) for rule in rules if isinstance(rule, str)})


def _wrongly_typed(table: Mapping[str, Any]) -> set[str]:
    return {"gates"} if "gates" in table and not isinstance(table["gates"], dict) else set()


def _whole(consumer: Mapping[str, Any]) -> Mapping[str, Any]:
    """A consumer with what it leaves out, as the gate sees it."""
    return {"branch": "main", **consumer}


def _policy(channel: str, table: Mapping[str, Any]) -> dict[str, Any]:
    what = f"policy of {channel}"
    for key in table:
        if key not in _SIGNED:
            near = get_close_matches(key, _SIGNED, n=1)
            raise FormatError(f"{what}: there is no key {key!r}" + (f", did you mean {near[0]!r}?" if near else ""))
    found = {_SIGNED[key]: _times(item, f"{what}: {key}") for key, item in table.items()}
    if isinstance(rules := found.get("isolation"), dict):
        found["isolation"] = {_camel(key): item for key, item in rules.items()}
    if "soak" in found:
        found["soak"] = duration(found["soak"], f"{what}: soak")
    if isinstance(steps := found.get("steps"), list):
        found["steps"] = [_step(one, f"{what}: steps") for one in steps]
    if isinstance(ages := found.get("maxAge"), dict):
        found["maxAge"] = {name: duration(age, f"{what}: max_age of {name}") for name, age in ages.items()}
    return found


def _step(value: Any, what: str) -> Any:
    if not isinstance(value, dict):
        return value
    found = dict(value)
    if isinstance(share := found.get("share"), str):
        found["share"] = shares.percentage(share, what)
    if "soak" in found:
        found["soak"] = duration(found["soak"], what)
    return found


def _camel(key: str) -> str:
    return re.sub("_([a-z])", lambda low: low[1].upper(), key)


def _times(value: Any, what: str) -> Any:
    """TOML times anywhere in a value as text."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return times.format(value)
    if isinstance(value, date | time):
        raise FormatError(f"{what}: a time without time zone", hint="write 2026-12-20T00:00:00Z")
    if isinstance(value, list):
        return [_times(item, what) for item in value]
    if isinstance(value, dict):
        return {key: _times(item, what) for key, item in value.items()}
    return value


def duration(value: Any, what: str) -> Any:
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value)
    if match is None:
        raise FormatError(f"{what}: not a length of time: {value[:60]!r}", hint='write seconds, or "30m", "48h", "7d"')
    return int(match[1]) * _SECONDS[match[2]]


def _key_of(message: str, value: Any) -> Key:
    """The key that an error speaks of: the channel it names, and there a key or a value it names."""
    if not isinstance(value, dict):
        return ("channels",)
    named = [name for name in value if f"policy of {name}:" in message]
    if not named:
        named = [name for name in value if message.startswith(f"{name[:60]!r} is no name")]
        return ("channels", *named[:1])
    channel = max(named, key=len)
    table = value[channel]
    said = message.partition(f"policy of {channel}:")[2]
    keys = list(table) if isinstance(table, dict) else []
    named_in = (key for key in keys if key in said or _SIGNED.get(key, key) in said)
    for key in sorted(named_in, key=len, reverse=True):
        if re.search(rf"(?<![\w-])({re.escape(key)}|{re.escape(_SIGNED.get(key, key))})(?![\w-])", said):
            return ("channels", channel, key)
    quoted = set(re.findall(r"'([^']*)'", said))
    holds = (key for key in keys if isinstance(table[key], list) and quoted & {str(item) for item in table[key]})
    return ("channels", channel, *(key for key in [next(holds, "")] if key))
