"""What a consumer refuses, also from a publisher who signs whatever he likes."""

from __future__ import annotations

import functools
import http.server
import io
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from attest import canonical
from attest.digests import Digest, sha256
from attest.errors import TrustError, VerificationError
from attest.judging.decisions import Decision
from bundlers.consuming.service import TrustSettings, VerifyReport, verify
from bundlers.consuming.verification import verify_channel
from bundlers.publishing.layout import kit_files, published_paths, tuf_repository
from bundlers.publishing.layout.kit_files import KitFile, Member
from casstore import promotion
from casstore.errors import NoSuchObject, StorageUnavailable
from casstore.ledger.rules import moves
from casstore.network.network import NetworkGuard
from casstore.store.store import Store
from tests.support.forged import Forged, refuse
from tests.support.published import PublishedWorld
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


def test_verified_channel_tells_who_and_why(world: PublishedWorld, public: str) -> None:
    world.publish("prod", public)
    found = Forged.of(public).judged(world)
    assert (found.version, found.action, found.promoted_by) == ("1.0.0", "promote", ("pam",))
    assert found.approved_by == ("ann", "bob") and found.first_use
    assert {name for item in found.evidence for name in item.names} == {"ann", "bob", "ci", "pam"}
    assert set(found.builds) == {"core", "agent"}
    again = Forged.of(public).judged(world, pins=found.pins)
    assert again.pins == found.pins and not again.first_use


@pytest.mark.parametrize(
    "path",
    [
        "channels/prod.json",
        "channels/prod.objects.tar",
        "channels/prod.state.tar",
        "ledger/proof.json",
        "ledger/checkpoint",
    ],
)
def test_missing_targets(world: PublishedWorld, public: str, path: str) -> None:
    world.publish("prod", public)
    forged = Forged.of(public)
    del forged.targets[path]
    refuse(world, forged, path)


def without(data: bytes, gone: Digest) -> bytes:
    tar = KitFile("t", head=False, data=data)
    kept = {name: tar.read(name) for name in tar.names if not name.endswith(gone.removeprefix("sha256:"))}
    assert len(kept) == len(tar.names) - 1
    return packed(kept)


def packed(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    kit_files.write(out, {name: Member(len(data), lambda data=data: (data,)) for name, data in files.items()}, mtime=0)
    return out.getvalue()


def test_every_missing_piece_of_evidence_shows(world: PublishedWorld, public: str) -> None:
    world.publish("prod", public)
    path = published_paths.objects_path("prod")
    whole = Forged.of(public).targets[path]
    names = KitFile("t", head=False, data=whole).names
    claim = world.state.channels["prod"].history[-1].evidence
    stated = {entry.statement for entry in world.ledger.entries()}
    needed = {*claim, *world.made["1.0.0"].evidence, world.made["1.0.0"].digest} - stated
    assert len(needed) > 4
    for digest in needed:
        forged = Forged.of(public)
        forged.targets[path] = without(whole, digest)
        forged.targets.pop(published_paths.evidence_path("1.0.0", digest), None)
        refuse(world, forged, digest)
    assert len(names) > len(needed)


def test_objects_under_false_names(world: PublishedWorld, public: str) -> None:
    world.publish("prod", public)
    forged = Forged.of(public)
    forged.targets[published_paths.objects_path("prod")] = packed({"objects/" + "0" * 64: b"x"})
    refuse(world, forged, "other bytes than its name")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda v: v.update(version="9.9.9"), "something else"),
        (lambda v: v.update(release=sha256(b"x")), "something else"),
        (lambda v: v["move"].update(digest=sha256(b"x")), "something else"),
        (lambda v: v["move"].update(number=2), "no move of channel|missing"),
        (lambda v: v.update(channel="dev"), "something else"),
        (lambda v: v.update(ledger="other"), "something else"),
        (lambda v: v["products"]["core"]["default"].update(digest=sha256(b"x")), "another archive"),
        (lambda v: v["products"]["core"]["default"].update(size=1), "another archive"),
        (lambda v: v["products"]["core"].update(v["products"]["agent"]), "another archive"),
        (
            lambda v: v["products"]["core"]["default"].update(productManifest="releases/1.0.0/SHA256SUMS"),
            "ProductManifest",
        ),
        (lambda v: v["products"].pop("agent"), "something else"),
        (lambda v: v.update(format="casstore-channel/1"), "format"),
    ],
)
def test_false_channel_records(world: PublishedWorld, public: str, change: Callable[[dict], None], match: str) -> None:
    world.publish("prod", public)
    forged = Forged.of(public)
    forged.edit("channels/prod.json", change)
    refuse(world, forged, match)


