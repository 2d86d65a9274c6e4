"""Values are those of the standard library's dataclasses, made later: each law is tried on both."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.core import values

PICKLED = ("Ours", "Theirs")


def pair(make: Callable[[Any], Any]) -> dict[str, Any]:
    """The same class by either decorator."""
    return {
        "ours": make(values.dataclass(frozen=True, slots=True)),
        "theirs": make(dataclasses.dataclass(frozen=True, slots=True)),
    }


def place(decorate: Any) -> Any:
    class Place:
        """A place."""

        kind: ClassVar[str] = "place"
        name: str
        size: int = 0
        parts: list[int] = dataclasses.field(default_factory=list, hash=False)
        told: str = dataclasses.field(default="", repr=False, compare=False)

        def __post_init__(self) -> None:
            if self.size < 0:
                raise ValueError("smaller than nothing")

        @property
        def twice(self) -> int:
            return self.size * 2

    return decorate(Place)


def below(decorate: Any) -> Any:
    @decorate
    class Above:
        """What others have too."""

        name: str

    @decorate
    class Below(Above):
        """More of it."""

        size: int = 3

    return Below


def own_equality(decorate: Any) -> Any:
    class Folded:
        """Equal by its name in small letters."""

        name: str
        size: int = 0

        def __eq__(self, other: object) -> bool:
            return isinstance(other, type(self)) and self.name.lower() == other.name.lower()

        def __repr__(self) -> str:
            return f"<{self.name}>"

    return decorate(Folded)


def nothing(decorate: Any) -> Any:
    class Nothing:
        pass

    return decorate(Nothing)


def by_name_only(decorate: Any) -> Any:
    class ByName:
        """Its second is never given by place."""

        name: str
        size: int = dataclasses.field(default=0, kw_only=True)
        found: int = dataclasses.field(default=7, init=False)

    return decorate(ByName)


CALLS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    (("a",), {}),
    (("a", 1), {}),
    (("a", 1, [2], "told"), {}),
    (("a",), {"size": 2}),
    ((), {"size": 2, "name": "b"}),
    ((), {}),
    (("a", 1, [], "", 5), {}),
    (("a",), {"name": "b"}),
    (("a",), {"other": 1}),
    (("a", -1), {}),
]


def said(call: Callable[[], Any]) -> str:
    """What came of it; the class's own name is part of it, where it was made is not."""
    try:
        return repr(call()).replace("<locals>.", "")
    except (TypeError, ValueError) as exc:
        return f"{type(exc).__name__}: {exc}"


@pytest.mark.parametrize("made", [place, below, own_equality, nothing, by_name_only])
@pytest.mark.parametrize("before", [0, values.FEW - 1, values.FEW, values.FEW + 1])
def test_what_is_given_is_taken_or_refused_as_by_the_standard_library(made: Any, before: int) -> None:
    both = pair(made)
    args = ("a",) if made is not nothing else ()
    for _ in range(before):
        both["ours"](*args)
    for args, named in CALLS:
        assert said(lambda args=args, named=named: both["ours"](*args, **named)) == said(  # type: ignore[misc]
            lambda args=args, named=named: both["theirs"](*args, **named)  # type: ignore[misc]
        )


@pytest.mark.parametrize("made", [place, below, own_equality])
def test_equality_and_hash(made: Any) -> None:
    both = pair(made)
    one, same, other = (both["ours"](name, 5) for name in ("a", "a", "b"))
    theirs, theirs_other = (both["theirs"](name, 5) for name in ("a", "b"))
    assert one == same and one != other and one != theirs and one != ("a", 5)
    assert hash(one) == hash(same) == hash(theirs)
    assert (hash(one) == hash(other)) is (hash(theirs) == hash(theirs_other))
    assert {one: 1}[same] == 1


def test_what_is_not_compared_is_not_compared() -> None:
    ours = pair(place)["ours"]
    assert ours("a", told="x") == ours("a", told="y")
    assert hash(ours("a", parts=[1])) == hash(ours("a", parts=[2]))
    assert ours("a", parts=[1]) != ours("a", parts=[2])
    assert "told" not in repr(ours("a", told="x"))


