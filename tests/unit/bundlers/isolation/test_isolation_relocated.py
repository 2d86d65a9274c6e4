"""Libraries that programs are linked from: known wherever a linker laid them, and nothing else is."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from bundlers import isolation
from bundlers.inspection import linkable
from bundlers.isolation import IsolationReport, Settings
from bundlers.isolation.explained import reference_sources
from bundlers.isolation.explained.relocated import Linked
from bundlers.products import manifest_building
from bundlers.products.product_manifests import ComponentTree
from casstore.store.store import Store
from tests.support.objects import ADDRESS, CALL, Section, archive, elf_object, linked

CHANCE = random.Random(11)
HEAD = b"\x7fELF\x02\x01\x01" + bytes(57)


def code(size: int, every: int = 40) -> Section:
    """A function that calls another one now and then, so that no 512 bytes of it are the same everywhere."""
    return Section(CHANCE.randbytes(size), [(place, CALL) for place in range(20, size - 8, every)])


LIBRARY = [code(3000), code(900), Section(CHANCE.randbytes(6000)), code(5000, 300)]
WORDS = Section(b"".join(CHANCE.randrange(1 << 20, 1 << 31).to_bytes(4, "little") for _ in range(900)), entry=4)
TEXTS = Section(b"".join(b"name-%d\0" % number for number in range(600)), entry=1, strings=True)
OWN = {name: random.Random(name).randbytes(20_000) for name in ("one", "two")}


def program(name: str, *more: bytes, seed: int | None = None) -> bytes:
    """Its own code, then the library at addresses of its own; constants follow in another order."""
    chance = random.Random(name)
    words = [WORDS.content[at : at + 4] for at in range(0, len(WORDS.content), 4)]
    texts = [text + b"\0" for text in TEXTS.content.split(b"\0") if text]
    head = HEAD + OWN[name] + bytes(-len(OWN[name] + HEAD) % 16)
    library = b"".join(linked(part, chance.getrandbits(30)) for part in LIBRARY)
    library += bytes(-len(library) % 16)
    return head + library + b"".join(words) + b"".join(texts) + b"".join(more)


def test_pieces_are_what_a_linker_leaves_alone() -> None:
    part = Section(
        b"\x11" * 20 + bytes(8) + b"\x22" * 20 + bytes(32) + b"\x33" * 20,
        [(20, ADDRESS), *((48 + 8 * n, ADDRESS) for n in range(4))],
    )
    assert linkable.pieces(elf_object([part])) == [
        (b"\x11" * 20 + bytes(8) + b"\x22" * 20, b"\x01" * 20 + bytes(8) + b"\x01" * 20),
        (b"\x33" * 20, b"\x01" * 20),
    ], "a long hole parts a section"
    assert [one for one, _ in linkable.pieces(elf_object([Section(b"abcdefgh", entry=4)]))] == [b"abcd", b"efgh"]
    assert [one for one, _ in linkable.pieces(elf_object([Section(b"ab\0c\0", entry=1, strings=True)]))] == [
        b"ab\0",
        b"c\0",
    ]
    for other in (elf_object([part], kind=2), elf_object([part], machine=3), b"\x7fELF", b"", b"text" * 99):
        assert linkable.pieces(other) == []
    whole = elf_object([part])
    for cut in range(0, len(whole), 7):
        linkable.pieces(whole[:cut])


def test_a_library_is_known_in_each_program_and_what_is_its_own_is_not() -> None:
    known = Linked(linkable.pieces(elf_object([*LIBRARY, WORDS, TEXTS])))
    for name in OWN:
        data = program(name)
        held = known.cover(data)
        assert sum(last - first for first, last in held) >= len(data) - len(HEAD) - len(OWN[name]) - 64
        assert held[0][0] >= len(HEAD) + len(OWN[name]) - 16, "nothing of its own code"


def test_what_costs_more_than_it_tells_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    many = elf_object(
        [Section(b"".join(n.to_bytes(3, "little") for n in range(2000)), entry=3), Section(b"behind" * 9)]
    )
    assert len(linkable.pieces(many)) == 2001
    monkeypatch.setattr(linkable, "_MAX_PIECES", 1000)
    assert len(linkable.pieces(many)) == 1000
    known = Linked(linkable.pieces(elf_object([*LIBRARY, WORDS])))
    empty = b"".join(linked(part, 5) for part in LIBRARY) + bytes(4 << 20) + WORDS.content[:4]
    held = known.cover(HEAD + empty)
    assert sum(last - first for first, last in held) < len(empty) - (3 << 20), "padding is between two constants"


def test_what_is_mostly_holes_or_too_short_explains_nothing() -> None:
    loose = [Section(b"\x48" * 400, [(place, ADDRESS) for place in range(0, 400, 16)]), Section(b"seven b")]
    wide = Section(b"\x90" * 12 + bytes(4000), [(12 + 8 * place, ADDRESS) for place in range(400)])
    known = Linked(linkable.pieces(elf_object([*loose, wide])))
    assert known.cover(HEAD + b"\x48\x01" * 4000 + b"\x90" * 12 + CHANCE.randbytes(4000)) == []


@dataclass
class House:
    store: Store
    folder: Path

    def compare(self, files: dict[str, dict[str, bytes]], *references: str) -> IsolationReport:
        made = {}
        for name, held in files.items():
            place = self.folder / f"{name}-{len(list(self.folder.iterdir()))}"
            for path, data in held.items():
                (place / path).parent.mkdir(parents=True, exist_ok=True)
                (place / path).write_bytes(data)
            made[name] = manifest_building.build(
                self.store, name, "tar.gz", {name: ComponentTree(self.store.put_tree(str(place)).tree)}
            )
        settings = Settings()
        if references:
            with reference_sources.folder_of(*references) as source:
                settings = Settings(references={"common": self.store.put_tree(source.folder).tree})
        return isolation.check(self.store, isolation.Contents.each(made), settings)


@pytest.fixture
def house(tmp_path: Path) -> House:
    store = Store.init(str(tmp_path / "store"))
    (tmp_path / "files").mkdir()
    return House(store, tmp_path / "files")


def libraries(folder: Path) -> list[str]:
    """Two libraries whose members have one name, and notes of a compiler."""
    for name, parts in (("libone.rlib", LIBRARY), ("libtwo.a", [WORDS, TEXTS])):
        same = {"x.o": elf_object(parts), "lib.rmeta": b"notes" * 100}
        (folder / name).write_bytes(archive({**same, "y.o": elf_object([code(200)])}))
    return [str(folder / "libone.rlib"), str(folder / "libtwo.a")]


def test_two_programs_pass_by_one_reference_also_in_the_next_release(house: House, tmp_path: Path) -> None:
    first = {name: {f"bin/{name}": program(name)} for name in OWN}
    alone = house.compare(first)
    assert [row.kind for row in alone.findings] == ["copy"]
    sources = libraries(tmp_path)
    assert house.compare(first, *sources).findings == ()
    moved = {
        name: {f"bin/{name}": program(name).replace(OWN[name], OWN[name] + CHANCE.randbytes(4 * n + 9_001))}
        for n, name in enumerate(OWN)
    }
    assert house.compare(moved, *sources).findings == ()


@pytest.mark.parametrize(
    "leak",
    [
        lambda own: program("two") + own,
        lambda own: program("two", own[:5000]),
        lambda own: HEAD + CHANCE.randbytes(3001) + own[4000:9000] + program("two")[64:],
        lambda own: program("two").replace(LIBRARY[2].content, LIBRARY[2].content + own[:4096]),
        lambda own: program("two").replace(WORDS.content[400:404], WORDS.content[400:404] + own[:4096]),
    ],
    ids=["appended", "behind constants", "before it", "between the library's parts", "between its constants"],
)
def test_a_leak_beside_the_library_is_found_all_the_same(house: House, tmp_path: Path, leak: object) -> None:
    made = leak(OWN["one"])  # type: ignore[operator]
    files = {"one": {"bin/one": program("one")}, "two": {"bin/two": made}}
    (found,) = house.compare(files, *libraries(tmp_path)).findings
    assert found.kind == "copy" and found.size >= 3_900
