"""The ledger's key with a promoter's, bad witnesses, a lost memory, wrong clocks: what k of n witnesses stop."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from attest.errors import PolicyDenied, TrustError, VerificationError
from attest.log import checkpoints, cosignatures, merkle
from attest.log.checkpoints import Checkpoint
from attest.trust.witnesses import CONSISTENCY, FOLD
from bundlers.consuming import kits
from bundlers.consuming.published_files import origins
from bundlers.consuming.service import TrustSettings
from bundlers.consuming.withdrawn import Withdrawn
from bundlers.consuming.witness_lines import read_from
from casstore import promotion
from casstore.errors import SealDisputed
from tests.support.witnessed import Line, asked, forked, lie, sign_blindly
from tests.support.worlds import signer


def test_a_publication_waits_for_its_witnesses_and_the_same_command_finishes_it(tmp_path: Path) -> None:
    line = Line(tmp_path, asked(2, "w1", "w2"))
    staged = line.publish()
    assert staged.exit_code == 4 and "0 of 2 witnesses (missing: w1, w2)" in str(staged.staged)
    assert not (line.public / "metadata/timestamp.json").exists()
    assert line.witness("w1").new
    again = line.publish()
    assert "1 of 2 witnesses (missing: w2)" in str(again.staged) and again.number == 1
    assert line.witness("w2", peers=(str(tmp_path / "w1-out"),)).agreeing == ("w1",)
    done = line.publish()
    assert done.staged is None and done.finished == (1,) and done.exit_code == 0
    assert line.verify().verified.channel.cosigned_by == ("w1", "w2")
    assert not line.witness("w1").new
    count = line.world.state.count
    assert line.publish().unchanged and line.world.state.count == count
    line.later()
    line.world.ship("1.1.0", content=b"new")
    line.world.promote("1.1.0", "dev")
    assert line.publish().staged
    assert line.verify().verified.channel.version == "1.0.0", "the publication before stays"
    assert line.witness("w1").new and line.witness("w2").new
    assert line.publish().staged is None and line.verify().verified.channel.version == "1.1.0"


def test_without_the_lines_nothing_is_taken_and_nothing_pinned(tmp_path: Path) -> None:
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    line.witness("w1")
    line.publish()
    for path in (line.public / "ledger/cosignatures").rglob("*"):
        if path.is_file():
            path.unlink()
    with pytest.raises(VerificationError, match=r"0 of 1 witnesses \(missing: w1\)") as caught:
        line.verify()
    assert caught.value.exit_code == 3 and line.seen() == 0


@pytest.mark.parametrize("how", ["other root", "other size", "other key", "no note", "empty", "huge"])
def test_a_line_counts_for_the_very_checkpoint_alone(tmp_path: Path, how: str) -> None:
    line = Line(tmp_path, asked(1, "w1", "w2"))
    line.publish()
    line.witness("w1")
    line.publish()
    (place,) = [p for p in (line.public / "ledger/cosignatures").rglob("*") if p.is_file()]
    good = checkpoints.parse(place.read_bytes())[0]
    key = asked(1, "w1").keys[0].key
    other = {
        "other root": Checkpoint(good.origin, good.size, b"x" * 32),
        "other size": replace(good, size=good.size - 1),
    }
    log = signer("log")
    if how in other:
        note = checkpoints.sign(other[how], good.origin, log.public_pem, log.sign_bytes)
        bad = cosignatures.cosign(note, key, signer("w1").sign_bytes, at=line.world.now)
    elif how == "other key":
        note = checkpoints.sign(good, good.origin, log.public_pem, log.sign_bytes)
        stranger = cosignatures.WitnessKey.of_pem("w1", signer("w3").public_pem or b"")
        bad = cosignatures.cosign(note, stranger, signer("w3").sign_bytes, at=line.world.now)
    else:
        bad = {"no note": b"\xff\x00", "empty": b"", "huge": b"x" * 10_000_000}[how]
    place.write_bytes(bad)
    with pytest.raises(VerificationError, match="0 of 1 witnesses"):
        line.verify()


def test_what_takes_away_waits_for_nobody_and_moves_no_pin(tmp_path: Path) -> None:
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    line.witness("w1")
    line.publish()
    line.verify()
    before = line.seen()
    line.later()
    promotion.revoke(
        line.world.store, line.world.ledger, "1.0.0", kind="artifact", reason="leaked", signer=signer("aud"),
        now=line.world.now,
    )  # fmt: skip
    report = line.publish()
    assert report.withdrawn and report.staged is None
    with pytest.raises(Withdrawn, match="leaked"):
        line.verify()
    assert line.seen() == before, "a checkpoint without quorum moves no pin"
    line.witness("w1")
    line.publish()
    with pytest.raises(Withdrawn, match="leaked"):
        line.verify()
    assert line.seen() > before


def test_lists_of_files_are_taken_from_no_checkpoint_without_its_lines(tmp_path: Path) -> None:
    """Where a file comes from is asked of a withdrawn channel too, once the witnesses have signed that it is."""
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    line.witness("w1")
    line.publish()
    wanted = {build.archive.digest for build in line.world.made["1.0.0"].builds.values()}

    def asked_for() -> set[str]:
        trust = TrustSettings(str(tmp_path / "asks"), line.first)
        found = origins(str(line.public), wanted, channel="dev", trust=trust, at=line.world.now)
        return {row.version for origin in found.values() for row in origin.releases}

    assert asked_for() == {"1.0.0"}
    line.later()
    store, ledger = line.world.store, line.world.ledger
    promotion.revoke(store, ledger, "1.0.0", kind="artifact", reason="bad", signer=signer("aud"), now=line.world.now)
    line.publish()
    with pytest.raises(Withdrawn, match="bad"):
        asked_for()
    line.witness("w1")
    line.publish()
    assert asked_for() == {"1.0.0"}


def test_a_fold_witness_stops_the_ledger_key_with_a_promoter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without witnesses this is what SECURITY.md says cannot be seen but by --replay."""
    line = Line(tmp_path, asked(1, "w1"))
    lie(line, monkeypatch)
    with pytest.raises(SealDisputed, match=r"names the state .* add up to") as caught:
        line.witness("w1")
    assert caught.value.exit_code == 7 and not (tmp_path / "w1-memory/memory.json").exists()
    (kept,) = (tmp_path / "w1-memory/evidence").iterdir()
    assert json.loads(kept.read_text())["what"] == "a seal that its entries do not add up to"
    with pytest.raises(VerificationError, match="evidence lies at"):
        line.witness("w1")


