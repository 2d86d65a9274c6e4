"""Trees of files that are known by path, folder after folder: what is held are the folders that are not ended yet.

root, objects = built(sorted(files.items()))       # the tree's digest, and the bytes of all folders
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from itertools import islice, takewhile

from attest.digests import Digest, from_raw
from casstore.errors import Conflict, UnsupportedInput
from casstore.objects import tree as trees
from casstore.objects.tree import TreeEntry, show


def built(files: Iterable[tuple[bytes, TreeEntry]]) -> tuple[Digest, dict[bytes, bytes]]:
    """Files, links and empty folders by path, sorted by its bytes; an entry's name is the path's last part.

    Returns the digest of the whole, and raw digest -> bytes of every folder. Raises Conflict for a path that stands
    twice, or is a file and a folder, UnsupportedInput for a link that leads out.
    """
    objects: dict[bytes, bytes] = {}
    open_folders: list[tuple[bytes, list[TreeEntry]]] = [(b"", [])]
    for path, entry in files:
        *folders, name = path.split(b"/")
        if entry.kind == "link":
            trees.check_link(path, entry.target)
        if entry.is_empty_folder:
            _keep(objects, trees.encode(()))
        for _ in range(len(open_folders) - 1 - _shared(open_folders, folders)):
            _end(open_folders, objects)
        open_folders += ((part, []) for part in folders[len(open_folders) - 1 :])
        open_folders[-1][1].append(entry._replace(name=name))
    while len(open_folders) > 1:
        _end(open_folders, objects)
    return from_raw(_folder(open_folders[0], objects)), objects


def _shared(open_folders: list[tuple[bytes, list[TreeEntry]]], folders: list[bytes]) -> int:
    """How many folders of a path are open already."""
    pairs = zip(islice(open_folders, 1, None), folders, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0][0] == pair[1], pairs))


def _end(open_folders: list[tuple[bytes, list[TreeEntry]]], objects: dict[bytes, bytes]) -> None:
    """The innermost folder has all its entries."""
    ended = open_folders.pop()
    digest = from_raw(_folder(ended, objects))
    open_folders[-1][1].append(TreeEntry(ended[0], "dir", 0o755, 0, digest))


def _folder(folder: tuple[bytes, list[TreeEntry]], objects: dict[bytes, bytes]) -> bytes:
    try:
        return _keep(objects, trees.encode(folder[1]))
    except UnsupportedInput as exc:
        count = Counter(entry.name for entry in folder[1])
        twice, times = count.most_common(1)[0]
        if times == 1:
            raise
        raise Conflict(f"{show(twice)}: stands twice, or is a file and a folder") from exc


def _keep(objects: dict[bytes, bytes], data: bytes) -> bytes:
    raw = hashlib.sha256(data).digest()
    objects[raw] = data
    return raw
