"""The whole of a version by one command: gates on sources, builds, gates on outputs, put, release.

Promises: all of it is done first on a clone of store and ledger that is thrown away, so that nothing is put, recorded
or shown when a gate or a build fails; each build runs once, and what is put then is what the gates saw. Leaves to
others: what the gates ask, and how a component is built.

    done = run(request, names, root=".")
    done.put, done.release
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from attest.core.values import dataclass
from attest.digests import Digest
from bundlers import gates
from bundlers.building import build_inputs, provenance
from bundlers.building.provenance import PutReport, known_components, put_components
from bundlers.gates import Outcome, Phase, ReleaseView
from bundlers.releases import checks, pipeline
from bundlers.releases.reports import ReleaseReport, ReleaseRequest
from casstore.config import Config
from casstore.errors import Conflict
from casstore.ledger.book.cache import EntryCache
from casstore.ledger.book.log import Ledger
from casstore.objects.store_config import StoreConfig
from casstore.storage import open_storage
from casstore.storage.overlay import OverlayStorage
from casstore.store.store import Store


@dataclass(frozen=True, slots=True)
class WholeReport:
    """What was done; on the clone alone where `put` is None."""

    sources: tuple[Outcome, ...]
    put: PutReport | None
    release: ReleaseReport

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "sources": [outcome.to_json() for outcome in self.sources],
            "put": self.put.to_json() if self.put else None,
            "release": self.release.to_json(),
        }


def run(request: ReleaseRequest, names: Sequence[str], *, root: str, reread: bool = False) -> WholeReport:
    """Raises what `put` and `release` raise; nothing is changed then but by the last two steps."""
    names = known_components(request.config, names)
    with _clone(request.store, request.ledger) as (store, ledger), ExitStack() as held:
        put = _Put(request, tuple(names), root, reread, held)
        there = replace(request, store=store, ledger=ledger, dry_run=True, out=None)
        sources = _sources(there, names, root)
        tried = put.into(there)
        report = pipeline.release(there)
        if request.dry_run:
            return WholeReport(sources, None, report)
        builds = {one.name: one.build for one in tried.components if one.build}
        done = put.into(request, builds)
    seen = {one.name: one.report.tree for one in tried.components}
    if changed := sorted(one.name for one in done.components if seen[one.name] != one.report.tree):
        raise Conflict(
            f"component {changed[0]} changed after its gates had passed; it was put, and is not released",
            hint="run it again under a new version",
        )
    return WholeReport(sources, done, pipeline.release(request))


@dataclass(frozen=True, slots=True)
class _Put:
    request: ReleaseRequest
    names: tuple[str, ...]
    root: str
    reread: bool
    held: ExitStack

    def into(self, where: ReleaseRequest, builds: Mapping[str, Any] | None = None) -> PutReport:
        return put_components(
            where.store,
            where.ledger,
            where.config,
            self.names,
            version=where.version,
            signer=where.signer,
            root=self.root,
            now=where.now,
            progress=where.progress,
            reread=self.reread,
            strict=where.strict,
            builds=builds,
            held=self.held,
        )


@contextmanager
def _clone(store: Store, ledger: Ledger) -> Iterator[tuple[Store, Ledger]]:
    """Both as they are; what is written to them lies in a folder that goes away."""
    with tempfile.TemporaryDirectory(prefix="casstore-run-", ignore_cleanup_errors=True) as folder:
        upper = open_storage(os.path.join(folder, "written"), create=True)
        storage, config = OverlayStorage(store.storage, upper), StoreConfig(store.store_id, store.options)
        with Store(storage, config, private=os.path.join(folder, "index")) as copy:
            copy.inside = store.inside
            yield copy, Ledger(copy, ledger.name, cache=EntryCache())


def _sources(request: ReleaseRequest, names: Sequence[str], root: str) -> tuple[Outcome, ...]:
    """The gates that look at sources, on all that is to be built from. Raises Blocked."""
    trees = {name: _inputs(request.store, request.config, name, root) for name in names}
    known = {name: tree for name, tree in trees.items() if tree is not None}
    config = request.config
    view = ReleaseView(
        request.version,
        known,
        {},
        request.store,
        config.folder,
        config=config.digest,
        now=request.now,
        allow=tuple(config.network.allow),
        urls=config.urls,
        consumers=config.consumers,
    )
    outcomes = gates.run(view, checks.listed(config), Phase.SOURCES)
    checks.settle(request, outcomes, known)
    return outcomes


def _inputs(store: Store, config: Config, name: str, root: str) -> Digest | None:
    table = config.components[name]
    if not (table.build or table.inputs):
        return None
    found = build_inputs.record(build_inputs.select(config, name, root), root)
    return provenance.keep_inputs(store, root, found) if found.files else None
