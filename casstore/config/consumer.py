"""`consumer.toml`: what somebody installs, from where, by which pins, and what is run after an update.

It belongs to the consumer alone: nothing of it comes from a publisher, and nothing that a publisher ships is run
unless it says so here (docs/formats/consumer-config.md).

    settings = load(None)
    settings.products["core"].into
"""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from attest import digests
from attest.errors import BadInput, FormatError
from casstore.config.channels import duration
from casstore.config.lines import line_of
from casstore.config.model import Network
from casstore.config.products import Name, Table
from casstore.errors import ConfigError
from casstore.machine import config_files, toml_text

NAME = "consumer.toml"
_HINT = "casstore help consumer-config: every key"


def _seconds(value: object) -> Any:
    try:
        return duration(value, "fresh")
    except FormatError as exc:
        raise ValueError(f"{exc.message}; {exc.hint}") from exc


def _digest(value: str) -> str:
    try:
        return digests.parse(value) if value else ""
    except (BadInput, FormatError) as exc:
        raise ValueError(exc.message) from exc


DigestText = Annotated[str, AfterValidator(_digest)]


class Installed(Table):
    """`[products.NAME]`: one product in one folder."""

    source: str = Field(alias="from", min_length=1)
    """A published URL or folder, or a kit file."""
    channel: Name
    into: str = Field(min_length=1)
    product: Name = ""
    """Its name there, where it is not the table's own."""
    platform: str = ""
    link_bin: str = ""
    trust_root: DigestText = ""
    """The digest of trust root 1; without it the first use is believed and pinned."""
    tuf_root: DigestText = ""
    sigstore_root: str = ""
    """A trusted_root.json, to judge keyless signers by."""
    share: Literal["drawn", "never", "always"] = "drawn"
    """Whether a release comes here that a share of the channel gets first."""
    keep: int | None = Field(default=None, ge=1)
    """How many versions stay, the one in force counted."""
    fresh: Annotated[int | None, BeforeValidator(_seconds)] = Field(default=None, gt=0)
    """How old, in seconds, what the source says may be."""
    after: list[str] = Field(default=[])
    """A command that is run after each switch of versions."""
    check: list[str] = Field(default=[])
    """A command that ends well when the product works; else the version before comes back."""
    stop: list[str] = Field(default=[])
    """A command that is run when no version is left that may run."""
    after_timeout: float = Field(default=300.0, gt=0, le=86400, allow_inf_nan=False)
    check_timeout: float = Field(default=30.0, gt=0, le=86400, allow_inf_nan=False)
    check_tries: int = Field(default=3, ge=1, le=100)


class ConsumerSettings(Table):
    """A whole consumer.toml."""

    state: str = ""
    """Where pins are kept."""
    network: Network = Network()
    products: dict[Name, Installed] = Field(min_length=1)


class Loaded(Table):
    """Its settings, and where it lies."""

    path: str
    settings: ConsumerSettings

    def absolute(self, path: str) -> str:
        """A URL, or a path that starts at the file's folder."""
        return config_files.absolute(path, os.path.dirname(os.path.abspath(self.path)))


def places() -> list[str]:
    """Where it is looked for, in this order."""
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return [NAME, os.path.join(base, "casstore", NAME), f"/etc/casstore/{NAME}"]


def load(path: str | None) -> Loaded:
    """A named file, else the first that is there. Raises ConfigError."""
    found = path or next((place for place in places() if os.path.isfile(place)), None)
    if found is None:
        raise ConfigError(f"no {NAME} is here: {', '.join(places())}", hint=f"name one with --file; {_HINT}")
    try:
        with open(found, "rb") as file:
            data = file.read(config_files.MAX_BYTES + 1)
    except OSError as exc:
        raise ConfigError(f"{found}: cannot be read: {exc.strerror}") from exc
    if len(data) > config_files.MAX_BYTES:
        raise ConfigError(f"{found}: larger than {config_files.MAX_BYTES} bytes")
    return Loaded(path=found, settings=_parse(data, found))


def _parse(data: bytes, path: str) -> ConsumerSettings:
    try:
        text = data.decode("utf-8-sig")
        value = toml_text.parse(text)
    except ValueError as exc:
        raise ConfigError(f"{path}: is no TOML: {' '.join(str(exc).split())[:200]}", hint=_HINT) from exc
    try:
        return ConsumerSettings.model_validate(value)
    except ValidationError as exc:
        wrong = exc.errors()
        first = min(wrong, key=lambda error: error["type"] != "extra_forbidden")
        key = tuple(part for part in first["loc"] if part != "[key]")
        told = {"extra_forbidden": "there is no such key", "missing": "is missing"}
        message = told.get(first["type"], str(first["msg"]).removeprefix("Value error, "))
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        dotted = ".".join(map(str, key))
        raise ConfigError(f"{path}:{line_of(text, key)}: key '{dotted}': {message}{more}", hint=_HINT) from exc
