"""Every mistake of a casstore.toml at once, where reading it stops at the first.

Goes on after broken grammar with the next table, and then leaves out what may only be missing because
of it. Leaves to others: what only other packages know, such as the settings of gates.

    reading = read_all(b"[stor]\\n", "casstore.toml")
    reading.mistakes[0].told          # casstore.toml:1: key 'stor': there is no such key, did you mean 'store'?
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from attest.core.values import dataclass
from attest.errors import CasstoreError
from attest.trust.requirements import REQUIREMENTS, check_known
from casstore.config import channels, model
from casstore.config.lines import line_of
from casstore.machine import toml_text
from casstore.machine.config_files import MAX_BYTES

Key = tuple[str | int, ...]
_MOST = 100
"""So many mistakes of one kind are looked for and told."""
_MOST_LINES = 40_000
"""Read again to find where what is broken begins."""
_HEADER = re.compile(r"\s*\[\[?\s*[A-Za-z0-9_.\"' +-]+\]\]?\s*(#.*)?")
_GRAMMAR = "texts stand in quotes, lists in [ ], tables in { } on one line; a key is written once"
_PLACE = re.compile(r"\s*\((?:at line (\d+), column (\d+)|at end of document)\)")


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One mistake: where, which key, what."""

    line: int
    path: str
    key: str
    message: str
    hint: str = ""

    @property
    def told(self) -> str:
        """As errors tell it: file, line, key, message."""
        key = f"key '{self.key}': " if self.key else ""
        return f"{self.path}:{self.line}: {key}{self.message}"

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"line": self.line, "key": self.key, "message": self.message, "hint": self.hint}


@dataclass(frozen=True, slots=True)
class Reading:
    """What could be read of a file, and its mistakes."""

    text: str
    path: str
    value: Mapping[str, Any]
    mistakes: tuple[Mistake, ...]
    broken: bool
    """Whether its grammar is broken somewhere, so that tables may be missing or not whole."""

    def mistake(self, key: Key, message: str, hint: str = "") -> Mistake:
        """A further mistake, at the line of its key."""
        return Mistake(line_of(self.text, key), self.path, ".".join(map(str, key)), message, hint)


def read_all(data: bytes, path: str) -> Reading:
    """What stands in a file and everything that is wrong with it; raises nothing."""
    if len(data) > MAX_BYTES:
        return Reading("", path, {}, (Mistake(1, path, "", f"larger than {MAX_BYTES} bytes"),), True)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        wrong = Mistake(line, path, "", f"not UTF-8 at byte {exc.start}", "save the file as UTF-8")
        return Reading("", path, {}, (wrong,), True)
    value, broken = _tables(text, path)
    reading = Reading(text, path, value, (), bool(broken))
    found = [*broken, *_schema(reading), *_policies(reading)]
    return Reading(text, path, value, tuple(sorted(found)), reading.broken)


def grammar(exc: ValueError, text: str, path: str) -> Mistake:
    """TOML's grammar is broken: the line goes in front, as in every other mistake."""
    return _grammar(exc, text.split("\n"), path)[0]


def _grammar(exc: ValueError, lines: list[str], path: str) -> tuple[Mistake, int]:
    """The mistake, and the line (from 0) where what is broken begins: a text or a list may be open since long."""
    message, place = str(exc), _PLACE.search(str(exc))
    begin = _begin(lines)
    told = int(place[1]) - 1 if place and place[1] else begin
    elsewhere = told != begin and (told >= len(lines) or _HEADER.fullmatch(lines[told]) is not None)
    line, column = (begin, "") if elsewhere or not (place and place[2]) else (told, f", column {place[2]}")
    return Mistake(line + 1, path, "", f"no valid TOML{column}: {_PLACE.sub('', message)}", _GRAMMAR), begin


def _begin(lines: list[str]) -> int:
    """The first line behind the longest beginning of the file that is right; of a long table, of its last lines."""
    headers = [0, *(number for number, line in enumerate(lines) if _HEADER.fullmatch(line)), len(lines)]
    at = bisect_left(headers, True, 1, len(headers) - 1, key=lambda end: not _right(lines[:end])) - 1
    inside = islice(range(headers[at + 1] - 1, headers[at], -1), max(1, _MOST_LINES // len(lines)))
    return next((end for end in inside if _right(lines[:end])), headers[at])


def _right(lines: list[str]) -> bool:
    try:
        toml_text.parse("\n".join(lines))
    except ValueError:
        return False
    return True


def _tables(text: str, path: str) -> tuple[dict[str, Any], list[Mistake]]:
    """The tables whose grammar is right, and the mistakes in the others: of a broken one the rest is left out."""
    lines, found = text.split("\n"), list[Mistake]()
    for _ in range(_MOST):
        try:
            return toml_text.parse("\n".join(lines)), found
        except ValueError as exc:
            wrong, begin = _grammar(exc, lines, path)
        found.append(wrong)
        end = next((at for at in range(begin + 1, len(lines)) if _HEADER.fullmatch(lines[at])), len(lines))
        lines = [*lines[:begin], *[""] * (end - begin), *lines[end:]]
    return {}, found


def _schema(reading: Reading) -> Iterator[Mistake]:
    value = {name: table for name, table in reading.value.items() if name != "channels"}
    for kind, key, message in islice(model.problems(value), _MOST):
        if not (reading.broken and kind == "missing"):
            yield reading.mistake(key, message)
    if not reading.broken:
        for key, message in islice(model.product_mistakes(value), _MOST):
            yield reading.mistake(key, message)


def _policies(reading: Reading) -> Iterator[Mistake]:
    """One mistake after the other: each is mended as well as can be, and the rest is judged again."""
    value = reading.value.get("channels")
    told: set[tuple[Key, str]] = set()
    for _ in range(_MOST):
        wrong = channels.first_problem(value, reading.value, reading.path)
        if wrong is None:
            return
        key, error = wrong
        missing = reading.broken and ("missing" in error.message or "no channel" in error.message)
        if (key, error.message) not in told and not missing:
            yield reading.mistake(key, error.message, error.hint)
        if (key, error.message) in told or not isinstance(value, Mapping) or len(key) < 2:
            return
        told.add((key, error.message))
        value = {**value, key[1]: _mended(value.get(key[1]), key)}
        if _is_name(error):
            value.pop(key[1])


def _is_name(error: CasstoreError) -> bool:
    return error.message.endswith("is no name of a channel")


def _mended(table: object, key: Key) -> dict[str, Any]:
    """A policy that has this mistake no longer, and no other because of that."""
    if not isinstance(table, Mapping) or len(key) < 3:
        return {"approvals": 0}
    rest = {name: item for name, item in table.items() if name != key[2]}
    if key[2] == "from":
        rest.pop("soak", None)
    if key[2] == "require":
        rest["require"] = _everything(table)
    return {"approvals": 0, **rest}


def _everything(table: Mapping[str, Any]) -> list[str]:
    """All that can be required, so that nothing else is wrong for want of it."""
    spoken = [name for key in ("max_age", "signers") if isinstance(table.get(key), Mapping) for name in table[key]]
    return [*REQUIREMENTS, *(name for name in spoken if name not in REQUIREMENTS and _known(name))]


def _known(name: str) -> bool:
    try:
        check_known(name, "require")
    except CasstoreError:
        return False
    return True
