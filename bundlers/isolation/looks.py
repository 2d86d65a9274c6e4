"""Which files of each product must be held against the others, and what a look at those found.

What shares no token with another product (`tokens`) can make no finding, and is not even read from the cache of scans.
Beside what shares one, these are always held: what is packed in a product that has rules on what it may never hold,
what could not be opened, what costs more than its budget, and what a reference may explain.

    looked = take(store, products, compared, allowed, settings, workers)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from attest.core.values import dataclass
from attest.digests import Digest, is_digest
from bundlers.inspection.fingerprints import Hashes
from bundlers.isolation.contents import Contents
from bundlers.isolation.explained.allowed import Allowed
from bundlers.isolation.scans import tokens
from bundlers.isolation.scans.scanning import ContentStore, Scan, asked, cache_folder, scan
from bundlers.isolation.scans.token_cache import TokenCache
from bundlers.isolation.scans.tokens import Tokens
from bundlers.isolation.settings import Settings
from bundlers.isolation.stretches.matching import hashes_of, in_two
from bundlers.products.product_manifests import ProductFile


@dataclass(frozen=True, slots=True)
class Looked:
    """See the module."""

    files: Mapping[str, frozenset[Digest]]
    """Product -> the files that must be held against others."""
    scans: Mapping[Digest, Scan]
    """Of these, and perhaps of more."""
    compared: int
    """Different contents that count, in all products."""


def take(
    store: ContentStore,
    products: Mapping[str, Contents],
    compared: Mapping[str, Sequence[ProductFile]],
    allowed: Allowed,
    settings: Settings,
    workers: int,
) -> Looked:
    """`compared`: product -> its files and inputs but for those that every other one may have too."""
    references = allowed.references()
    sizes = {product: _asked_of(products[product], compared[product], bool(references)) for product in products}
    cache = TokenCache(cache_folder(store), f"{asked(settings)} {settings.min_size}")
    known, scans = _known(cache, sizes, lambda files: _scans(store, files, settings, workers))
    found: dict[str, Tokens] = {}
    for product, held in sizes.items():
        have = known[product]
        if have is None:
            have = Tokens.of({digest: (size, scans[digest]) for digest, size in held.items()}, settings.min_size)
            if not any(scans[digest].refused for digest in held):  # another time it may take less
                cache.put(product, have)
        found[product] = have
    chosen = {product: have.chosen(file.content for file in compared[product]) for product, have in found.items()}
    common, explained = in_two(have.tokens for have in chosen.values()), _explained(allowed)
    files = {
        product: chosen[product].holding(common)
        | found[product].holding(explained)
        | found[product].unopened
        | (found[product].packed if products[product].never else frozenset())
        | {digest for digest in sizes[product] if digest in scans and scans[digest].refused}
        for product in products
    }
    missing = {d: sizes[product][d] for product, held in files.items() for d in sorted(held) if d not in scans}
    counted = [have.counted(_everywhere(allowed, product)) for product, have in chosen.items()]
    return Looked(
        files,
        scans | _scans(store, missing, settings, workers),
        len(np.unique(np.concatenate(counted))) if counted else 0,
    )


def _known(
    cache: TokenCache,
    sizes: Mapping[str, Mapping[Digest, int]],
    look: Callable[[Mapping[Digest, int]], dict[Digest, Scan]],
) -> tuple[dict[str, Tokens | None], dict[Digest, Scan]]:
    """What is kept of each product, and a look at the files of those of which nothing is.

    The largest is asked last, while those that changed are looked at: most often it is a small one.
    """
    *small, largest = sorted(sizes, key=lambda product: len(sizes[product])) or [""]
    known = {product: cache.get(product, sorted(sizes[product])) for product in small}
    new = {digest: size for product in small if known[product] is None for digest, size in sizes[product].items()}
    with ThreadPoolExecutor(1) as beside:
        looked = beside.submit(look, new)
        known |= {largest: cache.get(largest, sorted(sizes[largest]))} if largest else {}
    scans = looked.result()
    rest = {} if not largest or known[largest] is not None else sizes[largest]
    return known, scans | look({digest: size for digest, size in rest.items() if digest not in scans})


def _asked_of(contents: Contents, compared: Sequence[ProductFile], references: bool) -> dict[Digest, int]:
    """Files of which tokens are wanted, with their sizes; all of them where a reference may explain too much."""
    held = [*compared, *(contents.files if references else ()), *(file for file, _ in contents.never if file.digest)]
    return {file.content: file.size for file in held if file.size}


def _scans(store: ContentStore, sizes: Mapping[Digest, int], settings: Settings, workers: int) -> dict[Digest, Scan]:
    return dict(scan(store, sizes, settings, workers)) if sizes else {}


def _everywhere(allowed: Allowed, product: str) -> Hashes:
    """Contents that every product may have."""
    keys = {key for group in allowed.groups for key in group.keys if is_digest(key)}
    return tokens.array(tokens.token(Digest(key)) for key in keys if allowed.everywhere(key, product))


def _explained(allowed: Allowed) -> Hashes:
    """Fingerprints of what references hold."""
    return hashes_of(row.unit for group in allowed.references() for row in group.units)
