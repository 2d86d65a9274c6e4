"""What components say that they are built from, as files: by their provenance, where `inputs` names them.

What Git tracks, or a whole folder, is no such word: it is the same for all components, and belongs to none.

    Contents.each(plan.manifests, of(store, plan.provenance))
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attest.digests import Digest
from bundlers.building import build_inputs
from bundlers.products.product_manifests import ProductFile
from casstore.objects.tree import show
from casstore.store.store import Store


def of(store: Store, provenance: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[ProductFile, ...]]:
    """Component -> its declared inputs; symbolic links and empty files are left out. Raises NoSuchObject."""
    trees = {name: build_inputs.declared_tree(predicate, name) for name, predicate in provenance.items()}
    return {name: tuple(_files(store, name, tree)) for name, tree in trees.items() if tree is not None}


def _files(store: Store, name: str, tree: Digest) -> Iterator[ProductFile]:
    for path, entry in store.walk(tree):
        if entry.kind == "file" and entry.size:
            yield ProductFile(show(path), entry.mode, entry.size, entry.content, component=name)
