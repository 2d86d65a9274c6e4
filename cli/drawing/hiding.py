"""Secrets are not told: what an error, a warning or a line of talk would show of a key, a token or a password.

Commands take care of what they name; this is the net below them. A text that may hold a secret is searched
by the rules of the gate `secrets`; logins in URLs go whatever they are.

    hidden("https://ci:pass@host/x: no such thing") == "https://***@host/x: no such thing"
"""

from __future__ import annotations

import re

from attest.core.shown import HIDDEN, without_logins

_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY.*", re.DOTALL)
_DOUBTFUL = re.compile(r"(?<![0-9A-Za-z+/_-])(?![0-9a-f]{32,}(?![0-9A-Za-z]))[A-Za-z0-9+/_.=-]{20,}")


def plain(text: str) -> str:
    """Without logins in URLs and keys: what costs nothing, for data."""
    text = without_logins(text)
    return _KEY.sub(f"{HIDDEN} (a private key)", text) if "-----BEGIN" in text else text


def hidden(text: str) -> str:
    """Without what nobody may read in a log, for talk."""
    text = plain(text)
    return _searched(text) if _DOUBTFUL.search(text) and _has_mark(text) else text


def _has_mark(text: str) -> bool:
    """Most long words are paths and digests, for which the rules need not be loaded."""
    return any(re.search(r"[a-z]", word) and re.search(r"[A-Z0-9]", word) for word in _DOUBTFUL.findall(text))


def _searched(text: str) -> str:
    try:
        from bundlers.inspection.secret_forms import redacted

        return redacted(text)
    except Exception:  # no memory, a broken library: an error must be told all the same, without its doubtful words
        return _DOUBTFUL.sub(HIDDEN, text)
