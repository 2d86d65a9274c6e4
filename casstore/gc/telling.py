"""Why an object is kept: the ways that lead from what is needed by itself to it.

report = why(store, digest, Settings(), now=now)
report.paths[0]        # ("release 1.4.0 (entry 7, in channel prod), component core-bin", "file core")
"""

from __future__ import annotations

from datetime import datetime

from attest.core import times
from attest.digests import Digest, from_raw, to_raw
from casstore.errors import NoSuchObject
from casstore.gc.collecting import NOTHING_SAYS, Settings, Survey, survey
from casstore.gc.marking import Edge
from casstore.gc.reports import WhyReport
from casstore.store.store import Store

_TOLD = 10


def why(store: Store, digest: Digest, settings: Settings, *, now: datetime) -> WhyReport:
    """Every root that needs it, up to ten with the way. Raises NoSuchObject."""
    seen, raw = survey(store, settings, now, None, tell=True), to_raw(digest)
    names = seen.contents.packs_of(raw)
    if not names:
        raise NoSuchObject(f"{digest}: no such object in this store", hint="look whether it is in another store")
    paths = _paths(seen.marks.edges, raw)
    verdict = f"needed, for {len(paths)} reasons" if paths else _unneeded(seen, names, settings)
    kept = bool(paths) or not seen.judged
    told = tuple(sorted(paths)[:_TOLD])
    return WhyReport(digest, kept, verdict, told, len(paths) - len(told), tuple(from_raw(name) for name in names))


def _paths(edges: dict[bytes, list[Edge]], target: bytes) -> list[tuple[str, ...]]:
    """The shortest way from each root, found by going upwards level by level."""
    found: dict[str, tuple[str, ...]] = {}
    level: list[tuple[bytes, tuple[str, ...]]] = [(target, ())]
    met = {target}
    while level:
        above: list[tuple[bytes, tuple[str, ...]]] = []
        for raw, below in level:
            for edge in edges.get(raw, ()):
                if edge.source is None:
                    found.setdefault(edge.how, (edge.how, *below))
                elif edge.source not in met:
                    met.add(edge.source)
                    above.append((edge.source, (edge.how, *below)))
        level = above
    return list(found.values())


def _unneeded(seen: Survey, names: list[bytes], settings: Settings) -> str:
    """Nothing needs it: what becomes of it."""
    if not seen.judged:
        return NOTHING_SAYS
    if all(seen.doomed.get(name) for name in names):
        return "nothing needs it; it was given up, its file goes with the next casstore gc --confirm"
    if all(name in seen.doomed for name in names):
        ends = [row.until for book in seen.books for pack, row in book.condemned.items() if to_raw(pack) in names]
        return f"nothing needs it; it is condemned and goes after {times.format(max(ends))}"
    staying = [name for name in names if name not in seen.doomed]
    shares = [seen.plan.packs[name].share for name in staying]
    if max(shares) > 0:
        return f"nothing needs it; it shares a pack of which {max(shares):.0%} is needed"
    days = settings.grace.total_seconds() / 86400
    return f"nothing needs it; the next casstore gc --confirm condemns it once its pack is {days:g} days old"
