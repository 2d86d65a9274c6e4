"""A value as people are shown it: on one line, with nothing in it that steers, hides or turns.

Names, reasons, paths and messages come from others. What a terminal, a log or a page would act upon
(line ends, control characters, marks that turn the direction of writing or take no place) stands as an
escape, and bytes that are no UTF-8 as `\\xNN`; letters of all scripts stay as they are.

    shown("ok\\nerror: forged") == "ok\\\\nerror: forged"
"""

from __future__ import annotations

import re

_LOGIN = re.compile(r"(?<=/)[^/\s@'\":]{0,64}:[^/\s@'\"]{1,400}@")
HIDDEN = "***"


def shown(text: str) -> str:
    """The text with each character that is not printable (as `str.isprintable` knows it) escaped."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def without_logins(text: str) -> str:
    """The text without user and password in its URLs, whatever they are."""
    return _LOGIN.sub(f"{HIDDEN}@", text) if "@" in text else text


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a name, carried in a text (PEP 383)
        return f"\\x{code - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")
