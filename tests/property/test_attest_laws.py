"""Laws of canonical JSON, DSSE, attestations and Merkle trees."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from attest import canonical, signers
from attest.core import times
from attest.digests import from_raw
from attest.errors import CasstoreError, FormatError, VerificationError
from attest.keys import identities, keys
from attest.log import checkpoints, merkle, tiles
from attest.log.merkle import MemoryTree, leaf_hash
from attest.sigstore.sigstore_bundles import SigstoreBundle
from attest.statements import envelopes, statements
from attest.trust.verify import verify_with_key

texts = st.text(st.characters(codec="utf-8"), max_size=20)
LIMIT = 2**53 - 1
scalars = st.none() | st.booleans() | st.integers(-LIMIT, LIMIT) | st.floats(-LIMIT, LIMIT)
values = st.recursive(
    scalars | texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=25,
)
digests = st.binary(min_size=32, max_size=32).map(from_raw)
SIGNERS = [signers.from_private_key(keys.generate(algorithm)) for algorithm in keys.ALGORITHMS]
ED25519 = SIGNERS[keys.ALGORITHMS.index("ed25519")]


def same(left: Any, right: Any) -> bool:
    """Equal as JSON values: 1 and 1.0 are one number, True is none."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


@given(values)
def test_canonical_json_keeps_the_value_and_has_one_writing(value: Any) -> None:
    written = canonical.dumps(value)
    again = canonical.loads(written, what="x")
    assert same(again, value)
    assert canonical.dumps(again) == written


@given(values | st.dictionaries(st.text('abc\\"\x1f\x7f', max_size=3), values, max_size=5))
def test_the_quick_writer_writes_what_rfc_8785_says(value: Any) -> None:
    import rfc8785

    assert canonical.dumps(value) == rfc8785.dumps(value)


@given(st.lists(st.sampled_from(["[", "]", "{", "}", '"', '"[', ']"', '""', "\\\\", '\\"', "a"]), max_size=60))
def test_what_is_called_shallow_is(parts: list[str]) -> None:
    """Never deeper than the limit by the exact walk, whatever stands in strings."""
    text = "".join(parts) * 3
    if canonical._is_shallow(text.encode()):
        depth, deepest = 0, 0
        for token in canonical._STRING_OR_BRACKET.finditer(text):
            depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
            deepest = max(deepest, depth)
        assert deepest <= canonical.MAX_DEPTH


@given(st.dictionaries(texts, values, max_size=5), st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_any_writing_of_an_object_has_the_same_canonical_form(value: Any, ascii_only: bool, indent: Any) -> None:
    written = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    assert canonical.dumps(canonical.loads_object(written, what="x")) == canonical.dumps(value)


@given(st.binary(max_size=60) | st.text('{}[]",:\\u0d8e1 +.-', max_size=40).map(str.encode))
def test_the_reader_takes_a_value_or_refuses_with_its_own_error(data: bytes) -> None:
    try:
        value = canonical.loads(data, what="x")
    except FormatError:
        return
    assert same(value, json.loads(data))


@given(texts, st.binary(max_size=50), texts, st.binary(max_size=50))
def test_pre_authentication_encoding_tells_all_apart(t1: str, p1: bytes, t2: str, p2: bytes) -> None:
    assert (envelopes.pae(t1, p1) == envelopes.pae(t2, p2)) == ((t1, p1) == (t2, p2))


@given(texts, st.binary(max_size=80), st.binary(max_size=80), texts)
def test_an_envelope_comes_back(kind: str, payload: bytes, signature: bytes, keyid: str) -> None:
    envelope = envelopes.Envelope(kind, payload, signature, keyid)
    assert envelopes.parse(json.loads(canonical.dumps(envelope.to_json()))) == envelope


@given(
    st.dictionaries(texts, digests, min_size=1, max_size=4), texts.filter(bool),
    st.dictionaries(texts, values, max_size=3), st.sampled_from(SIGNERS),
)  # fmt: skip
@settings(max_examples=50)
def test_what_is_signed_is_what_is_verified(subjects: Any, kind: str, predicate: Any, signer: signers.Signer) -> None:
    payload = statements.of_digests(subjects, kind, predicate).to_bytes()
    raw = signer.sign_statement(payload)
    found = verify_with_key(raw, signer.public_pem or b"", predicate_type=kind, subjects=list(subjects.values()))
    assert found.payload == payload
    assert found.statement.digests == set(subjects.values())
    assert found.statement.to_bytes() == payload


@given(st.sampled_from(SIGNERS), st.data())
@settings(max_examples=150)
def test_no_changed_byte_is_accepted_as_something_else(signer: signers.Signer, data: st.DataObject) -> None:
    """Change any byte of a bundle: it is refused, or it still says and proves exactly the same."""
    subject = from_raw(hashlib.sha256(b"x").digest())
    payload = statements.of_digests({"x": subject}, "t", {"k": 1}).to_bytes()
    raw = bytearray(signer.sign_statement(payload))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    try:
        found = verify_with_key(bytes(raw), signer.public_pem or b"", predicate_type="t", subjects=[subject])
    except CasstoreError:
        return
    assert found.payload == payload
    assert found.identity == signer.identity


@given(st.binary(max_size=200))
def test_a_bundle_reader_refuses_with_its_own_error(data: bytes) -> None:
    try:
        SigstoreBundle.parse(data)
    except FormatError:
        return
    raise AssertionError("random bytes are no bundle")


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1, word by word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\1" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


@given(st.lists(st.binary(max_size=4), max_size=70))
def test_the_root_hash_is_that_of_the_definition(leaves: list[bytes]) -> None:
    assert MemoryTree(leaves).root() == naive_root(leaves)


TREE = MemoryTree(str(number).encode() for number in range(1200))


@given(st.integers(1, 1200), st.data())
def test_inclusion_proofs_hold_for_their_leaf_alone(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size - 1))
    proof, root, leaf = TREE.inclusion(index, size), TREE.root(size), leaf_hash(str(index).encode())
    merkle.verify_inclusion(leaf, index=index, size=size, proof=proof, root=root)
    assert len(proof) <= (size - 1).bit_length()
    if other != index:
        try:
            merkle.verify_inclusion(leaf, index=other, size=size, proof=proof, root=root)
        except VerificationError:
            return
        raise AssertionError("the proof holds for two places")


