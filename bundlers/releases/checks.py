"""What must hold before anything is visible: gates of both phases and isolation, told all at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import CasstoreError
from bundlers import blockers, gates, isolation
from bundlers.blockers import Blocker
from bundlers.errors import BaselineFailed, Blocked, BranchProtectionMissing, CrossProductLeak, GateFailed
from bundlers.gates import Outcome, Phase, ReleaseView, StagedArchive, running
from bundlers.isolation import IsolationReport, grouping
from bundlers.isolation.explained import foreign
from bundlers.isolation.reports import NEVER_FIX
from bundlers.releases import owned_inputs, signing
from bundlers.releases.plan import Plan
from bundlers.releases.reports import ReleaseRequest
from casstore.config import Config
from casstore.config.gates import ALWAYS
from casstore.errors import StoreDamaged
from casstore.ledger.states.state import LedgerState
from casstore.store.store import Store

ISOLATION = "isolation"

_BY_DIGEST = ("seal", "budget")
"""Gates that know an archive that is kept by its digest and size."""
_ORDER: tuple[type[Blocked], ...] = (CrossProductLeak, BranchProtectionMissing, BaselineFailed, GateFailed)


@dataclass(frozen=True, slots=True)
class InputsChecked:
    """The first half: everything that needs no archive."""

    outcomes: tuple[Outcome, ...]
    isolation: IsolationReport


def inputs(request: ReleaseRequest, state: LedgerState, plan: Plan) -> InputsChecked:
    """Gates on the components, and isolation. Raises Blocked, by the gravest of what was found."""
    view = view_of(request.store, request.config, plan, request.now)
    outcomes = (*_of_sources(view, request), *gates.run(view, listed(request.config), Phase.INPUTS))
    settings = isolation.Settings.parse(request.config.isolation)
    for name, tree in settings.references.items():
        foreign.require_foreign(request.store, state.components, name, tree)
    contents = isolation.Contents.each(plan.manifests, owned_inputs.of(request.store, plan.provenance))
    compared = isolation.check(request.store, contents, settings)
    _settle(request, outcomes, _leaks(compared), plan.trees)
    return InputsChecked(outcomes, compared)


def staged(request: ReleaseRequest, plan: Plan, archives: Sequence[StagedArchive]) -> tuple[Outcome, ...]:
    """Gates on the archives in quarantine. Raises Blocked."""
    view = view_of(request.store, request.config, plan, request.now, archives)
    outcomes = gates.run(view, listed(request.config), Phase.STAGED)
    _settle(request, outcomes, [], {archive.name: archive.digest for archive in archives})
    return outcomes


def _of_sources(view: ReleaseView, request: ReleaseRequest) -> tuple[Outcome, ...]:
    """Gates that look at nothing but sources: whoever puts and releases by two commands asks them here."""
    own = {name: table for name, table in request.config.gates.items() if table.get("phase") == Phase.SOURCES}
    return gates.run(view, own, Phase.SOURCES) if own else ()


def settle(request: ReleaseRequest, outcomes: Sequence[Outcome], subjects: Mapping[str, Digest]) -> None:
    """Nothing when all passed. Raises Blocked."""
    _settle(request, outcomes, [], subjects)


def listed(config: Config) -> dict[str, Mapping[str, Any]]:
    """The gates of casstore.toml, and those that always run."""
    return {**ALWAYS, **config.gates}


def view_of(
    store: Store, config: Config, plan: Plan, now: datetime, archives: Sequence[StagedArchive] = ()
) -> ReleaseView:
    """What gates may look at."""
    return ReleaseView(
        plan.version,
        plan.trees,
        plan.manifests,
        store,
        config.folder,
        {archive.manifest.key: archive for archive in archives},
        config.digest,
        plan.previous,
        plan.provenance,
        now,
        tuple(config.network.allow),
        config.urls,
        config.consumers,
        {key: kept.gates for key, kept in plan.kept.items()},
    )


def opens_archives(config: Config) -> bool:
    """Whether a gate that is listed opens the files of archives."""
    for name, table in config.gates.items():
        gate = gates.find(name, table)
        if (
            gate.NAME not in _BY_DIGEST
            and gates.phase_of(gate, running.prepare(name, gate, table).settings) is Phase.STAGED
        ):
            return True
    return False


def _leaks(compared: IsolationReport) -> list[Blocker]:
    """One record for what is in common, the largest first; the report itself has the last word."""
    found = [
        Blocker(ISOLATION, group.told, _places(group), group.first.fix) for group in grouping.groups(compared.findings)
    ]
    try:
        compared.require()
    except CrossProductLeak as exc:
        return found or [Blocker(ISOLATION, exc.message, (), exc.hint)]
    return found


def _places(group: grouping.Group) -> tuple[str, ...]:
    sides = ((f"{f.product_a}/{f.path_a}", f"{f.product_b}/{f.path_b}") for f in group.rows)
    return tuple(dict.fromkeys(place for pair in sides for place in pair))


def _settle(
    request: ReleaseRequest, outcomes: Sequence[Outcome], leaks: Sequence[Blocker], subjects: Mapping[str, Digest]
) -> None:
    """Nothing when all passed; else blockers and signed failures go to their files and the gravest error is raised."""
    found = [*leaks, *(blocker for outcome in outcomes for blocker in outcome.blockers)]
    if not found:
        return
    if request.blockers:
        blockers.save(request.blockers, request.version, found)
        for outcome in outcomes:
            if not outcome.passed:
                blockers.save_result(request.blockers, outcome.name, signing.gate_result(request, subjects, outcome))
    raise _gravest(found, outcomes)


def _gravest(found: Sequence[Blocker], outcomes: Sequence[Outcome]) -> CasstoreError:
    codes = {outcome.exit_code for outcome in outcomes if not outcome.passed}
    if found[0].gate == ISOLATION:
        codes.add(CrossProductLeak.exit_code)
    message = _message(found)
    if StoreDamaged.exit_code in codes:
        return StoreDamaged(message, hint="casstore fsck names all damage")
    kind = next((kind for kind in _ORDER if kind.exit_code in codes), GateFailed)
    return kind(message, hint=found[0].suggested_fix, blockers=tuple(found))


def _message(found: Sequence[Blocker]) -> str:
    names = list(dict.fromkeys(blocker.gate for blocker in found))
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    first = found[0].message if len(names) == 1 else f"{found[0].gate}: {found[0].message}"
    failed = f"gate {names[0]} failed" if len(names) == 1 else f"gates {', '.join(names)} failed"
    if names == [ISOLATION]:
        own = found[0].suggested_fix == NEVER_FIX
        failed = "a product carries what it may never" if own else "one product carries another's content"
    return f"{failed}: {first}{more}"
