"""Measurements of a line's releases, without measuring: what they would have found, signed by whoever is named.

signed(line, said(line, "1.0.0", search_p95=50.0), by="aud")
"""

from __future__ import annotations

from datetime import datetime

import pytest

from attest.statements import statements
from attest.statements.predicates import baseline
from attest.statements.predicates.baseline import Baseline, Figure, Machine, Measuring
from attest.trust.policies import ChannelPolicy
from bundlers.errors import BaselineFailed
from bundlers.gates import channel_gates
from bundlers.gates.channel_gates import Asked
from bundlers.measuring import measuring
from bundlers.measuring.measuring import Measured
from casstore.ledger import release_objects
from casstore.ledger.entries import EntryKind
from casstore.network.network import NetworkGuard
from tests.support.lines import Line
from tests.support.worlds import signer

MEMORY = 500_000_000.0
GOOD = {"search.p95": (40.0, "ms"), "search.p99": (90.0, "ms"), "server.peak_memory": (MEMORY, "bytes")}
HERE = Machine("a processor", "x86_64", "Linux 6.12", 4, 2**34, "performance")
HOW = Measuring(("./bench.sh",), {}, 5, "none", "product")
LISTED = '[gates]\nbaseline = { products = ["core"] }\n'
WANTED = ChannelPolicy(None, 0, ("gate:baseline",), gates={"baseline": None})


def said(
    line: Line, version: str = "1.0.0", *, product: str = "core", at: datetime | None = None, **changes: float
) -> Measured:
    """What a measurement of it would have found."""
    build = release_objects.parse(line.store.read(line.state.find_release(version).digest)).builds[product]
    values = {name: (changes.get(name.replace(".", "_"), value), unit) for name, (value, unit) in GOOD.items()}
    figures = {name: Figure(value, value * 0.99, value * 1.01, unit) for name, (value, unit) in values.items()}
    found = Baseline(product, "default", version, at or line.now, HOW, HERE, figures)
    return Measured(build.archive.name, build.archive.digest, found)


def signed(line: Line, done: Measured, by: str = "aud") -> int:
    return measuring.record(line.store, line.ledger, done, signer=signer(by), now=line.now)


def handed_in(line: Line, *done: Measured, by: str) -> bytes:
    """As somebody does who asks nobody: about all of these archives, by the first one's figures."""
    subjects = {one.archive: one.digest for one in done}
    statement = statements.of_digests(subjects, baseline.TYPE, done[0].said.to_json())
    raw = signer(by).sign_statement(statement.to_bytes())
    line.force(EntryKind.EVIDENCE, raw)
    return raw


def reference(line: Line, version: str = "1.0.0", name: str = "dev", by: str = "aud", **changes: float) -> int:
    return signed(line, measuring.as_reference(said(line, version, **changes), name, {}), by)


def asked(line: Line, version: str = "1.0.0") -> Asked:
    by = signer("pam")
    guard = NetworkGuard()
    return channel_gates.ask(
        line.store, line.ledger, line.config, version, "dev", ("baseline",), signer=by, now=line.now, guard=guard
    )


def problem(line: Line, version: str = "1.0.0") -> str:
    """All that the gate says against it."""
    found = asked(line, version)
    with pytest.raises(BaselineFailed) as caught:
        found.require()
    assert caught.value.exit_code == 6 and not found.entries
    return " | ".join(blocker.message for blocker in found.blockers)
