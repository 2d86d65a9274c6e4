"""Whoever has no key, or one bad witness of several: they stop no witness for good, accuse nobody, and fill no disk."""

from __future__ import annotations

import base64
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attest.digests import hex_of, sha256
from attest.errors import FormatError, VerificationError
from attest.log import checkpoints, cosignatures, merkle
from attest.trust.trust_roots import TrustIdentity
from attest.trust.witnesses import CONSISTENCY, FOLD
from bundlers.consuming import kits, readback
from bundlers.consuming.service import TrustSettings, verify
from bundlers.consuming.withdrawn import Withdrawn
from bundlers.consuming.witness_lines import read_from
from bundlers.publishing import cosigned, published_check
from bundlers.publishing.cosigned import CosignatureLines
from bundlers.publishing.layout import kit_files, published_paths, tuf_repository
from bundlers.publishing.layout.destinations import DestinationSettings
from bundlers.publishing.layout.kit_files import KitFile, Member
from bundlers.publishing.publication import PublishReport, PublishSigners, publish_to
from bundlers.witnessing import logs, replica
from bundlers.witnessing.incoming import Incoming
from bundlers.witnessing.memory import Memory
from bundlers.witnessing.witness import WitnessSettings, run
from casstore import promotion
from casstore.errors import Conflict, NoSuchObject, StoreDamaged
from casstore.ledger import checkpoints as ledger_checkpoints
from casstore.machine import locks
from casstore.network.network import NetworkGuard
from casstore.storage import open_storage
from casstore.store.store import Store
from tests.support.bad_http import serving, whole
from tests.support.published import PublishedWorld
from tests.support.witnessed import Line, asked, forked, lie, sign_blindly
from tests.support.worlds import signed, signer


def grow(line: Line, version: str = "1.1.0") -> None:
    line.later()
    line.world.ship(version, content=version.encode())
    line.world.promote(version, "dev")
    line.publish()


def publish_as(line: Line, signers: PublishSigners, **changes: Any) -> PublishReport:
    world, settings = line.world, DestinationSettings("cdn", str(line.public))
    made = {"now": world.now, "read_back": readback.check, **changes}
    return publish_to(world.store, world.ledger, "dev", settings, signers, **made)


def place(line: Line, name: str, size: str = "") -> Path:
    note = (line.public / "ledger/checkpoint").read_bytes()
    size = size or str(checkpoints.parse(note)[0].size)
    return line.public / "ledger/cosignatures" / size / asked(1, name).keys[0].key_id


def test_one_line_64_times_makes_no_note_that_nobody_reads(tmp_path: Path) -> None:
    """A web server without a key repeats the ledger's line as often as a note may have lines."""
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    shown = line.public / "ledger/checkpoint"
    whole = shown.read_bytes()
    text, _, last = whole.rpartition(b"\n\n")
    shown.write_bytes(text + b"\n\n" + last * 64)
    assert line.witness("w1").new
    shown.write_bytes(whole)
    assert line.publish().staged is None
    assert not line.witness("w1").new
    grow(line)
    assert line.witness("w1").new


