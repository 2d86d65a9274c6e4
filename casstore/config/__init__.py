"""`casstore.toml`: components, products, gates, channels, destinations (docs/formats/config.md).

A file is read whole and checked whole; an error names file, line and key. `[channels.*]` is only
the proposal that a ceremony signs; promotion reads the signed policy.

    config = load(None, os.getcwd())        # the nearest casstore.toml upwards
    config.products["core"].components
"""

from __future__ import annotations

import os
import tomllib
from typing import Any

from attest import digests
from attest.errors import CasstoreError
from attest.policies import ChannelPolicy, parse_channels
from casstore.config.lines import line_of
from casstore.config.model import Component, Config, Consumer, Destination, Network, Product, StoreSettings
from casstore.errors import ConfigError

NAME = "casstore.toml"
MAX_BYTES = 1024 * 1024

__all__ = [
    "NAME",
    "Component",
    "Config",
    "Consumer",
    "Destination",
    "Network",
    "Product",
    "StoreSettings",
    "find_config",
    "load",
    "parse",
]


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


def load(path: str | None, cwd: str) -> Config:
    """A named file, else the nearest one. Raises ConfigError."""
    found = path or find_config(cwd)
    if found is None:
        raise ConfigError(f"no {NAME} in {cwd} or above", hint="docs/formats/config.md shows how to write one")
    try:
        with open(found, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise ConfigError(f"{found}: cannot be read: {exc.strerror}") from exc
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{found}: larger than {MAX_BYTES} bytes")
    return parse(data, found)


def parse(data: bytes, path: str) -> Config:
    """Bytes of a casstore.toml to configuration; `path` is for errors and relative names. Raises ConfigError."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path}: not UTF-8 at byte {exc.start}") from exc
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"{path}: {exc}", hint="the line and column are where TOML's grammar breaks") from exc
    proposed = value.pop("channels", {})
    from casstore.config.model import build

    config = build(value, text, path, digests.sha256(data))
    return config.with_channels(_channels(proposed, text, path))


_POLICY_KEYS = {"separate_duties": "separateDuties", "rollback_approvals": "rollbackApprovals"}


def _channels(value: Any, text: str, path: str) -> dict[str, ChannelPolicy]:
    if not value:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{path}:{line_of(text, ('channels',))}: key 'channels': not a table")
    try:
        return parse_channels(
            {name: {_POLICY_KEYS.get(k, k): v for k, v in item.items()} if isinstance(item, dict) else item
             for name, item in value.items()}
        )  # fmt: skip
    except CasstoreError as exc:
        channel = next((name for name in value if f"policy of {name}" in exc.message), "")
        where = ("channels", channel) if channel else ("channels",)
        raise ConfigError(
            f"{path}:{line_of(text, where)}: key '{'.'.join(where)}': {exc.message}", hint=exc.hint
        ) from exc
