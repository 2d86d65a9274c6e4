"""A mirror, or somebody with a key that is not the publisher's, and the lists of what older publications showed.

What is shown now stands in the first list, so none of it takes a channel from anybody; who asks for an old release is
told that something is wrong, by our client and by python-tuf's own.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tuf.api.exceptions import DownloadError, ExpiredMetadataError, RepositoryError
from tuf.api.metadata import DelegatedRole, Delegations, Metadata, Role, SuccinctRoles

from attest.errors import CasstoreError, VerificationError
from attest.keys import keys
from attest.signers import Signer, from_private_key
from bundlers.consuming.tuf_client import Expired
from bundlers.publishing.layout import older_lists
from bundlers.publishing.layout.tuf_repository import Lifetimes
from casstore.errors import NoSuchObject
from tests.support.listings import Listings, Reader, again, release

OLD, SHOWN = "releases/1.2.0/release.json", "releases/1.25.0/release.json"


@pytest.fixture(scope="module")
def grown() -> Listings:
    """26 publications, each of one release: older-0 is of the 24th, older-1 of the 16th, in bins."""
    before, older_lists.MOST = older_lists.MOST, 40
    try:
        line = Listings()
        for number in range(26):
            line.publish(f"1.{number}.0")
        assert [len(part.bins) for part in line.parts] == [2, 4]
    finally:
        older_lists.MOST = before
    return line


@pytest.fixture
def line(grown: Listings, monkeypatch: pytest.MonkeyPatch) -> Listings:
    """A copy to be harmed."""
    monkeypatch.setattr(older_lists, "MOST", 40)
    return again(grown)


def role_of(line: Listings, path: str = OLD) -> str:
    """The file of the role that lists it."""
    name = next(part.role_of(path) for part in line.parts if path in part.told)
    return f"metadata/{line.whole.roles[name].version}.{name}.json"


def refused(
    line: Listings, tmp_path: Path, match: str, stock: tuple[type[Exception], ...] = (RepositoryError,)
) -> None:
    """An old release by both clients; the channel is read as ever."""
    ours, theirs = line.client(tmp_path / "ours"), line.stock(tmp_path / "theirs")
    with pytest.raises(CasstoreError, match=match):
        ours.read_older(OLD)
    with pytest.raises(stock):
        theirs.get_targetinfo(OLD)
    assert ours.info(SHOWN).length and ours.info("channels/prod.json").length
    assert theirs.get_targetinfo(SHOWN) is not None


def test_the_genuine_lists_are_read(line: Listings, tmp_path: Path) -> None:
    """So the refusals below are those of the harm."""
    line.files |= {f"targets/releases/1.2.0/{release('1.2.0')[OLD].digest[7:]}.release.json": b"1.2.0"}
    assert line.client(tmp_path / "ours").read_older(OLD) == b"1.2.0"
    assert line.stock(tmp_path / "theirs").get_targetinfo(OLD) is not None


def test_one_is_withheld(line: Listings, tmp_path: Path) -> None:
    del line.files[role_of(line)]
    refused(line, tmp_path, "is not published here, or not completely", (DownloadError,))


def test_one_of_before_a_revocation_is_shown_in_its_place(line: Listings, tmp_path: Path) -> None:
    """Signed by the publisher, in date, and it lists what was taken away since."""
    before = line.files[role_of(line)]
    line.publish("1.26.0", without="1.2.0")
    here = role_of(line)
    assert line.files[here] != before
    line.files[here] = before
    ours = line.client(tmp_path / "ours")
    with pytest.raises(VerificationError, match=r"TUF metadata refused|exceeding the maximum"):
        ours.read_older(OLD)
    with pytest.raises((RepositoryError, DownloadError)):
        line.stock(tmp_path / "theirs").get_targetinfo(OLD)


def test_one_that_was_kept_by_the_client_is_older_than_the_snapshot(line: Listings, tmp_path: Path) -> None:
    """What the client kept itself, of before the revocation, is not gone on with."""
    assert line.stock(tmp_path / "theirs").get_targetinfo(OLD) is not None
    line.publish("1.26.0", without="1.2.0")
    assert line.stock(tmp_path / "theirs").get_targetinfo(OLD) is None
    with pytest.raises(NoSuchObject):
        line.client(tmp_path / "theirs").read_older(OLD)


def test_the_snapshot_of_before_is_shown_again(line: Listings, tmp_path: Path) -> None:
    """With all that belongs to it: who saw the newer one refuses it all."""
    before = dict(line.files)
    line.publish("1.26.0", without="1.2.0")
    line.client(tmp_path / "ours")
    line.files["metadata/timestamp.json"] = before["metadata/timestamp.json"]
    with pytest.raises(VerificationError, match="version"):
        line.client(tmp_path / "ours")


def test_two_bins_are_exchanged(line: Listings, tmp_path: Path) -> None:
    """Of one version and by one key: what they list is not said in them, the snapshot tells them apart."""
    mine = role_of(line)
    part = next(part for part in line.parts if OLD in part.told)
    other = next(one.name for one in part.bins if not mine.endswith(f".{one.name}.json"))
    theirs = f"metadata/{line.whole.roles[other].version}.{other}.json"
    line.files[mine], line.files[theirs] = line.files[theirs], line.files[mine]
    refused(line, tmp_path, "TUF metadata refused|exceeding the maximum", (RepositoryError, DownloadError))


def signed_anew(line: Listings, name: str, by: Signer, change: Callable[[Any], None] = lambda _: None) -> None:
    """A file of metadata, changed, by any key."""
    metadata: Metadata[Any] = Metadata.from_bytes(line.files[name])
    change(metadata.signed)
    metadata.sign(by.as_securesystemslib())
    line.files[name] = metadata.to_bytes()


def shown_anew(line: Listings) -> None:
    """Snapshot and timestamp over what lies there, by the publisher's key: as one who has that key would do."""
    number = len(line.told)

    def renewed(name: str, below: str) -> Callable[[Any], None]:
        def change(signed: Any) -> None:
            rows = signed.meta if name == "snapshot" else {"snapshot.json": signed.snapshot_meta}
            for of, meta in rows.items():
                data = line.files.get(f"metadata/{meta.version}.{of}")
                if data is not None and (below in of or below == ""):
                    rows[of] = meta.from_data(meta.version, data, ["sha256"])
            if name == "timestamp":
                signed.snapshot_meta = rows["snapshot.json"]

        return change

    signed_anew(line, f"metadata/{number}.snapshot.json", line.signer, renewed("snapshot", ""))
    signed_anew(line, "metadata/timestamp.json", line.signer, renewed("timestamp", ""))


