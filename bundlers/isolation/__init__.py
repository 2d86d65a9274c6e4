"""Do two products carry the same content? By content, whatever the names say (docs/isolation.md).

In: the ProductManifests of all products, a store, settings, what was accepted. Out: a report of what is common and what
explains it. Called by `bundlers.releases`, `isolation` and, of what was accepted, by consumers.

`check` compares all products of a release, each with all its builds. All content is a product's own
until it is explained: by a shared component that both list, a reference, or an acceptance between the
two. It promises to find: a file under another name or mode and a hard link (the same blob), a member
of a nested archive, the same program stripped or signed, the same secret, and a copy of 512 bytes or
more at any offset of any file; `severity` says which copies stop a release. What is encoded or
encrypted it cannot see.

    settings -> scanning (nested, containers, variants, fingerprints; scan_cache) -> comparing
    (allowed, matching, copies, cover) -> reports

    report = check(store, Contents.each(manifests), Settings())
    report.require()            # raises CrossProductLeak
"""

from __future__ import annotations

from collections.abc import Mapping

from bundlers.isolation.comparing import Comparison
from bundlers.isolation.contents import Contents
from bundlers.isolation.reports import Finding, IsolationReport
from bundlers.isolation.scans.scanning import ContentStore
from bundlers.isolation.settings import Settings

__all__ = ["ContentStore", "Contents", "Finding", "IsolationReport", "Settings", "check"]


def check(
    store: ContentStore, products: Mapping[str, Contents], settings: Settings, *, workers: int = 2
) -> IsolationReport:
    """Compare all products. A blob that was looked at before, with the same caps, is not read again."""
    return Comparison(store, products, settings, workers).report()
