"""Package URLs, as far as two of them are compared: type, namespace, name, version.

Source: https://github.com/package-url/purl-spec . Qualifiers and subpaths say where a package was got, not which it is.

    Purl.parse("pkg:npm/%40angular/core@17.1.0?arch=x").covers(...)
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from attest.core.values import dataclass
from attest.errors import FormatError

_TYPE = re.compile(r"[a-z0-9.+-]{1,64}")
_LOWER = frozenset({"pypi", "github", "bitbucket", "composer", "deb"})
"""Types whose names are the same in any case."""


@dataclass(frozen=True, slots=True, order=True)
class Purl:
    """One package, or without a version any of that name."""

    type: str
    name: str
    """With its namespace."""
    version: str = ""

    @staticmethod
    def parse(text: str) -> Purl:
        """Raises FormatError."""
        path = text.strip().partition("#")[0].partition("?")[0].removeprefix("pkg:").strip("/")
        kind, slash, rest = path.partition("/")
        head, at, version = rest.rpartition("@")
        name = unquote(head if at and not head.endswith("/") and head else rest).strip("/")
        if not text.strip().startswith("pkg:") or not slash or not name or not _TYPE.fullmatch(kind.lower()):
            raise FormatError(f"not a package URL: {text[:100]!r}", hint="such as pkg:cargo/openssl@0.10.45")
        return Purl.of(kind, name, unquote(version) if at and head else "")

    @staticmethod
    def of(kind: str, name: str, version: str = "") -> Purl:
        """The one writing of a package."""
        kind = kind.lower()
        name = name.lower() if kind in _LOWER else name
        return Purl(kind, re.sub(r"[-_.]+", "-", name) if kind == "pypi" else name, version)

    def covers(self, other: Purl) -> bool:
        """Whether it is that package: the same version, or any where this one names none."""
        return (self.type, self.name) == (other.type, other.name) and self.version in ("", other.version)

    def __str__(self) -> str:
        name = "/".join(quote(part, safe="._~+-") for part in self.name.split("/"))
        return f"pkg:{self.type}/{name}" + (f"@{quote(self.version, safe='._~+-:')}" if self.version else "")
