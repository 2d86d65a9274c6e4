"""The tables of `casstore.toml` as frozen values; pydantic checks them and stays in this package."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from attest.digests import Digest
from attest.trust.policies import ChannelPolicy
from casstore.config.lines import line_of
from casstore.errors import ConfigError
from casstore.machine import config_files
from casstore.network.network import entry_problem

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("a name has letters, digits, '.', '_', '+' and '-', at most 64")
    return value


def _host(value: str) -> str:
    if problem := entry_problem(value):
        raise ValueError(problem)
    return value


HINT = "casstore config check names every mistake; casstore help config: every key"

Key = tuple[str | int, ...]
Name = Annotated[str, AfterValidator(_name)]
Host = Annotated[str, AfterValidator(_host)]
Days = Annotated[int, Field(gt=0, le=3650)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class StoreSettings(_Table):
    """`[store]`"""

    url: str = "./store"
    ledger: Name = "main"
    durability: Literal["full", "batch", "none"] = "batch"
    compress: Literal["none", "fast", "best"] = "fast"


class Component(_Table):
    """`[components.NAME]`: what CI puts, each a tree."""

    include: list[str] = Field(min_length=1)
    exclude: list[str] = []
    root: str = "."
    """Where its globs start and its paths begin, relative to casstore.toml."""
    build: list[str] = []
    """A command run before, through the process runner, recorded in the provenance."""
    build_timeout: float = Field(default=3600.0, gt=0, allow_inf_nan=False)
    build_env: list[str] = []
    """Names of further environment variables that the build may see; HOME and TMPDIR are its own but for this."""
    build_network: bool = False
    inputs: list[str] = []
    """Globs of what it is built from, below the folder of casstore.toml; else what Git tracks there."""
    shared: str = ""
    """The reason why more than one product may carry it."""


class Product(_Table):
    """`[products.NAME]`: one shippable thing."""

    components: list[Name] = Field(min_length=1)
    format: Literal["tar.gz", "tar.zst", "zip", "oci"]
    platform: str = ""


class Destination(_Table):
    """`[destinations.NAME]`: where a channel is laid out."""

    url: str
    fallback: str = ""
    invalidate: list[str] = []
    invalidate_network: bool = False
    """Whether that command may use the network."""
    expires_days: dict[Literal["root", "targets", "snapshot", "timestamp"], Days] = {}


class Network(_Table):
    """`[network]`"""

    allow: list[Host] = []


class Consumer(_Table):
    """`[[consumers]]`: whose protected branch must ask for which checks."""

    name: Name
    forge: str
    repository: str
    branch: str = "main"
    required_checks: list[str] = Field(min_length=1)


class _File(_Table):
    store: StoreSettings = StoreSettings()
    components: dict[Name, Component] = {}
    products: dict[Name, Product] = {}
    gates: dict[Name, dict[str, Any]] = {}
    destinations: dict[Name, Destination] = {}
    network: Network = Network()
    isolation: dict[str, Any] = {}
    consumers: list[Consumer] = []


class Config(_File):
    """A whole casstore.toml."""

    channels: Mapping[str, ChannelPolicy] = {}
    path: str = ""
    digest: Digest = Digest("")

    @property
    def folder(self) -> str:
        """Where relative names start."""
        return os.path.dirname(os.path.abspath(self.path))

    @property
    def store_url(self) -> str:
        """The store's URL; a relative folder is taken from the file's own folder."""
        return self.absolute(self.store.url)

    @property
    def urls(self) -> dict[str, str]:
        """Dotted key -> URL of everything that the configuration leads to."""
        found = {"store.url": self.store.url}
        for name, place in self.destinations.items():
            found |= {f"destinations.{name}.url": place.url, f"destinations.{name}.fallback": place.fallback}
        return found | {f"consumers.{one.name}.forge": one.forge for one in self.consumers}

    def absolute(self, url: str) -> str:
        """A URL, or a path that starts at the file's folder."""
        return config_files.absolute(url, self.folder)

    def with_channels(self, channels: Mapping[str, ChannelPolicy]) -> Config:
        """The same with the proposed policies."""
        return self.model_copy(update={"channels": dict(channels)})


def build(value: Mapping[str, Any], text: str, path: str, digest: Digest) -> Config:
    """Checked tables to configuration. Raises ConfigError with file, line and key."""
    wrong = [(key, message) for _, key, message in problems(value)] or list(unknown_components(value))
    if wrong:
        raise _error(wrong, text, path)
    checked = _File.model_validate(value)
    fields = {name: getattr(checked, name) for name in _File.model_fields}
    return Config.model_construct(**fields, channels={}, path=path, digest=digest)


def problems(value: Mapping[str, Any]) -> list[tuple[str, Key, str]]:
    """Kind, key and message of everything that no table may hold; a misspelt key goes first."""
    try:
        _File.model_validate(value)
    except ValidationError as exc:
        found = sorted(exc.errors(), key=lambda error: error["type"] != "extra_forbidden")
        return [(str(error["type"]), *_told(error)) for error in found]
    return []


def unknown_components(value: Mapping[str, Any]) -> Iterator[tuple[Key, str]]:
    """Key and message of each component that a product names and nothing defines."""
    components = value.get("components", {})
    for product, table in value.get("products", {}).items() if isinstance(value.get("products"), dict) else ():
        named = table.get("components") if isinstance(table, dict) else None
        for name in named if isinstance(named, list) else ():
            if isinstance(name, str) and name not in components:
                near = get_close_matches(name, components, n=1)
                meant = f", did you mean {near[0]!r}?" if near else ""
                yield ("products", product, "components"), f"unknown component {name!r}{meant}"


def _told(error: ErrorDetails) -> tuple[Key, str]:
    key: Key = tuple(part for part in error["loc"] if part != "[key]")
    if error["type"] == "extra_forbidden":
        return key, "there is no such key" + _near(key)
    return key, "is missing" if error["type"] == "missing" else str(error["msg"]).removeprefix("Value error, ")


def _error(wrong: Sequence[tuple[Key, str]], text: str, path: str) -> ConfigError:
    key, message = wrong[0]
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    dotted = ".".join(str(part) for part in key)
    return ConfigError(f"{path}:{line_of(text, key)}: key '{dotted}': {message}{more}", hint=HINT)


_TABLES: dict[str, type[_Table]] = {
    "store": StoreSettings,
    "components": Component,
    "products": Product,
    "destinations": Destination,
    "network": Network,
    "consumers": Consumer,
}


def _near(key: Key) -> str:
    table = _TABLES.get(str(key[0]), _File) if len(key) > 1 else _File
    names = [*table.model_fields, "channels"] if table is _File else list(table.model_fields)
    found = get_close_matches(str(key[-1]), names, n=1)
    return f", did you mean {found[0]!r}?" if found else ""
