"""Do two products carry the same content? By content, whatever the names say (docs/isolation.md).

`check` compares all products of a release. Components that are shared with a reason, and the named
reference trees, are taken out. It promises to find: a file under another name or mode and a hard
link (the same blob), a member of a nested archive, the same program stripped or signed, and a copy
of 512 bytes or more at any offset of any file. What is encoded or encrypted it cannot see.

    settings -> scanning (nested, containers, variants, fingerprints; scan_cache) -> comparing
    (matching, copies) -> reports

    report = check(store, manifests, Settings())
    report.require()            # raises CrossProductLeak
"""

from __future__ import annotations

from collections.abc import Mapping

from bundlers.isolation.comparing import Comparison
from bundlers.isolation.reports import Finding, IsolationReport
from bundlers.isolation.scanning import ContentStore
from bundlers.isolation.settings import Settings
from bundlers.products.product_manifests import ProductManifest

__all__ = ["ContentStore", "Finding", "IsolationReport", "Settings", "check"]


def check(
    store: ContentStore, manifests: Mapping[str, ProductManifest], settings: Settings, *, workers: int = 2
) -> IsolationReport:
    """Compare all products. A blob that was looked at before, with the same caps, is not read again."""
    return Comparison(store, manifests, settings, workers).report()
