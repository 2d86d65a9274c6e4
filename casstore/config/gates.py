"""What of a gate's settings is signed: its table, and what the table leads to.

A gate that is asked for by name alone is whatever its builder says it is. So the owners sign the settings, and a
result counts only under these: the table of `[gates.NAME]`; of a `command` the digest of each file that a word of it
names from where it runs and that lies below the folder of casstore.toml (`scripts`); of branch-protection the
registry that it asks (`consumers`).

    signed("lint", {"command": ["sh", "lint.sh"]}, root="/work")
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from attest import digests
from attest.trust.requirements import AT_PROMOTION, GATE
from casstore.errors import ConfigError

REGISTRY = "branch-protection"
ALWAYS: dict[str, dict[str, Any]] = {"platform": {"required": False}, "seal": {}}
"""Gates that run in each release, listed or not."""


def signed(
    name: str, table: Mapping[str, Any], *, root: str, consumers: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """The settings of a gate as they are signed and compared; a plain JSON value."""
    value = dict(table)
    command = table.get("command")
    if isinstance(command, list):
        folder = os.path.join(root, str(table.get("folder", ".")))
        value["scripts"] = {word: found for word in command if (found := _script(word, folder, root))}
    if name == REGISTRY:
        value["consumers"] = [dict(one) for one in consumers]
    return value


def of_channel(
    require: object, own: object, tables: Mapping[str, Any], *, root: str, consumers: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """`gates` of a policy: what the channel says itself, else the settings of casstore.toml for each required gate."""
    found = dict(own) if isinstance(own, dict) else {}
    for word in require if isinstance(require, list) else ():
        name = str(word).removeprefix(GATE)
        table = tables.get(name, ALWAYS.get(name, {} if word in AT_PROMOTION else None))
        if str(word).startswith(GATE) and name not in found and isinstance(table, dict):
            found[name] = [signed(name, table, root=root, consumers=consumers)]
    return found


def _script(word: object, folder: str, root: str) -> str | None:
    path = os.path.realpath(os.path.join(folder, str(word)))
    if os.path.commonpath([os.path.realpath(root), path]) != os.path.realpath(root) or not os.path.isfile(path):
        return None
    try:
        with open(path, "rb") as file:
            return digests.sha256(file.read())
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read: {exc.strerror}", hint="a gate of casstore.toml names it") from exc
