"""What an expression may cost: celpy's evaluator with a count of its steps.

CEL ends, but late: five lists of thirty in each other are 24 million steps, and `[x].map(y, [y, y])` in itself is a
value that doubles with each dozen letters. Each step counts, and what an operator or a function looks at by its size.
Formats of Python (`"%9999999d" % 1`) are no CEL; an error of ours names no value.

    WorkRunner(environment, ast).evaluate(variables)      # or OverWork
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import celpy
from celpy import celtypes, evaluation

MOST = 1_000_000
"""Steps: some seconds."""
_CHEAP = {"_?_:_", "_[_]", "size", "type"}
"""They look at nothing in what they are given, or at one."""
_OF_NUMBERS = {"_*_", "_/_", "_%_"}
_SHORT = {"timestamp", "duration"}
_LETTERS = 16
"""In so many letters a text counts one more."""
_LONGEST = 100


class OverWork(Exception):
    """The expression takes more than `MOST` steps; no fault of a value, so that nothing in an expression catches it."""


class Steps:
    """Those that are left, of one evaluation."""

    def __init__(self) -> None:
        self.left = MOST

    def take(self, count: int) -> None:
        """Raises OverWork."""
        self.left -= count
        if self.left < 0:
            raise OverWork

    def take_size(self, *values: Any) -> None:
        """All that is in some values, however often it is in them. Raises OverWork."""
        todo = list(values)
        while todo:
            value = todo.pop()
            self.take(1 + len(value) // _LETTERS if isinstance(value, str | bytes) else 1)
            if isinstance(value, Mapping):
                self.take(len(value))
                todo += [*value.keys(), *value.values()]
            elif isinstance(value, list):
                self.take(len(value))
                todo += value


class WorkRunner(celpy.Runner):
    """Evaluates as celpy's own, and stops when the steps are used up."""

    def evaluate(self, activation: Any) -> Any:
        """Raises CELEvalError, OverWork, and what celpy leaves to Python."""
        steps = Steps()
        functions = {name: _counted(name, found, steps) for name, found in evaluation.base_functions.items()}
        names = evaluation.Activation(functions=functions)
        return _Evaluator(self.ast, names, steps).evaluate(activation)


class _Evaluator(evaluation.Evaluator):
    def __init__(self, ast: Any, activation: Any, steps: Steps) -> None:
        super().__init__(ast, activation)
        self._steps = steps

    def sub_evaluator(self, ast: Any) -> evaluation.Evaluator:
        return _Evaluator(ast, self.activation, self._steps)

    def evaluate(self, context: Any = None) -> Any:
        self._steps.take(4)  # the names are copied
        return super().evaluate(context)

    def visit(self, tree: Any) -> Any:
        self._steps.take(1)
        return super().visit(tree)

    def visit_children(self, tree: Any) -> Any:
        self._steps.take(len(tree.children))
        return super().visit_children(tree)

    def member_dot(self, tree: Any) -> Any:
        """A field of what has none: celpy's message would have all of the value."""
        member, name = self.visit(tree.children[0]), tree.children[1].value
        if isinstance(member, celpy.CELEvalError):
            return member
        if isinstance(member, celtypes.MessageType | evaluation.NameContainer):
            return super().member_dot(tree)
        if isinstance(member, celtypes.MapType):
            return member[name] if name in member else _error(f"no such member in mapping: {name!r}", KeyError)
        return _error(f"{type(member).__name__} has no field {name!r}", TypeError)

    def primary(self, tree: Any) -> Any:
        child = tree.children[0]
        if child.data != "ident":
            return super().primary(tree)
        try:
            return self.ident_value(child.children[0].value)
        except KeyError:
            return _error(f"undeclared reference to {child.children[0].value!r}", KeyError)

    def build_ss_macro_eval(self, child: Any) -> Callable[[Any], Any]:
        found = super().build_ss_macro_eval(child)

        def looked_at(value: Any) -> Any:
            result = found(value)
            self._steps.take_size(result)
            return result

        return looked_at

    def function_eval(self, name_token: Any, exprlist: Any = None) -> Any:
        if name_token.value not in self.activation.functions:
            return _error(f"undeclared reference to {name_token.value!r}", KeyError)
        return super().function_eval(name_token, exprlist)

    def method_eval(self, object: Any, method_ident: Any, exprlist: Any = None) -> Any:  # noqa: A002  celpy's name
        if method_ident.value not in self.activation.functions:
            return _error(f"undeclared reference to {method_ident.value!r}", KeyError)
        return super().method_eval(object, method_ident, exprlist)


def _error(message: str, kind: type[Exception]) -> Any:
    return celpy.CELEvalError(message, kind, (message,))


def _counted(name: str, function: Callable[..., Any], steps: Steps) -> Callable[..., Any]:
    if name in _CHEAP:
        return function

    def counted(*values: Any) -> Any:
        if name in _OF_NUMBERS and any(isinstance(value, str | bytes | list) for value in values):
            raise TypeError(f"{name} is for numbers")
        if name in _SHORT and any(isinstance(value, str) and len(value) > _LONGEST for value in values):
            raise ValueError(f"{name} of a text of more than {_LONGEST} letters")
        steps.take_size(*values)
        return function(*values)

    counted.__name__ = name
    return counted
