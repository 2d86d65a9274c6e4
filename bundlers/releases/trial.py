"""One gate tried on a version that was put, without a release: nothing is signed, nothing becomes visible.

outcome = try_gate(store, ledger, config, "1.4.0", "budget", now=now, workers=2)
"""

from __future__ import annotations

from datetime import datetime

from attest.errors import BadInput
from bundlers import gates
from bundlers.gates import Outcome, Phase, running
from bundlers.releases import checks
from bundlers.releases import plan as plans
from bundlers.releases.staging import Quarantine
from casstore.config import Config
from casstore.ledger.folding import replay
from casstore.ledger.log import Ledger
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
        archives = [quarantine.archive(store, manifest, workers=workers) for manifest in plan.manifests.values()]
        return gates.run(checks.view_of(store, config, plan, now, archives), {name: table}, phase, only=name)[0]
