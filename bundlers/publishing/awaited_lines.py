"""The witnesses' lines that a publication waits for: those that lie somewhere, and those that are asked for.

lacking(run, destination, state, claim)         # "1 of 2 witnesses have signed ...", or None
"""

from __future__ import annotations

import contextlib

from attest.errors import CasstoreError
from attest.log import checkpoints
from attest.statements.predicates.publication import Publication
from bundlers.publishing import cosigned
from bundlers.publishing.asking import Question
from bundlers.publishing.layout import published_paths
from bundlers.publishing.layout.destinations import Destination
from bundlers.publishing.publishing_run import Run
from casstore.ledger.states.state import LedgerState


def lacking(run: Run, destination: Destination, state: LedgerState, claim: Publication) -> str | None:
    """The witnesses that have not signed the checkpoint, after waiting for them; a withdrawal waits for nobody."""
    note = _note(run, claim)
    checkpoint, named = checkpoints.parse(note)[0], state.require_trust_root().witnesses

    def look() -> str | None:
        return cosigned.bring(destination, run.lines.places, named, checkpoint).lacking

    def ask_and_look() -> str | None:
        _ask(run, destination, state, note)
        return look()

    if claim.withdrawn:
        with contextlib.suppress(CasstoreError):
            look()
        return None
    return run.lines.wait_until(ask_and_look)


def ask_later(run: Run, destination: Destination, state: LedgerState, claim: Publication) -> None:
    """For a withdrawal, once consumers are told: what other channels hold there waits for these lines."""
    with contextlib.suppress(CasstoreError):
        _ask(run, destination, state, _note(run, claim))


def _ask(run: Run, destination: Destination, state: LedgerState, note: bytes) -> None:
    """Ask the witnesses that follow nothing by themselves."""
    root, size = state.require_trust_root(), checkpoints.parse(note)[0].size
    if root.witnesses is not None and run.asking.asks:
        entries = run.ledger.all_entries()
        question = Question(note, root, lambda first: entries.tree.consistency(first, size), len(entries))
        run.asking.ask(destination, root.witnesses.keys, question)


def _note(run: Run, claim: Publication) -> bytes:
    return run.store.read(claim.targets[published_paths.CHECKPOINT].digest)
