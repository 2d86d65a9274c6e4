"""Anybody who writes genuine bytes anew, and a signer whose words can be read in two ways: one meaning, or none."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from attest.errors import FormatError, VerificationError
from attest.keys import keys
from attest.log import state_trie
from attest.statements import statements
from attest.statements.predicates import revocation
from attest.statements.predicates import seal as seals
from attest.statements.statements import Statement, Subject
from casstore.errors import SealDisputed
from casstore.ledger.entries import EntryKind
from casstore.ledger.states.rows import state_rows
from cli.main import main
from tests.support.worlds import World, signer

TYPE = "https://slsa.dev/provenance/v1"


def test_every_digest_of_a_subject_must_be_the_artifacts(tmp_path: Path) -> None:
    """The sha256 is right, the sha512 is another file's: `attest verify` says what `verify-bundle` says."""
    artifact, public = tmp_path / "core.tar.gz", tmp_path / "ci.pub"
    artifact.write_bytes(b"core")
    public.write_bytes(signer("ci").public_pem or b"")
    for content, code in ((b"core", 0), (b"other", 3)):
        subject = Subject(
            "core.tar.gz", statements.from_hex(hashlib.sha256(b"core").hexdigest()),
            {"sha512": hashlib.sha512(content).hexdigest()},
        )  # fmt: skip
        raw = signer("ci").sign_statement(Statement((subject,), TYPE, {}).to_bytes())
        (tmp_path / "a.json").write_bytes(raw)
        words = [
            "attest",
            "verify",
            str(tmp_path / "a.json"),
            str(artifact),
            "--type",
            TYPE,
            "--public-key",
            str(public),
        ]
        done = CliRunner().invoke(main, words)
        assert getattr(done.exception, "exit_code", done.exit_code) == code, done.output
        if code:
            assert "sha512" in str(done.exception)


@pytest.mark.parametrize("writing", [{"indent": 1}, {"separators": (", ", ": ")}, {"sort_keys": False}])
def test_what_we_sign_has_one_form(tmp_path: Path, writing: dict[str, object]) -> None:
    """A revocation that is signed in another form than RFC 8785 is no revocation, for every reader."""
    world = World.make(str(tmp_path / "store"))
    world.release("1.0.0")
    digest = world.made["1.0.0"].digest
    claim = revocation.Revocation("artifact", "x", world.now).to_json()
    payload = statements.of_digests({"x": digest}, revocation.TYPE, claim).to_bytes()
    value = dict(reversed(json.loads(payload).items()))
    loose = signer("aud").sign_statement(json.dumps(value, **writing).encode())  # type: ignore[arg-type]
    with pytest.raises(FormatError, match="RFC 8785"):
        statements.parse(json.dumps(value, **writing).encode())  # type: ignore[arg-type]
    with pytest.raises(FormatError, match="RFC 8785"):
        world.append(EntryKind.REVOKE, loose)


def test_a_payload_of_another_tool_may_have_any_form() -> None:
    payload = statements.of_digests({"x": statements.from_hex("ab" * 32)}, TYPE, {"a": 1}).to_bytes()
    assert statements.parse(json.dumps(json.loads(payload), indent=2).encode()).predicate == {"a": 1}


def test_of_two_signatures_that_everybody_can_make_we_write_the_lower_and_read_both() -> None:
    key = keys.generate()
    for number in range(20):
        signature = keys.sign(key, b"%d" % number)
        r, s = decode_dss_signature(signature)
        assert s <= keys.P256_ORDER // 2
        keys.verify_signature(key.public_key(), encode_dss_signature(r, keys.P256_ORDER - s), b"%d" % number)
        with pytest.raises(VerificationError):
            keys.verify_signature(key.public_key(), encode_dss_signature(r, s - 1), b"%d" % number)


def test_a_dispute_names_the_rows_that_differ(tmp_path: Path) -> None:
    world = World.make(str(tmp_path / "store"))
    world.release("1.0.0")
    world.promote("1.0.0", "dev")
    state = world.state
    rows = {**state_rows(state), "revoked/sha256:" + "ab" * 32: {"entry": 1, "kind": "artifact"}}
    del rows["channel/dev"]
    trie = state_trie.build(rows)
    for data in trie.blobs.values():
        world.store.put_bytes(data)
    root = state.require_trust_root()
    where = state.store, "main", 2, state.count, state.tip, world.now, root.digest, root.version
    claim = seals.Seal(*where, trie.root, trie.root, None, world.now)
    payload = statements.of_digests(claim.subjects, seals.TYPE, claim.to_json()).to_bytes()
    world.force(EntryKind.SEAL, signer("log").sign_statement(payload))
    world.approve("1.0.0", "staging", "ann")
    with pytest.raises(SealDisputed, match=r"rows that differ: channel/dev, revoked/sha256:abab"):
        world.promote("1.0.0", "staging")
