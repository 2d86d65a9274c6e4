"""A text without the secrets in it: the rule's name and the fingerprint stand where each was.

redacted("token ghp_... refused") == "token [github-token 3f2a6c0d9b1e4f75] refused"
"""

from __future__ import annotations

import hashlib

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
