"""`casstore.toml`: components, products, gates, channels, destinations (docs/formats/config.md).

A file is read whole and checked whole; an error names file, line and key. `[channels.*]` is only
the proposal that a ceremony signs; promotion reads the signed policy.

    config = load(None, os.getcwd())        # the nearest casstore.toml upwards
    config.products["core"].components
"""

from __future__ import annotations

import tomllib

from attest import digests
from casstore.config.model import Component, Config, Consumer, Destination, Network, Notify, StoreSettings
from casstore.config.products import Build, Product
from casstore.errors import ConfigError
from casstore.machine.config_files import MAX_BYTES, NAME, find_config

__all__ = [
    "NAME",
    "Build",
    "Component",
    "Config",
    "Consumer",
    "Destination",
    "Network",
    "Notify",
    "Product",
    "StoreSettings",
    "find_config",
    "load",
    "parse",
]


def load(path: str | None, cwd: str) -> Config:
    """A named file, else the nearest one. Raises ConfigError."""
    found = path or find_config(cwd)
    if found is None:
        raise ConfigError(
            f"no {NAME} in {cwd} or above",
            hint="casstore init --yes writes a first one; casstore help config: every key",
        )
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
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise ConfigError(f"{path}:{line}: not UTF-8 at byte {exc.start}", hint="save the file as UTF-8") from exc
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        from casstore.config.mistakes import grammar

        wrong = grammar(exc, text, path)
        raise ConfigError(wrong.told, hint=wrong.hint) from exc
    except RecursionError as exc:
        raise ConfigError(f"{path}: nested too deeply") from exc
    proposed = value.pop("channels", None)
    from casstore.config.channels import channels
    from casstore.config.model import build

    config = build(value, text, path, digests.sha256(data))
    return config.with_channels(channels(proposed, text, path, value))