@given(st.integers(1, 1200), st.data())
def test_consistency_proofs_hold_for_their_past_alone(second: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(1, second))
    proof, old, new = TREE.consistency(first, second), TREE.root(first), TREE.root(second)
    merkle.verify_consistency(first=first, second=second, proof=proof, first_root=old, second_root=new)
    try:
        merkle.verify_consistency(
            first=first, second=second, proof=proof, first_root=leaf_hash(b"other"), second_root=new
        )
    except VerificationError:
        return
    raise AssertionError("another past was accepted")


@given(st.integers(0, 1200), st.integers(0, 1200))
@settings(max_examples=30)
def test_tiles_written_by_steps_are_those_written_at_once(middle: int, size: int) -> None:
    middle = min(middle, size)
    files: dict[str, bytes] = {}
    for tile in [*tiles.grown(0, middle), *tiles.grown(middle, size)]:
        content = tiles.tile_bytes(tile, TREE.hash_at)
        assert files.setdefault(tile.path, content) == content
        assert tiles.Tile.parse(tile.path) == tile
    assert {tile.path for tile in tiles.grown(0, size)} <= files.keys()
    read = tiles.tile_reader(lambda tile: files[tile.path], size)
    assert merkle.root_of(read, size) == TREE.root(size)


@given(st.integers(0, 2**62), st.binary(min_size=32, max_size=32))
def test_a_checkpoint_comes_back(size: int, root: bytes) -> None:
    checkpoint = checkpoints.Checkpoint("log.example/x", size, root)
    raw = checkpoints.sign(checkpoint, "log.example/x", ED25519.public_pem, ED25519.sign_bytes)
    key = checkpoints.NoteKey.of_pem("log.example/x", ED25519.public_pem or b"")
    assert checkpoints.verify(raw, origin="log.example/x", known=[key]).checkpoint == checkpoint
    assert base64.b64encode(root).decode() in raw.decode()


@given(st.datetimes(datetime(times.FIRST_YEAR, 1, 2), datetime(times.LAST_YEAR, 12, 30), timezones=st.timezones()))
def test_a_written_time_is_read_back_to_the_second(moment: Any) -> None:
    text = times.format(moment)
    assert abs((times.parse(text) - moment).total_seconds()) < 1
    assert times.format(times.parse(text)) == text


@given(texts, texts)
def test_an_identity_is_refused_or_comes_back_whole(issuer: str, subject: str) -> None:
    try:
        identity = identities.of_oidc(issuer, subject)
    except CasstoreError:
        return
    assert identities.issuer_and_subject(identity) == (issuer, subject)
