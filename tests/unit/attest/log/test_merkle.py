from __future__ import annotations

import pytest

from attest.errors import BadInput, VerificationError
from attest.log import merkle
from attest.log.merkle import MemoryTree, leaf_hash

# Inputs and root hashes of the Certificate Transparency reference tests (RFC 6962 hashing).
LEAVES = [bytes.fromhex(h) for h in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657",
                                     "606162636465666768696a6b6c6d6e6f")]  # fmt: skip
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
TREE = MemoryTree(LEAVES)


@pytest.mark.parametrize("size", range(9))
def test_known_root_hashes(size: int) -> None:
    assert TREE.root(size).hex() == ROOTS[size]


@pytest.mark.parametrize("first", range(9))
def test_a_tree_that_follows_another_is_the_same_as_one_made_at_once(first: int) -> None:
    begun = MemoryTree(LEAVES[:first])
    made, one_by_one = begun.followed_by(LEAVES[first:]), MemoryTree()
    for leaf in LEAVES:
        one_by_one.append(leaf_hash(leaf))
    for size in range(9):
        assert made.root(size).hex() == one_by_one.root(size).hex() == ROOTS[size]
    assert made.inclusion(0, 8) == one_by_one.inclusion(0, 8) == TREE.inclusion(0, 8)
    assert len(begun) == first and begun.root().hex() == ROOTS[first], "the one before is as it was"


def test_a_known_inclusion_path() -> None:
    assert [h.hex() for h in TREE.inclusion(0, 8)] == [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]
    assert TREE.inclusion(0, 1) == []


def verify(leaf: bytes, index: int, size: int, proof: list[bytes], root: bytes) -> None:
    merkle.verify_inclusion(leaf, index=index, size=size, proof=proof, root=root)


@pytest.mark.parametrize("size", range(1, 9))
def test_inclusion_binds_leaf_index_root_and_every_hash(size: int) -> None:
    for index in range(size):
        leaf, proof, root = leaf_hash(LEAVES[index]), TREE.inclusion(index, size), TREE.root(size)
        verify(leaf, index, size, proof, root)
        wrong: list[tuple[bytes, int, list[bytes], bytes]] = [
            (leaf_hash(b"other"), index, proof, root),
            (leaf, index, proof, leaf_hash(b"other")),
            (leaf, index, [*proof, root], root),
            (leaf, index, [*proof[:-1], root], leaf if size == 1 else root),
            (leaf, size, proof, root),
            (leaf, -1, proof, root),
        ]
        wrong += [(leaf, other, proof, root) for other in range(size) if other != index]
        wrong += [(leaf, index, proof[:at] + proof[at + 1 :], root) for at in range(len(proof))]
        for bad_leaf, bad_index, bad_proof, bad_root in wrong:
            with pytest.raises(VerificationError):
                verify(bad_leaf, bad_index, size, bad_proof, bad_root)


@pytest.mark.parametrize("second", range(1, 9))
def test_consistency_binds_both_roots_and_every_hash(second: int) -> None:
    for first in range(1, second + 1):
        proof = TREE.consistency(first, second)
        good = {"first": first, "second": second, "proof": proof, "first_root": TREE.root(first),
                "second_root": TREE.root(second)}  # fmt: skip
        merkle.verify_consistency(**good)  # type: ignore[arg-type]
        changes: list[dict[str, object]] = [
            {"first_root": TREE.root(0)},
            {"second_root": TREE.root(0)},
            {"proof": [*proof, TREE.root(0)]},
        ]
        changes += [{"proof": proof[:at] + proof[at + 1 :]} for at in range(len(proof))]
        changes += [{"proof": [*proof[:at], TREE.root(0), *proof[at + 1 :]]} for at in range(len(proof))]
        changes += [{"first": other} for other in range(1, second) if other != first]
        for change in changes:
            with pytest.raises(VerificationError):
                merkle.verify_consistency(**{**good, **change})  # type: ignore[arg-type]


def test_a_known_consistency_proof() -> None:
    assert [h.hex() for h in TREE.consistency(6, 8)] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]
    assert TREE.consistency(8, 8) == []


def test_from_nothing_only_the_empty_root_grows() -> None:
    merkle.verify_consistency(first=0, second=8, proof=[], first_root=TREE.root(0), second_root=TREE.root(8))
    with pytest.raises(VerificationError, match="two different root hashes"):
        merkle.verify_consistency(first=0, second=8, proof=[], first_root=TREE.root(1), second_root=TREE.root(8))


def test_a_log_that_shrank_is_refused() -> None:
    with pytest.raises(VerificationError, match="shrank from 8 to 7"):
        merkle.verify_consistency(first=8, second=7, proof=[], first_root=TREE.root(8), second_root=TREE.root(7))


def test_oversized_proofs_and_hashes_are_refused() -> None:
    leaf = leaf_hash(b"")
    with pytest.raises(VerificationError, match="longer than any tree"):
        verify(leaf, 0, 2**70, [leaf] * 100, leaf)
    with pytest.raises(VerificationError, match="not 32 bytes"):
        verify(leaf, 0, 2, [b"short"], leaf)
    with pytest.raises(VerificationError, match="not 32 bytes"):
        TREE.append(b"short")


def test_what_the_tree_does_not_hold_is_refused() -> None:
    with pytest.raises(BadInput):
        TREE.root(9)
    with pytest.raises(BadInput):
        TREE.inclusion(8)
    with pytest.raises(BadInput):
        TREE.consistency(0, 8)
    with pytest.raises(BadInput):
        TREE.hash_at(0, 8)
