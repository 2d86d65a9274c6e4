"""Clocks that are wrong, by the commands: what is refused, what is told, and how owners set it right."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from attest.errors import PolicyDenied
from casstore.ledger import clocks
from tests.support.small_line import BEGIN, Place

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)


class Server:
    """A storage whose server shows a time."""

    url = "s3://bucket"

    def __init__(self, shown: datetime | None) -> None:
        self._shown = shown

    def clock(self) -> datetime | None:
        return self._shown


@pytest.mark.parametrize("minutes", [-11, 11])
def test_no_seal_by_a_clock_that_is_not_the_servers(minutes: int) -> None:
    with pytest.raises(PolicyDenied, match="more than ten minutes apart") as caught:
        clocks.check([Server(NOW + timedelta(minutes=minutes))], floor=None, now=NOW)
    assert "2026-03-01T09:00:00Z" in caught.value.message and "--clock-checked" in caught.value.hint
    clocks.check([object(), Server(NOW + timedelta(minutes=9)), Server(None)], floor=None, now=NOW)


def _at(place: Place, time: str) -> None:
    place.environment = {**place.environment, "CASSTORE_TESTING": "1", "CASSTORE_NOW": time}


def test_a_line_goes_on_after_a_seal_that_was_dated_ahead(tmp_path: Path) -> None:
    place = Place.make(tmp_path)
    _at(place, "2026-03-01T09:00:00Z")
    for words in BEGIN:
        place.must(*words)
    for words in (
        ("put", "--all", "--release-version", "1.0.0"),
        ("release", "1.0.0"),
        ("promote", "1.0.0", "--to", "dev"),
    ):
        place.must(*words)
    place.must("publish", "dev", "--to", "public")
    place.must("ledger", "checkpoint")
    _at(place, "2026-12-01T09:00:00Z")
    refused = place.run("ledger", "checkpoint")
    assert refused.returncode == 4 and "2026-12-01T09:00:00Z" in refused.stderr and "--clock-checked" in refused.stderr
    place.must("ledger", "checkpoint", "--clock-checked")
    _at(place, "2026-03-02T10:00:00Z")
    (place.folder / "a" / "file").write_bytes(b"other")
    for words in (
        ("put", "--all", "--release-version", "1.1.0"),
        ("release", "1.1.0"),
        ("promote", "1.1.0", "--to", "dev"),
    ):
        place.must(*words)
    wrong = _last_seal(place)
    place.must("keys", "ceremony", "draft", "--set-clock", f"{wrong}=2026-03-01T09:00:00Z", "--out", "r.draft")
    place.must("keys", "ceremony", "sign", "r.draft", "--out", "r.sig")
    place.must("keys", "ceremony", "finish", "r.draft", "r.sig")
    place.must("publish", "dev", "--to", "public")
    assert "1.1.0" in place.must("verify", "public", "--channel", "dev")
    _at(place, "2026-03-04T10:00:00Z")
    assert "1 entries since the last seal are provisional" in place.run("ledger", "verify").stderr
    told = place.run("channel")
    assert told.returncode == 0 and "nothing was sealed since 2026-03-02T10:00:00Z" in told.stderr
    assert "nothing was sealed since" in place.run("doctor").stdout


def _last_seal(place: Place) -> int:
    entries = json.loads(place.must("ledger", "log", "--last", "100", "--json"))["entries"]
    return max(int(entry["number"]) for entry in entries if entry["kind"] == "seal")


def test_what_a_seal_makes_void_is_told_at_once(tmp_path: Path) -> None:
    """Put by a clock that has run ahead of a window: void until the seal, then moved; and the other way round."""
    place = Place.make(tmp_path)
    _at(place, "2026-03-01T09:00:00Z")
    for words in BEGIN:
        place.must(*words)
    place.must("ledger", "checkpoint")
    place.must("put", "--all", "--release-version", "1.0.0")
    place.must("keys", "generate", "ci.pem", "--no-passphrase")
    end = ("--identity", "ci=ci.pem.pub", "--role", "builder=ci", "--valid-until", "ci=2026-03-05")
    place.must("keys", "ceremony", "draft", *end, "--out", "r.draft")
    place.must("keys", "ceremony", "sign", "r.draft", "--out", "r.sig")
    place.must("keys", "ceremony", "finish", "r.draft", "r.sig")
    (place.folder / "a" / "file").write_bytes(b"more")
    _at(place, "2026-03-04T09:00:00Z")
    place.must("put", "--all", "--release-version", "1.1.0", "--key", "ci.pem")
    _at(place, "2026-03-09T09:00:00Z")
    told = place.run("ledger", "checkpoint")
    assert told.returncode == 0 and "is void" in told.stderr and "until 2026-03-05T00:00:00Z" in told.stderr
