"""The tables of `casstore.toml` as frozen values; pydantic checks them and stays in this package."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, ValidationError
from pydantic_core import ErrorDetails

from attest.digests import Digest
from attest.trust.policies import ChannelPolicy
from casstore.config.lines import line_of
from casstore.config.products import Build, Inside, Name, Product, Table, inside
from casstore.errors import ConfigError
from casstore.machine import config_files
from casstore.network.network import entry_problem


def _host(value: str) -> str:
    if problem := entry_problem(value):
        raise ValueError(problem)
    return value


def _web(value: str) -> str:
    if not value.startswith(("https://", "http://")):
        raise ValueError("a witness is posted to at an http URL")
    return value


HINT = "casstore config check names every mistake; casstore help config: every key"

Key = tuple[str | int, ...]
_NO_KEYS = ("[key]", "[text]", "[table]")
"""What pydantic puts among keys and nobody wrote."""


def _folder(value: str) -> str:
    return inside(value.rstrip("/")) if value else ""


Host = Annotated[str, AfterValidator(_host)]
Days = Annotated[int, Field(gt=0, le=3650)]


class PostedWitness(Table):
    """`[witnesses.NAME]`: one that follows nothing by itself, and is asked for its lines."""

    post: Annotated[str, AfterValidator(_web)]
    """Its submission prefix."""
    protocol: Literal["c2sp"]


_WitnessPlace = Annotated[
    Annotated[str, Tag("[text]")] | Annotated[PostedWitness, Tag("[table]")],
    Discriminator(lambda value: "[table]" if isinstance(value, dict | PostedWitness) else "[text]"),
]
"""Where the lines of one lie, or how it is asked for them."""


class StoreSettings(Table):
    """`[store]`"""

    url: str = "./store"
    ledger: Name = "main"
    durability: Literal["full", "batch", "none"] = "batch"
    compress: Literal["none", "fast", "best"] = "fast"


class Component(Table):
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
    build_tools: list[str] = []
    """Further files and folders that a build with `inputs` is shown, read only: `~/.cargo`, a virtual environment."""
    inputs: list[str] = []
    """Globs of what it is built from, below the folder of casstore.toml; else what Git tracks there."""
    shared: str = ""
    """The reason why more than one product may carry it."""
    strip: int = Field(default=0, ge=0, le=64)
    """How many leading folders of its paths an archive leaves out."""
    rename: dict[Inside, Inside] = {}
    """A file's path, without what is stripped -> its path in an archive, below `to`."""
    to: Annotated[str, AfterValidator(lambda text: _folder(text))] = ""
    """The folder of an archive that it lies in, below the product's `wrap`."""
    mode: dict[str, Literal["0600", "0640", "0644", "0700", "0750", "0755"]] = {}
    """Glob over paths in an archive, below `wrap` -> mode of the files."""
    folders: dict[str, Literal["0700", "0750", "0755"]] = {}
    """Glob over the same -> mode of the empty folders that are kept."""


class Destination(Table):
    """`[destinations.NAME]`: where a channel is laid out."""

    url: str
    fallback: str = ""
    invalidate: list[str] = []
    invalidate_network: bool = False
    """Whether that command may use the network."""
    expires_days: dict[Literal["root", "targets", "snapshot", "timestamp"], Days] = {}


class Notify(Table):
    """`[notify.NAME]`: who is told of each move of a channel, by JSON on standard input."""

    command: list[str] = Field(min_length=1)
    channels: list[Name] = []
    """Of which channels; none: of all."""
    network: bool = False
    """Whether the command may use the network."""
    timeout: float = Field(default=60.0, gt=0, le=3600, allow_inf_nan=False)
    tries: int = Field(default=3, ge=1, le=10)
    """How often it is run until it ends well."""


class Network(Table):
    """`[network]`"""

    allow: list[Host] = []


class Consumer(Table):
    """`[[consumers]]`: whose protected branch must ask for which checks."""

    name: Name
    forge: str
    repository: str
    branch: str = "main"
    required_checks: list[str] = Field(min_length=1)


