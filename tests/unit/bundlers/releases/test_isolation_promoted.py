"""A release that was compared less hard, or with more explained than the policy lists, comes into no channel."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from lines import Line
from worlds import CHANNELS

from attest.errors import PolicyDenied
from attest.trust.isolation_rules import IsolationRules
from attest.trust.policies import ChannelPolicy
from bundlers import audit
from bundlers.isolation import Contents, Settings, accepting
from bundlers.isolation import check as compare
from bundlers.isolation.explained import acceptances
from bundlers.releases import plan as plans
from casstore.config import editing
from casstore.ledger.release_diffs import release_diff

RANDOM = random.Random(31)
TOML = """
[store]
url = "../store"
[components.core-bin]
include = ["core/**"]
[components.agent-bin]
include = ["agent/**"]
[products.core]
components = ["core-bin"]
format = "tar.gz"
[products.agent]
components = ["agent-bin"]
format = "zip"
"""
FONT, PART = RANDOM.randbytes(4000), RANDOM.randbytes(3000)
FILES = {
    f"{product}/{name}": data
    for product in ("core", "agent")
    for name, data in (
        (f"{product}.ttf", FONT),
        ("main", RANDOM.randbytes(90_000) + PART + RANDOM.randbytes(9000)),
    )
}


def line(tmp_path: Path, toml: str = TOML, **rules: Any) -> Line:
    """`dev` asks for isolation by these rules, and for no approval."""
    dev = ChannelPolicy(None, 0, ("isolation",), isolation=IsolationRules(**rules))
    made = Line.make(tmp_path, toml=toml, files=FILES, channels={**CHANNELS, "dev": dev})
    made.put("1.0.0")
    return made


def accept(made: Line, version: str, *globs: str, whole: bool) -> str:
    """A line of casstore.toml, as the command writes it; its tree."""
    plan = plans.make(made.store, made.state, made.config, version, None, {})
    settings = Settings.parse(made.config.isolation)
    report = compare(made.store, Contents.each(plan.manifests), settings)
    chosen = accepting.choose(report.found, [accepting.Side.parse(glob) for glob in globs], whole=whole)
    accepted, data = accepting.acceptance(made.store, settings, chosen.rows)
    tree = acceptances.write(made.store, accepted, data)
    name = f"accepted-{len(settings.accepted)}"
    row = {"name": name, "tree": tree, "between": ["agent", "core"], "reason": "looked at"}
    editing.add_accepted(made.config.path, row)
    return tree


def test_a_check_that_was_switched_off_in_the_unsigned_file_brings_a_release_nowhere(tmp_path: Path) -> None:
    made = line(tmp_path, f'{TOML}\n[isolation]\nmin_size = 1000000000\ncopies = "off"\n')
    made.ship("1.0.0")
    with pytest.raises(PolicyDenied, match="less hard than the policy asks: copies is"):
        made.promote("1.0.0", "dev")
    case = audit.audit(made.store, made.ledger, "1.0.0", now=made.now)
    assert "less hard" in next(check.message for check in case.checks if check.id == "gates.isolation")


def test_whole_files_are_accepted_where_the_policy_lists_them_and_somebody_approved(tmp_path: Path) -> None:
    strict = line(tmp_path / "strict")
    accept(strict, "1.0.0", "core:*", "agent:*", whole=True)
    strict.ship("1.0.0")
    strict.approve("1.0.0", "dev", "ann")
    with pytest.raises(PolicyDenied, match="does not list the acceptance of whole files"):
        strict.promote("1.0.0", "dev")
    tree = accept(line(tmp_path / "once"), "1.0.0", "core:*", "agent:*", whole=True)
    made = line(tmp_path / "listed", accepted=(tree,))
    assert accept(made, "1.0.0", "core:*", "agent:*", whole=True) == tree, "it follows from the content alone"
    made.ship("1.0.0")
    with pytest.raises(PolicyDenied, match="approvals"):
        made.promote("1.0.0", "dev")
    made.approve("1.0.0", "dev", "ann")
    made.promote("1.0.0", "dev")
    made.put("1.1.0")
    made.ship("1.1.0")
    made.promote("1.1.0", "dev")


def test_parts_need_an_approval_once_and_stand_on_top_of_what_is_shown(tmp_path: Path) -> None:
    made = line(tmp_path)
    made.write({"agent/agent.ttf": RANDOM.randbytes(4000)})
    made.put("1.0.0")
    tree = accept(made, "1.0.0", "core:*", "agent:*", whole=False)
    made.ship("1.0.0")
    release = made.state.find_release("1.0.0").digest
    diff = release_diff(made.store, None, release)
    assert (diff.rows[0].sign, diff.rows[0].path, diff.rows[0].product) == ("+", "accepted-0", "agent and core")
    assert "looked at" in diff.rows[0].told
    with pytest.raises(PolicyDenied, match="approvals"):
        made.promote("1.0.0", "dev")
    made.approve("1.0.0", "dev", "ann")
    made.promote("1.0.0", "dev")
    more = RANDOM.randbytes(5000)
    made.write({f"{product}/more": RANDOM.randbytes(70_000) + more for product in ("core", "agent")})
    made.put("1.1.0")
    accept(made, "1.1.0", "core:*", "agent:*", whole=False)
    made.ship("1.1.0")
    after = release_diff(made.store, release, made.state.find_release("1.1.0").digest)
    assert [row["name"] for row in after.isolation] == ["accepted-1"]
    with pytest.raises(PolicyDenied, match="approvals"):
        made.promote("1.1.0", "dev")
    made.approve("1.1.0", "dev", "bob")
    made.promote("1.1.0", "dev")
    assert {row.tree for row in made.state.find_release("1.1.0").explained} == {tree, after.isolation[0]["tree"]}
