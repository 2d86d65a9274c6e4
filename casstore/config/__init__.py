"""`casstore.toml`: components, products, gates, channels, destinations (docs/formats/config.md).

In: the bytes of a file, or where to look for one. Out: a frozen `Config`, or every mistake. Called by the session of
`cli` and by whoever takes a part of it: products, gates, destinations, promotion (as a proposal).

A file is read whole and checked whole; an error names file, line and key. `[channels.*]` is only
the proposal that a ceremony signs; promotion reads the signed policy.

    config = load(None, os.getcwd())        # the nearest casstore.toml upwards
    config.products["core"].components
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attest import digests
from attest.core.public import public
from casstore.errors import ConfigError
from casstore.machine import toml_text
from casstore.machine.config_files import MAX_BYTES, NAME, find_config

if TYPE_CHECKING:
    from attest.trust.policies import ChannelPolicy
    from casstore.config.model import Component, Config, Consumer, Destination, Network, Notify, StoreSettings
    from casstore.config.products import Build, Product

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


__getattr__ = public(
    __name__,
    Build="casstore.config.products",
    Component="casstore.config.model",
    Config="casstore.config.model",
    Consumer="casstore.config.model",
    Destination="casstore.config.model",
    Network="casstore.config.model",
    Notify="casstore.config.model",
    Product="casstore.config.products",
    StoreSettings="casstore.config.model",
)


def load(path: str | None, cwd: str) -> Config:
    """A named file, else the nearest one. Raises ConfigError."""
    return parse(*_read(path, cwd))


def proposed(path: str | None, cwd: str) -> Mapping[str, ChannelPolicy]:
    """The [channels] of the same file alone, as policies. Raises ConfigError for what is wrong with them."""
    from casstore.config.channels import channels

    data, found = _read(path, cwd)
    value, text = _tables(data, found)
    return channels(value.pop("channels", None), text, found, value)


def _read(path: str | None, cwd: str) -> tuple[bytes, str]:
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
    return data, found


def parse(data: bytes, path: str) -> Config:
    """Bytes of a casstore.toml to configuration; `path` is for errors and relative names. Raises ConfigError."""
    from casstore.config.channels import channels
    from casstore.config.model import build

    value, text = _tables(data, path)
    policies = value.pop("channels", None)
    config = build(value, text, path, digests.sha256(data))
    return config.with_channels(channels(policies, text, path, value))


def _tables(data: bytes, path: str) -> tuple[dict[str, Any], str]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise ConfigError(f"{path}:{line}: not UTF-8 at byte {exc.start}", hint="save the file as UTF-8") from exc
    try:
        return toml_text.parse(text), text
    except ValueError as exc:
        from casstore.config.mistakes import grammar

        wrong = grammar(exc, text, path)
        raise ConfigError(wrong.told, hint=wrong.hint) from exc
