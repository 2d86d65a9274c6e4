"""The text of a ProductManifest, written and read in a stream: `files` row by row, all else as one JSON document.

Promises: what is read is exactly what would be written (RFC 8785, one valid encoding), however it is cut into pieces,
and never more than the packed rows and a few MiB are held. Leaves to others: what the values must be.

    b"".join(written(value_without_files, rows)) == data
    value, rows = read(pieces)
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from attest import canonical
from attest.core import limits
from attest.core.fields import Fields
from attest.errors import FormatError
from bundlers.products.layouts import MODES
from bundlers.products.product_files import LINK, FileRows, Packing, ProductFile

_WHAT = "ProductManifest"
_OPENS = b',"files":['
_BATCH = 1000
_SAFE = re.compile(r'[^"\\\x00-\x1f]*')
_MODES = {name.encode(): mode for name, mode in MODES.items()}
_TEXT = rb'"((?:[^"\\\x00-\x1f]|\\(?:["\\bfnrt]|u00[01][0-9a-f]))*+)"'
_FILE = re.compile(
    rb'\{"component":%b,"digest":"sha256:([0-9a-f]{64})","mode":"(%b)","path":%b,"size":(0|[1-9][0-9]{0,15})\}([,\]])'
    % (_TEXT, b"|".join(_MODES), _TEXT)
)
_LINK = re.compile(rb'\{"component":%b,"link":%b,"path":%b\}([,\]])' % (_TEXT, _TEXT, _TEXT))
_NO_DIGEST = b"\0" * 32
_MAX_SIZE = 2**53 - 1


def written(value: dict[str, Any], files: Iterable[ProductFile]) -> Iterator[bytes]:
    """The canonical bytes, piece by piece. Raises FormatError for what JSON cannot hold, BadInput above a limit."""
    around = canonical.dumps({**value, "files": []})
    limits.check(around, limits.DOCUMENT, f"{_WHAT} of {value.get('product')}: all but its files")
    head, _, tail = around.partition(_OPENS)
    yield head + _OPENS
    batch: list[bytes] = []
    led = b""
    for file in files:
        row = _row(file)
        if len(row) > limits.MANIFEST_ROW:
            limits.check(row, limits.MANIFEST_ROW, f"{_WHAT} of {value.get('product')}: the row of {file.path[:80]}")
        batch.append(row)
        if len(batch) == _BATCH:
            yield led + b",".join(batch)
            led, batch = b",", []
    yield (led if batch else b"") + b",".join(batch) + tail


def read(pieces: Iterable[bytes]) -> tuple[dict[str, Any], FileRows]:
    """All but the files, as `canonical.loads_canonical` gives it, and the files. Raises FormatError."""
    source = _Source(pieces)
    head = source.until(_OPENS)
    if head is None:
        value = canonical.loads_canonical(bytes(source.rest(limits.DOCUMENT)), what=_WHAT)
        raise FormatError(f"{_WHAT}: {'files is no list' if 'files' in value else 'it has no files'}")
    packing = Packing()
    if source.starts(b"]"):
        source.skip(1)
    else:
        _take(source, packing)
    around = head + b"]" + bytes(source.rest(limits.DOCUMENT - len(head)))
    return canonical.loads_canonical(around, what=_WHAT), packing.done()


def _take(source: _Source, packing: Packing) -> None:
    """All rows, and the bracket behind the last one. Raises FormatError."""
    after = b","
    file, link = _FILE.match, _LINK.match
    while after == b",":
        if found := source.match(file):
            component, digest, mode, path, size, after = found.groups()
            length = int(size)
            if length > _MAX_SIZE:
                raise FormatError(f"{_WHAT}: the number {length} is beyond 2**53 - 1")
            packing.add_raw(_unescaped(path), bytes.fromhex(digest.decode()), length, _MODES[mode], _text(component))
        elif found := source.match(link):
            component, target, path, after = found.groups()
            said = b"%b\0%b" % (_unescaped(path), _unescaped(target))
            packing.add_raw(said, _NO_DIGEST, 0, LINK, _text(component))
        elif not source.more():
            _refuse(source.window)


class _Source:
    """The bytes that are not used yet: a window of them."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._held = b""
        self._at = 0
        self._count = 0

    @property
    def window(self) -> bytes:
        """What is held, at most so much as a row may have."""
        return self._held[self._at : self._at + limits.MANIFEST_ROW]

    def match(self, pattern: Callable[[bytes, int], re.Match[bytes] | None]) -> re.Match[bytes] | None:
        """What stands here, if it fits."""
        found = pattern(self._held, self._at)
        if found is None or found.end() - self._at > limits.MANIFEST_ROW + 1:
            return None
        self._at = found.end()
        return found

    def starts(self, mark: bytes) -> bool:
        """Whether this is next."""
        return self._held.startswith(mark, self._at) or (self.more() and self._held.startswith(mark, self._at))

    def skip(self, count: int) -> None:
        """Some bytes that are held."""
        self._at += count

    def more(self) -> bool:
        """Hold more than a row; False where that is so, or nothing is left. Raises FormatError above the limit."""
        parts, have = [self._held[self._at :]], len(self._held) - self._at
        if have >= limits.MANIFEST_ROW:
            return False
        before = have
        for piece in self._pieces:
            parts.append(piece)
            have += len(piece)
            self._count += len(piece)
            if self._count > limits.PRODUCT_MANIFEST:
                raise FormatError(f"{_WHAT}: more than the limit of {limits.PRODUCT_MANIFEST} bytes")
            if have >= 2 * limits.MANIFEST_ROW:
                break
        self._held, self._at = b"".join(parts), 0
        return have > before

    def until(self, mark: bytes) -> bytes | None:
        """What stands before a mark, which is skipped; None where it is not among the first bytes."""
        while (place := self._held.find(mark)) < 0:
            if len(self._held) > limits.DOCUMENT or not self._grow():
                return None
        self._at = place + len(mark)
        return self._held[: self._at]

    def rest(self, most: int) -> bytes:
        """All that is left. Raises FormatError where it is more than that."""
        left = self._held[self._at :]
        while len(left) <= most and (piece := next(self._pieces, None)) is not None:
            left += piece
        if len(left) > most:
            raise FormatError(f"{_WHAT}: more than {limits.DOCUMENT} bytes beside its files")
        self._held, self._at = b"", 0
        return left

    def _grow(self) -> bool:
        piece = next(self._pieces, None)
        self._held += piece or b""
        self._count += len(piece or b"")
        return piece is not None


