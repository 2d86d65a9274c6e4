"""How bytes differ from those that a ProductManifest lists, by undoing what editors and tools do.

Only the listed digest and size are known, not the listed bytes; so each change that tools make is
undone, and the digest says whether that was it. What nothing explains is a mismatch, of bytes or
of length.

    explain(data, digest, size)      # "line ends were changed to CRLF"
"""

from __future__ import annotations

import itertools
import json
import unicodedata
from collections.abc import Iterator

from attest import digests
from attest.digests import Digest

BOM = "a byte order mark (BOM) was added"
NO_BOM = "the byte order mark (BOM) was taken away"
CRLF = "line ends were changed to CRLF"
LF = "line ends were changed to LF"
JSON = "JSON was written anew (spacing, key order or escapes)"
UNICODE = "Unicode drift"

_BOM = b"\xef\xbb\xbf"
_UTF16 = ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_MAX_JSON = 1024 * 1024

_TYPOGRAPHIC = {
    "\u2010": "-",
    "\u2011": "-",
    "\u2012": "-",
    "\u2013": "-",
    "\u2014": "-",
    "\u2015": "-",
    "\u2212": "-",
    "\u2018": "'",
    "\u2019": "'",
    "\u201a": "'",
    "\u201c": '"',
    "\u201d": '"',
    "\u201e": '"',
    "\u2026": "...",
    "\u00a0": " ",
    "\u202f": " ",
}


def explain(data: bytes, digest: Digest, size: int) -> str:
    """One line: what was done to the bytes that were listed."""
    for told, undone in _undone(data):
        if undone != data and digests.sha256(undone) == digest:
            return told
    if len(data) != size:
        return f"sha256 mismatch, byte length {len(data)} instead of {size}"
    return f"sha256 mismatch, same byte length {size}"


def _undone(data: bytes) -> Iterator[tuple[str, bytes]]:
    plain = list(_bytewise(data))
    yield from plain
    for mark, codec in _UTF16:
        if data.startswith(mark):
            yield "it was rewritten in UTF-16", data[2:].decode(codec, "replace").encode("utf-8", "replace")
    try:
        text = data.removeprefix(_BOM).decode("utf-8")
    except UnicodeDecodeError:
        return
    yield from _latin(text)
    yield from _unicode(text)
    if len(data) <= _MAX_JSON:
        yield from _json(text)
    for told, undone in plain:  # two changes at once, as editors on Windows make them
        for also, twice in _bytewise(undone):
            yield f"{told}, and {also}", twice


def _bytewise(data: bytes) -> Iterator[tuple[str, bytes]]:
    yield (BOM, data[3:]) if data.startswith(_BOM) else (NO_BOM, _BOM + data)
    lines = data.replace(b"\r\n", b"\n")
    yield CRLF, lines
    yield LF, lines.replace(b"\n", b"\r\n")
    yield "a newline was added at the end", data.removesuffix(b"\n").removesuffix(b"\r")
    yield "the newline at the end was taken away", data + b"\n"
    yield "the newline at the end was taken away", data + b"\r\n"


def _latin(text: str) -> Iterator[tuple[str, bytes]]:
    for codec in ("latin-1", "cp1252"):
        try:
            yield f"it was rewritten from {codec} to UTF-8", text.encode(codec)
        except UnicodeEncodeError:
            continue


def _unicode(text: str) -> Iterator[tuple[str, bytes]]:
    for form in ("NFC", "NFD"):
        now = "NFD" if form == "NFC" else "NFC"
        yield f"{UNICODE}: it was normalised to {now}", _utf8(unicodedata.normalize(form, text))
    present = [char for char in _TYPOGRAPHIC if char in text][:6]
    for count in range(len(present), 0, -1):
        for chosen in itertools.combinations(present, count):
            undone = text
            for char in chosen:
                undone = undone.replace(char, _TYPOGRAPHIC[char])
            yield f"{UNICODE}: {_names(chosen)} instead of the plain form", _utf8(undone)
    for char, plain in _TYPOGRAPHIC.items():
        if plain in text:
            yield f"{UNICODE}: the plain form instead of {_names((char,))}", _utf8(text.replace(plain, char))


def _names(chars: tuple[str, ...]) -> str:
    return ", ".join(f"U+{ord(char):04X} {unicodedata.name(char)}" for char in chars)


def _json(text: str) -> Iterator[tuple[str, bytes]]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return
    shapes = itertools.product(
        (True, False), (None, 1, 2, 3, 4, "\t"), (False, True), ((",", ":"), (", ", ": "), (",", ": "))
    )
    for ascii_only, indent, sort, separators in shapes:
        told = json.dumps(value, ensure_ascii=ascii_only, indent=indent, sort_keys=sort, separators=separators)
        for end in ("", "\n", "\r\n"):
            yield JSON, _utf8(told + end)


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
