"""Globs over relative paths in bytes: which files a tree takes.

`*` and `?` stay inside one name, `[abc]` is a set, `**` as a whole name stands for any
number of folders (none too), and at the end for everything below. An exclude that matches
a folder drops everything in it. A pattern that is a plain folder name means that folder.

    Selection(("build/**",), ("**/*.pyc",)).takes(b"build/a/b.so")
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from attest.errors import BadInput

_EVERYTHING = ("**", "**/*")


class Selection:
    """Includes and excludes, compiled once."""

    def __init__(self, include: Sequence[str] = ("**",), exclude: Sequence[str] = (), key: bytes = b"") -> None:
        if not include:
            raise BadInput("an empty include list takes nothing", hint='write include = ["**"] for everything')
        self.everything = any(pattern in _EVERYTHING for pattern in include)
        self._include = [_compile(pattern) for pattern in include]
        self._exclude = [_compile(pattern) for pattern in exclude]
        self._idle = dict(zip(exclude, self._exclude, strict=True))
        self._unmatched = {} if self.everything else dict(zip(include, self._include, strict=True))
        self.key = key or "\0".join([*include, "\0", *exclude]).encode("utf-8", "surrogateescape")
        """What selects the same has the same key."""
        self._roots = [_fixed_part(pattern) for pattern in include]
        self._named = {root: _next_names(include, root) for root in _above(self._roots)} if not exclude else {}

    @property
    def is_all(self) -> bool:
        """Whether nothing is left out."""
        return self.everything and not self._exclude

    def takes(self, path: bytes) -> bool:
        """Whether the file, link or (when empty) folder at this relative path is taken."""
        if not self.everything and not any(pattern.fullmatch(path) for pattern in self._include):
            return False
        for text in [text for text, pattern in self._unmatched.items() if pattern.fullmatch(path)]:
            self._unmatched.pop(text, None)  # a second thread counts beside the put
        return not self.drops(path)

    def check_matched(self) -> None:
        """After a walk: every include took part. Raises BadInput naming those that matched nothing."""
        if self._unmatched:
            raise BadInput(
                f"nothing matches {', '.join(map(repr, sorted(self._unmatched)))}; nothing was stored",
                hint="mend or remove the pattern; a linked folder is not entered, names are compared byte by byte",
            )

    def drops(self, path: bytes) -> bool:
        """Whether an exclude matches this very path."""
        for text in [text for text, pattern in list(self._idle.items()) if pattern.fullmatch(path)]:
            self._idle.pop(text, None)
        return any(pattern.fullmatch(path) for pattern in self._exclude)

    @property
    def idle_excludes(self) -> tuple[str, ...]:
        """After a walk: the excludes that hit nothing."""
        return tuple(self._idle)

    def only(self, folder: bytes) -> frozenset[bytes] | None:
        """The names in this folder that alone can matter; None: any. So nobody looks at all others beside them."""
        return self._named.get(folder)

    def enters(self, folder: bytes) -> bool:
        """Whether anything below this folder may be taken."""
        if self.drops(folder):
            return False
        below = folder + b"/"
        return self.everything or any(root.startswith(below) or below.startswith(root) for root in self._roots)


def _compile(pattern: str) -> re.Pattern[bytes]:
    if pattern.startswith("!"):
        raise BadInput(f"a glob cannot begin with '!': {pattern!r}", hint="leave files out by: exclude = [...]")
    names = _names(pattern)
    text = ""
    for number, name in enumerate(names):
        last = number == len(names) - 1
        if name == "**":
            text += "(?s:.+)" if last else "(?s:[^/]+/)*"
        else:
            text += _one_name(name) + ("(?s:/.*)?" if last else "/")
    try:
        return re.compile(text.encode("utf-8", "surrogateescape"), re.DOTALL)
    except re.error as exc:
        raise BadInput(f"not a glob: {pattern!r}: {exc}", hint="mend the set in [...]") from exc


def _names(pattern: str) -> list[str]:
    names = [name for name in pattern.split("/") if name not in ("", ".")]
    if not names or pattern.startswith("/") or ".." in names or "\0" in pattern:
        raise BadInput(f"not a glob for paths inside the folder: {pattern!r}", hint="write a relative path, without ..")
    return names


def _one_name(name: str) -> str:
    text, at = "", 0
    while at < len(name):
        char = name[at]
        end = name.find("]", at + 2) if char == "[" else -1
        if char == "*":
            text += "[^/]*"
        elif char == "?":
            text += "(?:[^/\\x80-\\xff]|[\\xc0-\\xff][\\x80-\\xbf]*|[\\x80-\\xbf])"
        elif end > 0:
            inner = name[at + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            text += f"(?!/)[{'^' + inner[1:] if inner[0] in '!^' else inner}]"
            at = end
        else:
            text += re.escape(char)
        at += 1
    return text


def _fixed_part(pattern: str) -> bytes:
    """The folders that every match lies in, with a slash at the end."""
    fixed: list[str] = []
    for name in _names(pattern):
        if any(char in name for char in "*?["):
            break
        fixed.append(name)
    return "".join(name + "/" for name in fixed).encode("utf-8", "surrogateescape")


def _above(roots: Sequence[bytes]) -> set[bytes]:
    """The folders on the way to what is fixed."""
    found = {b""}
    for root in roots:
        parts = root.split(b"/")
        found |= {b"/".join(parts[:depth]) for depth in range(1, len(parts) - 1)}
    return found


def _next_names(include: Sequence[str], folder: bytes) -> frozenset[bytes] | None:
    """What may follow on a folder, when every pattern says it; None when one does not."""
    here = folder.split(b"/") if folder else []
    names = set()
    for pattern in include:
        fixed = _fixed_part(pattern).split(b"/")[:-1]
        if fixed[: len(here)] == here and len(fixed) > len(here):
            names.add(fixed[len(here)])
        elif here[: len(fixed)] == fixed:
            return None
    return frozenset(names)
