"""Dockerfiles: every image that is built from, copied from or mounted, and every download, by digest.

Source: https://docs.docker.com/reference/dockerfile/ (directives, continuation, heredocs, ARG before FROM).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bundlers.gates.pinning import forms

_DIRECTIVE = re.compile(r"#\s*(\w+)\s*=\s*(\S+)\s*$")
_HEREDOC = re.compile(r"<<-?\s*([\"']?)(\w+)\1")
_VARIABLE = re.compile(r"\$\{(\w+)(?::?([-+])([^{}]*))?\}|\$(\w+)")


def dockerfile(text: str) -> Iterator[str]:
    """An earlier stage and `scratch` need no digest."""
    syntax, steps = _parsed(text)
    if syntax and not forms.is_image(syntax):
        yield f"the syntax {syntax[:120]} is not named by digest"
    known = _Known()
    for word, rest in steps:
        yield from _step(word, rest, known)


@dataclass
class _Known:
    args: dict[str, str] = field(default_factory=dict)
    stages: set[str] = field(default_factory=set)
    count: int = 0

    def is_stage(self, name: str) -> bool:
        return name.lower() in self.stages or (name.isdecimal() and int(name) < self.count)


def _step(word: str, rest: str, known: _Known) -> Iterator[str]:
    if word == "ONBUILD":
        inner, _, rest = rest.partition(" ")
        yield from _step(inner.upper(), rest.strip(), known)
    elif word == "ARG" and not known.count:
        for name, _, value in (one.partition("=") for one in _words(rest)):
            known.args[name] = value
    elif word == "FROM":
        yield from _from(rest, known)
    elif word in ("COPY", "ADD", "RUN"):
        yield from _options(rest, known)
        if word == "ADD":
            yield from _add(rest)


def _from(rest: str, known: _Known) -> Iterator[str]:
    words = [word for word in _words(rest) if not word.startswith("--")]
    image = _filled(words[0], known.args) if words else ""
    if image.lower() != "scratch" and not known.is_stage(image):
        yield from _image(image, words[0] if words else "FROM")
    known.count += 1
    if len(words) >= 3 and words[1].upper() == "AS":
        known.stages.add(words[2].lower())


def _options(rest: str, known: _Known) -> Iterator[str]:
    """`--from=` of COPY, `from=` of a mount of RUN."""
    for option in _flags(rest):
        name, _, value = option.partition("=")
        fields = dict(part.partition("=")[::2] for part in value.split(",")) if name == "--mount" else {}
        image = value if name == "--from" else fields.get("from", "")
        if image and image.lower() != "scratch" and not known.is_stage(image):
            yield from _image(_filled(image, known.args), image)


def _add(rest: str) -> Iterator[str]:
    words = _words(rest)
    checked = any(word.startswith("--checksum=sha256:") for word in words)
    for source in [word for word in words if not word.startswith("--")][:-1]:
        remote = source.startswith(("http://", "https://", "git@", "git://", "ssh://"))
        if remote and not checked and not forms.is_revision(source.partition("#")[2].partition(":")[0]):
            yield f"ADD {source[:120]} has no --checksum"


def _image(image: str, written: str) -> Iterator[str]:
    if not forms.is_image(image):
        yield f"the image {written[:120]} is not named by digest"


def _flags(rest: str) -> list[str]:
    """The options before the first word that is none."""
    found = []
    for word in _words(rest):
        if not word.startswith("--"):
            break
        found.append(word)
    return found


def _words(rest: str) -> list[str]:
    try:
        return shlex.split(rest)
    except ValueError:  # a lone quote in a shell line of RUN
        return rest.split()


def _filled(text: str, args: Mapping[str, str]) -> str:
    """With the defaults of ARGs; as it is written where one has none."""

    def value(found: re.Match[str]) -> str:
        return args.get(found[1] or found[4], "") or (found[3] if found[2] == "-" else "") or found[0]

    return _VARIABLE.sub(value, text)


def _parsed(text: str) -> tuple[str, list[tuple[str, str]]]:
    """The image of `# syntax=`, and (INSTRUCTION, rest) of each step."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    escape, syntax, at = "\\", "", 0
    while at < len(lines) and (found := _DIRECTIVE.fullmatch(lines[at].strip())):
        escape = found[2] if found[1].lower() == "escape" else escape
        syntax = found[2] if found[1].lower() == "syntax" else syntax
        at += 1
    steps, rows = [], iter(lines[at:])
    for line in rows:
        step = _joined(line, rows, escape)
        word, _, rest = step.strip().partition(" ")
        if word:
            steps.append((word.upper(), rest.strip()))
        for _, end in _HEREDOC.findall(rest) if word.upper() in ("RUN", "COPY", "ADD") else ():
            if not any(inner.strip() == end for inner in rows):
                raise ValueError(f"the text up to {end[:40]!r} does not end")
    return syntax, steps


def _joined(line: str, rows: Iterator[str], escape: str) -> str:
    """A step with its continued lines; comments and empty lines among them count for nothing."""
    whole = ""
    while True:
        if not line.lstrip().startswith("#") and (line.strip() or not whole):
            tail = line.rstrip()
            if not tail.endswith(escape):
                return (whole + line).replace("\t", " ")
            whole += tail[: -len(escape)] + " "
        elif not whole:
            return ""
        following = next(rows, None)
        if following is None:
            return whole.replace("\t", " ")
        line = following
