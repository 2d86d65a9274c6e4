"""Whether an archive holds what its product may never hold, at any depth: what whoever verifies it asks again.

The paths of the archive itself are asked where its ProductManifest is read; here what is packed in its files.

    for file, chunks in looked_into(manifest, formats.read(manifest, source)): ...     # or VerificationError
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from typing import IO, cast

from attest.errors import VerificationError
from bundlers.inspection import door
from bundlers.inspection.units import Limits, Member
from bundlers.products.forbidden import Forbidden
from bundlers.products.product_manifests import ProductFile, ProductManifest
from casstore.errors import OverBudget
from casstore.hostile import Budget

_SPOOL = 16 * 1024 * 1024


def broken(forbidden: Forbidden, path: str, members: Iterable[Member]) -> Iterator[tuple[str, Member, str]]:
    """Place, member and rule of what is packed in a file and may not be there."""
    for member in members:
        if rule := forbidden.rule(member.path):
            yield f"{path}!{member.path}", member, rule


def looked_into(
    manifest: ProductManifest, rows: Iterable[tuple[ProductFile, Iterator[bytes]]]
) -> Iterator[tuple[ProductFile, Iterator[bytes]]]:
    """The same rows; raises VerificationError after one that holds what the product may never hold."""
    forbidden = Forbidden(manifest.never)
    for file, chunks in rows:
        with tempfile.SpooledTemporaryFile(_SPOOL) as spool:
            yield file, _copied(chunks, cast("IO[bytes]", spool))
            members = _members(manifest, file, cast("IO[bytes]", spool))
        for place, _, rule in broken(forbidden, file.path, members):
            raise VerificationError(
                f"product {manifest.key}: it holds {place}, which it may never ({rule})",
                hint="do not use it; its builder must release again",
            )


def _members(manifest: ProductManifest, file: ProductFile, data: IO[bytes]) -> list[Member]:
    size = data.tell()
    data.seek(0)
    try:
        return door.listed(data, size, Limits(), Budget())
    except OverBudget as exc:
        raise VerificationError(f"product {manifest.key}: {file.path}: {exc.message}", hint=exc.hint) from exc


def _copied(chunks: Iterator[bytes], copy: IO[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        copy.write(chunk)
        yield chunk
