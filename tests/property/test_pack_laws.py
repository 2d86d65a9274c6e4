"""Packs: what goes in comes out; no flipped byte goes unnoticed; parsers only ever refuse."""

from __future__ import annotations

import contextlib
import hashlib
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.errors import FormatError, TooNew
from casstore.fsck import check_pack, check_table
from casstore.index.rows import IndexDoubt, object_items, parse_pack_row, parse_row, seal, unseal
from casstore.objects.pack_format import BLOCK, FRAME, PIECE, SOLO, Footer, PackTable, Piece, Place, piece_at
from casstore.objects.pack_reader import decode_piece, object_chunks, read_table
from casstore.objects.pack_writer import PackWriter
from casstore.objects.packs import LocalPacks


def raw_of(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def write(folder: str, blobs: list[bytes], level: int = 1) -> tuple[LocalPacks, bytes, Path]:
    packs = LocalPacks(folder)
    writer = PackWriter(packs.new_path(), level=level, nonce=bytes(16))
    for blob in dict.fromkeys(blobs):
        writer.add(raw_of(blob), blob, 0)
    sealed = writer.finish()
    packs.adopt(sealed)
    return packs, sealed.name, Path(packs.path(sealed.name))


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


sizes = st.one_of(
    st.integers(0, 200),
    st.sampled_from([SOLO - 1, SOLO, SOLO + 1, BLOCK, FRAME - 1, FRAME, FRAME + 1, 2 * FRAME, 2 * FRAME + 7]),
)
blobs = st.builds(
    lambda size, seed, packable: (b"%d " % seed * size)[:size] if packable else noise(size, seed),
    sizes,
    st.integers(0, 9),
    st.booleans(),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(blobs, min_size=1, max_size=12), st.sampled_from([0, 1, 9]))
def test_what_goes_in_comes_out_and_is_found_clean(given_blobs: list[bytes], level: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        packs, name, path = write(folder, given_blobs, level)
        data = path.read_bytes()
        table = read_table(lambda at, size: data[at : at + size], len(data), name)
        check_table(table, len(data))
        for blob in given_blobs:
            place = table.find(raw_of(blob))
            assert place is not None
            found = object_chunks(table.pieces, place, lambda _, p: decode_piece(p, data[p.offset :][: p.stored]))
            assert b"".join(found) == blob
        assert table.find(b"\1" * 32) is None
        assert check_pack(packs, name) == []


def test_raw_blobs_that_are_large_lie_on_pages(tmp_path: Path) -> None:
    _, name, path = write(str(tmp_path), [b"x", noise(SOLO + 1), noise(3 * FRAME + 5, 2)], level=1)
    data = path.read_bytes()
    table = read_table(lambda at, size: data[at : at + size], len(data), name)
    for size in (SOLO + 1, 3 * FRAME + 5):
        place = next(Place(*row[1:]) for row in table.iter_objects() if row[4] == size)
        assert table.piece(place.piece).offset % 4096 == 0


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[LocalPacks, bytes, Path, bytes]:
    folder = tmp_path_factory.mktemp("pack")
    packs = LocalPacks(str(folder))
    writer = PackWriter(packs.new_path(), level=1, nonce=bytes(16))
    for blob in (b"", b"small", b"small text " * 100, b"packs well " * 9000, noise(SOLO + 100)):
        writer.add(raw_of(blob), blob, 0)
    writer.add(raw_of(b"attestation"), b"attestation", 2, [raw_of(b"small"), raw_of(b"")])
    sealed = writer.finish()
    packs.adopt(sealed)
    path = Path(packs.path(sealed.name))
    return packs, sealed.name, path, path.read_bytes()


def test_every_flipped_bit_of_the_small_parts_is_noticed(sample: tuple[LocalPacks, bytes, Path, bytes]) -> None:
    packs, name, path, good = sample
    path.chmod(0o644)
    footer = Footer.parse(good[-64:], len(good))
    places = [*range(32 + 400), *range(footer.table_offset - 300, len(good))]
    with path.open("r+b") as file:
        for at in places:
            bad = good[at] ^ (1 << at % 8)
            file.seek(at)
            file.write(bytes([bad]))
            file.flush()
            with contextlib.suppress(TooNew):
                assert check_pack(packs, name), f"byte {at} of {len(good)}"
            file.seek(at)
            file.write(good[at : at + 1])
            file.flush()
    assert check_pack(packs, name) == []


@given(at=st.integers(0, 2**30), flip=st.integers(1, 255))
def test_any_flipped_byte_is_noticed(sample: tuple[LocalPacks, bytes, Path, bytes], at: int, flip: int) -> None:
    packs, name, path, good = sample
    at %= len(good)
    path.chmod(0o644)
    path.write_bytes(good[:at] + bytes([good[at] ^ flip]) + good[at + 1 :])
    packs.forget(name)
    try:
        assert check_pack(packs, name)
    finally:
        path.write_bytes(good)
        packs.forget(name)


@given(cut=st.integers(0, 2**30))
def test_a_cut_pack_is_noticed(sample: tuple[LocalPacks, bytes, Path, bytes], cut: int) -> None:
    _, name, _, good = sample
    data = good[: cut % len(good)]
    with pytest.raises(FormatError):
        read_table(lambda at, size: data[max(at, 0) : max(at, 0) + size], len(data), name)


@given(st.binary(max_size=300), st.binary(min_size=32, max_size=32))
def test_noise_is_no_pack(data: bytes, name: bytes) -> None:
    with pytest.raises((FormatError, TooNew)):
        read_table(lambda at, size: data[at : at + size], len(data), name)


rows = st.lists(
    st.tuples(
        st.binary(min_size=32, max_size=32),
        st.integers(0, 3),
        st.integers(0, 4),
        st.integers(0, 2**21),
        st.integers(0, 2**40),
    ),
    max_size=6,
)
pieces = st.lists(
    st.tuples(
        st.integers(0, 5000),
        st.integers(0, 2**21),
        st.integers(0, 2**21),
        st.integers(0, 3),
        st.sampled_from([bytes(32), b"\1" * 32]),
    ),
    max_size=4,
)


@given(rows, pieces, st.binary(max_size=72))
def test_a_table_of_a_stranger_is_refused_or_harmless(
    given_rows: list[tuple[bytes, int, int, int, int]],
    given_pieces: list[tuple[int, int, int, int, bytes]],
    subjects: bytes,
) -> None:
    from casstore.objects.pack_format import OBJECT

    table = PackTable(
        bytes(32),
        b"".join(PIECE.pack(*piece) for piece in given_pieces),
        b"".join(sorted(OBJECT.pack(*row) for row in given_rows)),
        subjects[: len(subjects) // 36 * 36],
    )
    with contextlib.suppress(FormatError):
        check_table(table, 10_000)
    for row in given_rows:
        with contextlib.suppress(FormatError):
            total = sum(len(c) for c in object_chunks(table.pieces, Place(*row[1:]), lambda _, p: bytes(p.raw)))
            assert total == row[4]


@given(st.binary(max_size=80), st.integers(0, 2**21), st.sampled_from([0, 1, 2]))
def test_noise_is_no_piece(stored: bytes, raw: int, codec: int) -> None:
    with contextlib.suppress(FormatError):
        piece = Piece(0, len(stored), raw, codec, raw_of(stored))
        assert len(decode_piece(piece, stored)) == raw


@given(st.binary(max_size=64), st.binary(max_size=64))
def test_noise_is_no_index_row(key: bytes, value: bytes) -> None:
    for parse in (parse_row, parse_pack_row):
        with contextlib.suppress(IndexDoubt):
            parse(key, value)
        with contextlib.suppress(IndexDoubt):
            parse(key, seal(key, value))


@given(st.binary(min_size=1, max_size=40), st.binary(max_size=40), st.data())
def test_a_flipped_index_row_is_noticed(key: bytes, record: bytes, data: st.DataObject) -> None:
    value = bytearray(seal(key, record))
    assert unseal(key, bytes(value)) == record
    value[data.draw(st.integers(0, len(value) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(IndexDoubt):
        unseal(key, bytes(value))


def test_rows_of_a_pack_are_its_table(sample: tuple[LocalPacks, bytes, Path, bytes]) -> None:
    _, name, _, good = sample
    table = read_table(lambda at, size: good[at : at + size], len(good), name)
    found = {key: parse_row(key, value) for key, value in object_items(7, table)}
    assert {key: (row.pack, row.kind, row.piece, row.inner, row.length) for key, row in found.items()} == {
        raw: (7, kind, piece, inner, length) for raw, kind, piece, inner, length in table.iter_objects()
    }
    with pytest.raises(FormatError):
        piece_at(table.pieces, table.piece_count)
