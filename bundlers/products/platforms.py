"""What a target platform cannot hold, refused when a product for it is bundled; and what others call it.

Windows: https://learn.microsoft.com/windows/win32/fileio/naming-a-file . macOS: its file systems
take two spellings of one name (case, Unicode form) for the same file unless set up otherwise. A
product that names no platform, or Linux, keeps what its trees have; two Unicode forms of one name are refused for
all, since a reader of archives (bsdtar) takes them for one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from casstore.errors import UnsupportedInput

if TYPE_CHECKING:
    from casstore.objects.platforms import Platform

_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(\..*)?")
_FORBIDDEN = re.compile(r'[<>:"\\|?*]')
_MAX_PATH = 240
"""In UTF-16 units: what is left of 260 below a short folder."""

_MAX_LAYERS = 127
"""What container runtimes stack (overlayfs in Docker and containerd)."""
_GO_SYSTEMS = {"macos": "darwin"}
_GO_MACHINES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "i686": "386",
    "armv7": "arm",
    "riscv64": "riscv64",
    "powerpc64le": "ppc64le",
    "s390x": "s390x",
}


class Place(Protocol):
    """What is asked of a file or an empty folder of a product."""

    @property
    def path(self) -> str:
        """Relative, with `/`."""

    @property
    def component(self) -> str:
        """Which component brings it."""


class File(Place, Protocol):
    """What is asked of a file."""

    @property
    def digest(self) -> str | None:
        """None for a symbolic link."""


class Product(Protocol):
    """What is asked of a ProductManifest."""

    @property
    def key(self) -> str:
        """Its name, and that of the build."""

    @property
    def platform(self) -> Platform | None:
        """What it is for, where it says."""

    @property
    def archive_format(self) -> str:
        """The name of its format."""

    @property
    def wrap(self) -> str:
        """The folder that all files lie in."""

    @property
    def files(self) -> Sequence[File]:
        """All files and links that it holds."""

    @property
    def folders(self) -> Sequence[Place]:
        """All empty folders."""


def check(manifest: Product) -> None:
    """Raises UnsupportedInput for the first path that the build's platform cannot hold."""
    system = manifest.platform.os if manifest.platform else ""
    if manifest.archive_format == "oci":
        _check_image(manifest)
    if not all(path.isascii() for path in _paths(manifest)):
        _check_spellings(manifest, _composed, "Unicode form")
    if system == "windows":
        _check_windows(manifest)
        _check_spellings(manifest, _upper, "case")
    if system == "macos":
        _check_spellings(manifest, _one_form, "case or Unicode form")


def go_platform(platform: Platform | None) -> tuple[str, str]:
    """The system and the machine as Go and OCI name them; `linux` and `unknown` where the build does not say.

    (Tools refuse to unpack an image whose system they do not know.)
    """
    if platform is None or platform.os == "any":
        return "linux", "unknown"
    return _GO_SYSTEMS.get(platform.os, platform.os), _GO_MACHINES.get(platform.arch, "unknown")


def reserved(name: str) -> bool:
    """Whether Windows keeps a file's name for itself."""
    return bool(_RESERVED.fullmatch(name))


def _check_image(manifest: Product) -> None:
    """A name that begins with `.wh.` deletes files of the layers below it (OCI image spec, layer.md)."""
    for path in _paths(manifest):
        for part in path.split("/"):
            if part.startswith(".wh."):
                _refuse(manifest, path, f"has the name {part!r}, which in an image deletes other files")
    if (layers := len({one.component for one in (*manifest.files, *manifest.folders)})) > _MAX_LAYERS:
        raise UnsupportedInput(
            f"product {manifest.key}: {layers} components make as many layers, readers take {_MAX_LAYERS}",
            hint="put some of them as one component",
        )


def _check_windows(manifest: Product) -> None:
    above = len(f"{manifest.wrap}/") if manifest.wrap else 0
    for file in manifest.files:
        if file.digest is None:
            _refuse(manifest, file.path, "is a symbolic link")
    for path in _paths(manifest):
        for part in path.split("/"):
            if _RESERVED.fullmatch(part):
                _refuse(manifest, path, f"has the reserved name {part!r}")
            if _FORBIDDEN.search(part) or part.endswith((" ", ".")):
                _refuse(manifest, path, f"has a name that Windows forbids: {part!r}")
        if above + len(path.encode("utf-16-le")) // 2 > _MAX_PATH:
            _refuse(manifest, path, f"is longer than {_MAX_PATH} UTF-16 units")


def _paths(manifest: Product) -> Iterator[str]:
    """The folder that all lies in, then everything as it lies there."""
    if manifest.wrap:
        yield manifest.wrap
    yield from (one.path for one in (*manifest.files, *manifest.folders))


def _check_spellings(manifest: Product, folded: Callable[[str], str], what: str) -> None:
    """No file or folder may be another's name in another spelling."""
    seen: dict[str, str] = {}
    for one in (*manifest.files, *manifest.folders):
        parts = one.path.split("/")
        for count in range(1, len(parts) + 1):
            path = "/".join(parts[:count])
            before = seen.setdefault(folded(path), path)
            if before != path:
                _refuse(manifest, one.path, f"differs from {before} only in {what}")


def _upper(path: str) -> str:
    """NTFS compares letter by letter in upper case."""
    return "".join(c.upper() if len(c.upper()) == 1 else c for c in path)


def _composed(path: str) -> str:
    """As libarchive names what it unpacks on any system, so that of two files one would be lost."""
    return unicodedata.normalize("NFC", path)


def _one_form(path: str) -> str:
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).casefold())


def _refuse(manifest: Product, path: str, why: str) -> None:
    raise UnsupportedInput(
        f"product {manifest.key} for {manifest.platform}: {path} {why}", hint="rename it, or exclude it"
    )
