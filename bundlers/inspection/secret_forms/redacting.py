"""A text without the secrets in it: the rule's name and the fingerprint stand where each was.

redacted("token ghp_... refused") == "token [github-token 3f2a6c0d9b1e4f75] refused"
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from attest.core.shown import without_logins
from bundlers.inspection.secret_forms.finding import matches


def redacted(text: str) -> str:
    """What is printed, signed or appended of what programs and people said."""
    raw = without_logins(text).encode("utf-8", "surrogatepass")
    out, last = [], 0
    for found in matches(raw):
        named = f"[{found.rule} {hashlib.sha256(found.value).hexdigest()[:16]}]"
        out += [raw[last : found.start], named.encode()]
        last = found.end
    return (
        b"".join([*out, raw[last:]]).decode("utf-8", "surrogatepass") if out else raw.decode("utf-8", "surrogatepass")
    )


def cleaned(value: Any) -> Any:
    """A JSON value likewise: each of its texts, and names, and what a name says of the text that it has."""
    told = json.dumps(value, ensure_ascii=False)
    return value if redacted(told) == told else _cleaned(value)


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {redacted(name): _named(name, one) for name, one in value.items()}
    return [_cleaned(one) for one in value] if isinstance(value, list | tuple) else value


def _named(name: str, value: Any) -> Any:
    """`password: ...` is told by its name."""
    if not isinstance(value, str):
        return _cleaned(value)
    head = f"{name}="
    both = redacted(head + value)
    return both.removeprefix(head) if both.startswith(head) else redacted(value)