def test_every_entry_of_the_proof_is_needed(world: PublishedWorld, public: str) -> None:
    world.publish("prod", public)
    count = len(canonical.loads(Forged.of(public).targets[published_paths.PROOF], what="p")["entries"])
    for index in range(count):
        forged = Forged.of(public)
        forged.edit(published_paths.PROOF, lambda v, index=index: v["entries"].pop(index))
        refuse(world, forged, "missing|genesis|in order|deny|does not hold|no move|denied|end in a seal")


def test_an_older_checkpoint_beside_a_newer_proof(world: PublishedWorld, public: str) -> None:
    world.publish("prod", public)
    older = Forged.of(public).targets[published_paths.CHECKPOINT]
    world.later()
    world.ship("1.1.0", content=b"x")
    world.to_prod("1.1.0")
    world.publish("prod", public)
    forged = Forged.of(public)
    forged.targets[published_paths.CHECKPOINT] = older
    refuse(world, forged, "the checkpoint is over")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda v: v.update(size=v["size"] - 1), "does not end in a seal"),
        (lambda v: v["entries"][3].update(inclusion=v["entries"][2]["inclusion"]), "inclusion"),
        (lambda v: v["entries"][3].update(statement=v["entries"][2]["statement"]), "another one"),
        (lambda v: v["entries"].reverse(), "in order"),
        (lambda v: v.update(store="other"), "trust root|store"),
        (lambda v: v.update(ledger="other"), "checkpoint|ledger"),
    ],
)
def test_false_proofs(world: PublishedWorld, public: str, change: Callable[[dict], None], match: str) -> None:
    world.publish("prod", public)
    forged = Forged.of(public)
    forged.edit(published_paths.PROOF, change)
    refuse(world, forged, match)


def test_checkpoint_by_another_key(world: PublishedWorld, public: str) -> None:
    from attest import signers
    from attest.keys import keys
    from attest.log import checkpoints

    world.publish("prod", public)
    forged = Forged.of(public)
    parsed, _ = checkpoints.parse(forged.targets[published_paths.CHECKPOINT])
    other = signers.from_private_key(keys.generate("ed25519"))
    forged.targets[published_paths.CHECKPOINT] = checkpoints.sign(
        parsed, parsed.origin, other.public_pem, other.sign_bytes
    )
    refuse(world, forged, "known signatures")


