"""What can be signed can be published, and what is published can be verified: an SBOM above every old limit."""

from __future__ import annotations

from pathlib import Path

import pytest

from attest.core import limits
from attest.digests import Digest, hex_of
from attest.errors import BadInput, VerificationError
from attest.statements import statements
from attest.statements.predicates import cyclonedx
from attest.trust.policies import ChannelPolicy
from bundlers.consuming import readback
from bundlers.consuming.kits import export
from bundlers.consuming.service import TrustSettings, verify
from bundlers.errors import Unreadable
from bundlers.publishing.layout import tuf_repository
from bundlers.publishing.layout.destinations import DestinationSettings
from bundlers.publishing.publication import publish_to
from bundlers.publishing.reports import PublishReport
from casstore import promotion
from tests.support.published import PublishedWorld
from tests.support.worlds import CHANNELS, signer


def sbom(size: int) -> dict[str, object]:
    row = {"type": "library", "name": "x" * 200, "version": "1"}
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": [row] * (size // 240)}


def handed_in(world: PublishedWorld, size: int) -> Digest:
    """An SBOM for both archives."""
    made = world.made["1.0.0"]
    payload = statements.of_digests(made.archives, cyclonedx.TYPE, sbom(size)).to_bytes()
    raw = signer("ci").sign_statement(payload)
    return promotion.import_attestation(world.store, world.ledger, raw, now=world.now)[0]


@pytest.mark.parametrize("size", [200_000, 3_000_000, 20_000_000])
def test_it_is_fetched_on_its_own(tmp_path: Path, size: int) -> None:
    channels = {**CHANNELS, "dev": ChannelPolicy(None, 0, ("sbom",))}
    world = PublishedWorld.make(str(tmp_path / "store"), channels=channels)
    world.ship("1.0.0")
    digest = handed_in(world, size)
    assert world.promote("1.0.0", "dev").moved
    public = tmp_path / "public"
    world.publish("dev", str(public))
    found = verify(str(public), "dev", trust=TrustSettings(str(tmp_path / "st")), at=world.now)
    assert digest in {item.digest for item in found.verified.channel.evidence}
    tar = next((public / "targets/channels").glob("*.dev.objects.tar"))
    assert (tar.stat().st_size < size) == (size > limits.PACKED_OBJECT)
    assert len({path.stat().st_ino for path in public.rglob(f"*{hex_of(digest)}*")}) == 1, "it lies there once"
    export(world.store, world.ledger, "1.0.0", str(tmp_path / "k.tar"), signer=signer("log"), now=world.now)
    trust = TrustSettings(str(tmp_path / "st2"))
    assert verify(str(tmp_path / "k.tar"), "dev", trust=trust, at=world.now, offline=True).verdict == "valid"


def test_what_no_reader_would_take_is_not_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STATEMENT", 1000)
    with pytest.raises(BadInput, match=r"statement: .* more than the limit of 1000; nothing was signed"):
        statements.of_digests({"a": Digest("sha256:" + "0" * 64)}, cyclonedx.TYPE, sbom(2000)).to_bytes()


def test_a_target_that_is_too_large_is_not_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = PublishedWorld.make(str(tmp_path / "store"))
    world.ship("1.0.0")
    world.promote("1.0.0", "dev")
    monkeypatch.setattr(limits, "OBJECT", 2000)
    with pytest.raises(BadInput, match="more than the limit of 2000"):
        world.publish("dev", str(tmp_path / "public"))
    assert not world.state.publications


def test_too_many_targets_are_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TUF_TARGETS", 300)
    info = tuf_repository.TargetInfo(Digest("sha256:" + "0" * 64), 1)
    tuf_repository.check_targets({"a": info})
    with pytest.raises(BadInput, match="TUF targets"):
        tuf_repository.check_targets({"a": info, "b": info})


def test_what_consumers_would_refuse_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit that only the reader has: the pointer stays, and the next publication is shown again."""
    world = PublishedWorld.make(str(tmp_path / "store"))
    world.ship("1.0.0")
    world.promote("1.0.0", "dev")
    public = tmp_path / "public"

    def publish() -> PublishReport:
        settings = DestinationSettings("cdn", str(public))
        return publish_to(
            world.store, world.ledger, "dev", settings, world.signers, now=world.now, read_back=readback.check
        )

    with monkeypatch.context() as patch:
        patch.setattr("bundlers.consuming.judged_channels._check_agreement", _refuses)
        with pytest.raises(Unreadable, match="its pointer was not moved: an own reason"):
            publish()
    assert not (public / "metadata/timestamp.json").exists()
    assert publish().finished == (1,)
    assert verify(str(public), "dev", trust=TrustSettings(str(tmp_path / "st")), at=world.now).verdict == "valid"


def _refuses(*_: object) -> None:
    raise VerificationError("an own reason")
