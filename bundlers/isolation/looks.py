"""Which files of each product must be held against the others, and what a look at those found.

What shares no token with another product (`tokens`) can make no finding, and is not even read from the cache of scans.
Beside what shares one, these are always held: what is packed in a product that has rules on what it may never hold,
what could not be opened, what costs more than its budget, and what a reference may explain.

    looked = take(store, products, compared, allowed, settings, workers)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import numpy as np

from attest.core.values import dataclass
from attest.digests import Digest, is_digest
from bundlers.inspection.fingerprints import Hashes
from bundlers.isolation.contents import Contents
from bundlers.isolation.explained.allowed import Allowed
from bundlers.isolation.scans import tokens
from bundlers.isolation.scans.digest_tables import Sizes
from bundlers.isolation.scans.scanning import ContentStore, Scan, asked, cache_folder, scan
from bundlers.isolation.scans.token_cache import TokenCache
from bundlers.isolation.scans.tokens import Gathering, Tokens
from bundlers.isolation.settings import Settings
from bundlers.isolation.stretches.matching import hashes_of, in_two
from bundlers.products.product_manifests import ProductFile

_Files = Callable[[], Iterable[ProductFile]]
_HELD = 32 * 1024 * 1024
_ROW = 500
"""About what a scan takes in memory beside its fingerprints."""


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
    compared: Mapping[str, _Files],
    allowed: Allowed,
    settings: Settings,
    workers: int,
) -> Looked:
    """`compared`: product -> its files and inputs but for those that every other one may have too."""
    references = allowed.references()
    sizes = {p: Sizes.of(_asked_of(products[p], compared[p], bool(references))) for p in products}
    cache = TokenCache(cache_folder(store), f"{asked(settings)} {settings.min_size}")
    looking = _Looking(store, sizes, settings, workers)
    found = _known(cache, sizes, looking)
    chosen = {p: have.chosen(_sizes_of(compared[p]()).digests) for p, have in found.items()}
    common, explained = in_two(have.tokens for have in chosen.values()), _explained(allowed)
    files = {
        product: chosen[product].holding(common)
        | found[product].holding(explained)
        | found[product].unopened
        | (found[product].packed if products[product].never else frozenset())
        | {digest for digest, one in looking.scans.items() if one.refused and digest in sizes[product].digests}
        for product in products
    }
    missing = {d: sizes[product][d] for product, held in files.items() for d in sorted(held) if d not in looking.scans}
    counted = [have.counted(_everywhere(allowed, product)) for product, have in chosen.items()]
    return Looked(
        files,
        looking.scans | (dict(scan(store, missing.items(), settings, workers)) if missing else {}),
        len(np.unique(np.concatenate(counted))) if counted else 0,
    )


class _Looking:
    """Looks at the files of products, each file once; so much as is read again soon stays."""

    def __init__(self, store: ContentStore, sizes: Mapping[str, Sizes], settings: Settings, workers: int) -> None:
        self._store, self._sizes, self._settings, self._workers = store, sizes, settings, workers
        self.scans: dict[Digest, Scan] = {}
        """Of all that cost more than their budget, and of the first others."""
        self._room = _HELD

    def __call__(self, products: Sequence[str]) -> dict[str, Gathering]:
        """What the files of some products have."""
        made = {product: Gathering(self._sizes[product], self._settings.min_size) for product in products}
        for digest, found in chain(list(self.scans.items()), self._looks(products)):
            for gathering in made.values():
                gathering.add(digest, found)
        return made

    def _looks(self, products: Sequence[str]) -> Iterator[tuple[Digest, Scan]]:
        held = [self._sizes[product] for product in products]
        wanted = held[0] if len(held) == 1 else Sizes.of(chain.from_iterable(one.rows() for one in held))
        new = ((digest, size) for digest, size in wanted.rows() if digest not in self.scans)
        for digest, found in scan(self._store, new, self._settings, self._workers):
            yield digest, found
            self._room -= _ROW + sum(len(unit.hashes) + _ROW for unit in found.units) + _ROW * len(found.members)
            if found.refused or self._room >= 0:
                self.scans[digest] = found


def _known(cache: TokenCache, sizes: Mapping[str, Sizes], look: _Looking) -> dict[str, Tokens]:
    """What is kept of each product, and a look at the files of those of which nothing is.

    The largest is asked last, while those that changed are looked at: most often it is a small one.
    """
    *small, largest = sorted(sizes, key=lambda product: len(sizes[product])) or [""]
    known = {product: cache.get(product, sizes[product].digests) for product in small}
    with ThreadPoolExecutor(1) as beside:
        looked = beside.submit(look, [product for product in small if known[product] is None])
        known |= {largest: cache.get(largest, sizes[largest].digests)} if largest else {}
    made = looked.result()
    if largest and known[largest] is None:
        made |= look([largest])
    found = {product: have for product, have in known.items() if have is not None}
    for product, gathering in made.items():
        found[product] = gathering.done()
        if not gathering.refused:  # another time it may take less
            cache.put(product, found[product])
    return found


def _asked_of(contents: Contents, compared: _Files, references: bool) -> Iterator[tuple[Digest, int]]:
    """Files of which tokens are wanted, with their sizes; all of them where a reference may explain too much."""
    ruled = chain.from_iterable(files for files, _ in contents.never)
    for file in chain(compared(), contents.files if references else (), ruled):
        if file.digest is not None and file.size:
            yield file.digest, file.size


def _sizes_of(files: Iterable[ProductFile]) -> Sizes:
    return Sizes.of((file.content, file.size) for file in files)


def _everywhere(allowed: Allowed, product: str) -> Hashes:
    """Contents that every product may have."""
    keys = {key for group in allowed.groups for key in group.keys if is_digest(key)}
    return tokens.array(tokens.token(Digest(key)) for key in keys if allowed.everywhere(key, product))


def _explained(allowed: Allowed) -> Hashes:
    """Fingerprints of what references hold."""
    return hashes_of(row.unit for group in allowed.references() for row in group.units)