def test_promotion_without_approvals_by_all_insiders_but_the_approvers(
    world: PublishedWorld, public: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Builder, promoter, publisher and ledger key together cannot move prod."""
    world.later()
    world.ship("6.6.6", content=b"evil")
    with monkeypatch.context() as patch:
        patch.setattr(moves.decisions, "decide", lambda *a, **k: Decision(True, (), ()))
        patch.setattr("casstore.promotion.services.decide", lambda *a, **k: Decision(True, (), ()))
        world.to_staging("6.6.6")
        world.promote("6.6.6", "prod")
        world.publish("prod", public)
    refuse(world, Forged.of(public), "does not hold.*approv")


def test_older_numbers_and_other_histories_are_refused(world: PublishedWorld, public: str, tmp_path: Path) -> None:
    world.publish("prod", public)
    first = Forged.of(public)
    shutil.copytree(world.store.url, tmp_path / "fork")
    world.later()
    world.ship("1.1.0", content=b"x")
    world.to_prod("1.1.0")
    world.publish("prod", public)
    pins = Forged.of(public).judged(world, pins=first.judged(world).pins).pins
    refuse(world, first, "were seen before", pins=pins)

    fork = PublishedWorld(Store.open(str(tmp_path / "fork")), world.now)
    for version in ("1.1.0", "1.2.0"):
        fork.later()
        fork.ship(version, content=b"fork")
        fork.to_prod(version)
    fork.publish("prod", str(tmp_path / "fork-public"))
    refuse(fork, Forged.of(str(tmp_path / "fork-public")), "consistency|history|other", pins=pins)
    Forged.of(str(tmp_path / "fork-public")).judged(fork, pins=first.judged(world).pins)


def test_consistency_needs_the_tiles_and_believes_none(world: PublishedWorld, public: str) -> None:
    world.publish("prod", public)
    pins = Forged.of(public).judged(world).pins
    world.publish("dev", public)
    forged = Forged.of(public)
    assert forged.judged(world, "dev", pins=pins).pins.channels.keys() == {"dev", "prod"}
    path = f"ledger/tile/0/000.p/{forged.judged(world, 'dev').checkpoint_size}"
    forged.plains[path] = bytes(len(forged.plains[path]))
    refuse(world, forged, "consistency", channel="dev", pins=pins)
    del forged.plains[path]
    refuse(world, forged, "missing", channel="dev", pins=pins)


def test_rolled_back_channel_is_a_higher_number_and_verifies(world: PublishedWorld, public: str) -> None:
    world.publish("prod", public)
    world.later()
    world.ship("1.1.0", content=b"x")
    world.to_prod("1.1.0")
    world.publish("prod", public)
    pins = Forged.of(public).judged(world).pins
    world.later()
    world.rollback("prod")
    world.publish("prod", public)
    found = Forged.of(public).judged(world, pins=pins)
    assert (found.version, found.action) == ("1.0.0", "rollback")
    promotion.unpin(world.store, world.ledger, channel="prod", signer=signer("pam"), now=world.now, reason="fixed")
    world.publish("prod", public)
    again = Forged.of(public).judged(world, pins=found.pins)
    assert (again.version, again.action) == ("1.0.0", "rollback") and again.move.number > found.move.number


def revoke(world: PublishedWorld, what: str, kind: str) -> None:
    if kind == "identity":
        world.revoke_identity(what, reason="r")
        return
    promotion.revoke(world.store, world.ledger, what, kind=kind, reason="r", signer=signer("aud"), now=world.now)


@pytest.mark.parametrize("what", ["release", "archive", "approver", "attestation"])
def test_revocations_reach_the_consumer(world: PublishedWorld, public: str, what: str) -> None:
    world.publish("prod", public)
    world.publish("dev", public)
    made = world.made["1.0.0"]
    subjects = {
        "release": (made.digest, "artifact"),
        "archive": (made.builds["core"].archive.digest, "artifact"),
        "approver": (signer("ann").identity, "identity"),
        "attestation": (made.evidence[0], "attestation"),
    }
    world.later()
    revoke(world, *subjects[what])
    assert world.publish("prod", public).withdrawn
    refuse(world, Forged.of(public), "prod 1.0.0 was withdrawn: ")
    world.ship("1.1.0", content=b"y")
    world.promote("1.1.0", "dev")
    world.publish("dev", public)
    assert Forged.of(public).judged(world, "dev").version == "1.1.0"
    refuse(world, Forged.of(public), "prod 1.0.0 was withdrawn: ")


def test_wrong_or_exchanged_trust_root(world: PublishedWorld, public: str, tmp_path: Path) -> None:
    world.publish("prod", public)
    with pytest.raises(TrustError, match="given"):
        verify_channel(
            Forged.of(public), "prod", at=world.now, pins_of=lambda *_: None, first_trust_root=sha256(b"other")
        )
    pins = Forged.of(public).judged(world).pins
    refuse(world, Forged.of(public), "pinned", pins=replace(pins, first_trust_root=sha256(b"other")))
    refuse(world, Forged.of(public), "newest here", pins=replace(pins, trust_root_version=2))
    refuse(world, Forged.of(public), "another one than was seen", pins=replace(pins, trust_root=sha256(b"other")))
    with pytest.raises(TrustError, match="expired"):
        verify_channel(Forged.of(public), "prod", at=world.now + timedelta(days=400), pins_of=lambda *_: None)


@pytest.mark.parametrize("at", [datetime(1970, 1, 1, tzinfo=UTC), datetime(2019, 5, 1, tzinfo=UTC)])
def test_a_clock_before_the_trust_root_is_named(world: PublishedWorld, public: str, at: datetime) -> None:
    world.publish("prod", public)
    with pytest.raises(TrustError, match=r"this machine's clock says .* before trust root 1 was made"):
        verify_channel(Forged.of(public), "prod", at=at, pins_of=lambda *_: None)


def look(world: PublishedWorld, url: str, state: Path, **options: object) -> VerifyReport:
    return verify(url, "prod", trust=TrustSettings(str(state)), at=world.now, **options)  # type: ignore[arg-type]


def test_expired_online_is_an_error_offline_a_verdict(world: PublishedWorld, public: str, tmp_path: Path) -> None:
    world.publish("prod", public)
    published = world.now
    world.later(days=45)
    with pytest.raises(VerificationError, match="expired"):
        look(world, public, tmp_path / "s1")
    report = look(world, public, tmp_path / "s2", offline=True)
    assert report.verdict == "stale" and report.as_of == published + timedelta(days=30, seconds=-1)
    world.later(days=100)
    report = look(world, public, tmp_path / "s2", offline=True)
    assert report.verdict == "stale" and report.as_of == published + timedelta(days=30, seconds=-1)


def test_changed_archive_bytes(world: PublishedWorld, public: str, tmp_path: Path) -> None:
    world.publish("prod", public)
    digest = world.made["1.0.0"].builds["core"].archive.digest
    place = Path(
        public, "targets", tuf_repository.target_name(published_paths.archive_path("core", "tar.gz", digest), digest)
    )
    place.unlink()
    for data in (b"", b"x" * 200, b"x" * 100_000):
        place.write_bytes(data)
        with pytest.raises(VerificationError):
            look(world, public, tmp_path / "s")
    assert look(world, public, tmp_path / "s", read_archives=False).archives == ()
    assert look(world, public, tmp_path / "s", product="agent").archives == ("agent-1.0.0.zip",)


def test_an_archive_at_hand(world: PublishedWorld, public: str, tmp_path: Path) -> None:
    world.publish("prod", public)
    good = Path(public, "releases/1.0.0/core-1.0.0.tar.gz")
    assert look(world, public, tmp_path / "s", archive=str(good)).archives == ("core-1.0.0.tar.gz",)
    bad = tmp_path / "bad.tar.gz"
    bad.write_bytes(good.read_bytes() + b"!")
    with pytest.raises(VerificationError, match="no archive of this release"):
        look(world, public, tmp_path / "s", archive=str(bad))


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(world: PublishedWorld, public: str) -> Iterator[str]:
    world.publish("prod", public)
    handler = functools.partial(_Quiet, directory=public)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


def test_over_http_then_offline_without_a_socket(
    world: PublishedWorld, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = NetworkGuard([])  # what a person names needs no entry
    with pytest.raises(StorageUnavailable, match="never read here"):
        look(world, server, tmp_path / "s", network=guard, offline=True)
    online = look(world, server, tmp_path / "s", network=guard, read_archives=True)
    assert online.verdict == "valid" and len(online.archives) == 2

    def no_socket(*args: object, **options: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "__init__", no_socket)
    world.later(days=3)
    offline = look(world, server, tmp_path / "s", network=guard, offline=True)
    assert offline.verdict == "valid" and offline.verified.channel.version == "1.0.0"
    world.later(days=60)
    assert look(world, server, tmp_path / "s", network=guard, offline=True).verdict == "stale"


def test_another_store_behind_the_same_url(world: PublishedWorld, public: str, tmp_path: Path) -> None:
    world.publish("prod", public)
    look(world, public, tmp_path / "s")
    shutil.rmtree(public)
    other = PublishedWorld.make(str(tmp_path / "other"))
    other.ship("1.0.0")
    other.to_prod("1.0.0")
    other.publish("dev", public)
    other.publish("prod", public)
    with pytest.raises(TrustError, match="that was given or pinned"):
        look(other, public, tmp_path / "s")


def test_damaged_state_refuses(world: PublishedWorld, public: str, tmp_path: Path) -> None:
    world.publish("prod", public)
    look(world, public, tmp_path / "s")
    (path,) = (tmp_path / "s/ledgers").glob("*.json")
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(VerificationError, match="state"):
        look(world, public, tmp_path / "s")


def test_unknown_channel_and_product(world: PublishedWorld, public: str, tmp_path: Path) -> None:
    world.publish("prod", public)
    with pytest.raises(NoSuchObject):
        verify(public, "staging", trust=TrustSettings(str(tmp_path / "s")), at=world.now)
    with pytest.raises(NoSuchObject, match="no product"):
        look(world, public, tmp_path / "s", product="dpi")
    with pytest.raises(NoSuchObject, match="no channel was named"):
        verify(public, None, trust=TrustSettings(str(tmp_path / "s")), at=world.now)
