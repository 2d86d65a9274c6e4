"""What a checkout has to write: folders, links, and files in the order in which they lie in the packs.

plan = make_plan(load_tree, locate, tree_digest)
plan.folders, plan.links, plan.jobs
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from attest.digests import Digest, to_raw
from casstore.catalog import Located
from casstore.errors import ObjectDamaged
from casstore.objects.pack_format import PIECE
from casstore.objects.pack_reader import run_of
from casstore.objects.tree import Tree, TreeEntry, check_link, show

JOB_FILES = 128
"""A job never has more files, so that work can be shared out."""


class Item(NamedTuple):
    """One file to write: from `inner` of the job's pieces on, `length` bytes with this raw digest."""

    path: bytes
    mode: int
    inner: int
    length: int
    raw: bytes


class Job(NamedTuple):
    """Files out of one piece, or one file out of several; `pieces` are rows of the pack's list."""

    pack: bytes
    pieces: bytes
    items: list[Item]


@dataclass(frozen=True, slots=True)
class Survey:
    """Everything to make, paths relative to the target; folders come before what is in them."""

    folders: list[bytes]
    links: list[tuple[bytes, bytes]]
    files: list[Item]
    bytes: int


def walk(load: Callable[[Digest], Tree], tree: Digest) -> Iterator[tuple[bytes, TreeEntry]]:
    """Every file, link and folder below a tree with its path, depth first, names sorted; folders first."""
    stack = [(b"", iter(load(tree)))]
    while stack:
        prefix, entries = stack[-1]
        for entry in entries:
            path = prefix + entry.name
            yield path, entry
            if entry.kind == "dir":
                stack.append((path + b"/", iter(load(entry.content))))
                break
        else:
            stack.pop()


def survey(load: Callable[[Digest], Tree], tree: Digest) -> Survey:
    """What a tree holds. Raises NoSuchObject, ObjectDamaged, UnsupportedInput for a link that may lead out."""
    folders: list[bytes] = []
    links: list[tuple[bytes, bytes]] = []
    files: list[Item] = []
    for path, entry in walk(load, tree):
        if entry.kind == "dir":
            folders.append(path)
        elif entry.kind == "link":
            check_link(path, entry.target)
            links.append((path, entry.target))
        else:
            files.append(Item(path, entry.mode, 0, entry.size, to_raw(entry.content)))
    return Survey(folders, links, files, sum(item.length for item in files))


def make_jobs(files: list[Item], locate: Callable[[list[bytes]], dict[bytes, Located]]) -> list[Job]:
    """The files in the order of the packs. Raises NoSuchObject; ObjectDamaged where tree and object disagree."""
    places = locate(sorted({item.raw for item in files}))
    return _jobs(files, places)


def _jobs(files: list[Item], places: dict[bytes, Located]) -> list[Job]:
    placed = sorted(((_place(item, places), item) for item in files), key=_order)
    jobs: list[Job] = []
    last: tuple[bytes, int] | None = None
    for located, item in placed:
        run = run_of(located.pieces, located.place)
        here = (located.pack, run.start)
        item = item._replace(inner=located.place.inner)
        if len(run) == 1 and here == last and len(jobs[-1].items) < JOB_FILES:
            jobs[-1].items.append(item)
            continue
        rows = located.pieces[run.start * PIECE.size : run.stop * PIECE.size]
        jobs.append(Job(located.pack, rows, [item]))
        last = here if len(run) == 1 else None
    return jobs


def _place(item: Item, places: dict[bytes, Located]) -> Located:
    located = places[item.raw]
    if located.place.length != item.length:
        raise ObjectDamaged(
            f"{show(item.path)}: the tree says {item.length} bytes, its object has {located.place.length}"
        )
    return located


def _order(pair: tuple[Located, Item]) -> tuple[bytes, int, int]:
    place = pair[0].place
    return pair[0].pack, place.piece, place.inner
