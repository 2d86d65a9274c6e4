"""Publishing: complete, resumable at every write, refusing other bytes, falling back, told truly."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from attest.errors import PolicyDenied, SignerError
from attest.signers import Signer
from bundlers.consuming.service import TrustSettings, VerifyReport, verify
from bundlers.publishing import writing
from bundlers.publishing.layout import destinations
from bundlers.publishing.layout.destinations import Destination, open_destination
from bundlers.publishing.publication import PublishSigners
from casstore.errors import Conflict, NoSuchObject, ObjectDamaged, StorageUnavailable
from tests.support.published import PublishedWorld
from tests.support.system_calls import DEEP, SEED
from tests.support.worlds import signer


@pytest.fixture
def world(tmp_path: Path) -> PublishedWorld:
    made = PublishedWorld.make(str(tmp_path / "store"))
    made.ship("1.0.0")
    made.to_prod("1.0.0")
    return made


@pytest.fixture
def public(tmp_path: Path) -> str:
    return str(tmp_path / "public")


def read(world: PublishedWorld, url: str, channel: str = "prod", state: str | None = None) -> VerifyReport:
    folder = state or f"{world.store.url}-state-{os.urandom(4).hex()}"
    return verify(url, channel, trust=TrustSettings(folder), at=world.now)


def files_of(folder: str) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def test_number_is_the_nth_publication(world: PublishedWorld, public: str) -> None:
    assert world.publish("prod", public).number == 1
    again = world.publish("prod", public)
    assert again.unchanged and again.number == 1 and again.exit_code == 0
    assert world.publish("dev", public).number == 2
    world.later()
    world.ship("1.1.0", content=b"x")
    world.to_prod("1.1.0")
    report = world.publish("prod", public)
    assert report.number == 3 and report.skipped > 10
    assert read(world, public).verified.channel.version == "1.1.0"
    with pytest.raises(NoSuchObject, match="dev"):  # it moved on, and was not published since
        read(world, public, "dev")
    assert world.publish("dev", public).number == 4
    assert read(world, public, "dev").verified.channel.version == "1.1.0"
    assert sorted(world.state.publications) == ["cdn"] and world.state.void == ()


def test_every_write_may_be_the_last(world: PublishedWorld, public: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before the nth write, for every fourth n, in the deep profile every one; the next run finishes it."""
    world.publish("prod", public)
    before = read(world, public).verified.channel.version
    world.later()
    world.ship("1.1.0", content=b"x")
    world.to_prod("1.1.0")
    shutil.copytree(world.store.url, f"{world.store.url}.start")
    shutil.copytree(public, f"{public}.start")
    total = count_writes(world, public, monkeypatch, stop_at=None)
    assert total > 30
    for stop in range(total) if DEEP else range(SEED % 4, total, 4):
        for folder in (world.store.url, public):
            shutil.rmtree(folder)
            shutil.copytree(f"{folder}.start", folder)
        monkeypatch.setenv("XDG_STATE_HOME", f"{public}.state-{stop}")  # who saw the entries that are gone now
        fresh = reopened(world)
        assert count_writes(fresh, public, monkeypatch, stop_at=stop) == stop
        shown = read(fresh, public).verified.channel.version
        assert shown == before, f"half a publication shows after write {stop}"
        report = fresh.publish("prod", public)
        assert report.number == 2 and writing.published_number(open_destination(public)) == 2
        assert read(fresh, public).verified.channel.version == "1.1.0"
        assert len(fresh.state.publications["cdn"]) == 2 and fresh.state.void == ()
        assert not [name for name in files_of(public) if ".tmp-" in name]
        fresh.store.close()


class _Killed(BaseException):
    """As a kill: nothing catches it."""


