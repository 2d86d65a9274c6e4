"""Kits: one writing, verified offline like a published channel, every change refused, taken in."""

from __future__ import annotations

import base64
from datetime import timedelta
from pathlib import Path

import pytest

from attest import canonical
from attest.errors import BadInput, CasstoreError, PolicyDenied, VerificationError
from bundlers.consuming.kits import export, import_kit
from bundlers.consuming.service import TrustSettings, verify
from bundlers.installing.install import install
from bundlers.publishing.layout import kit_files
from bundlers.publishing.layout.kit_files import KitFile, Member
from casstore.errors import Conflict, NoSuchObject
from casstore.store.store import Store
from tests.support.published import PublishedWorld
from tests.support.worlds import signer


@pytest.fixture
def world(tmp_path: Path) -> PublishedWorld:
    made = PublishedWorld.make(str(tmp_path / "store"))
    made.ship("1.0.0")
    made.to_prod("1.0.0")
    return made


def make(world: PublishedWorld, path: Path, release: str = "1.0.0", **options: object) -> None:
    export(world.store, world.ledger, release, str(path), **{"signer": signer("log"), "now": world.now, **options})  # type: ignore[arg-type]


def look(world: PublishedWorld, kit: Path, channel: str | None = "prod", **options: object) -> object:
    trust = TrustSettings(str(kit) + "-state")
    return verify(str(kit), channel, trust=trust, at=world.now, offline=True, **options)  # type: ignore[arg-type]


def test_export_verify_install(world: PublishedWorld, tmp_path: Path) -> None:
    kit = tmp_path / "kit.tar"
    make(world, kit)
    report = look(world, kit)
    assert report.verdict == "valid" and len(report.archives) == 2
    assert report.verified.channel.approved_by == ("ann", "bob")
    with pytest.raises(NoSuchObject, match="no channel was named"):
        look(world, kit, None)
    trust = TrustSettings(str(tmp_path / "s"))
    done = install(
        str(kit), "core", channel="prod", into=str(tmp_path / "core"), trust=trust, at=world.now, offline=True
    )
    assert done.receipt.version == "1.0.0" and (tmp_path / "core/current/bin/core").exists()


def test_one_channel_needs_no_name(world: PublishedWorld, tmp_path: Path) -> None:
    make(world, tmp_path / "kit.tar", channel="staging")
    assert look(world, tmp_path / "kit.tar", None).verified.channel.channel == "staging"


def test_same_bytes_again_and_never_over_a_file(world: PublishedWorld, tmp_path: Path) -> None:
    make(world, tmp_path / "one.tar")
    make(world, tmp_path / "two.tar")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with pytest.raises(Conflict):
        make(world, tmp_path / "one.tar")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".tmp")]


def test_age_makes_it_stale_not_wrong(world: PublishedWorld, tmp_path: Path) -> None:
    make(world, tmp_path / "kit.tar")
    made = world.now
    world.later(days=31)
    report = look(world, tmp_path / "kit.tar")
    assert report.verdict == "stale" and report.as_of == made and report.verified.valid_until == made + timedelta(30)


def test_every_member_counts(world: PublishedWorld, tmp_path: Path) -> None:
    """Changing any one member is refused; so is leaving one out, but for the copies for people."""
    make(world, tmp_path / "kit.tar", channel="prod")
    kit = KitFile(str(tmp_path / "kit.tar"))
    files = {name: kit.read(name) for name in kit.names}
    copies = (
        "releases/1.0.0/evidence/",
        "ledger/nodes.json",
        "trust-root/",
        "releases/1.0.0/release.json",
        "releases/1.0.0/SHA",
    )
    for number, name in enumerate(sorted(files)):
        data = files[name]
        bad = {**files, name: data[:-1] + bytes([data[-1] ^ 1])}
        write(tmp_path / f"bad-{number}.tar", bad)
        if name != "ledger/nodes.json":  # read only where something was pinned before
            with pytest.raises(CasstoreError):
                look(world, tmp_path / f"bad-{number}.tar")
        write(tmp_path / f"without-{number}.tar", {n: d for n, d in files.items() if n != name})
        if not name.startswith(copies) and not name.endswith(".sigstore.json"):
            with pytest.raises(CasstoreError):
                look(world, tmp_path / f"without-{number}.tar")
    write(tmp_path / "more.tar", {**files, "releases/1.0.0/install.sh": b"rm -rf /"})
    with pytest.raises(CasstoreError, match=r"install\.sh"):
        look(world, tmp_path / "more.tar")


