"""Which folders hold what a build made, so that a first casstore.toml can name them.

By the folder's name (`build`, `dist`, ...) or by what lies in it: programs, libraries, packages. It
looks at so many files and no more, follows no link, and opens files for their first bytes only.

    look("/home/me/app").outputs      # (Output("core", "build/core"), Output("agent", "build/agent"))
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator

from attest.core.values import dataclass

_NAMES = frozenset(("build", "dist", "out", "output", "bin", "target", "artifacts", "publish", "_build", "release"))
"""What build tools call the folder that they write to."""
_NEVER = frozenset(
    (
        *("src", "source", "test", "tests", "doc", "docs", "node_modules", "vendor", "third_party", "venv", "env"),
        *("__pycache__", "licenses", "licences", "store", "public", "installed"),
    )
)
_PREFIX = frozenset(("bin", "sbin", "lib", "lib64", "libexec", "include", "share", "etc", "man", "doc", "var", "opt"))
"""Folders that are the inside of one product and not products side by side."""
_PAPERS = re.compile(r"(?i)(licen[cs]es?|copying|notice)([-._].*)?")
_BUILT = (b"\x7fELF", b"MZ", b"!<arch>", b"\0asm", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
_PACKED = (".whl", ".jar", ".war", ".deb", ".rpm", ".apk", ".nupkg", ".msi", ".dll", ".exe", ".so", ".dylib")
_MAX_FILES = 500
"""So many files of a folder are looked at."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")


@dataclass(frozen=True, slots=True)
class Output:
    """A folder with built files, and the name for its component and product."""

    name: str
    root: str
    """Relative, with `/`."""


@dataclass(frozen=True, slots=True)
class Found:
    """What lies in a folder."""

    outputs: tuple[Output, ...]
    papers: tuple[str, ...]
    """Licence texts beside them: files, or folders with a `/` at the end."""


def look(folder: str) -> Found:
    """Outputs and licence texts directly below a folder; nothing where it cannot be read."""
    roots = [root for name in _folders(folder) if _holds_outputs(folder, name) for root in _apart(folder, name)]
    alone = len(roots) == 1
    names: set[str] = set()
    outputs = tuple(Output(_free(_name_of(root, folder, alone), names), root) for root in roots)
    taken = {name for root in roots for name in _entries(os.path.join(folder, root))}
    return Found(outputs, tuple(paper for paper in _papers(folder) if paper.rstrip("/") not in taken))


def _entries(folder: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if _tellable(name))
    except OSError:
        return []


def _tellable(name: str) -> bool:
    """Names that a text in UTF-8 and a pattern can hold as they are."""
    return name.isprintable() and not re.search(r"[\\*?\[\]\"]|[\ud800-\udfff]", name)


def _folders(folder: str) -> Iterator[str]:
    for name in _entries(folder):
        if not name.startswith(".") and name.lower() not in _NEVER and _is_folder(os.path.join(folder, name)):
            yield name


def _is_folder(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path) and not os.path.exists(os.path.join(path, "casstore.json"))


def _holds_outputs(folder: str, name: str) -> bool:
    files = _files(os.path.join(folder, name))
    return next(files, None) is not None if name.lower() in _NAMES else any(map(_built, files))


def _files(top: str) -> Iterator[str]:
    """The first plain files below a folder."""
    left = _MAX_FILES
    for place, folders, names in os.walk(top):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for name in sorted(names):
            if left <= 0:
                return
            left -= 1
            yield os.path.join(place, name)


def _built(path: str) -> bool:
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return False
        if path.endswith(_PACKED):
            return True
        with open(path, "rb") as file:
            return file.read(8).startswith(_BUILT)
    except OSError:
        return False


def _apart(folder: str, name: str) -> list[str]:
    """An output folder, or each folder in it where it holds several and nothing else: products side by side."""
    top = os.path.join(folder, name)
    inside = [one for one in _entries(top) if not one.startswith(".")]
    apart = len(inside) > 1 and all(_is_folder(os.path.join(top, one)) for one in inside)
    if name.lower() not in _NAMES or not apart or _PREFIX & {one.lower() for one in inside}:
        return [name]
    return [f"{name}/{one}" for one in inside if next(_files(os.path.join(top, one)), None) is not None] or [name]


def _name_of(root: str, folder: str, alone: bool) -> str:
    """The folder's own name; the project's where the folder is just called `build`."""
    last = root.rpartition("/")[2]
    generic = last.lower() in _NAMES and alone
    return _as_name(os.path.basename(os.path.abspath(folder)) if generic else last) or _as_name(last) or "app"


def _as_name(text: str) -> str:
    name = re.sub(r"[^A-Za-z0-9._+-]+", "-", text).strip("-._+")[:64]
    return name if _NAME.fullmatch(name) else ""


def _free(name: str, names: set[str]) -> str:
    found, number = name, 2
    while found in names:
        found, number = f"{name[:60]}-{number}", number + 1
    names.add(found)
    return found


def _papers(folder: str) -> Iterator[str]:
    for name in _entries(folder):
        path = os.path.join(folder, name)
        if _PAPERS.fullmatch(name) and not os.path.islink(path):
            if os.path.isfile(path):
                yield name
            elif _is_folder(path):
                yield f"{name}/"
