"""A witness's line that is not there, is none, or cannot be read now: who serves it is called a liar for none of these,
and what nobody could read was not decided (docs/formats/witness.md, "What a consumer checks")."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from attest.errors import CasstoreError, VerificationError
from bundlers.consuming import downloads
from bundlers.consuming.service import TrustSettings, VerifyReport, verify
from casstore.errors import StorageUnavailable
from casstore.network import circuit
from casstore.network.network import NetworkGuard
from tests.support.bad_http import HOWS, serving, whole
from tests.support.witnessed import Line, asked

AWAY: dict[str, Callable[[bytes], bytes]] = {
    "a server that fails": lambda _: b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
    "half of it": HOWS["short"],
    "no answer": HOWS["nothing"],
}
NONE: dict[str, Callable[[bytes], bytes]] = {
    "lost": lambda _: b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    "forbidden": lambda _: b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
    "another file": lambda _: whole(b"x"),
    "a changed one": lambda body: whole(body[:-9] + b"AAAAAAA=\n"),
    "a large one": lambda body: whole(body * 500),
}


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "WAITS", (0.0,))
    monkeypatch.setattr(circuit, "OUTSIDE", circuit.Breaker())


def published(at: Path, quorum: int, *names: str) -> Line:
    line = Line(at, asked(quorum, *names))
    line.publish()
    for name in names:
        line.witness(name)
    assert line.publish().staged is None
    for name in names:  # more lines than were waited for
        made, key_id = at / f"{name}-out/ledger/cosignatures", asked(1, name).keys[0].key_id
        for path in made.glob(f"*/{key_id}"):
            there = line.public / "ledger/cosignatures" / path.parent.name / key_id
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes(path.read_bytes())
    return line


def read(line: Line, answers: dict[str, Callable[[bytes], bytes]]) -> VerifyReport:
    """By a consumer of a web server that answers so for the lines of these witnesses."""
    by_path = {asked(1, name).keys[0].key_id: answer for name, answer in answers.items()}
    trust = TrustSettings(str(line.at / "me"), line.first)
    with serving(line.public, lambda path, body: by_path.get(path.rpartition("/")[2], whole)(body)) as url:
        return verify(url, "dev", trust=trust, at=line.world.now, network=NetworkGuard((url,)))


def refused(line: Line, answers: dict[str, Callable[[bytes], bytes]]) -> CasstoreError:
    with pytest.raises(CasstoreError) as told:
        read(line, answers)
    assert line.seen() == 0, "a checkpoint without its lines was pinned"
    return told.value


@pytest.mark.parametrize("how", AWAY)
def test_what_cannot_be_read_now_was_not_decided(tmp_path: Path, how: str) -> None:
    line = published(tmp_path, 1, "w1")
    found = refused(line, {"w1": AWAY[how]})
    assert isinstance(found, StorageUnavailable) and found.exit_code == 12
    assert "could not be read (w1: http://" in found.message
    assert read(line, {}).verified.channel.cosigned_by == ("w1",)


@pytest.mark.parametrize("how", NONE)
def test_what_is_not_there_is_missing(tmp_path: Path, how: str) -> None:
    line = published(tmp_path, 1, "w1")
    found = refused(line, {"w1": NONE[how]})
    assert isinstance(found, VerificationError) and found.exit_code == 3
    assert "signed by 0 of 1 witnesses (missing: w1)" in found.message


def test_one_that_is_away_is_not_asked_for_where_the_others_are_enough(tmp_path: Path) -> None:
    line = published(tmp_path, 1, "w1", "w2")
    assert read(line, {"w1": AWAY["half of it"]}).verified.channel.cosigned_by == ("w2",)


def test_one_that_is_away_decides_only_where_it_would_be_enough(tmp_path: Path) -> None:
    line = published(tmp_path, 2, "w1", "w2")
    assert refused(line, {"w1": NONE["lost"], "w2": AWAY["no answer"]}).exit_code == 3
    assert refused(line, {"w2": AWAY["no answer"]}).exit_code == 12