def count_writes(world: PublishedWorld, public: str, monkeypatch: pytest.MonkeyPatch, stop_at: int | None) -> int:
    """Publish, killed before write number `stop_at` to the destination; returns the writes that were made."""
    done = 0

    def counting(original: object) -> object:
        def call(self: Destination, *args: object) -> object:
            nonlocal done
            if done == stop_at:
                raise _Killed
            done += 1
            return original(self, *args)  # type: ignore[operator]

        return call

    with monkeypatch.context() as patch:
        for name in ("put_blob", "copy", "point"):
            original = getattr(destinations.FolderDestination, name)
            patch.setattr(destinations.FolderDestination, name, counting(original))
        try:
            world.publish("prod", public)
        except _Killed:
            assert stop_at is not None
    return done


def reopened(world: PublishedWorld) -> PublishedWorld:
    world.store.close()
    from casstore.store.store import Store

    return replace(world, store=Store.open(world.store.url))


def test_crash_between_entry_and_files(world: PublishedWorld, public: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert count_writes(world, public, monkeypatch, stop_at=0) == 0
    assert len(world.state.publications["cdn"]) == 1
    report = world.publish("prod", public)
    assert report.number == 1 and report.finished == (1,)


def test_other_bytes_are_never_overwritten(world: PublishedWorld, public: str) -> None:
    world.publish("prod", public)
    sums = Path(public, "releases/1.0.0/SHA256SUMS")
    sums.unlink()
    sums.write_bytes(b"forged\n")
    world.now = world.now.replace(month=world.now.month + 1)
    world.publish("prod", public)  # a renewal: files of finished publications are not read again
    world.publish("dev", public)
    assert sums.read_bytes() == b"forged\n"
    Path(public, "metadata/timestamp.json").unlink()
    with pytest.raises(Conflict, match="SHA256SUMS"):
        world.publish("prod", public)


def test_destination_of_another_store_is_refused(world: PublishedWorld, public: str, tmp_path: Path) -> None:
    world.publish("prod", public)
    other = PublishedWorld.make(str(tmp_path / "other"))
    other.ship("1.0.0")
    other.promote("1.0.0", "dev")
    with pytest.raises(Conflict, match="the ledger knows 0"):
        other.publish("dev", public)


def test_renewal_before_the_timestamp_expires(world: PublishedWorld, public: str) -> None:
    world.publish("prod", public)
    world.later(days=14)
    assert world.publish("prod", public).unchanged
    world.later(days=2)
    report = world.publish("prod", public)
    assert report.number == 2 and not report.unchanged
    world.later(days=29)
    assert read(world, public).verdict == "valid"


def test_nothing_promoted_nothing_published(world: PublishedWorld, public: str, tmp_path: Path) -> None:
    other = PublishedWorld.make(str(tmp_path / "other"))
    with pytest.raises(PolicyDenied, match="holds no release"):
        other.publish("prod", public)
    assert not os.path.exists(os.path.join(public, "metadata"))


def test_damaged_archive_is_not_published(world: PublishedWorld, public: str, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = world.made["1.0.0"].builds["core"].archive.digest
    opened = type(world.store).open_blob

    def damaged(self: object, digest: str) -> object:
        if digest == archive:
            raise ObjectDamaged(f"{digest}: damaged")
        return opened(self, digest)  # type: ignore[arg-type]

    monkeypatch.setattr(type(world.store), "open_blob", damaged)
    with pytest.raises(ObjectDamaged):
        world.publish("prod", public)
    assert world.state.publications == {}


@pytest.mark.parametrize(
    ("publisher", "ledger", "match"), [("pam", "log", "publisher"), ("pete", "pete", "ledger"), ("pete", "aud", "led")]
)
def test_only_role_holders_publish(
    world: PublishedWorld, public: str, publisher: str, ledger: str, match: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    signers = PublishSigners(signer(publisher), signer(ledger))
    monkeypatch.setattr(PublishedWorld, "signers", signers)
    with pytest.raises(PolicyDenied, match=match):
        world.publish("prod", public)


def test_another_publisher_needs_the_root_key(world: PublishedWorld, public: str) -> None:
    world.publish("prod", public)
    from bundlers.publishing.publication import publish_to

    def run(root: tuple[Signer, ...]) -> object:
        settings = destinations.DestinationSettings("cdn", public)
        signers = PublishSigners(signer("pete"), signer("log"), root)
        return publish_to(world.store, world.ledger, "dev", settings, signers, now=world.now)

    entries = world.state.count
    with pytest.raises(SignerError, match="version before"):
        run((signer("pia"),))
    with pytest.raises(PolicyDenied, match="role publisher"):
        run((signer("otto"), signer("pete")))
    assert world.state.count == entries, "nothing is recorded that cannot be laid out"
    run((signer("pia"), signer("pete")))
    assert os.path.exists(os.path.join(public, "metadata/2.root.json"))
    assert read(world, public, "dev").verdict == "valid"


class _Away:
    """A bucket that stays away."""

    url = "s3://bucket/releases"

    def read(self, path: str) -> bytes | None:
        raise StorageUnavailable("s3://bucket: no answer")


def test_fallback_is_told_and_is_a_destination_of_its_own(
    world: PublishedWorld, public: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bundlers.publishing import publication

    opened = publication.open_destination
    monkeypatch.setattr(
        publication, "open_destination", lambda url, network: _Away() if url == "away" else opened(url, network=network)
    )
    with pytest.raises(StorageUnavailable):
        world.publish("prod", "away")
    report = world.publish("prod", "away", fallback=public)
    assert report.exit_code == 12 and report.fallback == "s3://bucket: no answer"
    assert report.destination == "cdn.fallback" and list(world.state.publications) == ["cdn.fallback"]
    assert read(world, public).verdict == "valid"
    world.publish("prod", str(tmp_path / "back"))
    assert {name: len(rows) for name, rows in world.state.publications.items()} == {"cdn.fallback": 1, "cdn": 1}


def test_memory_storage_serves_as_a_bucket(world: PublishedWorld) -> None:
    url = f"memory://{os.urandom(6).hex()}"
    world.publish("prod", url)
    assert read(world, url).verdict == "valid"
    assert world.publish("prod", url).unchanged


def test_invalidation_runs_for_each_pointer_and_its_failure_is_told(
    world: PublishedWorld, public: str, tmp_path: Path
) -> None:
    hook = tmp_path / "purge.sh"
    hook.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/purged\n')
    hook.chmod(0o755)
    assert world.publish("prod", public, invalidate=(str(hook), "{path}")).exit_code == 0
    assert (tmp_path / "purged").read_text().split() == ["ledger/checkpoint", "metadata/timestamp.json"]
    assert world.publish("prod", public, invalidate=(str(hook), "{path}")).unchanged
    report = world.publish("dev", public, invalidate=("false",))
    assert report.exit_code == 1 and "false: exit code 1" in report.hooks[0]


def test_invalidation_has_no_network_unless_allowed(world: PublishedWorld, public: str) -> None:
    from casstore.machine import runner

    if runner.run(["true"], cwd="/", network=False).network != "none":
        pytest.skip("this system lets nobody take a network away")
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = f"import socket; socket.create_connection({server.getsockname()!r}, 5)"
        hook = (sys.executable, "-c", code)
        report = world.publish("prod", public, invalidate=hook)
        assert "exit code 1, without network: invalidate_network = true allows it" in report.hooks[0]
        assert not world.publish("dev", public, invalidate=hook, invalidate_network=True).hooks


def test_revoked_release_leaves_the_targets(world: PublishedWorld, public: str) -> None:
    from casstore import promotion

    world.publish("prod", public)
    world.later()
    world.ship("1.1.0", content=b"x")
    world.to_prod("1.1.0")
    promotion.revoke(
        world.store,
        world.ledger,
        world.made["1.0.0"].digest,
        kind="artifact",
        reason="leaks",
        signer=signer("aud"),
        now=world.now,
    )
    world.publish("prod", public)
    from bundlers.publishing.layout.tuf_repository import _load

    targets = _load(Path(public, "metadata/2.targets.json").read_bytes(), None, "t").signed.targets
    assert not [path for path in targets if path.startswith("releases/1.0.0/")]
    assert read(world, public).verified.channel.version == "1.1.0"


def test_plain_tools_read_the_folder(world: PublishedWorld, public: str, tmp_path: Path) -> None:
    world.publish("prod", public)
    release = os.path.join(public, "releases/1.0.0")
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=release, capture_output=True, text=True, check=True)
    assert done.stdout.count(": OK") == 2 and done.stderr == ""
    listed = subprocess.run(
        ["tar", "-tzf", "core-1.0.0.tar.gz"], cwd=release, capture_output=True, text=True, check=True
    )
    assert "bin/core" in listed.stdout.split() and listed.stderr == ""
    subprocess.run(["unzip", "-tq", "agent-1.0.0.zip"], cwd=release, capture_output=True, check=True)


def test_openssl_verifies_an_archives_provenance(world: PublishedWorld, public: str, tmp_path: Path) -> None:
    from attest.sigstore.sigstore_bundles import SigstoreBundle
    from attest.statements.envelopes import pae

    world.publish("prod", public)
    raw = Path(public, "releases/1.0.0/core-1.0.0.tar.gz.sigstore.json").read_bytes()
    envelope = SigstoreBundle.parse(raw).statement_envelope
    (tmp_path / "pae").write_bytes(pae(envelope.payload_type, envelope.payload))
    (tmp_path / "sig").write_bytes(envelope.signature)
    (tmp_path / "key.pem").write_bytes(signer("ci").public_pem or b"")
    argv = ["openssl", "dgst", "-sha256", "-verify", "key.pem", "-signature", "sig", "pae"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "Verified OK" in done.stdout
    assert world.made["1.0.0"].builds["core"].archive.digest.removeprefix("sha256:").encode() in envelope.payload


def test_settings_come_from_casstore_toml(world: PublishedWorld, tmp_path: Path) -> None:
    from bundlers.publishing.publication import publish
    from casstore import config

    (tmp_path / "casstore.toml").write_text(
        '[store]\nurl = "./store"\n[destinations.cdn]\nurl = "./public"\nexpires_days = { timestamp = 7 }\n'
    )
    found = config.load(str(tmp_path / "casstore.toml"), str(tmp_path))
    arguments = {"channel": "prod", "signer": signer("pete"), "now": world.now}
    with pytest.raises(PolicyDenied, match="role ledger"):
        publish(world.store, world.ledger, found, destination="cdn", **arguments)  # type: ignore[arg-type]
    with pytest.raises(NoSuchObject, match="no destination"):
        publish(world.store, world.ledger, found, destination="else", **arguments)  # type: ignore[arg-type]
    report = publish(
        world.store,
        world.ledger,
        found,
        destination="cdn",
        ledger_signer=signer("log"),
        root_signer=signer("pia"),
        **arguments,  # type: ignore[arg-type]
    )
    assert report.url == str(tmp_path / "public")
    assert (read(world, report.url).verified.valid_until or world.now) - world.now == timedelta(days=7)


def test_bucket_that_goes_away_in_the_middle(
    world: PublishedWorld, public: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry is written, the files are not: the fallback serves, and the next run finishes the first."""
    put_blob = destinations.FolderDestination.put_blob
    calls = []

    def failing(self: destinations.FolderDestination, path: str, blob: destinations.Blob) -> bool:
        calls.append(path)
        if self.url == public and len(calls) > 10:
            raise StorageUnavailable("the bucket went away")
        return put_blob(self, path, blob)

    with monkeypatch.context() as patch:
        patch.setattr(destinations.FolderDestination, "put_blob", failing)
        report = world.publish("prod", public, fallback=str(tmp_path / "fallback"))
    assert report.exit_code == 12 and report.fallback == "the bucket went away"
    assert read(world, str(tmp_path / "fallback")).verdict == "valid"
    report = world.publish("prod", public, fallback=str(tmp_path / "fallback"))
    assert report.finished == (1,) and report.number == 1 and report.exit_code == 0
    assert read(world, public).verdict == "valid"


def test_two_publishers_at_once(world: PublishedWorld, public: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another publication takes the number while ours is signed: ours takes the next one."""
    from bundlers.publishing import recording

    keep, raced = recording.keep, []

    def racing(store: object, raws: list[bytes]) -> object:
        kept = keep(store, raws)  # type: ignore[arg-type]
        if not raced:
            raced.append(True)
            assert world.publish("dev", public).number == 1
        return kept

    monkeypatch.setattr(recording, "keep", racing)
    assert world.publish("prod", public).number == 2
    assert world.state.void == () and len(world.state.publications["cdn"]) == 2
    assert read(world, public).verdict == read(world, public, "dev").verdict == "valid"


# What a destination lost


@pytest.fixture
def laid_out(world: PublishedWorld, tmp_path: Path) -> Path:
    world.publish("prod", str(tmp_path / "public"))
    return tmp_path / "public"


def test_a_lost_archive_is_written_again(world: PublishedWorld, laid_out: Path) -> None:
    lost = next((laid_out / "targets/archives").rglob("*.tar.gz"))
    lost.unlink()
    report = world.publish("prod", str(laid_out))
    assert not report.unchanged and lost.exists()
    assert world.publish("prod", str(laid_out)).unchanged


def test_whatever_is_lost_is_looked_for_and_written_again(world: PublishedWorld, laid_out: Path) -> None:
    pointers = ("ledger/feed/index.json", "ledger/checkpoint")
    ledger = ("ledger/tile/0/*/*", "ledger/tile/entries/*/*", "ledger/feed/*.tar")
    for pattern in ("releases/*/*.tar.gz", "releases/*/SHA256SUMS", "trust-root/*.json", *ledger, *pointers):
        lost = sorted(laid_out.glob(pattern))[0]
        before = lost.read_bytes()
        lost.unlink()
        assert not world.publish("prod", str(laid_out)).unchanged, pattern
        assert lost.read_bytes() == before
        assert world.publish("prod", str(laid_out)).unchanged, pattern
        if pattern in pointers:  # they are replaced, so one that was cut is too
            lost.write_bytes(b"")
            assert not world.publish("prod", str(laid_out)).unchanged
            assert lost.read_bytes() == before
    for pattern in pointers:
        (laid_out / pattern).write_bytes(b"")
    world.ship("9.9.9")
    world.to_prod("9.9.9")
    assert world.publish("prod", str(laid_out)).number == 2
    assert world.publish("prod", str(laid_out)).unchanged


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        ("timestamp.json", "gone"),
        ("timestamp.json", "emptied"),
        ("1.snapshot.json", "gone"),
        ("1.snapshot.json", "emptied"),
        ("1.targets.json", "gone"),
    ],
)
def test_lost_metadata_is_mended_or_followed_by_a_new_publication(
    world: PublishedWorld, laid_out: Path, name: str, harm: str
) -> None:
    path = laid_out / "metadata" / name
    path.unlink() if harm == "gone" else path.write_bytes(b"")
    report = world.publish("prod", str(laid_out))
    assert report.number == (1 if name == "timestamp.json" else 2)
    timestamp = json.loads((laid_out / "metadata/timestamp.json").read_bytes())
    assert timestamp["signed"]["version"] == report.number


@pytest.mark.parametrize("shortest", ["targets", "snapshot", "timestamp"])
def test_whatever_ends_first_is_renewed_in_time(world: PublishedWorld, tmp_path: Path, shortest: str) -> None:
    from bundlers.publishing.layout.tuf_repository import Lifetimes

    lifetimes = Lifetimes(**{"root": 365, "targets": 90, "snapshot": 90, "timestamp": 90, shortest: 7})
    url = str(tmp_path / "public")
    world.publish("prod", url, lifetimes=lifetimes)
    world.later(days=3)
    assert world.publish("prod", url, lifetimes=lifetimes).unchanged
    world.later(days=1)
    assert world.publish("prod", url, lifetimes=lifetimes).number == 2
