"""The command lines of a page, as a person would type them.

for line in block_lines(page.read_text()): ...        # of its sh and console blocks, in order
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_BLOCK = re.compile(r"^```(sh|console)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"(?<!`)`(casstore(?: [^`]*)?)`(?!`)")


def block_lines(text: str) -> list[str]:
    """What stands in its blocks for a shell: whole lines of `sh`, what follows `$ ` of `console`."""
    return [line for block in _BLOCK.finditer(text) for line in _lines(*block.groups())]


def command_lines(text: str) -> list[tuple[str, bool]]:
    """Those, and the texts `casstore ...` inside sentences, in the order of the page; with whether it is in a block."""
    found = [(block.start(), line, True) for block in _BLOCK.finditer(text) for line in _lines(*block.groups())]
    prose = _BLOCK.sub(lambda block: " " * len(block[0]), text)
    found += [(span.start(), " ".join(span[1].split()), False) for span in _INLINE.finditer(prose)]
    return [(line, in_block) for _, line, in_block in sorted(found, key=lambda item: item[0])]


def _lines(kind: str, block: str) -> Iterator[str]:
    for line in block.replace("\\\n", " ").splitlines():
        typed = line.removeprefix("$ ") if kind == "sh" or line.startswith("$ ") else ""
        if typed.strip() and not typed.startswith("#"):
            yield " ".join(typed.split()) if kind == "console" else typed
