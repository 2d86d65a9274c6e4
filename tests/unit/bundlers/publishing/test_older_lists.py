"""Lists of older releases: where a target is named, what a publication signs, and what python-tuf's client finds."""

from __future__ import annotations

from pathlib import Path

import pytest
from tuf.api.metadata import Metadata

from attest.keys import keys
from attest.signers import from_private_key
from bundlers.publishing.layout import older_lists, target_lists, tuf_repository
from bundlers.publishing.older_signing import fresh
from casstore.errors import NoSuchObject
from tests.support.listings import Listings, release


def grown(count: int, line: Listings | None = None) -> Listings:
    made = line or Listings()
    for _ in range(count):
        made.publish(f"1.{len(made.told)}.0")
    return made


def test_which_record_a_role_tells_follows_from_the_number() -> None:
    line = grown(29)
    assert [(part.name, part.number) for part in line.parts] == [("older-0", 24), ("older-1", 16)]
    assert "releases/1.14.0/release.json" in line.parts[1].told
    assert "releases/1.20.0/release.json" in line.parts[0].told
    assert older_lists.parts_of(line.claim, 7) == ()


def test_a_stock_client_finds_all_at_every_number(tmp_path: Path) -> None:
    """One that came at first and saw each publication, and at some of them one that is new."""
    line = Listings()
    for number in range(1, 27):
        grown(1, line)
        found = line.stock(tmp_path / "old")
        readers = [found] if number % 5 else [found, line.stock(tmp_path / f"new-{number}")]
        for reader in readers if number > 6 else ():
            for path, one in line.whole.targets.items():
                info = reader.get_targetinfo(path)
                assert info is not None and info.hashes["sha256"] == one.digest.removeprefix("sha256:"), path
            assert reader.get_targetinfo("releases/9.9.9/release.json") is None


def test_what_is_shown_is_in_the_first_list_and_it_does_not_grow(tmp_path: Path) -> None:
    line = grown(23)
    sizes = []
    for _ in range(24):
        claim = grown(1, line).whole
        first = tuf_repository.targets_of(line.files[f"metadata/{claim.number}.targets.json"])
        assert {*release(claim.release), "channels/prod.json", "ledger/checkpoint"} <= first.keys()
        sizes.append(len(first))
    assert max(sizes[8:]) <= max(sizes[:8]), "those of eight publications"
    assert len(line.whole.targets) > 4 * max(sizes)
    reader = line.client(tmp_path / "st")
    assert reader.info("releases/1.46.0/release.json").length
    with pytest.raises(NoSuchObject):
        reader.info("releases/1.2.0/release.json")


def test_most_publications_sign_no_older_role() -> None:
    line = grown(32)
    signed = {
        number: sorted(name for name, role in line.claim(number).roles.items() if role.version == number)
        for number in range(1, 33)
    }
    assert {number: names for number, names in signed.items() if names} == {
        8: ["older-0"],
        16: ["older-1"],
        24: ["older-0"],
        32: ["older-2"],
    }
    snapshot = Metadata.from_bytes(line.files["metadata/32.snapshot.json"]).signed
    assert {name: meta.version for name, meta in snapshot.meta.items()} == {
        "targets.json": 32,
        "older-0.json": 24,
        "older-1.json": 16,
        "older-2.json": 32,
    }
    assert [name for name, meta in snapshot.meta.items() if meta.hashes is None] == ["older-0.json", "older-1.json"]


def test_a_revoked_release_is_listed_by_none(tmp_path: Path) -> None:
    """Only the role that named it is signed anew, and stays so in the publications after."""
    line = grown(26)
    line.publish("1.26.0", without="1.3.0")
    assert {name for name, role in line.whole.roles.items() if role.version == 27} == {"older-1"}
    for folder in ("a", "b"):
        reader = line.stock(tmp_path / folder)
        assert all(reader.get_targetinfo(path) is None for path in release("1.3.0"))
        assert all(reader.get_targetinfo(path) for path in release("1.4.0"))
        grown(1, line)
    assert {name for name, role in line.whole.roles.items() if role.version > 27} == set()


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five of a kind are many."""
    monkeypatch.setattr(older_lists, "MOST", 5)


@pytest.mark.usefixtures("few")
def test_much_is_parted_by_the_hash_of_paths(tmp_path: Path) -> None:
    line = grown(25)
    assert [len(part.bins) for part in line.parts] == [16, 32]
    bins = line.parts[1].bins
    assert bins[1].name == "older-1-01" and bins[1].prefixes == ("08", "09", "0a", "0b", "0c", "0d", "0e", "0f")
    assert line.parts[0].bins[15].prefixes == ("f",)
    assert len({prefix for one in bins for prefix in one.prefixes}) == 256
    for reader in (line.stock(tmp_path / "a"), line.stock(tmp_path / "b")):
        assert all(reader.get_targetinfo(path) for path in line.whole.targets)
    line.publish("1.25.0", without="1.3.0")
    again = {name for name, role in line.whole.roles.items() if role.version == 26}
    assert 0 < len(again) <= len(release("1.3.0")) and all(name.startswith("older-1-") for name in again)
    assert line.stock(tmp_path / "a").get_targetinfo("releases/1.3.0/release.json") is None


def test_what_is_as_many_as_fit_is_one_list_and_one_more_is_two() -> None:
    def bins(count: int) -> int:
        told = {f"archives/{n}": release("1")["files/1/all.json"] for n in range(count)}
        return len(older_lists.Part("older-0", 8, told).bins)

    assert [bins(count) for count in (0, 1, 4096, 4097, 8192, 8193, 16385)] == [0, 0, 0, 2, 2, 4, 8]


@pytest.mark.usefixtures("few")
def test_roles_are_signed_anew_before_they_end(tmp_path: Path) -> None:
    """After half of their lives: 360 days, where `targets` has 90."""
    line = grown(17)
    names = older_lists.names_of(line.parts)
    line.later(days=179)
    grown(1, line)
    assert all(line.whole.roles[name].version == 16 for name in names)
    assert fresh(line.older.live, line.lifetimes, line.now)
    line.later(days=2)
    grown(1, line)
    assert all(line.whole.roles[name].version == 19 for name in names)
    line.later(days=269)
    assert fresh(line.older.live, line.lifetimes, line.now)
    line.later(days=1)
    assert not fresh(line.older.live, line.lifetimes, line.now)


def test_another_key_signs_all_anew(tmp_path: Path) -> None:
    line = grown(25)
    reader = line.stock(tmp_path / "old")
    before, line.signer = line.signer, from_private_key(keys.generate("ed25519"))
    line.publish("1.25.0", root=(line.signer, before))
    assert all(line.whole.roles[name].version == 26 for name in older_lists.names_of(line.parts))
    for folder in ("old", "new"):
        reader = line.stock(tmp_path / folder)
        assert all(reader.get_targetinfo(path) for path in line.whole.targets)
    grown(1, line)
    assert all(line.whole.roles[name].version == 26 for name in older_lists.names_of(line.parts))


def test_records_tell_roles_by_what_changed() -> None:
    line = grown(29)
    assert line.claim(28).roles == {} and line.claim(25).roles == {}
    assert line.claim(24).roles.keys() == {"older-0"} and line.claim(16).roles.keys() == {"older-0", "older-1"}
    assert target_lists.whole(line.claim, 29).roles.keys() == {"older-0", "older-1"}
