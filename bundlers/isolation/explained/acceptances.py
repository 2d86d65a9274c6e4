"""What two products may both carry since somebody looked at it once: an acceptance, as a tree in the store.

docs/formats/isolation-acceptance.md. The tree has `accept.json`, which lists whole contents, marks of
programs and the stretches of copies by digest, and `stretches`, their bytes one after the other. It
explains these bytes between the two products, at any path, and nothing else.

    made = Acceptance(("core", "agent"), stretches=((570, digest),))
    tree = write(store, made, data)
    accepted, blob = read(store, tree)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Protocol

from attest import canonical, digests
from attest.core.fields import Fields
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import FormatError
from casstore.objects.kinds import Kind, NewObject
from casstore.objects.tree import TreeEntry

FORMAT = "casstore-isolation-acceptance/1"
MAX_BYTES = 64 * 1024 * 1024
_LIST, _STRETCHES = b"accept.json", b"stretches"


class TreeReader(Protocol):
    """What reading needs of the store."""

    def walk(self, digest: Digest) -> Iterator[tuple[bytes, TreeEntry]]:
        """(path, entry) of every file and link below a tree."""

    def open_blob(self, digest: Digest) -> BinaryIO:
        """A seekable, verified stream."""

    def read(self, digest: Digest, *, max_bytes: int | None = None) -> bytes:
        """The verified bytes of an object."""


class TreeWriter(Protocol):
    """What writing needs of the store."""

    def put_many(self, items: Iterable[NewObject]) -> list[Digest]:
        """Store small objects."""

    def build_tree(self, files: Mapping[bytes, TreeEntry]) -> Digest:
        """A tree of entries whose blobs are there."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What was accepted, all of it by content."""

    between: tuple[str, str]
    contents: tuple[tuple[Digest, int], ...] = ()
    """(digest, size) of whole files and members."""
    marks: tuple[str, ...] = ()
    stretches: tuple[tuple[int, Digest], ...] = ()
    """(length, digest) in the order of the bytes."""
    whole: bool = False
    """Whether it holds whole files, programs, secrets, or copies of half a file and more."""

    @property
    def size(self) -> int:
        """Bytes that it explains."""
        return sum(size for _, size in self.contents) + sum(length for length, _ in self.stretches)

    def to_bytes(self) -> bytes:
        """`accept.json`."""
        value: dict[str, Any] = {
            "format": FORMAT,
            "between": list(self.between),
            "contents": [list(row) for row in self.contents],
            "marks": list(self.marks),
            "stretches": [list(row) for row in self.stretches],
            "whole": self.whole,
        }
        return canonical.dumps(value)


def parse(data: bytes) -> Acceptance:
    """`accept.json` to value. Raises FormatError."""
    value = canonical.loads_canonical(data, what="acceptance", max_bytes=MAX_BYTES)
    f = Fields(
        value, "acceptance", required=("format", "between", "contents", "marks", "stretches", "whole"), optional=()
    )
    if f.text("format") != FORMAT:
        raise FormatError(f"acceptance: the format is {f.text('format')[:60]!r}, not {FORMAT}")
    between = f.texts("between")
    if len(between) != 2 or list(between) != sorted(set(between)):
        raise FormatError("acceptance: between names two products, sorted")
    contents = tuple((digests.parse(str(one)), _size(two)) for one, two in _rows(value, "contents"))
    stretches = tuple((_size(one), digests.parse(str(two))) for one, two in _rows(value, "stretches"))
    made = Acceptance((between[0], between[1]), contents, f.texts("marks"), stretches, f.boolean("whole", False))
    if not all(_once(rows) for rows in (made.contents, made.marks, made.stretches)):
        raise FormatError("acceptance: contents, marks and stretches are sorted, each once")
    if not (made.contents or made.marks or made.stretches):
        raise FormatError("acceptance: it accepts nothing")
    if (made.contents or made.marks) and not made.whole:
        raise FormatError("acceptance: whole files are accepted, and whole is false")
    return made


def _rows(value: Any, name: str) -> list[tuple[Any, Any]]:
    rows = value[name]
    if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == 2 for row in rows):
        raise FormatError(f"acceptance: {name} is no list of pairs")
    return [(row[0], row[1]) for row in rows]


def _once(rows: Sequence[Any]) -> bool:
    return list(rows) == sorted(set(rows))


def _size(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise FormatError("acceptance: a length is no number of bytes")
    return value


def write(store: TreeWriter, made: Acceptance, data: bytes) -> Digest:
    """Put it; `data` are the bytes of the stretches in their order. The digest of its tree."""
    raw = made.to_bytes()
    blobs = {_LIST: raw, **({_STRETCHES: data} if made.stretches else {})}
    store.put_many([NewObject(blob, Kind.BLOB, ()) for blob in blobs.values()])
    return store.build_tree(
        {name: TreeEntry(name, "file", 0o644, len(blob), digests.sha256(blob)) for name, blob in blobs.items()}
    )


def read(store: TreeReader, tree: Digest) -> tuple[Acceptance, Digest | None]:
    """An acceptance and the blob of its stretches, whose bytes are checked. Raises FormatError, NoSuchObject."""
    files = {path: entry for path, entry in store.walk(tree) if entry.kind == "file"}
    if _LIST not in files:
        raise FormatError(f"{tree} is no acceptance: it has no accept.json", hint="casstore isolation accept makes one")
    made = parse(store.read(files[_LIST].content, max_bytes=MAX_BYTES))
    if set(files) != {_LIST, *((_STRETCHES,) if made.stretches else ())}:
        raise FormatError(f"acceptance {tree}: it has accept.json and stretches, and nothing else")
    if not made.stretches:
        return made, None
    blob = files[_STRETCHES].content
    with store.open_blob(blob) as data:
        for length, digest in made.stretches:
            if digests.from_raw(hashlib.sha256(data.read(length)).digest()) != digest:
                raise FormatError(f"acceptance {tree}: its stretches are not those that it lists")
        if data.read(1):
            raise FormatError(f"acceptance {tree}: its stretches are longer than it lists")
    return made, blob