def _refuse(window: bytes) -> None:
    """Why a row is none. Raises FormatError."""
    try:
        value, _ = json.JSONDecoder().raw_decode(window.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as exc:
        raise FormatError(
            f"{_WHAT}: a row of files cannot be read, or has more than {limits.MANIFEST_ROW} bytes"
        ) from exc
    _check(value)
    raise FormatError(f"{_WHAT}: not in canonical form (RFC 8785)")


def _check(value: object) -> None:
    """A row by its fields. Raises FormatError."""
    if isinstance(value, dict) and "link" in value:
        f = Fields(value, f"{_WHAT}: file", required=("path", "link", "component"))
        _ = f.text("path"), f.text("link"), f.text("component")
        return
    f = Fields(value, f"{_WHAT}: file", required=("path", "mode", "size", "digest", "component"))
    if f.text("mode") not in MODES:
        raise FormatError(f"{_WHAT}: {f.text('path')[:80]!r} has a mode that no product keeps")
    _ = f.text("path"), f.integer("size"), f.digest("digest"), f.text("component")


def _row(file: ProductFile) -> bytes:
    component, path = _quoted(file.component), _quoted(file.path)
    if file.digest is None:
        text = f'{{"component":{component},"link":{_quoted(file.link)},"path":{path}}}'
    elif file.size > _MAX_SIZE:
        raise FormatError(f"{_WHAT}: the number {file.size} is beyond 2**53 - 1")
    else:
        text = (
            f'{{"component":{component},"digest":"{file.digest}","mode":"{file.mode:04o}","path":{path}'
            f',"size":{file.size}}}'
        )
    try:
        return text.encode()
    except UnicodeEncodeError as exc:
        raise FormatError(f"{_WHAT}: a lone surrogate in a string") from exc


def _quoted(text: str) -> str:
    return f'"{text}"' if _SAFE.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _unescaped(raw: bytes) -> bytes:
    """The UTF-8 of a quoted text. Raises FormatError where it is none, or was quoted otherwise."""
    if b"\\" not in raw:
        if not raw.isascii():
            _text(raw)
        return raw
    try:
        text: str = json.loads(b'"%b"' % raw)
        found = text.encode()
    except ValueError as exc:
        raise FormatError(f"{_WHAT}: {exc}") from exc
    if _quoted(text).encode() != b'"%b"' % raw:
        raise FormatError(f"{_WHAT}: not in canonical form (RFC 8785)")
    return found


def _text(raw: bytes) -> str:
    if b"\\" in raw:
        raw = _unescaped(raw)
    try:
        return raw.decode()
    except UnicodeDecodeError as exc:
        raise FormatError(f"{_WHAT}: not UTF-8 at byte {exc.start} of a text") from exc