def test_each_value_has_its_own_list() -> None:
    ours = pair(place)["ours"]
    made = [ours("a") for _ in range(values.FEW * 2)]
    made[0].parts.append(1)
    assert [one.parts for one in made[1:]] == [[]] * (values.FEW * 2 - 1)


def test_no_field_can_be_changed() -> None:
    for cls in pair(place).values():
        for _ in range(values.FEW + 2):
            one = cls("a")
            for name in ("name", "size", "other", "twice"):
                with pytest.raises((dataclasses.FrozenInstanceError, TypeError)):
                    setattr(one, name, 1)
            with pytest.raises(dataclasses.FrozenInstanceError):
                del one.name
            assert not hasattr(one, "__dict__") and (one.name, one.size, one.twice, one.kind) == ("a", 0, 0, "place")


@pytest.fixture
def importable() -> Iterator[dict[str, Any]]:
    """Where pickle finds them."""
    both = dict(zip(PICKLED, pair(place).values(), strict=True))
    module = sys.modules[__name__]
    for name, cls in both.items():
        cls.__qualname__ = cls.__name__ = name
        setattr(module, name, cls)
    yield both
    for name in PICKLED:
        delattr(module, name)


@pytest.mark.parametrize("name", PICKLED)
def test_copies(importable: dict[str, Any], name: str) -> None:
    one = importable[name]("a", 1, [2], "told")
    for other in (pickle.loads(pickle.dumps(one)), copy.copy(one), copy.deepcopy(one), dataclasses.replace(one)):
        assert other == one and other.told == "told" and other is not one
    assert dataclasses.replace(one, size=3).size == 3
    with pytest.raises(ValueError, match="smaller"):
        dataclasses.replace(one, size=-1)


def test_what_the_standard_library_tells_of_it() -> None:
    both = pair(place)
    ours, theirs = both["ours"], both["theirs"]
    for tell in (
        lambda cls: [(f.name, f.type, f.default, f.repr, f.compare, f.hash) for f in dataclasses.fields(cls)],
        lambda cls: dataclasses.asdict(cls("a", 1)),
        lambda cls: (cls.__match_args__, cls.__slots__, cls.__doc__, cls.__module__, cls.__name__),
    ):
        assert tell(ours) == tell(theirs)
    match ours("a", 1):
        case ours(name, size):
            assert (name, size) == ("a", 1)


def test_values_made_by_many_at_once_are_whole() -> None:
    for _ in range(20):
        ours = pair(place)["ours"]
        start, found = threading.Barrier(8), []

        def make(ours: Any = ours, start: threading.Barrier = start, found: list[Any] = found) -> None:
            start.wait()
            found.extend((one.name, one.size, hash(one)) for one in (ours("a", n) for n in range(values.FEW)))

        threads = [threading.Thread(target=make) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == sorted(("a", n, hash(ours("a", n))) for n in range(values.FEW) for _ in range(8))


def test_what_is_asked_otherwise_is_the_standard_librarys() -> None:
    @values.dataclass
    class Changed:
        size: int = 0

    @values.dataclass(frozen=True, slots=True, order=True)
    class Ordered:
        size: int = 0

    one = Changed()
    one.size = 2
    assert one == Changed(2) and Ordered(1) < Ordered(2)

    @values.dataclass(frozen=True, slots=True, eq=False)
    class Itself:
        size: int = 0

    assert Itself() != Itself() and len({Itself(), Itself()}) == 2


@given(
    st.lists(st.tuples(st.text(max_size=3), st.integers(0, 3), st.lists(st.integers(0, 1), max_size=2)), max_size=40)
)
def test_sets_of_values_are_those_of_the_standard_library(rows: list[tuple[str, int, list[int]]]) -> None:
    both = pair(place)
    ours, theirs = (({cls(*row) for row in rows}) for cls in both.values())
    assert {(one.name, one.size, tuple(one.parts)) for one in ours} == {
        (one.name, one.size, tuple(one.parts)) for one in theirs
    }
