"""The times of another release's files, for whoever makes the same archives from the same trees elsewhere.

read("dist/1.4.0")                    # of the ProductManifests in a release's output folder
of_manifests(manifests)[("core-bin", tree)]
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable

from attest.core import limits
from attest.digests import Digest
from attest.errors import BadInput
from bundlers.products import product_manifests
from bundlers.products.product_manifests import ProductManifest

_ENDS = ".product-manifest.json"


def of_manifests(manifests: Iterable[ProductManifest]) -> dict[tuple[str, Digest], int]:
    """Component and tree -> seconds since 1970."""
    return {(name, c.tree): c.time for manifest in manifests for name, c in manifest.components.items()}


def read(folder: str) -> dict[tuple[str, Digest], int]:
    """Of all ProductManifests that lie in a folder. Raises BadInput for none, FormatError for one that is none."""
    paths = sorted(glob.glob(os.path.join(glob.escape(folder), f"*{_ENDS}")))
    if not paths:
        raise BadInput(
            f"{folder}: has no *{_ENDS}", hint="name the output folder of a release, or a release of this ledger"
        )
    return of_manifests(map(_read, paths))


def _read(path: str) -> ProductManifest:
    try:
        with open(path, "rb") as file:
            return product_manifests.read(iter(lambda: file.read(limits.MIB), b""))
    except OSError as exc:
        raise BadInput(f"{path}: cannot be read: {exc.strerror}") from exc
