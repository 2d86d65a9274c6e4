"""The one JSON writer and the one strict JSON reader for everything signed or sealed.

Writing is RFC 8785 (JCS). Reading takes UTF-8 only and refuses what two parsers could
understand differently: a byte order mark, duplicate keys, NaN and infinities, lone
surrogates, numbers beyond 2**53 - 1, nesting deeper than 64, input over a size limit or with
more values than memory is meant for.

    >>> dumps({"b": 1, "a": []})
    b'{"a":[],"b":1}'
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from attest.errors import FormatError

MAX_BYTES = 16 * 1024 * 1024
"""Where nobody gives another limit."""
MAX_DEPTH = 64
MAX_VALUES = 4_000_000
"""Where nobody gives another limit: about 400 MB, for `{},` is 3 bytes and takes 72."""
_MAX_INT = 2**53 - 1
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_QUOTED = re.compile(rb'"[^"]*+"')
_NO_MARKS = bytes(set(range(256)) - set(b'[]{}"\\'))
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)


def dumps(value: Any) -> bytes:
    """Canonical bytes of a JSON value. Raises FormatError for what RFC 8785 cannot hold."""
    import rfc8785

    try:
        if _is_plain(value):  # then Python's own writer gives the same bytes, ten times faster
            data = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
        else:
            _check_floats(value)
            data = rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError, TypeError, ValueError) as exc:
        raise FormatError(f"not canonical JSON: {exc}") from exc
    _check_depth(data.decode(), "canonical JSON")  # nothing is written that cannot be read back
    return data


def _is_plain(value: Any) -> bool:
    """Texts, small whole numbers, true, false, null; lists and objects with ASCII names: no rule of RFC 8785 bites."""
    todo = [value]
    while todo:
        item = todo.pop()
        kind = type(item)
        if kind is str:
            continue
        if kind is dict:
            if not (set(map(type, item)) <= {str} and "".join(item).isascii()):
                return False
            todo.extend(item.values())
        elif kind is list or kind is tuple:
            todo.extend(item)
        elif kind is int:
            if not -_MAX_INT <= item <= _MAX_INT:
                return False
        elif kind is not bool and item is not None:
            return False
    return True


def loads(data: bytes, *, what: str, max_bytes: int = MAX_BYTES, max_values: int = MAX_VALUES) -> Any:
    """The JSON value of bytes; `what` names them in errors. Raises FormatError."""
    if len(data) > max_bytes:
        raise FormatError(f"{what}: {len(data)} bytes, more than the limit of {max_bytes}")
    check_count(data, what, max_values)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise FormatError(f"{what}: not UTF-8 at byte {exc.start}") from exc
    if text.startswith("\ufeff"):
        raise FormatError(f"{what}: starts with a byte order mark")
    _check_depth(text, what)
    try:
        value = json.loads(
            text, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant, parse_int=_int, parse_float=_float
        )
    except (ValueError, RecursionError) as exc:
        raise FormatError(f"{what}: {exc}") from exc
    if _ESCAPED_SURROGATE.search(text):  # UTF-8 itself holds none
        _check_text(value, what)
    return value


def loads_object(data: bytes, *, what: str, max_bytes: int = MAX_BYTES, max_values: int = MAX_VALUES) -> dict[str, Any]:
    """As `loads`, and the value must be an object."""
    value = loads(data, what=what, max_bytes=max_bytes, max_values=max_values)
    if not isinstance(value, dict):
        raise FormatError(f"{what}: not a JSON object")
    return value


def loads_canonical(
    data: bytes, *, what: str, max_bytes: int = MAX_BYTES, max_values: int = MAX_VALUES
) -> dict[str, Any]:
    """As `loads_object`, and the bytes must be the value's RFC 8785 form (one valid encoding)."""
    value = loads_object(data, what=what, max_bytes=max_bytes, max_values=max_values)
    if dumps(value) != data:
        raise FormatError(f"{what}: not in canonical form (RFC 8785)")
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:80]!r} stands twice in one object")
    return value


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number")


def _int(text: str) -> int:
    if len(text) > 17 or abs(int(text)) > _MAX_INT:
        raise ValueError(f"the number {text[:20]} is beyond 2**53 - 1")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if abs(value) > _MAX_INT:
        raise ValueError(f"the number {text[:20]} is beyond 2**53 - 1")
    return value


def _check_floats(value: Any) -> None:
    """RFC 8785 writes 2.0**53 as an integer that no reader may take; the rest of the range goes with it."""
    if isinstance(value, float) and abs(value) > _MAX_INT:
        raise ValueError(f"the number {value} is beyond 2**53 - 1")
    if isinstance(value, dict):
        for item in value.values():
            _check_floats(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_floats(item)


def check_count(data: bytes, what: str, most: int = MAX_VALUES) -> None:
    """Raises FormatError for JSON of more values than that; none of MAX_BYTES is looked at, which is small enough."""
    if len(data) <= MAX_BYTES or _count(data) <= most:
        return
    count = _count_outside(data)
    if count > most:
        raise FormatError(f"{what}: {count} values, more than the limit of {most}")


def _count(data: bytes) -> int:
    return data.count(b",") + data.count(b"[") + data.count(b"{")


def _count_outside(data: bytes) -> int:
    """Of those, what is in no text."""
    plain = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    found, inside = 0, 0
    for start in range(0, len(plain), _LONG):
        parts = plain[start : start + _LONG].split(b'"')
        found += _count(b"".join(parts[inside::2]))
        inside = (inside + len(parts) - 1) % 2
    return found


def _check_depth(text: str, what: str) -> None:
    # Counting comes first: it is a hundred times faster than walking, and settles nearly all that is signed.
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    if len(text) > _LONG and _is_shallow(text.encode()):
        return
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(text):
        if token[0] in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise FormatError(f"{what}: nested deeper than {MAX_DEPTH}")
        elif token[0] in "]}":
            depth -= 1


_LONG = 65536


def _is_shallow(data: bytes) -> bool:
    """Whether it is nested less deep than the limit for certain: pairs are taken out, two levels at most at a time."""
    left = data.translate(None, _NO_MARKS)
    if b"\\" in left:
        return False
    left = _QUOTED.sub(b"", left.replace(b'""', b""))  # whether a bracket is in a string stays the same
    for _ in range(MAX_DEPTH // 2):
        left = left.replace(b"[]", b"").replace(b"{}", b"")
    return not left


def _check_text(value: Any, what: str) -> None:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as exc:
            raise FormatError(f"{what}: a lone surrogate in a string") from exc
    elif isinstance(value, list):
        for item in value:
            _check_text(item, what)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key, what)
            _check_text(item, what)
