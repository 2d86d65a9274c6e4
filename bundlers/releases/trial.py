"""A gate or the isolation check tried on a version that was put, without a release: nothing becomes visible.

outcome = try_gate(store, ledger, config, "1.4.0", "budget", now=now, workers=2)
"""

from __future__ import annotations

from datetime import datetime

from attest.errors import BadInput
from bundlers import gates
from bundlers.gates import Outcome, Phase, channel_gates, running
from bundlers.isolation import Contents
from bundlers.products import references
from bundlers.releases import checks, owned_inputs
from bundlers.releases import plan as plans
from bundlers.releases.staging import Quarantine
from casstore.config import Config
from casstore.errors import NoSuchObject
from casstore.ledger import release_objects
from casstore.ledger.book.log import Ledger
from casstore.ledger.folding import replay
from casstore.ledger.states.state import LedgerState
from casstore.store.store import Store


def try_gate(
    store: Store, ledger: Ledger, config: Config, version: str, name: str, *, now: datetime, workers: int = 2
) -> Outcome:
    """Run a gate with the settings of casstore.toml. Raises BadInput, NoSuchObject."""
    table = checks.listed(config).get(name, {})
    gate = gates.find(name, table)
    phase = gates.phase_of(gate, running.prepare(name, gate, table).settings)
    if phase is Phase.CHANNEL:
        raise BadInput(f"gate {name} is asked at promotion", hint=f"casstore gate ask {version} --to CHANNEL")
    plan = plans.make(store, replay(ledger, store), config, version, None, {})
    if phase is Phase.INPUTS:
        return gates.run(checks.view_of(store, config, plan, now), {name: table}, phase, only=name)[0]
    with Quarantine(None) as quarantine:
        archives = [
            quarantine.archive(store, manifest, plan.names[key], workers=workers)
            for key, manifest in plan.manifests.items()
        ]
        return gates.run(checks.view_of(store, config, plan, now, archives), {name: table}, phase, only=name)[0]


def contents(
    store: Store, state: LedgerState, config: Config | None, ref: str, names: tuple[str, ...] = ()
) -> dict[str, Contents]:
    """What the products of a release carry, or of a version that was put; all or those named. Raises NoSuchObject."""
    if config is not None and ref not in state.versions and any(version == ref for version, _ in state.components):
        plan = plans.make(store, state, config, ref, None, {})
        made = Contents.each(plan.manifests, owned_inputs.of(store, plan.provenance))
        if unknown := [name for name in names if name not in made]:
            raise NoSuchObject(f"{ref} has no product {unknown[0]!r}", hint=f"it has: {', '.join(made)}")
        return {name: made[name] for name in sorted(names or made)}
    wanted = references.manifests_of(store, state, ref, names)
    release = release_objects.parse(store.read(state.find_release(ref).digest))
    inputs = owned_inputs.of(store, channel_gates.provenance_of(store, state, release))
    found = Contents.each(references.manifests_of(store, state, ref), inputs)
    return {name: found[name] for name in sorted({made.product for made in wanted.values()})}
