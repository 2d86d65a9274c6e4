"""Rules and features that are not known stop readers, and only owners can ask for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from attest import canonical
from attest.digests import sha256
from attest.errors import CasstoreError, TooNew
from attest.statements import statements
from attest.trust import trust_roots
from attest.trust.policies import ChannelPolicy, ShareStep
from casstore.ledger.entries import EntryKind
from casstore.ledger.folding import replay_all
from casstore.objects.kinds import Kind
from tests.support.worlds import World, signer


def _from_the_future(world: World, *owners: str, **more: Any) -> bytes:
    old = world.state.require_trust_root()
    document = {**old.to_json(), "version": 2, "unheardOf": 1, **more}
    digest = sha256(canonical.dumps(document))
    payload = statements.of_digests({"trust-root/2": digest}, trust_roots.TYPE, document).to_bytes()
    return trust_roots.sign_file([signer(name).sign_statement(payload) for name in owners])


def _appended(world: World, raw: bytes) -> None:
    digest = world.store.put_bytes(raw, kind=Kind.ATTESTATION)
    world.ledger.append(EntryKind.TRUST_ROOT, digest, now=world.now)


@pytest.mark.parametrize("more", [{"rules": 3}, {"features": ["canary"]}])
def test_owners_can_ask_for_rules_that_stop_older_readers(tmp_path: Path, more: dict[str, Any]) -> None:
    world = World.make(str(tmp_path / "store"))
    _appended(world, _from_the_future(world, "olga", "otto", **more))
    with pytest.raises(TooNew, match="the trust root asks for") as caught:
        _ = world.state
    assert caught.value.exit_code == 12


@pytest.mark.parametrize("names", [("olga",), ("pam", "ci")])
def test_nobody_else_can(tmp_path: Path, names: tuple[str, ...]) -> None:
    world = World.make(str(tmp_path / "store"))
    _appended(world, _from_the_future(world, *names, rules=3))
    assert [number for number, _ in world.state.void] == [1]


def test_a_program_that_knows_no_shares_stops_before_a_policy_with_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World.make(str(tmp_path / "store"))
    world.next_root(channels={"dev": ChannelPolicy(None, 0, steps=(ShareStep(5),))})
    assert world.state.require_trust_root().features == ("shares",)
    monkeypatch.setattr(trust_roots, "FEATURES", frozenset())
    with pytest.raises(TooNew, match="the feature 'shares'") as caught:
        replay_all(world.ledger, world.store)
    assert caught.value.exit_code == 12


def test_a_document_names_its_rules() -> None:
    world = World.make("memory://rules")
    document = world.state.require_trust_root().to_json()
    assert (document["rules"], document["features"]) == (2, [])
    del document["rules"]
    with pytest.raises(CasstoreError, match="rules"):
        trust_roots.parse(document)
