"""SHA256SUMS: what `sha256sum -c` reads (docs/formats/archives.md). LF, two spaces, sorted names."""

from __future__ import annotations

import re
from collections.abc import Mapping

from attest import digests
from attest.digests import Digest
from attest.errors import BadInput, FormatError

NAME = "SHA256SUMS"

_LINE = re.compile(r"([0-9a-f]{64})  ((?!/)[^\\\n\r]+)")


def to_bytes(files: Mapping[str, Digest]) -> bytes:
    """One line per file name. Raises BadInput for a name that would need escapes."""
    for name in files:
        if any(c in name for c in "\\\n\r") or name.startswith("/") or not name:
            raise BadInput(f"not a name for {NAME}: {name!r}")
    lines = [f"{digests.hex_of(files[name])}  {name}\n" for name in sorted(files, key=str.encode)]
    return "".join(lines).encode()


def parse(data: bytes) -> dict[str, Digest]:
    """Name -> digest. Raises FormatError for anything that `to_bytes` would not write."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise FormatError(f"{NAME}: not UTF-8 at byte {exc.start}") from exc
    found: dict[str, Digest] = {}
    for number, line in enumerate(text.removesuffix("\n").split("\n") if text else (), 1):
        match = _LINE.fullmatch(line)
        if match is None or match[2] in found:
            raise FormatError(f"{NAME}: line {number} is not '<64 hex digits>  <name>', or repeats a name")
        found[match[2]] = digests.from_hex(match[1])
    if to_bytes(found) != data:
        raise FormatError(f"{NAME}: not sorted, or not ended by a newline")
    return found
