"""Requests to public witnesses, and the server of the tests that judges them: `support.c2sp_witness`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from attest.errors import BadInput
from attest.keys import keys
from attest.log import checkpoints
from attest.log.checkpoints import Checkpoint
from attest.log.merkle import MemoryTree
from bundlers.witnessing import c2sp
from casstore.ledger import checkpoints as ledger_checkpoints
from casstore.ledger import entries
from tests.support.c2sp_witness import C2spWitness, continues

VECTORS = json.loads((Path(__file__).parents[3] / "data" / "tlog-witness" / "requests.json").read_text())
LOG = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PEM = keys.public_to_pem(LOG.public_key())
ORIGIN = ledger_checkpoints.origin("5d41402abc4b2a76b9719d911017c592", "main")
TREE = MemoryTree([b"%d" % number for number in range(70)])


def witness() -> C2spWitness:
    known = {ORIGIN: [LOG.public_key().public_bytes_raw()], VECTORS["origin"]: [bytes.fromhex(VECTORS["publicKey"])]}
    return C2spWitness(Ed25519PrivateKey.generate(), "witness.example/w1", known)


def asked(server: C2spWitness, old: int, size: int) -> int:
    note = checkpoints.sign(Checkpoint(ORIGIN, size, TREE.root(size)), ORIGIN, PEM, LOG.sign)
    proof = TREE.consistency(old, size) if 0 < old < size else []
    return server.answer(c2sp.request_body(note, old, proof))[0]


def test_the_server_answers_as_other_witnesses_do() -> None:
    """The requests of another project's tests, whose signatures and proofs are not ours."""
    server = witness()
    for row in VECTORS["requests"]:
        status, kind, body = server.answer(row["request"].encode())
        assert status == row["status"]
        if status == 409:
            assert (kind, body.decode()) == ("text/x.tlog.size", row["body"])


def test_the_server_refuses_what_is_changed() -> None:
    first = VECTORS["requests"][0]["request"].encode()
    for change, status in [
        ((b"old 0", b"old 2"), 400),
        ((b"old 0", b"old 00"), 400),
        ((b"old 0", b"old 1"), 409),
        ((b"\n1\n", b"\n2\n"), 403),
        ((b"old 0\n", b"old 0\n" + b"A" * 43 + b"=\n"), 422),
        ((b"sigsum", b"sigsam"), 404),
        ((b"\n\nsigsum", b"\nsigsum"), 400),
    ]:
        assert witness().answer(first.replace(*change, 1))[0] == status, change


@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 255))
def test_every_proof_of_ours_holds_for_it_and_no_changed_one(first: int, second: int, at: int) -> None:
    old, new = sorted((first, second))
    proof = TREE.consistency(old, new)
    assert continues(old, new, proof, TREE.root(old), TREE.root(new))
    assert not continues(old, new, [*proof, bytes(32)], TREE.root(old), TREE.root(new))
    if proof:
        broken = [bytes([one[0] ^ 1]) + one[1:] if n == at % len(proof) else one for n, one in enumerate(proof)]
        assert not continues(old, new, broken, TREE.root(old), TREE.root(new))
        assert not continues(old, new, proof[1:], TREE.root(old), TREE.root(new))


@given(st.lists(st.integers(1, 70), min_size=1, max_size=6))
def test_every_checkpoint_of_ours_is_one_of_c2sp(sizes: list[int]) -> None:
    server, before = witness(), 0
    for size in sorted(sizes):
        assert asked(server, before, size) == 200
        before = size
    assert (asked(server, 0, 70), asked(server, 70, 69)) == (409, 400)


@pytest.mark.parametrize("name", ["a b", "a+b", "ä", "A", "", "a\n", "\u2003", "x" * 200])
def test_no_ledger_has_a_name_that_stands_in_no_note(name: str) -> None:
    """The origin is the name of the key too: no spaces, no plus sign (c2sp.org/signed-note)."""
    with pytest.raises(Exception, match="not a ledger's name"):
        entries.key(name, 0)


def test_a_request_is_written_as_the_page_says() -> None:
    assert c2sp.request_body(b"note\n", 0, []) == b"old 0\n\nnote\n"
    assert c2sp.request_body(b"note\n", 7, [bytes(32)]) == b"old 7\n" + b"A" * 43 + b"=\n\nnote\n"
    with pytest.raises(BadInput, match="64 hashes"):
        c2sp.request_body(b"note\n", 7, [bytes(32)] * 64)
