"""The doctor tells what is wrong with a set-up, and never fails itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from worlds import World

from casstore import doctor
from casstore.ledger.state import LedgerState
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
    assert (found["python"], found["libraries"], found["clock"]) == ("ok", "ok", "ok")
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

    well = examined(root.created)
    assert set(well.values()) - {"ok"} == {"warn"}  # no casstore.toml here
    assert [check for check, status in well.items() if status == "warn"] == ["configuration"]
    assert well["storage"] == well["index"] == well["ledger"] == "ok"
    assert examined(root.created - timedelta(days=2))["clock"] == "warn"
    assert examined(root.expires - timedelta(days=1))["trust root"] == "warn"
    assert examined(root.expires)["trust root"] == "fail"


def examine_store(store: Store, state: LedgerState) -> dict[str, doctor.Row]:
    report = doctor.examine(
        config_path=None,
        cwd="/",
        open_store=lambda: store,
        replay=lambda: state,
        key_files=(),
        now=NOW,
    )
    return {row.check: row for row in report.rows}


def test_an_index_that_was_made_anew_and_packs_that_are_gone(tmp_path: Path) -> None:
    world = World.make(str(tmp_path / "world"))
    state = world.state
    world.store.close()
    folder = Path(world.store.catalog.folder)
    for file in folder.rglob("data.mdb"):
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with Store.open(world.store.url) as store:
        rows = examine_store(store, state)
        assert rows["index"].status == "warn" and "made anew" in rows["index"].message
        next(Path(store.url).rglob("*.pack")).unlink()
    with Store.open(world.store.url) as store:
        assert examine_store(store, state)["index"].status == "fail"


def test_the_probe_leaves_nothing_behind(tmp_path: Path) -> None:
    world = World.make(str(tmp_path / "world"))

    def files() -> list[Path]:
        return sorted(path for path in Path(world.store.url).rglob("*") if path.is_file() and "index" not in str(path))

    before = files()
    assert examine_store(world.store, world.state)["storage"].status == "ok"
    assert files() == before


def test_two_owners_of_an_import_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other_attest-1.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: other-attest\nVersion: 1.0\n")
    (other / "top_level.txt").write_text("attest\n")
    mine = tmp_path / "casstore_again-1.0.dist-info"
    mine.mkdir()
    (mine / "METADATA").write_text("Metadata-Version: 2.1\nName: casstore-again\nVersion: 1.0\n")
    (mine / "top_level.txt").write_text("attest\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    rows = {row.check: row for row in doctor._import_names()}
    assert rows["import names"].status == "warn"
    assert "other-attest" in rows["import names"].message


def test_a_key_file_that_others_can_read(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("secret")
    key.chmod(0o644)
    assert doctor._key_file(str(key)).status == "warn"
    key.chmod(0o600)
    assert doctor._key_file(str(key)).status == "ok"
