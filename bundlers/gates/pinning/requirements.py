"""pip's requirements files, by the grammar of its page: continued lines, comments, options in all their spellings.

Source: https://pip.pypa.io/en/stable/reference/requirements-file-format/
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

_CONTINUED = re.compile(r"\\\r?\n")
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_HASH = re.compile(r"sha(?:256:[0-9a-f]{64}|384:[0-9a-f]{96}|512:[0-9a-f]{128})")
_DIRECT = re.compile(r"#(?:[^#\s]*&)?sha256=[0-9a-f]{64}(?:&|$)")
_VCS = re.compile(r"(?:^|\s|@)(?:git|hg|bzr|svn)\+\S+?@([0-9a-f]{40})(?:#\S*)?$")
_LEADS = ("--requirement", "--constraint", "--editable")
_SHORT = {"-r": "--requirement", "-c": "--constraint", "-e": "--editable"}
_OPTIONS = (
    "--index-url", "--extra-index-url", "--no-index", "--find-links", "--no-binary", "--only-binary",
    "--prefer-binary", "--require-hashes", "--pre", "--trusted-host", "--use-feature", "--hash",
    "--config-settings", "--global-option",
)  # fmt: skip
_SHORT_OPTIONS = ("-i", "-f")


def requirements(text: str) -> Iterator[str]:
    """Each requirement has a strong `--hash`, a URL with one, or a full revision; no line leads elsewhere."""
    joined = _CONTINUED.sub(" ", text.removeprefix("\ufeff"))
    for line in (_COMMENT.sub("", line).strip() for line in joined.split("\n")):
        if line:
            yield from _line(line)


def _line(line: str) -> Iterator[str]:
    words = shlex.split(line.rstrip("\r"))
    if words[0].startswith("-"):
        yield from _option(words[0], line)
        return
    names = [word for word in words if not word.startswith("-")]
    hashes = _hashes(words)
    direct = " ".join(names).partition(";")[0].strip()
    if hashes and not all(_HASH.fullmatch(one) for one in hashes):
        yield f"{names[0][:80]} has no --hash that is strong (sha256, sha384, sha512)"
    elif not hashes and not _DIRECT.search(direct) and not _VCS.search(direct):
        yield f"{names[0][:80]} has no --hash"


def _hashes(words: list[str]) -> list[str]:
    found = []
    for number, word in enumerate(words):
        if word.startswith("--hash="):
            found.append(word[7:])
        elif word == "--hash":
            found.append(words[number + 1] if number + 1 < len(words) else "")
    return found


def _option(word: str, line: str) -> Iterator[str]:
    """pip takes any beginning of a long option that is the only one to begin so."""
    name = _SHORT.get(word[:2], "") if not word.startswith("--") else word.partition("=")[0]
    fits = [option for option in (*_LEADS, *_OPTIONS) if name and option.startswith(name)]
    if any(option in _LEADS for option in fits):
        yield f"{line[:80]!r} leads to another file or folder, which is not named by digest"
    elif not fits and word[:2] not in _SHORT_OPTIONS:
        yield f"{line[:80]!r} is no option that is known here"