def test_a_consistency_witness_sees_no_lie_in_a_seal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So its kind is asked, and the ceremony says that such a quorum stops none."""
    witnesses = asked(1, "w1", kind=CONSISTENCY)
    assert witnesses.lies_stopped == -1 and "NOT stopped" in witnesses.told[1]
    line = Line(tmp_path, witnesses)
    lie(line, monkeypatch)
    assert line.witness("w1").new


def test_one_bad_witness_beats_two_of_three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    witnesses = asked(2, "w1", "w2", "w3")
    assert witnesses.forks_stopped == 0
    line, other = forked(tmp_path, witnesses, monkeypatch)
    line.witness("w1")
    other.witness("w2", source=other.public)
    for one in (line, other):
        sign_blindly(one, "w3")
        assert one.publish().staged is None
    assert line.verify(state="a").verified.channel.version == "2.0.0"
    assert other.verify(state="b").verified.channel.version == "2.0.0-evil", "what the numbers say"


def test_one_bad_witness_does_not_beat_three_of_four(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    witnesses = asked(3, "w1", "w2", "w3", "w4")
    assert witnesses.forks_stopped == 1
    line, other = forked(tmp_path, witnesses, monkeypatch)
    line.witness("w1"), line.witness("w2")
    other.witness("w3", source=other.public)
    for one in (line, other):
        sign_blindly(one, "w4")
    assert line.publish().staged is None
    assert "2 of 3 witnesses" in str(other.publish().staged)
    with pytest.raises(VerificationError, match="two histories of one ledger") as caught:
        other.witness("w1", source=other.public)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("kind", [FOLD, CONSISTENCY])
def test_two_histories_are_seen_by_memory_mirror_and_peer(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, other = forked(tmp_path, asked(2, "w1", "w2", kind=kind), monkeypatch)
    with pytest.raises(VerificationError, match="two histories of one ledger"):
        line.witness("w1", other.public)
    (kept,) = (tmp_path / "w1-memory/evidence").iterdir()
    value = json.loads(kept.read_text())
    assert value["what"] == "two histories" and len(value["notes"]) == 2
    kept.unlink()
    line.witness("w1")
    with pytest.raises(VerificationError, match="two histories of one ledger"):
        line.witness("w2", source=other.public, peers=(str(tmp_path / "w1-out"),))


def test_wrong_tiles_accuse_nobody(tmp_path: Path) -> None:
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    line.witness("w1")
    line.publish()
    line.later()
    line.world.ship("1.1.0", content=b"new")
    line.world.promote("1.1.0", "dev")
    line.publish()
    for path in (line.public / "ledger/tile").rglob("*"):
        if path.is_file():
            data = bytearray(path.read_bytes())
            data[-1] ^= 1
            path.write_bytes(bytes(data))
    with pytest.raises(VerificationError, match="are not those of its checkpoint"):
        line.witness("w1")
    assert not (tmp_path / "w1-memory/evidence").exists()


def test_an_older_state_is_refused(tmp_path: Path) -> None:
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    shutil.copytree(line.public, tmp_path / "old")
    line.witness("w1")
    line.publish()
    line.later()
    line.world.ship("1.1.0", content=b"new")
    line.world.promote("1.1.0", "dev")
    line.publish()
    line.witness("w1")
    with pytest.raises(VerificationError, match="were signed before"):
        line.witness("w1", source=tmp_path / "old")
    assert not line.witness("w1", tmp_path / "old").new, "a mirror may lag"


@pytest.mark.parametrize("how", ["gone", "turned back", "damaged"])
def test_a_memory_that_was_lost_is_not_made_anew(tmp_path: Path, how: str) -> None:
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    line.witness("w1")
    line.publish()
    memory = tmp_path / "w1-memory"
    shutil.copytree(memory, tmp_path / "backup")
    line.later()
    line.world.ship("1.1.0", content=b"new")
    line.world.promote("1.1.0", "dev")
    line.publish()
    line.witness("w1")
    if how == "damaged":
        (memory / "memory.json").write_bytes((memory / "memory.json").read_bytes()[:-1])
    else:
        shutil.rmtree(memory)
        if how == "turned back":
            shutil.copytree(tmp_path / "backup", memory)
    with pytest.raises((PolicyDenied, VerificationError), match="memory") as caught:
        line.witness("w1")
    assert "owners name another" in caught.value.hint


def test_memory_is_there_before_the_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A witness that dies between the two shows the same line later, and no other."""
    from bundlers.witnessing import witness as witnessing

    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    with monkeypatch.context() as patch:
        patch.setattr(witnessing, "_show", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            line.witness("w1")
    assert (tmp_path / "w1-memory/memory.json").exists()
    line.world.now += timedelta(hours=1)
    assert not line.witness("w1").new
    assert line.publish().staged is None


def test_clocks_and_strangers(tmp_path: Path) -> None:
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    now = line.world.now
    line.world.now = now - timedelta(hours=2)
    with pytest.raises(VerificationError, match="clock says"):
        line.witness("w1")
    line.world.now = now
    with pytest.raises(PolicyDenied, match="no witness of trust root 1"):
        line.witness("w2")
    with pytest.raises(PolicyDenied, match="no trust root to begin with"):
        line.witness("w1", first_trust_root=None)
    with pytest.raises(TrustError, match="trust root 1 is"):
        line.witness("w1", first_trust_root="sha256:" + "0" * 64)


def test_a_kit_carries_the_lines_or_is_not_made(tmp_path: Path) -> None:
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    world = line.world
    places = read_from([str(line.public), str(tmp_path / "w1-out")], network=None)
    with pytest.raises(PolicyDenied, match="0 of 1 witnesses"):
        kits.export(world.store, world.ledger, "1.0.0", str(tmp_path / "k.tar"), now=world.now, lines_from=places)
    line.witness("w1")
    for number, by in enumerate((None, signer("log"))):
        path = tmp_path / f"k{number}.tar"
        kits.export(world.store, world.ledger, "1.0.0", str(path), signer=by, now=world.now, lines_from=places)
        assert line.verify(source=path).verified.channel.cosigned_by == ("w1",)


def test_the_feed_that_withholds_is_refused(tmp_path: Path) -> None:
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    (part,) = (line.public / "ledger/feed").glob("*.tar")
    whole = part.read_bytes()
    part.unlink()
    with pytest.raises(VerificationError, match="is missing"):
        line.witness("w1")
    part.write_bytes(b"\0" * 1024)
    with pytest.raises(VerificationError, match="is not published"):
        line.witness("w1")
    part.write_bytes(whole)
    assert line.witness("w1").new


def test_what_a_witness_follows_is_what_anybody_folds(tmp_path: Path) -> None:
    """Its copy, read as a store, adds up to the same state."""
    from casstore.ledger.book.log import Ledger
    from casstore.ledger.folding import replay_all
    from casstore.store.store import Store

    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    report = line.witness("w1")
    with Store.open(str(tmp_path / "w1-memory/store"), read_only=True) as copy:
        ledger = Ledger(copy, "main")
        state = replay_all(ledger, copy)
        raws = [entry.raw for entry in ledger.entries()]
    assert state.count == report.size and merkle.MemoryTree(raws).root() == bytes.fromhex(report.root_hash[7:])
    assert state.channel("dev").version == "1.0.0"