@pytest.mark.parametrize("snapshot_too", [False, True])
def test_one_is_signed_by_another_key(line: Listings, tmp_path: Path, snapshot_too: bool) -> None:
    """Also where whoever did it can sign the snapshot, and that names it."""
    signed_anew(line, role_of(line), from_private_key(keys.generate("ed25519")))
    if snapshot_too:
        shown_anew(line)
    refused(line, tmp_path, "TUF metadata refused")


def test_one_has_ended(grown: Listings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was published for so long that only longer lives of all else keep the channel readable."""
    monkeypatch.setattr(older_lists, "MOST", 40)
    line = again(grown)
    line.lifetimes = Lifetimes(root=3650, targets=3, snapshot=3650, timestamp=3650)
    for number in range(26, 33):
        line.publish(f"1.{number}.0")
    name = role_of(line)
    metadata: Metadata[Any] = Metadata.from_bytes(line.files[name])
    signed_anew(line, name, line.signer, lambda signed: setattr(signed, "expires", line.now + timedelta(days=1)))
    assert Metadata.from_bytes(line.files[name]).signed.version == metadata.signed.version
    shown_anew(line)
    ours = line.client(tmp_path / "ours", line.now + timedelta(days=2))
    with pytest.raises(Expired):
        ours.read_older(OLD)
    theirs = line.stock(tmp_path / "theirs")
    theirs._trusted_set.reference_time = line.now + timedelta(days=2)
    with pytest.raises(ExpiredMetadataError):
        theirs.get_targetinfo(OLD)
    assert ours.info("channels/prod.json").length


def delegated(to: Signer, *, succinct: bool, keyid: str | None = None) -> Callable[[Any], None]:
    """Targets that say that further keys may sign; `keyid` is the name that theirs has there."""
    key = to.as_securesystemslib().public_key
    if keyid is not None:
        key.keyid = keyid
    bins = SuccinctRoles([key.keyid], 1, 1, "older-9")
    roles = {"older-9": DelegatedRole("older-9", [key.keyid], 1, False, paths=["*"])}
    made = (
        Delegations({key.keyid: key}, succinct_roles=bins) if succinct else Delegations({key.keyid: key}, roles=roles)
    )

    def change(signed: Any) -> None:
        signed.delegations = made

    return change


@pytest.mark.parametrize("succinct", [False, True])
@pytest.mark.parametrize("named_alike", [False, True])
def test_a_publisher_delegates_to_somebody_else(
    line: Listings, tmp_path: Path, succinct: bool, named_alike: bool
) -> None:
    """A key that no trust root names, also under the name of the publisher's own: nothing is read."""
    keyid = line.signer.as_securesystemslib().public_key.keyid if named_alike else None
    stranger = from_private_key(keys.generate("ed25519"))
    name = f"metadata/{len(line.told)}.targets.json"
    signed_anew(line, name, line.signer, delegated(stranger, succinct=succinct, keyid=keyid))
    shown_anew(line)
    with pytest.raises(VerificationError, match="delegated to further keys"):
        line.client(tmp_path / "ours")


def test_an_older_list_delegates_to_somebody_else(line: Listings, tmp_path: Path) -> None:
    """Found when it is read, whatever it would have led to; the channel is read as ever."""
    name = f"metadata/{line.whole.roles['older-1'].version}.older-1.json"
    stranger = from_private_key(keys.generate("ed25519"))
    part = next(part for part in line.parts if part.name == "older-1")
    key = stranger.as_securesystemslib().public_key

    def change(signed: Any) -> None:
        role = Role([key.keyid], 1)
        bins = {
            one.name: DelegatedRole(one.name, role.keyids, 1, False, path_hash_prefixes=list(one.prefixes))
            for one in part.bins
        }
        signed.delegations = Delegations({key.keyid: key}, roles=bins)

    signed_anew(line, name, line.signer, change)
    for one in part.bins:
        signed_anew(line, f"metadata/{line.whole.roles[one.name].version}.{one.name}.json", stranger)
    shown_anew(line)
    ours = line.client(tmp_path / "ours")
    with pytest.raises(VerificationError, match="delegated to further keys"):
        ours.read_older(OLD)
    assert ours.info(SHOWN).length
    assert line.stock(tmp_path / "theirs").get_targetinfo(OLD), "TUF alone lets a publisher do so"


def test_an_older_list_names_what_is_shown_otherwise(line: Listings, tmp_path: Path) -> None:
    """By the publisher's own key, for a path of the channel that the first list lacks: a consumer never asks it."""
    name = role_of(line)
    path = "archives/no-such.core.tar.gz.pieces"

    def change(signed: Any) -> None:
        signed.targets[path] = signed.targets[OLD]

    signed_anew(line, name, line.signer, change)
    shown_anew(line)
    ours = line.client(tmp_path / "ours")
    with pytest.raises(NoSuchObject):
        ours.read(path)


def test_who_reads_a_channel_asks_for_no_older_list(line: Listings, tmp_path: Path) -> None:
    ours = line.client(tmp_path / "ours")
    reader = ours._reader
    assert isinstance(reader, Reader)
    assert ours.info(SHOWN).length
    with pytest.raises(NoSuchObject):
        ours.info("objects/that-is-not-there")
    assert [name for name in reader.asked if "older" in name] == []
