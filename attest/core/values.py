"""Frozen values whose methods are written when somebody needs them.

`dataclasses.dataclass(frozen=True, slots=True)` writes and compiles six methods a class while its module is imported:
some 0.5 ms, and for the hundred classes of a short command more than anything else that it does. This one makes the
same class in a tenth of that: its fields at once, the first few values by hand, and all other methods by the standard
library itself when they are first called. What is asked otherwise (not frozen, without slots, ordered) is the standard
library's as it stands.

    @dataclass(frozen=True, slots=True)
    class Place: ...

Where it differs: `inspect.signature` names no field, and a subclass cannot have further attributes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

FEW = 16
"""So many values of a class are made before it gets the `__init__` that is quicker for each and slow to write."""

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(
        cls: type | None = None, /, *, frozen: bool = False, slots: bool = False, eq: bool = True, **others: Any
    ) -> Any:
        """As `dataclasses.dataclass`; a frozen one with slots gets its methods later."""
        if cls is None:
            return lambda one: dataclass(one, frozen=frozen, slots=slots, eq=eq, **others)
        if frozen and slots and not others:
            return _value(cls, eq)
        return dataclasses.dataclass(cls, frozen=frozen, slots=slots, eq=eq, **others)


def _value(cls: type, eq: bool) -> type:
    own = dict(vars(cls))
    cls.__doc__ = cls.__doc__ or cls.__name__  # or the standard library tells the signature, which is not there yet
    made: type = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True)(cls)
    methods = {"__init__": _first_values(made), "__repr__": _later(made, "__repr__", repr=True), **_SHARED}
    if eq:
        methods |= {name: _later(made, name, eq=True) for name in ("__eq__", "__hash__")}
    for name, method in methods.items():
        if own.get(name) is None:  # a class that has its own __eq__ has None as its __hash__
            setattr(made, name, method)
    return made


def _first_values(cls: Any) -> Callable[..., None]:
    """`__init__` for the first few; then, and where something is wrong with what is given, the standard library's."""
    fields = dataclasses.fields(cls)
    written = _later(cls, "__init__", init=True)
    if not all(field.init and not field.kw_only for field in fields):
        return written
    names = [field.name for field in fields]
    further = hasattr(cls, "__post_init__")
    count = 0

    def method(self: Any, *args: Any, **given: Any) -> None:
        nonlocal count
        count += 1
        found = dict(zip(names, args, strict=False)) | given
        left = [field for field in fields if field.name not in found]
        found |= {field.name: _default(field) for field in left}
        told = len(args) + len(given) + len(left)  # more than there are: one is unknown, twice, or too many
        if count > FEW or not told == len(found) == len(names) or any(v is dataclasses.MISSING for v in found.values()):
            written(self, *args, **given)
            return
        for name, value in found.items():
            object.__setattr__(self, name, value)
        if further:
            self.__post_init__()

    return _named(method, cls, "__init__")


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _later(cls: Any, name: str, **which: bool) -> Callable[..., Any]:
    """A method that puts the standard library's in its own place, and calls it."""

    def method(self: Any, *args: Any, **given: Any) -> Any:
        setattr(cls, name, _written(cls, name, which))
        return getattr(cls, name)(self, *args, **given)

    return _named(method, cls, name)


def _written(cls: Any, name: str, which: Mapping[str, bool]) -> Callable[..., Any]:
    """From a class of the same fields that nobody sees."""
    body = {"__module__": cls.__module__}
    if after := getattr(cls, "__post_init__", None):
        body["__post_init__"] = after
    fields = [(field.name, field.type, field) for field in dataclasses.fields(cls)]
    methods: dict[str, Any] = {"init": False, "repr": False, "eq": False, **which}
    same = dataclasses.make_dataclass(cls.__name__, fields, namespace=body, frozen=True, slots=True, **methods)
    return _named(vars(same)[name], cls, name)


def _named(method: Callable[..., Any], cls: type, name: str) -> Callable[..., Any]:
    method.__name__, method.__qualname__ = name, f"{cls.__qualname__}.{name}"
    return method


def _set(_: object, name: str, _value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _delete(_: object, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _get_state(self: Any) -> list[Any]:
    return [getattr(self, field.name) for field in dataclasses.fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:
    for field, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)


_SHARED: dict[str, Callable[..., Any]] = {
    "__setattr__": _set,
    "__delattr__": _delete,
    "__getstate__": _get_state,
    "__setstate__": _set_state,
}