class _File(Table):
    store: StoreSettings = StoreSettings()
    components: dict[Name, Component] = {}
    products: dict[Name, Product] = {}
    gates: dict[Name, dict[str, Any]] = {}
    destinations: dict[Name, Destination] = {}
    witnesses: dict[str, _WitnessPlace] = {}
    notify: dict[Name, Notify] = {}
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
        found |= {f"witnesses.{name}": url for name, url in self.posted_witnesses.items()}
        found |= {
            f"witnesses.{name}": place for name, place in self.witnesses.items() if not isinstance(place, PostedWitness)
        }
        return found | {f"consumers.{one.name}.forge": one.forge for one in self.consumers}

    @property
    def witness_places(self) -> list[str]:
        """Where lines of witnesses lie."""
        return [self.absolute(place) for place in self.witnesses.values() if not isinstance(place, PostedWitness)]

    @property
    def posted_witnesses(self) -> dict[str, str]:
        """Name -> where a witness is posted to."""
        return {name: found.post for name, found in self.witnesses.items() if isinstance(found, PostedWitness)}

    def absolute(self, url: str) -> str:
        """A URL, or a path that starts at the file's folder."""
        return config_files.absolute(url, self.folder)

    def with_channels(self, channels: Mapping[str, ChannelPolicy]) -> Config:
        """The same with the proposed policies."""
        return self.model_copy(update={"channels": dict(channels)})


def build(value: Mapping[str, Any], text: str, path: str, digest: Digest) -> Config:
    """Checked tables to configuration. Raises ConfigError with file, line and key."""
    errors, checked = _checked(value)
    wrong = [_told(error) for error in errors[:1]] or list(product_mistakes(value, checked))
    if checked is None or wrong:
        raise _error(wrong[0], len(errors or wrong), text, path)
    fields = {name: getattr(checked, name) for name in _File.model_fields}
    return Config.model_construct(**fields, channels={}, path=path, digest=digest)


def problems(value: Mapping[str, Any]) -> Iterator[tuple[str, Key, str]]:
    """Kind, key and message of everything that no table may hold; a misspelt key goes first."""
    return ((str(error["type"]), *_told(error)) for error in _checked(value)[0])


def _checked(value: Mapping[str, Any]) -> tuple[list[ErrorDetails], _File | None]:
    """All that is wrong, or the tables."""
    try:
        return [], _File.model_validate(value)
    except ValidationError as exc:
        found = exc.errors(include_url=False, include_context=False, include_input=False)
        return sorted(found, key=lambda error: error["type"] != "extra_forbidden"), None


def product_mistakes(value: Mapping[str, Any], checked: _File | None = None) -> Iterator[tuple[Key, str]]:
    """Key and message of what a product lacks, and of each component that it names and nothing defines."""
    tables = value.get("products")
    for product, table in tables.items() if isinstance(tables, dict) else ():
        for where, named in _named_components(table):
            yield from _unknown(("products", product, *where, "components"), named, value.get("components", {}))
        try:
            made = Product.model_validate(table) if checked is None else checked.products[product]
        except ValidationError:
            continue
        for key, message in made.problems():
            yield ("products", product, *key), message


def _named_components(table: object) -> Iterator[tuple[Key, object]]:
    """Those of a product and of its builds, as far as they are well-formed."""
    if isinstance(table, dict):
        yield (), table.get("components")
        builds = table.get("builds")
        for name, build in builds.items() if isinstance(builds, dict) else ():
            yield ("builds", name), build.get("components") if isinstance(build, dict) else None


def _unknown(key: Key, named: object, components: object) -> Iterator[tuple[Key, str]]:
    known = components if isinstance(components, dict) else {}
    for name in named if isinstance(named, list) else ():
        if isinstance(name, str) and name not in known:
            near = get_close_matches(name, known, n=1)
            meant = f", did you mean {near[0]!r}?" if near else ""
            yield key, f"unknown component {name!r}{meant}"


def _told(error: ErrorDetails) -> tuple[Key, str]:
    key: Key = tuple(part for part in error["loc"] if part not in _NO_KEYS)
    if error["type"] == "extra_forbidden":
        return key, "there is no such key" + _near(key)
    return key, "is missing" if error["type"] == "missing" else str(error["msg"]).removeprefix("Value error, ")


def _error(wrong: tuple[Key, str], count: int, text: str, path: str) -> ConfigError:
    key, message = wrong
    more = f" (and {count - 1} more)" if count > 1 else ""
    dotted = ".".join(str(part) for part in key)
    return ConfigError(f"{path}:{line_of(text, key)}: key '{dotted}': {message}{more}", hint=HINT)


_TABLES: dict[str, type[Table]] = {
    "store": StoreSettings,
    "components": Component,
    "products": Product,
    "destinations": Destination,
    "notify": Notify,
    "witnesses": PostedWitness,
    "network": Network,
    "consumers": Consumer,
}


def _near(key: Key) -> str:
    table = _TABLES.get(str(key[0]), _File) if len(key) > 1 else _File
    table = Build if len(key) > 3 and key[2] == "builds" else table
    names = [*table.model_fields, "channels"] if table is _File else list(table.model_fields)
    found = get_close_matches(str(key[-1]), names, n=1)
    return f", did you mean {found[0]!r}?" if found else ""
