"""Which component goes into which product, and the rule that keeps products apart by construction.

A component belongs to one product, unless it is `shared` with a reason.

    check_construction(config)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from attest.digests import Digest
from attest.errors import BadInput, CasstoreError
from bundlers.errors import CrossProductLeak
from bundlers.products import product_manifests
from bundlers.products.product_manifests import ComponentTree, ProductManifest, TreeStore

if TYPE_CHECKING:
    from casstore.config import Config


def check_construction(config: Config) -> None:
    """Raises CrossProductLeak when a component is in two products without a reason, BadInput without products."""
    if not config.products:
        raise BadInput(f"{config.path}: no product is defined", hint="write [products.NAME] with its components")
    for _, problem in construction_problems(config):
        raise problem


def construction_problems(config: Config) -> Iterator[tuple[tuple[str, ...], CasstoreError]]:
    """The key and what is wrong with it, for every component that is carried as it must not be."""
    carriers: dict[str, list[str]] = defaultdict(list)
    for product, table in config.products.items():
        for name in table.components:
            if product in carriers[name]:
                yield (
                    ("products", product, "components"),
                    BadInput(f"product {product} names the component {name} twice"),
                )
            else:
                carriers[name].append(product)
    for name, products in carriers.items():
        if len(products) > 1 and not config.components[name].shared.strip():
            leak = CrossProductLeak(
                f"the component {name} is in {' and '.join(products)}, and is not shared",
                hint=f'give it to one product, or write shared = "REASON" under [components.{name}]',
            )
            yield ("components", name), leak


def manifests(
    store: TreeStore, config: Config, trees: Mapping[str, Digest], version: str, epoch: int
) -> dict[str, ProductManifest]:
    """The ProductManifest of every product. Raises as `check_construction` and `product_manifests.build`."""
    check_construction(config)
    return {
        product: product_manifests.build(
            store,
            product,
            table.format,
            {name: ComponentTree(trees[name], config.components[name].shared.strip()) for name in table.components},
            version,
            epoch,
            platform=table.platform,
        )
        for product, table in sorted(config.products.items())
    }
