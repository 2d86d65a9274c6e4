"""The doctor tells what is wrong with a set-up, and never fails itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from worlds import World, signer, trust_root

from attest.trust.policies import ChannelPolicy
from attest.trust.witnesses import Witness, Witnesses
from casstore import doctor
from casstore.errors import StorageUnavailable, StoreDamaged
from casstore.ledger import sealing
from casstore.ledger.states.state import LedgerState
from casstore.storage.memory import MemoryStorage
from casstore.store.store import Store

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
    sealing.seal(world.store, world.ledger, signer=signer("log"), now=root.created)
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


@pytest.mark.parametrize(
    ("rows", "code"),
    [((), 0), (("ok",), 0), (("ok", "warn"), 2), (("warn", "fail"), 1), (("fail", "ok"), 1)],
)
def test_a_warning_is_told_apart_from_a_failure(rows: tuple[str, ...], code: int) -> None:
    report = doctor.DoctorReport(tuple(doctor.Row("check", status, "what", "next") for status in rows))
    assert report.exit_code == code
    assert report.to_json()["exitCode"] == code
    assert [row["status"] for row in report.to_json()["rows"]] == list(rows)


def test_a_configuration_that_is_there_and_one_that_is_broken(tmp_path: Path) -> None:
    file = tmp_path / "casstore.toml"
    file.write_text('[store]\nurl = "./store"\n[components.a]\ninclude = ["**"]\n')
    row = doctor._configuration(None, str(tmp_path))
    assert (row.status, "1 components" in row.message) == ("ok", True)
    file.write_text('[store]\nurll = "./store"\n')
    row = doctor._configuration(None, str(tmp_path))
    assert row.status == "fail"
    assert "casstore.toml:2" in row.message
    assert doctor._configuration(str(tmp_path / "other.toml"), str(tmp_path)).status == "fail"


def test_a_library_that_the_distribution_needs_and_nobody_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "casstore-99.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: casstore\nVersion: 99.0\n"
        "Requires-Dist: nobody-has-this>=1\nRequires-Dist: nor-this; extra == 'more'\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    (row,) = doctor._libraries()
    assert (row.status, row.message) == ("fail", "not installed: nobody-has-this")


class Overwriting(MemoryStorage):
    """A server that answers 200 and overwrites."""

    def create(self, key: str, data: bytes) -> bool:
        self.replace(key, data)
        return True


class Unreachable(MemoryStorage):
    def create(self, key: str, data: bytes) -> bool:
        raise StorageUnavailable("memory://: no answer", hint="try again")


def test_a_storage_that_overwrites_and_one_that_is_away() -> None:
    def row(storage: MemoryStorage) -> doctor.Row:
        return doctor._exclusive(SimpleNamespace(storage=storage))  # type: ignore[arg-type]

    assert row(Overwriting()).status == "fail"
    assert (row(Unreachable()).status, row(Unreachable()).hint) == ("warn", "try again")
    assert row(MemoryStorage()).status == "ok"


def test_a_damaged_pack_is_a_row_of_the_index(tmp_path: Path) -> None:
    world = World.make(str(tmp_path / "world"))
    state = world.state
    world.store.close()
    for pack in Path(world.store.url).rglob("*.pack"):
        pack.chmod(0o644)
        pack.write_bytes(pack.read_bytes()[:-40])
    for file in Path(world.store.catalog.folder).rglob("data.mdb"):
        file.unlink()
    with Store.open(world.store.url) as store:
        row = examine_store(store, state)["index"]
        assert (row.status, "cannot be read" in row.message) == ("fail", True)


def test_void_entries_no_trust_root_and_a_ledger_that_cannot_be_read(tmp_path: Path) -> None:
    state = World.make(str(tmp_path / "world")).state

    def rows(replay: Callable[[], LedgerState]) -> dict[str, doctor.Row]:
        return {row.check: row for row in doctor._ledger(replay, NOW)}

    def broken() -> LedgerState:
        raise StoreDamaged("ledger entry 3: its bytes are gone")

    void = rows(lambda: replace(state, void=((3, "its statement does not verify"),)))
    assert void["ledger"].status == "warn"
    assert "1 of" in void["ledger"].message
    assert rows(broken)["ledger"].status == "fail"
    assert rows(lambda: LedgerState("store", "main"))["trust root"].status == "warn"


def test_a_policy_that_nobody_can_meet(tmp_path: Path) -> None:
    """Two approvers, and a channel that asks for three."""
    world = World.make(
        str(tmp_path / "world"),
        roles={
            role: replace(
                held, identities=tuple(name for name in held.identities if name not in ("paul", "builder-bob"))
            )
            for role, held in trust_root("x").roles.items()
        },
        channels={"dev": ChannelPolicy(None, 0), "prod": ChannelPolicy("dev", 3, rollback_approvals=2)},
    )
    report = doctor.examine(
        config_path=None,
        cwd=str(tmp_path),
        open_store=lambda: world.store,
        replay=lambda: world.state,
        key_files=(),
        now=world.now,
    )
    told = [row.message for row in report.rows if row.check == "policy"]
    assert told == ["prod: a promotion needs 3 approvals and there are 2 approvers now"]


def test_a_folder_that_others_may_write_to(tmp_path: Path) -> None:
    world = World.make(str(tmp_path / "store"))
    for path, mode, told in (("", 0o777, "everybody"), ("ledgers/main", 0o775, "its group")):
        place = tmp_path / "store" / path
        before = place.stat().st_mode & 0o777
        place.chmod(mode)
        rows = [row for row in doctor._open_to_others(world.store) if row.status == "warn"]
        assert len(rows) == 1
        assert told in rows[0].message
        assert str(place) in rows[0].message
        place.chmod(before)
    assert [row.status for row in doctor._open_to_others(world.store)] == ["ok"]


def test_one_key_for_ledger_and_publishing(tmp_path: Path) -> None:
    world = World.make(str(tmp_path / "store"))
    root = world.state.require_trust_root()
    both = {**root.roles, "publisher": replace(root.roles["publisher"], identities=("log",))}
    assert list(doctor._shared_keys(root, NOW)) == []
    (row,) = doctor._shared_keys(replace(root, roles=both), NOW)
    assert "log holds the roles ledger and publisher" in row.message


def test_witnesses_that_are_late_or_silent_and_one_key_for_what_they_watch(tmp_path: Path) -> None:
    asked = Witnesses(1, tuple(Witness(name, "fold", signer(name).public_pem or b"") for name in ("w1", "w2", "w3")))
    world = World.make(str(tmp_path / "world"), witnesses=asked)
    state = sealing.seal(world.store, world.ledger, signer=signer("log"), now=world.now)
    size, at = state.count, world.now
    lines = {"w1": (size, at), "w2": (size - 1, at - timedelta(days=1)), "w3": None}

    def rows(now: datetime, state: LedgerState = state) -> dict[str, doctor.Row]:
        found = doctor.examine(
            config_path=None,
            cwd=str(tmp_path),
            open_store=lambda: world.store,
            replay=lambda: state,
            key_files=(),
            now=now,
            newest_line=lambda one: lines[one.name],
        )
        return {row.check: row for row in found.rows if row.check.startswith("witness")}

    soon, late = rows(at + timedelta(hours=1)), rows(at + timedelta(days=3))
    assert [row.status for row in soon.values()] == ["ok", "ok", "warn"]
    assert [row.status for row in late.values()] == ["ok", "warn", "warn"]
    assert "no seal since" in late["witness w2"].message and "schedule" in late["witness w2"].hint
    root = state.require_trust_root()
    roles = {**root.roles, "publisher": root.roles["ledger"]}
    one = replace(state, trust_roots=(replace(root, roles=roles),))
    assert "log may seal and publish" in rows(at, one)["witnesses"].message