@pytest.mark.parametrize("where", ["memory", "copy", "line"])
def test_a_first_run_that_dies_anywhere_goes_on(tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from bundlers.witnessing import witness as witnessing

    line = Line(tmp_path, asked(1, "w1"))
    line.publish()

    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    at: dict[str, tuple[Any, str]] = {
        "memory": (Memory, "save"),
        "copy": (replica.Replica, "keep"),
        "line": (witnessing, "_show"),
    }
    with monkeypatch.context() as patch:
        patch.setattr(*at[where], dies)
        with pytest.raises(KeyboardInterrupt):
            line.witness("w1")
    line.witness("w1")
    assert line.publish().staged is None
    grow(line)
    assert line.witness("w1").new


def test_a_copy_that_lags_behind_the_memory_accuses_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    line.witness("w1")
    grow(line)
    shutil.copytree(line.public, tmp_path / "old")
    grow(line, "1.2.0")
    with monkeypatch.context() as patch:
        patch.setattr(replica.Replica, "keep", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            line.witness("w1")
    with pytest.raises(VerificationError, match="were signed before"):
        line.witness("w1", source=tmp_path / "old")
    assert not (tmp_path / "w1-memory/evidence").exists()
    line.witness("w1")


@pytest.mark.parametrize("kind", [FOLD, CONSISTENCY])
@pytest.mark.parametrize("longer", ["signed", "shown"])
def test_evidence_of_two_sizes_is_judged_without_the_entries(
    tmp_path: Path, kind: str, longer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, other = forked(tmp_path, asked(1, "w1", kind=kind), monkeypatch)
    grow(line if longer == "signed" else other, "3.0.0")
    line.witness("w1")
    with pytest.raises(VerificationError) as caught:
        line.witness("w1", source=other.public)
    if kind == CONSISTENCY and longer == "signed":  # it has no entries of its own, and the other source shows fewer
        assert "were signed before" in caught.value.message
        return
    (kept,) = (tmp_path / "w1-memory/evidence").iterdir()
    value = json.loads(kept.read_text())
    small, large = (checkpoints.parse(base64.b64decode(note))[0] for note in value["notes"])
    root = bytes.fromhex(value["proof"]["rootHash"].removeprefix("sha256:"))
    proof = [base64.b64decode(one) for one in value["proof"]["hashes"]]
    merkle.verify_consistency(first=small.size, second=large.size, proof=proof, first_root=root, second_root=large.root)
    assert small.size < large.size and root != small.root


def test_another_ledger_of_the_store_is_no_second_history(tmp_path: Path) -> None:
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    other = PublishedWorld(line.world.store, now=line.world.now, ledger_name="other")
    other.genesis(line.world.state.require_trust_root())
    other.ship("9.0.0")
    other.promote("9.0.0", "dev")
    other.publish("dev", str(tmp_path / "other"))
    for new in (True, False):
        report = line.witness("w1", tmp_path / "other")
        assert report.new is new and "publishes the ledger other, not main" in report.away[0]
    with pytest.raises(VerificationError, match="publishes the ledger other"):
        line.witness("w1", source=tmp_path / "other")
    assert not (tmp_path / "w1-memory/evidence").exists()


def test_a_feed_that_cannot_be_read_makes_no_entry_void(tmp_path: Path) -> None:
    """An entry that one witness alone calls void would be a seal that it takes for a lie."""
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    (part,) = (line.public / "ledger/feed").glob("*.tar")
    log = logs.open_log(str(line.public), network=None, first=line.first, at=line.world.now, sigstore_root=None)
    for damage in (part.unlink, lambda: part.write_bytes(b"no tar"), lambda: part.write_bytes(b"\0" * 1024)):
        damage()
        incoming = Incoming(str(tmp_path / "incoming"), line.world.store, log, log.size)
        with incoming, pytest.raises((NoSuchObject, StoreDamaged)):
            incoming.read(sha256(b"never put"))
        assert not (tmp_path / "incoming").exists()
    (line.public / "ledger/checkpoint").write_bytes(b"")
    with pytest.raises(FormatError, match=r"public/ledger/checkpoint: signed note: "):
        line.witness("w1")


def test_a_foreign_file_in_a_lines_place_is_replaced(tmp_path: Path) -> None:
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    line.witness("w1")
    place(line, "w1").parent.mkdir(parents=True, exist_ok=True)
    place(line, "w1").write_bytes(b"garbage")
    assert line.publish().staged is None
    assert line.verify().verified.channel.cosigned_by == ("w1",)


@pytest.mark.parametrize("what", [b"garbage", b"", b"\xff" * 100])
def test_a_foreign_file_where_a_witness_writes_is_replaced(tmp_path: Path, what: bytes) -> None:
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    for path in (place(line, "w1"), place(line, "w1", "newest")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(what)
    assert line.witness("w1", out=str(line.public)).new
    assert line.publish().staged is None
    assert line.verify().verified.channel.cosigned_by == ("w1",)


def test_lines_that_were_lost_at_the_destination_are_told_and_brought_again(tmp_path: Path) -> None:
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    line.witness("w1")
    line.publish()
    good = place(line, "w1").read_bytes()

    def fsck() -> published_check.PublishedReport:
        return published_check.check(open_storage(str(line.public)), line.world.store, line.world.ledger, "cdn")

    assert not fsck().damaged
    place(line, "w1").unlink()
    assert "0 of 1 witnesses" in str(fsck().damaged)
    assert line.publish().staged is None
    assert place(line, "w1").read_bytes() == good
    line.verify()
    assert not fsck().damaged
    grow(line)
    assert not fsck().damaged, "one that is staged waits"


def test_fsck_sees_a_line_over_another_history(tmp_path: Path) -> None:
    line = Line(tmp_path, asked(1, "w1", "w2"))
    line.publish()
    line.witness("w1")
    line.publish()
    good = checkpoints.parse(place(line, "w1").read_bytes())[0]
    log, key = signer("log"), asked(1, "w2").keys[0].key
    for how in (
        replace(good, root=b"x" * 32),
        replace(good, origin=f"{good.origin}2"),
        replace(good, size=good.size + 9),
    ):
        note = checkpoints.sign(how, good.origin, log.public_pem, log.sign_bytes)
        path = place(line, "w2", str(how.size))
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(cosignatures.cosign(note, key, signer("w2").sign_bytes, at=line.world.now))
        report = published_check.check(open_storage(str(line.public)), line.world.store, line.world.ledger, "cdn")
        assert str(path.relative_to(line.public)) in report.damaged
        path.unlink()


def test_the_feed_of_a_stranger_fills_no_memory(tmp_path: Path) -> None:
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    (part,) = (line.public / "ledger/feed").glob("*.tar")
    held = KitFile(str(part), head=False)
    members = {name: Member(held.size(name), lambda name=name: held.chunks(name)) for name in held.names}  # type: ignore[misc]
    evil = os.urandom(100_000)
    members[f"objects/{hex_of(sha256(evil))}"] = Member(len(evil), lambda: (evil,))
    with open(tmp_path / "evil.tar", "wb") as out:
        kit_files.write(out, members, mtime=0)
    os.replace(tmp_path / "evil.tar", part)
    assert line.witness("w1").new
    with Store.open(str(tmp_path / "w1-memory/store"), read_only=True) as copy:
        assert not copy.has(sha256(evil))
    assert sum(p.stat().st_size for p in (tmp_path / "w1-memory").rglob("*") if p.is_file()) < 4_000_000


def test_what_is_refused_leaves_nothing_in_the_memory(tmp_path: Path) -> None:
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    part = next((line.public / "ledger/feed").glob("*.tar"))
    held = KitFile(str(part), head=False)
    gone = next(name for name in held.names if b'"dsseEnvelope"' in b"".join(held.chunks(name)))
    names = sorted(held.names - {gone})
    members = {name: Member(held.size(name), lambda name=name: held.chunks(name)) for name in names}  # type: ignore[misc]
    whole = part.read_bytes()
    with open(tmp_path / "less.tar", "wb") as out:
        kit_files.write(out, members, mtime=0)
    os.replace(tmp_path / "less.tar", part)
    with pytest.raises(VerificationError, match="is not published"):
        line.witness("w1")
    with Store.open(str(tmp_path / "w1-memory/store"), read_only=True) as copy:
        assert not any(copy.has(f"sha256:{name.removeprefix('objects/')}") for name in names)
    part.write_bytes(whole)
    assert line.witness("w1").new


@pytest.mark.parametrize("what", ["checkpoint", "trust-root"])
def test_a_mirror_that_shows_nonsense_is_away(tmp_path: Path, what: str) -> None:
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    shutil.copytree(line.public, tmp_path / "mirror")
    path = tmp_path / "mirror" / ("ledger/checkpoint" if what == "checkpoint" else published_paths.trust_root_path(1))
    path.write_bytes(b"nonsense")
    report = line.witness("w1", tmp_path / "mirror")
    assert report.new and len(report.away) == 1


def test_a_root_that_was_never_adopted_is_not_remembered(tmp_path: Path) -> None:
    """Owners signed a version 2 and made another one: a mirror that shows the first stops nobody."""
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    old = line.world.state.require_trust_root()
    given_up = signed(replace(old, version=2, created=line.world.now), previous=old)
    shutil.copytree(line.public, tmp_path / "mirror")
    (tmp_path / "mirror" / published_paths.trust_root_path(2)).write_bytes(given_up)
    line.witness("w1", tmp_path / "mirror")
    line.later()
    line.world.next_root()
    line.publish()
    assert line.witness("w1").new
    assert line.publish().staged is None


def test_where_nothing_can_be_locked_nothing_is_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()

    def none(*_: Any, **__: Any) -> None:
        raise OSError("no locks here")

    monkeypatch.setattr(locks, "take", none)
    with pytest.raises(Exception, match="lock"):
        line.witness("w1")
    assert not (tmp_path / "w1-memory/memory.json").exists()


def test_one_bad_witness_with_a_huge_file_stops_no_consumer(tmp_path: Path) -> None:
    line = Line(tmp_path, asked(1, "w1", "w2"))
    line.publish()
    line.witness("w2")
    line.publish()
    place(line, "w1").parent.mkdir(parents=True, exist_ok=True)
    with open(place(line, "w1"), "wb") as file:
        file.truncate(400_000_000)
    assert line.verify().verified.channel.cosigned_by == ("w2",)
    assert line.publish().staged is None


def test_a_checkpoint_of_as_many_entries_as_a_number_holds(tmp_path: Path) -> None:
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    good = checkpoints.parse((line.public / "ledger/checkpoint").read_bytes())[0]
    log = signer("log")
    note = checkpoints.sign(replace(good, size=10**18), good.origin, log.public_pem, log.sign_bytes)
    (line.public / "ledger/checkpoint").write_bytes(note)
    with pytest.raises(VerificationError, match="missing"):
        line.witness("w1")


def test_who_judges_keyless_signers_by_other_roots_accuses_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No sigstore root is pinned, so two honest folds may differ: it is refused, and no evidence."""
    line = Line(tmp_path, asked(1, "w1"))
    root = line.world.state.require_trust_root()
    keyless = TrustIdentity("kay", "oidc:https://issuer.example#kay", None, valid_from=root.created, valid_until=None)
    line.world.next_root(identities=tuple(sorted((*root.identities, keyless), key=lambda one: one.name)))
    lie(line, monkeypatch)
    with pytest.raises(Exception, match="add up to") as caught:
        line.witness("w1")
    assert getattr(caught.value, "exit_code", 0) == 7
    assert not (tmp_path / "w1-memory/evidence").exists()


def test_a_kit_whose_lines_were_taken_out_is_refused(tmp_path: Path) -> None:
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    line.witness("w1")
    line.publish()
    world, path = line.world, tmp_path / "k.tar"
    places = read_from([str(line.public)], network=None)
    kits.export(world.store, world.ledger, "1.0.0", str(path), now=world.now, lines_from=places)
    kit = KitFile(str(path))
    names = [name for name in kit.names if "cosignatures" not in name]
    members = {name: Member(kit.size(name), lambda name=name: kit.chunks(name)) for name in names}  # type: ignore[misc]
    with open(tmp_path / "bare.tar", "wb") as out:
        kit_files.write(out, members, mtime=0)
    with pytest.raises(VerificationError, match="0 of 1 witnesses"):
        line.verify(source=tmp_path / "bare.tar")
    assert line.seen() == 0


@pytest.mark.parametrize("after", ["another", "none"])
def test_what_was_staged_under_an_earlier_root_is_never_shown_without_its_lines(tmp_path: Path, after: str) -> None:
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    line.witness("w1")
    line.publish()
    grow(line)
    line.later()
    line.world.next_root(witnesses=None if after == "none" else asked(1, "w2"))
    report = line.publish()
    found = line.verify(state="fresh").verified.channel
    if after == "none":
        assert report.staged is None and found.version == "1.1.0" and found.cosigned_by == ()
        return
    assert report.staged and found.version == "1.0.0"
    assert line.witness("w2").new
    assert line.publish().staged is None
    assert line.verify(state="fresh").verified.channel.cosigned_by == ("w2",)


def test_what_lies_among_the_lines_holds_no_withdrawal_up(tmp_path: Path) -> None:
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    line.witness("w1")
    line.publish()
    line.later()
    promotion.revoke(
        line.world.store, line.world.ledger, "1.0.0", kind="artifact", reason="leaked", signer=signer("aud"),
        now=line.world.now,
    )  # fmt: skip
    for size in range(200):
        path = line.public / "ledger/cosignatures" / str(size)
        if not path.exists():
            path.write_bytes(b"no folder")
    assert line.publish().withdrawn
    with pytest.raises(Withdrawn, match="leaked"):
        line.verify()


def test_a_withdrawal_shows_no_other_channel_without_lines(tmp_path: Path) -> None:
    """It is published at once; what another channel holds is taken only with the lines over that checkpoint."""
    line = Line(tmp_path, asked(1, "w1"))
    line.world.ship("1.1.0", content=b"new")
    line.world.later()
    line.world.promote("1.0.0", "dev")
    line.publish()
    line.witness("w1")
    line.publish()
    line.world.approve("1.0.0", "staging", "ann")
    line.world.promote("1.0.0", "staging")
    line.publish("staging")
    line.witness("w1")
    assert line.publish("staging").staged is None
    line.verify("staging")
    before = line.seen()
    line.later()
    line.world.promote("1.1.0", "dev")
    line.publish()
    promotion.revoke(
        line.world.store, line.world.ledger, "1.1.0", kind="artifact", reason="leaked", signer=signer("aud"),
        now=line.world.now,
    )  # fmt: skip
    assert line.publish().withdrawn
    with pytest.raises(VerificationError, match="leaked"):
        line.verify()
    with pytest.raises(VerificationError, match="0 of 1 witnesses"):
        line.verify("staging")
    assert line.seen() == before
    line.witness("w1")
    line.publish()
    assert line.verify("staging").verified.channel.version == "1.0.0"


def test_a_line_of_before_counts_for_no_larger_checkpoint(tmp_path: Path) -> None:
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    line.witness("w1")
    line.publish()
    old = place(line, "w1").read_bytes()
    grow(line)
    place(line, "w1").parent.mkdir(parents=True, exist_ok=True)
    place(line, "w1").write_bytes(old)
    assert line.publish().staged
    assert line.verify().verified.channel.version == "1.0.0"
    sign_blindly(line, "w1")
    assert line.publish().staged is None


@pytest.mark.parametrize("kind", [FOLD, CONSISTENCY])
def test_two_destinations_wait_for_one_run(tmp_path: Path, kind: str) -> None:
    """Each has a checkpoint of its own: the smaller one is of the same history, and gets its line too."""
    line = Line(tmp_path, asked(1, "w1", kind=kind))
    places = read_from([str(tmp_path / "w1-out")], network=None)
    first = [line.world.publish("dev", str(line.public), places=places)]
    second = [line.world.publish("dev", str(tmp_path / "second"), name="second", places=places)]
    assert first[0].staged and second[0].staged
    assert line.witness("w1", tmp_path / "second").new
    assert not line.witness("w1", tmp_path / "second").new
    assert line.publish().finished == (1,)
    assert line.world.publish("dev", str(tmp_path / "second"), name="second", places=places).finished == (1,)
    assert line.verify().verified.channel.cosigned_by == ("w1",)
    assert line.verify(source=tmp_path / "second", state="b").verified.channel.cosigned_by == ("w1",)


def test_a_smaller_checkpoint_that_ends_in_no_seal_gets_no_line(tmp_path: Path) -> None:
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    shutil.copytree(line.public, tmp_path / "mirror")
    good = checkpoints.parse((line.public / "ledger/checkpoint").read_bytes())[0]
    raws = [entry.raw for entry in line.world.ledger.entries()][: good.size - 1]
    log = signer("log")
    cut = replace(good, size=len(raws), root=merkle.MemoryTree(raws).root())
    note = checkpoints.sign(cut, good.origin, log.public_pem, log.sign_bytes)
    (tmp_path / "mirror/ledger/checkpoint").write_bytes(note)
    assert line.witness("w1", tmp_path / "mirror").new
    assert not (tmp_path / f"w1-out/ledger/cosignatures/{len(raws)}").exists()


def test_a_new_memory_follows_no_mirror_alone(tmp_path: Path) -> None:
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    (tmp_path / "gone").mkdir()
    with pytest.raises(NoSuchObject):
        line.witness("w1", line.public, source=tmp_path / "gone")
    line.witness("w1")
    assert not line.witness("w1", line.public, source=tmp_path / "gone").new


def test_a_destination_that_was_taken_over_is_reset_though_witnesses_are_waited_for(tmp_path: Path) -> None:
    """The former publisher's key showed publication 9000; the reset is staged, and the same call finishes it."""
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    line.witness("w1")
    line.publish()
    top = line.public / "metadata"
    targets = tuf_repository.targets_of((top / "1.targets.json").read_bytes())
    root, by = (top / "1.root.json").read_bytes(), tuf_repository.TufSigners.single(signer("pete"))
    for file in tuf_repository.make_metadata(9000, root, targets, by, now=line.world.now, existing=lambda _: None):
        (top / file.name).write_bytes(file.data)
    line.later()
    line.world.rotate("pete")
    places = read_from([str(tmp_path / "w1-out")], network=None)

    signers = PublishSigners(signer("pete#2"), signer("log"), (), True)

    def reset() -> PublishReport:
        return publish_as(line, signers, lines=CosignatureLines(places))

    assert reset().staged and reset().staged
    line.witness("w1")
    done = reset()
    assert done.staged is None and done.number == 2
    assert line.verify().verified.channel.cosigned_by == ("w1",)


def test_the_mirror_on_a_machine_keeps_the_lines_and_takes_nothing_without_them(tmp_path: Path) -> None:
    """Read over the network, then offline; whoever takes the lines out of the mirror gets nothing taken either."""
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    line.witness("w1")
    line.publish()
    trust = TrustSettings(str(tmp_path / "me"), line.first)
    with serving(line.public, lambda _, body: whole(body)) as url:
        guard = NetworkGuard((url,))
        verify(url, "dev", trust=trust, at=line.world.now, network=guard)
    found = verify(url, "dev", trust=trust, at=line.world.now, offline=True, network=guard).verified.channel
    assert found.cosigned_by == ("w1",)
    (kept,) = (tmp_path / "me").rglob(f"cosignatures/*/{asked(1, 'w1').keys[0].key_id}")
    kept.unlink()
    with pytest.raises(VerificationError, match="0 of 1 witnesses"):
        verify(url, "dev", trust=trust, at=line.world.now, offline=True, network=guard)


def test_a_witness_reads_a_web_server_and_writes_what_a_publisher_finds_at_another(tmp_path: Path) -> None:
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    with (
        serving(line.public, lambda _, body: whole(body)) as url,
        serving(tmp_path / "w1-out", lambda _, body: whole(body)) as out,
    ):
        guard = NetworkGuard((url, out))
        settings = WitnessSettings((url,), str(tmp_path / "m"), str(tmp_path / "w1-out"), first_trust_root=line.first)
        assert run(settings, signer("w1"), now=line.world.now, network=guard).new
        report = line.world.publish("dev", str(line.public), places=read_from([out], network=guard))
    assert report.staged is None


def test_repairing_what_is_staged_makes_no_other_publication(tmp_path: Path) -> None:
    """Each would have another checkpoint, and the line that comes would be over none that is waited for."""
    line = Line(tmp_path, asked(1, "w1"))
    signers, lines = line.world.signers, CosignatureLines(read_from([str(tmp_path / "w1-out")], network=None))
    for _ in range(3):
        report = publish_as(line, signers, repair=True, lines=lines)
        assert report.staged and report.number == 1
    line.witness("w1")
    assert publish_as(line, signers, repair=True, lines=lines).finished == (1,)
    place(line, "w1").write_bytes(b"damaged")
    assert publish_as(line, signers, repair=True, lines=lines).staged is None
    assert line.verify().verified.channel.cosigned_by == ("w1",)


def test_a_second_run_at_once_signs_nothing(tmp_path: Path) -> None:
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    with Memory(str(tmp_path / "w1-memory")).locked(), pytest.raises(Conflict, match="another run"):
        line.witness("w1")
    assert line.witness("w1").new


def test_entries_that_change_between_two_reads_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source gives each reader of a tile other bytes: what is signed is what made the signed root hash."""
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    first = logs.PublishedLog.entries
    times = iter(range(100))

    def other(log: logs.PublishedLog, begun: int, end: int) -> list[bytes]:
        found = first(log, begun, end)
        return found if next(times) % 2 else [*found[:-1], found[-1].replace(b"seal", b"sale")]

    monkeypatch.setattr(logs.PublishedLog, "entries", other)
    with pytest.raises(VerificationError, match="are not those of its checkpoint"):
        line.witness("w1")
    assert line.witness("w1").new
    assert not (tmp_path / "w1-memory/evidence").exists()


def test_what_a_witness_signed_last_is_told_by_its_own_line_alone(tmp_path: Path) -> None:
    """What `doctor` shows of it: nonsense, and a line of another ledger, is as good as none."""
    line = Line(tmp_path, asked(1, "w1"))
    line.publish()
    line.witness("w1")
    (key,) = asked(1, "w1").keys
    places = read_from([str(line.public), str(tmp_path / "w1-out")], network=None)
    size = checkpoints.parse((line.public / "ledger/checkpoint").read_bytes())[0].size
    origin = ledger_checkpoints.origin(line.world.store.store_id, "main")
    assert cosigned.newest(places, key, origin) == (size, line.world.now.replace(microsecond=0))
    assert cosigned.newest(places, key, f"{origin}2") is None
    (tmp_path / "w1-out" / published_paths.newest_cosignature_path(key.key_id)).write_bytes(b"nonsense")
    assert cosigned.newest(places, key, origin) is None
