"""Makes a ledger of the rules in force that is kept for ever: what an entry means never changes after it was written.

Run once for each number of the rules, with keys that nobody keeps; a file that is there is never made anew, but
that, until the first release, somebody who changes what an entry means takes it away first:

    python tests/formats/keep_rules.py          # golden/rules/2.json, 2-shares.json
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from attest import canonical  # noqa: E402
from attest.digests import Digest  # noqa: E402
from attest.statements import statements  # noqa: E402
from attest.statements.predicates import promotion as promotions  # noqa: E402
from attest.statements.predicates import seal as seals  # noqa: E402
from attest.trust.policies import ChannelPolicy  # noqa: E402
from attest.trust.trust_roots import RULES, Clock, Settlement  # noqa: E402
from casstore import promotion  # noqa: E402
from casstore.ledger import sealing  # noqa: E402
from casstore.ledger.entries import EntryKind  # noqa: E402
from casstore.ledger.folding import fold  # noqa: E402
from casstore.ledger.states.rows import state_rows, tries_of  # noqa: E402
from casstore.ledger.states.state import start  # noqa: E402
from tests.support.published import PublishedWorld  # noqa: E402
from tests.support.shared import SharedWorld  # noqa: E402
from tests.support.table_rows import table_rows  # noqa: E402
from tests.support.worlds import signer  # noqa: E402

FOLDER = Path(__file__).parent / "golden" / "rules"
CHANNELS = {
    "dev": ChannelPolicy(None, 0),
    "staging": ChannelPolicy("dev", 1),
    "prod": ChannelPolicy("staging", 2, ("slsa-provenance",), soak=3600),
}


class Recorded:
    """The objects of a store that a fold asked for."""

    def __init__(self, store: Any) -> None:
        self._store, self.store_id = store, store.store_id
        self.seen: dict[Digest, bytes] = {}

    def read(self, digest: Digest, *, max_bytes: int | None = None) -> bytes:
        """An object's bytes."""
        self.seen[digest] = self._store.read(digest, max_bytes=max_bytes)
        return self.seen[digest]


def busy(folder: str) -> PublishedWorld:
    """Some of every kind of entry, void ones too, under clocks that are right and wrong."""
    world = PublishedWorld.make(f"{folder}/store", channels=CHANNELS)
    seal = lambda: sealing.seal(world.store, world.ledger, signer=signer("log"), now=world.now)  # noqa: E731
    about = (world.store, lambda: world.ledger)
    for version in ("1.0.0", "1.1.0"):
        world.ship(version, content=version.encode())
        world.to_staging(version)
        world.later(hours=2)
        world.approve(version, "prod", "ann")
        world.approve(version, "prod", "bob")
        world.promote(version, "prod")
        world.publish("prod", f"{folder}/public")
        world.later(hours=1)
    world.rollback("prod")
    promotion.unpin(about[0], world.ledger, channel="prod", signer=signer("pam"), now=world.now, reason="mended")
    promotion.pin(about[0], world.ledger, channel="prod", signer=signer("pam"), now=world.now, reason="a holiday")
    world.ledger.append(EntryKind.EVIDENCE, world.store.put_bytes(b"noise"), now=world.now)
    promotion.suspend(about[0], world.ledger, "paul", reason="odd", signer=signer("aud"), now=world.now)
    promotion.revoke(
        about[0], world.ledger, "1.1.0", kind="artifact", reason="leaked", signer=signer("aud"), now=world.now
    )
    seal()
    world.ship("1.2.0", content=b"x")
    honest, world.now = world.now, world.now + timedelta(days=2)
    world.promote("1.2.0", "dev")  # a clock that runs ahead: the next seal moves it
    world.now = honest + timedelta(minutes=5)
    seal()
    world.rotate("ann")
    leaked = world.state.count
    world.ship("1.3.0", content=b"y")
    world.revoke_identity("ci", from_entry=leaked)
    world.now = honest + timedelta(days=300)
    seal()
    wrong = world.state.count - 1
    world.now = honest + timedelta(hours=1)
    world.next_root(clock=Clock(timedelta(hours=36), wrong, world.now))
    _dispute(world)
    found = world.state.disputed
    assert found is not None
    world.next_root(settle=Settlement(found.number, found.own_state), clock=Clock(timedelta(hours=36)))
    seal()
    world.promote("1.0.0", "dev")
    return world


def _dispute(world: PublishedWorld) -> None:
    state, root = world.state, world.state.require_trust_root()
    assert state.sealed is not None
    where = state.store, "main", RULES, state.count, state.tip, world.now, root.digest, root.version
    floor = max(world.now.replace(microsecond=0), state.sealed.time)
    claim = seals.Seal(*where, root.digest, root.digest, state.sealed.number, floor)
    payload = statements.of_digests(claim.subjects, seals.TYPE, claim.to_json()).to_bytes()
    world.force(EntryKind.SEAL, signer("log").sign_statement(payload))


def shared(folder: str) -> SharedWorld:
    """The feature `shares`: a release that came by steps, one that was taken back, one that comes; a step too early."""
    world = SharedWorld.make(f"{folder}/store")
    world.begin()
    for share in (5, 50, None):
        world.step("1.1.0", share)
        sealing.seal(world.store, world.ledger, signer=signer("log"), now=world.now)
        world.later(days=1, seconds=1)
    world.ship("1.2.0", content=b"y")
    world.to_staging("1.2.0")
    world.step("1.2.0", 5)
    world.rollback("prod")
    promotion.unpin(world.store, world.ledger, channel="prod", signer=signer("pam"), now=world.now, reason="mended")
    world.step("1.2.0", 5)
    world.approve("1.2.0", "prod", "ann")
    state = world.state
    claim = promotions.Promotion(
        store=state.store,
        ledger="main",
        action="promote",
        channel="prod",
        from_move=state.channel("prod").move,
        release="1.2.0",
        time=world.now,
        trust_root=state.require_trust_root().digest,
        share=50,
    )
    payload = statements.of_digests({"release": world.made["1.2.0"].digest}, promotions.TYPE, claim.to_json())
    world.force(EntryKind.PROMOTE, signer("pam").sign_statement(payload.to_bytes()), "prod")
    sealing.seal(world.store, world.ledger, signer=signer("log"), now=world.now)
    world.later(days=1)
    world.step("1.2.0", 50)
    return world


WORLDS: dict[str, Callable[[str], PublishedWorld]] = {f"{RULES}": busy, f"{RULES}-shares": shared}


def keep(make: Callable[[str], PublishedWorld]) -> bytes:
    """The whole ledger, what a fold of it reads, and what it adds up to."""
    with tempfile.TemporaryDirectory() as folder:
        world = make(folder)
        entries, reading = list(world.ledger.entries()), Recorded(world.store)
        state = replace(fold(start(world.store.store_id, "main"), entries, reading), epoch=None)
        made = tries_of(replace(state, tries=None))
        world.store.close()
    rows = {**state_rows(state), **table_rows(state)}
    return canonical.dumps(
        {
            "rules": RULES,
            "store": reading.store_id,
            "entries": [entry.raw.decode() for entry in entries],
            "objects": {digest: data.decode("latin-1") for digest, data in sorted(reading.seen.items())},
            "state": made.state_root,
            "full": made.full_root,
            "rows": [[name, rows[name]] for name in sorted(rows)],
        }
    )


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    lacking = {path: make for name, make in WORLDS.items() if not (path := FOLDER / f"{name}.json").exists()}
    for path, make in lacking.items():
        path.write_bytes(keep(make))
    if not lacking:
        sys.exit(f"all of {', '.join(WORLDS)} are there: they are kept, not made anew")
