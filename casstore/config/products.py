"""`[products.NAME]` and `[products.NAME.builds.BUILD]`: what is shipped, and how it lies in its archive.

A build inherits what its product says, and adds its own components to the product's. A product
without builds is one build, `default`.

    Product.model_validate({"components": ["bin"], "format": "zip"}).all_builds["default"].format
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict

from attest.errors import BadInput
from casstore.objects.platforms import Platform

DEFAULT = "default"
"""The build of a product that has one."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_IN_ARCHIVE = ("product", "version", "build", "os", "arch", "libc", "file")
_IN_WRAP = ("product", "version", "build", "os", "arch")


def check_name(value: str) -> str:
    """Raises ValueError."""
    if not _NAME.fullmatch(value):
        raise ValueError("a name has letters, digits, '.', '_', '+' and '-', at most 64")
    return value


def _platform(value: object) -> Platform | None:
    try:
        if isinstance(value, str):
            return Platform.of_text(value) if value else None
        if isinstance(value, dict) and all(isinstance(item, str) for item in value.values()):
            return Platform.of_table(value)
    except BadInput as exc:
        raise ValueError(f"{exc.message} ({exc.hint})") from exc
    raise ValueError('a platform is a text such as "linux-x86_64", or a table of texts')


def _template(value: str, known: tuple[str, ...]) -> str:
    for name in _PLACEHOLDER.findall(value):
        if name not in known:
            raise ValueError(f"there is no {{{name}}}, there are: {', '.join(known)}")
    if re.search(r"[{}]", _PLACEHOLDER.sub("", value)):
        raise ValueError("a brace is open")
    return value


def inside(value: str) -> str:
    """Raises ValueError."""
    parts = value.split("/")
    if any(part in ("", ".", "..") for part in parts) or any(ord(c) < 0x20 or c == "\x7f" for c in value):
        raise ValueError(f"not a path inside an archive: {value[:100]!r}")
    return value


Name = Annotated[str, AfterValidator(check_name)]
Inside = Annotated[str, AfterValidator(inside)]
Format = Literal["tar.gz", "tar.zst", "zip", "oci", "file"]


class Table(BaseModel):
    """Every table: unknown keys are refused, values are frozen and not converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)
    """What checks a table is made when one is checked: those within the file are checked as parts of it."""


class Build(Table):
    """What a product or one build of it may say."""

    components: list[Name] = []
    format: Format | None = None
    platform: Annotated[Any, AfterValidator(_platform)] = None
    archive: Annotated[str, AfterValidator(lambda text: _template(text, _IN_ARCHIVE))] = ""
    """The archive's name without its suffix; `file` has none to add."""
    wrap: Annotated[str | None, AfterValidator(lambda text: None if text is None else _template(text, _IN_WRAP))] = None
    """The folder that all files of the archive lie in; an empty text is none."""
    bin: list[Inside] = []
    """Programs that `install --link-bin` links."""
    config: list[Inside] = []
    """Files that a consumer may change: an update keeps theirs."""
    foreign: str = ""
    """Why it may hold programs of another system or machine."""
    never: list[str] = []
    """Globs of paths that may not be in it, nor in what is packed in it; those of the product hold for each build."""


class Product(Build):
    """`[products.NAME]`: one shippable thing, in one build or several."""

    builds: dict[Name, Build] = {}

    @property
    def all_builds(self) -> dict[str, Build]:
        """Every build with all that holds for it."""
        if not self.builds:
            return {DEFAULT: Build.model_construct(**{name: getattr(self, name) for name in Build.model_fields})}
        return {name: self._merged(name, build) for name, build in sorted(self.builds.items())}

    @property
    def all_components(self) -> list[str]:
        """The components of all builds, each once."""
        return sorted({name for build in self.all_builds.values() for name in build.components})

    def problems(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Every key that is wrong, below the product, and why."""
        if DEFAULT in self.builds:
            yield ("builds", DEFAULT), "a build is not named default: that is the one of a product without builds"
        for name, build in self.all_builds.items():
            where = ("builds", name) if self.builds else ()
            if not build.components:
                yield (*where, "components"), "it has no component"
            if build.format is None:
                yield (*where, "format"), "is missing"
            if len(self.builds) > 1 and build.platform is None:
                yield (*where, "platform"), "one of several builds says its platform, or has its name"
            if build.wrap and build.format == "file":
                yield (*where, "wrap"), "a finished file lies in no folder"

    def _merged(self, name: str, build: Build) -> Build:
        """What the build says, else what the product says; without a platform its name may be one."""
        said = build.model_fields_set
        fields = {key: getattr(build if key in said else self, key) for key in Build.model_fields}
        for key in ("components", "never"):
            own, more = getattr(self, key), getattr(build, key)
            fields[key] = [*own, *(item for item in more if item not in own)]
        if fields["platform"] is None:
            fields["platform"] = _named(name)
        return Build.model_construct(**fields)


def _named(name: str) -> Platform | None:
    try:
        return Platform.of_text(name)
    except BadInput:
        return None
