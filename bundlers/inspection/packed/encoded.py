"""Long runs of base64 or hex in a file: what they stand for is looked at like a member.

base64 of both alphabets, in lines, quotes and concatenated strings; hex as plain digits, in pairs, as `0x7f, 0x45` and
as `\\x7f\\x45`. A run counts from 512 decoded bytes on. Where one may be is seen on samples of every block, so that
texts and programs cost little; what is no such run stands for noise, which nothing else has.

    for offset, form, stream in runs(blob, covered): ...
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from itertools import chain, islice
from typing import IO, cast

import numpy as np

from bundlers.inspection.packed.carving import Covered
from bundlers.inspection.secret_forms import readings

LEAST = 512
"""Decoded bytes."""
_PIECE, _WINDOW = 1 << 20, 1 << 16
"""So much is searched, and decoded, at once."""
_BLOCK, _STEP = 128, 4
_ROW, _ENOUGH = 4, 116
"""Each so many-th byte is asked, and of those of so many blocks in a row so many must fit: texts have less."""
_EACH, _BETWEEN = 32, b"\xff\n"
_NEAR = 4096
"""A run may begin and end so far outside of the blocks that are full of it."""
_TEXT, _LISTED = 0, 8
"""Which byte of a sum counts them."""
_TABLE = np.zeros(256, np.uint16)
_TABLE[list(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_\"'\\\r\n,")] |= 1 << _TEXT
_TABLE[list(b'0123456789abcdefABCDEFxX\\,:" \t\r\n')] |= 1 << _LISTED
_BYTE = rb"(?:(?:0[xX]|\\x)[0-9a-fA-F]{1,2}[uU]?[\s,\"']{0,40}|[0-9a-fA-F]{2}[\s:,]{1,4})"
_AHEAD = rb"(?<![A-Za-z0-9+/_-])(?=[A-Za-z0-9+/_-]{16})(?=[A-Za-z0-9+/_\-\s\"',\\%%&#;]{%d})" % (LEAST * 4 // 3 - 2)
_SEARCHED = {_TEXT: re.compile(_AHEAD + readings.LINES.pattern), _LISTED: re.compile(_BYTE + rb"{64,}")}
"""Where a run may begin: nothing else than what runs are made of follows for so long."""
_MADE_OF = {
    _TEXT: (
        LEAST * 4 // 3 - 2,
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_- \t\n\r\f\v\"',\\%&#;",
    ),
    _LISTED: (64 * 3, b"0123456789abcdefABCDEFxXuU \t\n\r\f\v\"',\\:"),
}
"""A run is at least so many of these in a row: looked for first, a pattern takes thirty times as long."""
_MARKED = {kind: bytes(sign in signs for sign in range(256)) for kind, (_, signs) in _MADE_OF.items()}
_PATTERNS = {_TEXT: readings.LINES, _LISTED: re.compile(_BYTE + rb"{64,}(?:[0-9a-fA-F]{2}(?![0-9a-zA-Z]))?")}
_ONE = re.compile(rb"(?:0[xX]|\\x)?([0-9a-fA-F]{1,2})[uU]?[\s,:\"']{0,40}")
_LAST = 640
_WORD = re.compile(rb"(?:" + readings.GAP + rb"){1,40}([A-Za-z0-9+/_-]{1,15})\Z")
_SHORT = re.compile(rb"[A-Za-z0-9+/_-]{1,15}")
_HEX = re.compile(rb"[0-9a-fA-F]+")
_LEADS = {_TEXT: re.compile(rb"(?:" + readings.GAP + rb"){0,40}"), _LISTED: re.compile(rb"[\s,:\"']{0,40}")}
_GAPS = {_TEXT: re.compile(readings.GAP), _LISTED: re.compile(rb"[\s,:]|\\(?=x)")}
_LINE = re.compile(rb"([A-Za-z0-9+/_-]{16,})(?:" + readings.GAP + rb"){1,40}([A-Za-z0-9+/_-]{16,})")


def runs(blob: IO[bytes], covered: Covered) -> Iterator[tuple[int, str, IO[bytes]]]:
    """(offset, `base64` or `hex`, its content) of each run, from front to back; a content is good until the next."""
    done = seen = 0
    for low, high, kind in _suspects(blob):
        done = max(done, low - _NEAR)
        while (at := _begin(blob, done, high, kind)) is not None:
            run = _Run(blob, at, kind)
            if run.fill() and not covered.holds(at):
                yield at, run.form, cast("IO[bytes]", run)
            second = _second_line(blob, at) if kind == _TEXT and at >= seen else 0
            seen = max(seen, run.end)
            done = at + second if second else max(run.end, at + 1)


def members(blob: IO[bytes], covered: Covered) -> Iterator[tuple[int, str, IO[bytes]]]:
    """The same, but many of them are one: the first ones each, then all others together."""
    found = runs(blob, covered)
    yield from islice(found, _EACH)
    if (one := next(found, None)) is not None:
        yield one[0], one[1], cast("IO[bytes]", _Joined(chain([one], found)))


class _Joined(io.RawIOBase):
    """Contents after each other."""

    def __init__(self, found: Iterator[tuple[int, str, IO[bytes]]]) -> None:
        self._found = found
        self._open: IO[bytes] | None = None

    def read(self, size: int = -1) -> bytes:
        """Some bytes; none at the end of the last one."""
        while True:
            if self._open is None:
                row = next(self._found, None)
                if row is None:
                    return b""
                self._open = row[2]
            if data := self._open.read(size):
                return data
            self._open = None
            return _BETWEEN


def _second_line(blob: IO[bytes], at: int) -> int:
    """How far it is to the next line where the first is of no length that base64 has: a word that stands before it."""
    blob.seek(at)
    found = _LINE.match(window := blob.read(_NEAR))
    if found is None or not len(found[1]) % 4 or (len(found[2]) % 4 and found.end() < len(window)):
        return 0
    return found.start(2)


def _suspects(blob: IO[bytes]) -> Iterator[tuple[int, int, int]]:
    """(from, to, which) of parts that are nearly nothing else."""
    at = 0
    while True:
        blob.seek(at)
        piece = blob.read(_PIECE + _ROW * _BLOCK)
        count = len(piece) // _BLOCK
        if count < _ROW:
            return
        asked = _TABLE[np.frombuffer(piece, np.uint8, count * _BLOCK)[::_STEP]]
        each = asked.reshape(count, _BLOCK // _STEP).sum(axis=1, dtype=np.uint16)
        total = each[: count - _ROW + 1].copy()
        for further in range(1, _ROW):
            total += each[further : count - _ROW + 1 + further]
        for kind in (_LISTED, _TEXT):
            dense = (total >> kind & 0xFF) >= _ENOUGH
            if dense.any():
                edges = np.flatnonzero(np.diff(np.concatenate(([False], dense, [False])).astype(np.int8))) * _BLOCK + at
                yield from ((first, last + _ROW * _BLOCK, kind) for first, last in edges.reshape(-1, 2).tolist())
        if len(piece) <= _PIECE:
            return
        at += _PIECE


def _begin(blob: IO[bytes], at: int, high: int, kind: int) -> int | None:
    """Where the next run begins that is long enough, or goes on beyond what is held at once."""
    pattern = _SEARCHED[kind]
    while at < high:
        blob.seek(at)
        window = blob.read(min(high - at + _NEAR, _WINDOW))
        place = window.translate(_MARKED[kind]).find(b"\1" * _MADE_OF[kind][0])
        while found := pattern.search(window, place) if place >= 0 else None:
            if found.end() > len(window) - _NEAR and found.start() and len(window) == _WINDOW:
                break
            _, data, left = _decoded(found[0], kind)
            if len(data) + len(left) * 3 // 4 >= LEAST:
                return at + found.start()
            place = found.end()
        at += found.start() if found else max(len(window), 1)
    return None


def _decoded(text: bytes, kind: int) -> tuple[str, bytes, bytes]:
    """(form, what it stands for, what is left for the next part)."""
    if kind == _LISTED:
        return "hex", bytes(int(digits, 16) for digits in _ONE.findall(text)), b""
    plain = readings.unbroken(text)
    digits = _HEX.match(plain)
    if digits and digits.end() * 20 >= len(plain) * 19:  # letters may stand right behind it
        whole = digits.end() & ~1
        return "hex", bytes.fromhex(plain[:whole].decode()), plain[whole:] if digits.end() == len(plain) else b""
    whole = len(plain) & ~3
    return "base64", readings.decoded(plain[:whole]), plain[whole:]


def _belongs(lines: bytes, word: bytes, behind: bytes) -> bool:
    """Whether a short word behind the lines is their last one."""
    plain = readings.unbroken(lines)
    if plain and _HEX.fullmatch(plain):
        return _HEX.fullmatch(word) is not None
    return bool(len(plain) % 4) or behind == b"=" or not len(word) % 4


class _Run(io.RawIOBase):
    """What a run stands for, decoded as it is read."""

    def __init__(self, blob: IO[bytes], start: int, kind: int) -> None:
        self._blob, self.end, self._kind = blob, start, kind
        self.form = ""
        self._left, self._held, self._over = b"", b"", False

    def fill(self) -> bool:
        """Decode the first part; whether it is long enough."""
        self._held = self._more()
        return len(self._held) >= LEAST

    def read(self, size: int = -1) -> bytes:
        """Some decoded bytes; none at its end."""
        while not self._held and not self._over:
            self._held = self._more()
        count = len(self._held) if size < 0 else size
        data, self._held = self._held[:count], self._held[count:]
        return data

    def _more(self) -> bytes:
        """The next part, from where the last one ended; it ends where a line does, or with the run."""
        self._blob.seek(self.end)
        window = self._blob.read(_WINDOW)
        lead = _LEADS[self._kind].match(window) if self.form else None
        start = lead.end() if lead else 0
        found = _PATTERNS[self._kind].match(window, start)
        if found is None:
            self._over = True
            short = _SHORT.match(window, start) if self._kind == _TEXT else None
            if short is None or not _belongs(self._left, short[0], window[short.end() : short.end() + 1]):
                return readings.decoded(self._left)
            self.end += short.end()
            form, data, left = _decoded(self._left + short[0], self._kind)
            return data + (readings.decoded(left) if form == "base64" else b"")
        last = found.end()
        self._over = last <= len(window) - _NEAR or len(window) < _WINDOW
        if not self._over:
            gaps = [gap.start() for gap in _GAPS[self._kind].finditer(window, max(start + 1, last - _NEAR), last)]
            last = gaps[-1] if gaps else last
        elif self._kind == _TEXT and (word := _WORD.search(window, max(start, last - _LAST), last)):
            belongs = _belongs(self._left + window[start : word.start()], word[1], window[last : last + 1])
            last = last if belongs else word.start()
        self.end += last
        form, data, self._left = _decoded(self._left + window[start:last], self._kind)
        self.form = self.form or form
        return data + readings.decoded(self._left) if self._over and form == "base64" else data
