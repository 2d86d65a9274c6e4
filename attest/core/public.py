"""The short names of a package: each is imported from its module when it is first asked for.

__getattr__ = public(__name__, verify="attest.trust.verify")
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def public(package: str, **modules: str) -> Callable[[str], Any]:
    """A module's `__getattr__` for names that live elsewhere; it raises AttributeError for others."""

    def find(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(modules[name]), name)

    return find
