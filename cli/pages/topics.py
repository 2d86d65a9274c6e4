"""Which pages there are, and one page as text that stands without the repository.

topics()["policy"].title        # "Channel policy: version 1"
text_of("policy")               # its Markdown; a link to a page reads: text (casstore help TOPIC)
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from attest.core.values import dataclass
from attest.errors import BadInput

_HERE = os.path.dirname(os.path.abspath(__file__))
_KINDS = (
    ("guide", "guide"),
    ("evidence", "evidence"),
    ("", "reference"),
    ("formats", "format"),
    ("formats/predicates", "predicate"),
)
"""Folder of pages -> what its pages are, in the order of the list."""
_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")
_FENCE = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Topic:
    """One page."""

    name: str
    kind: str
    title: str
    page: str
    """Its path below the folder of pages."""

    def to_json(self) -> dict[str, str]:
        """For `--json`."""
        return {"topic": self.name, "kind": self.kind, "title": self.title}


def folder() -> str:
    """Where the pages lie: in the wheel below this room, in a checkout in `docs`."""
    shipped = os.path.join(_HERE, "docs")
    return shipped if os.path.isdir(shipped) else os.path.join(os.path.dirname(os.path.dirname(_HERE)), "docs")


def topics() -> dict[str, Topic]:
    """Every topic by its name: guides first, then tables, formats, predicates."""
    return {topic.name: topic for place, kind in _KINDS for topic in _topics(place, kind)}


def _topics(place: str, kind: str) -> Iterator[Topic]:
    top = os.path.join(folder(), place)
    for file in sorted(os.listdir(top)) if os.path.isdir(top) else ():
        page = posixpath.join(place, file)
        if name := _name(page):
            yield Topic(name, kind, _title(page), page)


def _name(page: str) -> str:
    """The topic that a page is: its own name, `predicates/NAME` for a predicate, `evidence/NAME` for a source."""
    place, _, file = page.rpartition("/")
    stem, suffix = os.path.splitext(file)
    if suffix != ".md" or page == "README.md":
        return ""
    if stem == "README":
        return place.rpartition("/")[2]
    own = next((part for part in ("predicates", "evidence") if place.endswith(part)), "")
    return f"{own}/{stem}" if own else stem


def _title(page: str) -> str:
    with open(os.path.join(folder(), page), encoding="utf-8") as file:
        return file.readline().lstrip("# ").strip()


def text_of(name: str) -> str:
    """The page of a topic. Raises BadInput for an unknown one."""
    known = topics()
    if name not in known:
        near = get_close_matches(name, known, n=3, cutoff=0.5)
        raise BadInput(
            f"there is no topic {name!r}" + (f", did you mean {' or '.join(near)}?" if near else ""),
            hint="casstore help: all topics",
        )
    page, pages = known[name].page, {topic.page: topic.name for topic in known.values()}
    with open(os.path.join(folder(), page), encoding="utf-8") as file:
        parts = _FENCE.split(file.read())
    return "".join(part if part.startswith("```") else _links_told(part, page, pages) for part in parts)


def _links_told(text: str, page: str, pages: Mapping[str, str]) -> str:
    def told(link: re.Match[str]) -> str:
        if "://" in link[2]:
            return link[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page), link[2].partition("#")[0]))
        return f"{link[1]} (`casstore help {pages[target]}`)" if target in pages else link[1]

    return _LINK.sub(told, text)
