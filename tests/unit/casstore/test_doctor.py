"""The doctor tells what is wrong with a set-up, and never fails itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from worlds import World

from casstore import doctor
from casstore.store import Store

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def statuses(report: doctor.DoctorReport) -> dict[str, str]:
    return {row.check: row.status for row in report.rows}


def test_nothing_there(tmp_path: Path) -> None:
    report = doctor.examine(
        config_path=None,
        cwd=str(tmp_path),
        open_store=lambda: Store.open(str(tmp_path / "nowhere")),
        replay=lambda: pytest.fail("there is no ledger to read"),
        key_files=(str(tmp_path / "missing.pem"),),
        now=NOW,
    )
    found = statuses(report)
    assert (found["configuration"], found["store"], found["key file"]) == ("warn", "fail", "fail")
    assert report.exit_code == 1


def test_a_clock_that_was_never_set(tmp_path: Path) -> None:
    report = doctor.examine(
        config_path=None,
        cwd=str(tmp_path),
        open_store=lambda: Store.open(str(tmp_path)),
        replay=lambda: pytest.fail("not reached"),
        key_files=(),
        now=datetime(1970, 1, 2, tzinfo=UTC),
    )
    assert statuses(report)["clock"] == "fail"


def test_a_world_that_is_well_then_expires(tmp_path: Path) -> None:
    world = World.make(str(tmp_path / "world"))
    root = world.state.require_trust_root()

    def examined(now: datetime) -> dict[str, str]:
        return statuses(
            doctor.examine(
                config_path=None,
                cwd=str(tmp_path),
                open_store=lambda: world.store,
                replay=lambda: world.state,
                key_files=(),
                now=now,
            )
        )

    assert examined(root.created)["trust root"] == "ok"
    assert examined(root.expires - timedelta(days=1))["trust root"] == "warn"
    assert examined(root.expires)["trust root"] == "fail"
