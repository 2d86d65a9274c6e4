"""Finding casstore.toml, and the few settings that every command needs, without the cost of checking all.

Checking the whole file takes longer to import than most commands take to run; a command that needs
no more than the store and the network policy reads these alone. Whatever is not as it should be
gives None: then `casstore.config` reads it all, and says what is wrong and where.

    path = find_config(os.getcwd())
    few = few_settings(path)
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from attest.errors import BadInput

NAME = "casstore.toml"
MAX_BYTES = 1024 * 1024
_VARIABLE = re.compile(r"(?:^|/)(\$(?:\{\w+\}|[A-Z_][A-Z0-9_]*))(?:/|$)")


class FewSettings(NamedTuple):
    """`[store] url` (absolute) and `ledger`, `[network] allow`, the file's folder, the components' names, and whether
    somebody is to be told of moves."""

    store_url: str
    ledger: str
    allow: tuple[str, ...]
    folder: str
    components: tuple[str, ...] = ()
    notifies: bool = False


def find_config(folder: str) -> str | None:
    """The nearest casstore.toml in a folder or above it."""
    folder = os.path.abspath(folder)
    while True:
        path = os.path.join(folder, NAME)
        if os.path.isfile(path):
            return path
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above


def check_place(place: str) -> None:
    """Raises BadInput for a path with a variable of a shell in it, which would be a folder of that very name."""
    if "://" not in place and (found := _VARIABLE.search(place)):
        raise BadInput(f"{place}: {found[1]} is not replaced here", hint="write ~ for your home, or the path itself")


def absolute(url: str, folder: str) -> str:
    """A URL as it is; a path, from the file's folder on; `~` is the home of whoever runs the command.

    Raises BadInput as `check_place`.
    """
    check_place(url)
    return url if "://" in url else os.path.normpath(os.path.join(folder, os.path.expanduser(url)))


def few_settings(path: str) -> FewSettings | None:
    """The few settings of a file, or None where anything about them is odd."""
    from casstore.machine import toml_text

    try:
        with open(path, "rb") as file:
            value = toml_text.read(file.read(MAX_BYTES + 1), max_bytes=MAX_BYTES)
    except (OSError, ValueError):
        return None
    store, network, components = (value.get(name, {}) for name in ("store", "network", "components"))
    if not all(isinstance(table, dict) for table in (store, network, components)):
        return None
    found = _few(store, network, components, os.path.dirname(os.path.abspath(path)))
    return None if found is None else found._replace(notifies="notify" in value)


def _few(
    store: Mapping[str, Any], network: Mapping[str, Any], components: Mapping[str, Any], folder: str
) -> FewSettings | None:
    url, ledger, allow = store.get("url", "./store"), store.get("ledger", "main"), network.get("allow", [])
    plain = isinstance(url, str) and isinstance(ledger, str) and isinstance(allow, list)
    if not plain or not all(isinstance(host, str) for host in allow):
        return None
    return FewSettings(absolute(url, folder), ledger, tuple(allow), folder, tuple(components))
