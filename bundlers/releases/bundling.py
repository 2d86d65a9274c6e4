"""The archives of a release: those that changed are made side by side on all cores, the others are kept.

The bytes depend neither on how many are made at once nor on the threads that pack one of them.

    archives(request, plan, quarantine)["acme"].kept      # the version whose archive it is, or ""
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from bundlers.gates import StagedArchive
from bundlers.products.product_manifests import ProductManifest
from bundlers.releases import checks
from bundlers.releases.kept import Kept
from bundlers.releases.plan import Plan
from bundlers.releases.reports import ReleaseRequest
from bundlers.releases.staging import Quarantine


def archives(request: ReleaseRequest, plan: Plan, quarantine: Quarantine) -> tuple[StagedArchive, ...]:
    """One for each build, in the order of the plan; a kept one is fetched where somebody wants the file."""
    new = {key: manifest for key, manifest in plan.manifests.items() if key not in plan.kept}
    found = _made(request, plan, quarantine, new)
    fetch = request.out is not None or checks.opens_archives(request.config)
    for key, kept in plan.kept.items():
        found[key] = _kept(request, plan, quarantine, (key, kept), fetch=fetch)
    return tuple(found[key] for key in plan.manifests)


def _made(
    request: ReleaseRequest, plan: Plan, quarantine: Quarantine, new: dict[str, ProductManifest]
) -> dict[str, StagedArchive]:
    request.progress.start("bundling", len(new), sum(m.size for m in new.values()))
    at_once, each = _workers(request.workers, len(new))
    found = {}
    with ThreadPoolExecutor(at_once) as pool:
        jobs = {
            pool.submit(quarantine.archive, request.store, manifest, plan.names[key], workers=each): key
            for key, manifest in _largest_first(new)
        }
        try:
            for job in as_completed(jobs):
                key = jobs[job]
                found[key] = job.result()
                request.progress.advance(1, new[key].size, found[key].size)
        except BaseException:
            for job in jobs:
                job.cancel()
            raise
    request.progress.finish()
    return found


def _largest_first(new: dict[str, ProductManifest]) -> Sequence[tuple[str, ProductManifest]]:
    return sorted(new.items(), key=lambda item: -item[1].size)


def _workers(asked: int | None, count: int) -> tuple[int, int]:
    """How many archives at once, and threads for each."""
    cores = asked or os.cpu_count() or 1
    at_once = max(1, min(cores, count))
    return at_once, max(1, -(-cores // at_once))


def _kept(
    request: ReleaseRequest, plan: Plan, quarantine: Quarantine, item: tuple[str, Kept], *, fetch: bool
) -> StagedArchive:
    key, kept = item
    name, archive = plan.names[key], kept.row.archive
    if fetch:
        quarantine.write(name, request.store.chunks(archive.digest))
    path = quarantine.path(name) if fetch else ""
    return StagedArchive(name, path, archive.digest, archive.size, plan.manifests[key], kept.version)
