"""Commands of [notify] are told of each move; whatever becomes of them, the move is kept."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from casstore.config import Notify
from casstore.ledger.book.log import Ledger
from casstore.promotion import notices
from casstore.store.store import Store
from tests.support.typed_line import TOML, begun, released, said, to_prod, told, typed

SCRIPT = """\
import pathlib, sys
data = sys.stdin.buffer.read()
seen = pathlib.Path("seen")
seen.mkdir(exist_ok=True)
(seen / str(len(list(seen.iterdir())))).write_bytes(data)
failures = pathlib.Path("failures")
left = int(failures.read_text()) if failures.exists() else 0
failures.write_text(str(left - 1))
if left > 0:
    sys.exit("the chat is away")
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("time.sleep", lambda _: None)
    command = json.dumps([sys.executable, "tell.py"])
    begun(tmp_path, monkeypatch, TOML + f'[notify.chat]\ncommand = {command}\nchannels = ["prod"]\n')
    (tmp_path / "tell.py").write_text(SCRIPT)
    (tmp_path / "a" / "tool").write_text("tool")
    released("1.0.0")
    return tmp_path


def seen(here: Path) -> list[dict[str, object]]:
    folder = here / "seen"
    return [json.loads((folder / str(n)).read_bytes()) for n in range(len(list(folder.iterdir())))]


def test_each_move_of_the_channel_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    to_prod("1.0.0")
    (here / "a" / "tool").write_text("other")
    released("1.1.0")
    to_prod("1.1.0")
    typed("approve 1.0.0 --channel prod --action rollback", "rollback prod --reason crash")
    assert len(seen(here)) == 2, "what only would be done is not told"
    moved = told(capsys, "rollback prod --reason crash --confirm")
    assert moved["notices"] == [{"name": "chat", "told": True, "tries": 1, "why": None}]
    typed("unpin prod --reason mended")
    rows = seen(here)
    assert [(row["action"], row["version"], row["channel"]) for row in rows] == [
        ("promote", "1.0.0", "prod"),
        ("promote", "1.1.0", "prod"),
        ("rollback", "1.0.0", "prod"),
        ("unpin", "1.0.0", "prod"),
    ]
    assert rows[2]["reason"] == "crash" and rows[2]["fromVersion"] == "1.1.0" and rows[2]["pinned"] is True
    with Store.open(str(here / "store"), read_only=True) as store:
        entries = {entry.number: entry.digest for entry in Ledger(store).entries()}
    assert all(entries[row["entry"]] == row["entryDigest"] for row in rows)  # type: ignore[index]


def test_a_command_that_fails_is_tried_again(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "failures").write_text("2")
    typed("promote 1.0.0 --to dev", "approve 1.0.0 --channel prod")
    moved = told(capsys, "promote 1.0.0 --to prod")
    assert moved["notices"] == [{"name": "chat", "told": True, "tries": 3, "why": None}]
    one, two, three = seen(here)
    assert one == two == three


def test_one_that_never_ends_well_is_a_warning_and_the_move_is_kept(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "failures").write_text("9")
    typed("promote 1.0.0 --to dev", "approve 1.0.0 --channel prod")
    text = said(capsys, "promote 1.0.0 --to prod")
    assert "notify chat was not told, after 3 tries: exit code 1" in text and "the chat is away" in text
    assert told(capsys, "channel show prod")["version"] == "1.0.0"
    assert told(capsys, "promote 1.0.0 --to prod")["notices"] == [], "there already: nothing is told"


def test_programs_that_are_not_there_or_never_end_stop_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slow = json.dumps([sys.executable, "-c", "import time; time.sleep(60)"])
    more = f'[notify.gone]\ncommand = ["./gone"]\n[notify.slow]\ncommand = {slow}\ntimeout = 0.5\ntries = 1\n'
    with (here / "casstore.toml").open("a") as file:
        file.write(more)
    rows = told(capsys, "promote 1.0.0 --to dev")["notices"]
    assert [(row["name"], row["told"], row["tries"]) for row in rows] == [("gone", False, 1), ("slow", False, 1)]
    assert rows[1]["why"].startswith("timed out")


def test_waits_double() -> None:
    waits: list[float] = []
    report = notices.MoveReport("promote", "prod", "sha256:" + "0" * 64, "1", None, "", False, True)  # type: ignore[arg-type]
    table = Notify(command=[sys.executable, "-c", "raise SystemExit(3)"], tries=4)
    (notice,) = notices.tell({"x": table}, report, b"{}", folder="/", wait=waits.append)
    assert (notice.told, notice.tries, waits) == (False, 4, [1.0, 2.0, 4.0])