def write(path: Path, files: dict[str, bytes]) -> None:
    with path.open("wb") as out:
        kit_files.write(out, {n: Member(len(d), lambda d=d: (d,)) for n, d in files.items()}, mtime=0)


def test_published_checkpoint_serves_without_the_ledger_key(world: PublishedWorld, tmp_path: Path) -> None:
    with pytest.raises(PolicyDenied, match="no published checkpoint"):
        make(world, tmp_path / "kit.tar", signer=None)
    world.publish("prod", str(tmp_path / "public"))
    make(world, tmp_path / "kit.tar", signer=None, channel="prod")
    assert look(world, tmp_path / "kit.tar").verdict == "valid"


def test_what_no_channel_holds_is_not_exported(world: PublishedWorld, tmp_path: Path) -> None:
    world.later()
    world.ship("2.0.0", content=b"y")
    with pytest.raises(PolicyDenied, match="no channel"):
        make(world, tmp_path / "kit.tar", "2.0.0")
    with pytest.raises(PolicyDenied, match="does not hold"):
        make(world, tmp_path / "kit.tar", "1.0.0", channel="other")
    with pytest.raises(NoSuchObject):
        make(world, tmp_path / "kit.tar", "3.0.0")
    with pytest.raises(BadInput):
        KitFile(str(tmp_path / "kit.tar"))


def test_kit_and_web_share_the_pins(world: PublishedWorld, tmp_path: Path) -> None:
    trust = TrustSettings(str(tmp_path / "s"))
    make(world, tmp_path / "kit.tar", channel="prod")
    verify(str(tmp_path / "kit.tar"), None, trust=trust, at=world.now, offline=True)
    world.later()
    world.ship("1.1.0", content=b"x")
    world.to_prod("1.1.0")
    world.publish("prod", str(tmp_path / "public"))
    assert verify(str(tmp_path / "public"), "prod", trust=trust, at=world.now).verified.channel.first_use is False
    with pytest.raises(CasstoreError, match="were seen before"):
        verify(str(tmp_path / "kit.tar"), None, trust=trust, at=world.now, offline=True)


def test_who_saw_any_earlier_checkpoint_is_shown_that_the_ledger_only_grew(
    world: PublishedWorld, tmp_path: Path
) -> None:
    for number in range(1, 6):
        world.later()
        trust = TrustSettings(str(tmp_path / f"state-{number}"))
        world.publish("prod", str(tmp_path / "public"))
        verify(str(tmp_path / "public"), "prod", trust=trust, at=world.now)
        world.ship(f"1.{number}.0", content=b"%d" % number)
        world.to_prod(f"1.{number}.0")
    make(world, tmp_path / "kit.tar", "1.5.0", channel="prod")
    kit = KitFile(str(tmp_path / "kit.tar"))
    assert not [name for name in kit.names if "tile" in name]
    files = {name: kit.read(name) for name in kit.names}
    nodes = canonical.loads(files["ledger/nodes.json"], what="nodes")
    for number in range(1, 6):
        trust = TrustSettings(str(tmp_path / f"state-{number}"))
        forged = {
            "other": {**nodes, "hashes": base64.b64encode(bytes(len(base64.b64decode(nodes["hashes"])))).decode()},
            "none": {**nodes, "from": [], "hashes": ""},
        }
        for name, value in forged.items():
            path = tmp_path / f"{name}-{number}.tar"
            write(path, {**files, "ledger/nodes.json": canonical.dumps(value)})
            with pytest.raises(VerificationError, match=r"consistency|only grew"):
                verify(str(path), None, trust=trust, at=world.now, offline=True)
        assert verify(str(tmp_path / "kit.tar"), None, trust=trust, at=world.now, offline=True).verdict == "valid"


def test_import_keeps_objects_findable(world: PublishedWorld, tmp_path: Path) -> None:
    make(world, tmp_path / "kit.tar", channel="prod")
    release = world.made["1.0.0"]
    with Store.init(str(tmp_path / "other")) as store:
        trust = TrustSettings(str(tmp_path / "s"))
        first = import_kit(store, str(tmp_path / "kit.tar"), trust=trust, at=world.now)
        again = import_kit(store, str(tmp_path / "kit.tar"), trust=trust, at=world.now)
        assert first.new == first.objects == again.objects and again.new == 0
        archive = release.builds["core"].archive
        assert len(store.read(archive.digest)) == archive.size
        assert release.evidence[0] in {d for a in release.archives.values() for d in store.attestations(a)}
        assert store.read(release.digest) == release.to_bytes()
