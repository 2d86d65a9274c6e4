"""What a target platform cannot hold, refused when a product for it is bundled.

Source for Windows: https://learn.microsoft.com/windows/win32/fileio/naming-a-file
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from casstore.errors import UnsupportedInput

if TYPE_CHECKING:
    from bundlers.product_manifests import ProductManifest

_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(\..*)?")
_FORBIDDEN = re.compile(r'[<>:"\\|?*]')
_MAX_PATH = 240


def check_windows(manifest: ProductManifest) -> None:
    """Raises UnsupportedInput for the first path that Windows cannot hold."""
    seen: dict[str, str] = {}
    for file in manifest.files:
        if file.digest is None:
            _refuse(manifest, file.path, "is a symbolic link")
        for part in file.path.split("/"):
            if _RESERVED.fullmatch(part):
                _refuse(manifest, file.path, f"has the reserved name {part!r}")
            if _FORBIDDEN.search(part) or part.endswith((" ", ".")):
                _refuse(manifest, file.path, f"has a name that Windows forbids: {part!r}")
        if len(file.path) > _MAX_PATH:
            _refuse(manifest, file.path, f"is longer than {_MAX_PATH} characters")
        before = seen.setdefault(file.path.casefold(), file.path)
        if before != file.path:
            _refuse(manifest, file.path, f"differs from {before} only in case")


def _refuse(manifest: ProductManifest, path: str, why: str) -> None:
    raise UnsupportedInput(
        f"product {manifest.product} for {manifest.platform}: {path} {why}", hint="rename it, or exclude it"
    )
