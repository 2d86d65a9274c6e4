"""The release object: one encoding, and every wrong document refused."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from attest import canonical
from attest.digests import Digest, sha256
from attest.errors import BadInput, FormatError
from casstore.errors import NoSuchObject
from casstore.ledger import release_objects
from casstore.ledger.release_objects import Release, ReleaseArchive, ReleaseBuild, check_version
from casstore.ledger.states.state import LedgerState
from casstore.objects.platforms import Platform


def row(name: str, platform: Platform | None = None) -> ReleaseBuild:
    return ReleaseBuild("zip", ReleaseArchive(name, sha256(b"b"), 8), sha256(b"n"), platform)


def a_release(**changes: Any) -> Release:
    values: dict[str, Any] = {
        "store": "b3c1",
        "ledger": "main",
        "version": "1.4.0",
        "epoch": 1767225600,
        "components": {"core-bin": sha256(b"tree")},
        "builds": {
            "core": ReleaseBuild("tar.gz", ReleaseArchive("core-1.4.0.tar.gz", sha256(b"a"), 9), sha256(b"m")),
            "agent": ReleaseBuild("zip", ReleaseArchive("agent-1.4.0.zip", sha256(b"b"), 8), sha256(b"n")),
        },
        "checksums": sha256(b"sums"),
        "evidence": tuple(sorted([sha256(b"1"), sha256(b"2")])),
    }
    return Release(**{**values, **changes})


def test_round_trip() -> None:
    release = a_release()
    assert release_objects.parse(release.to_bytes()) == release
    assert release.digest == sha256(release.to_bytes())
    assert list(release.archives) == ["agent-1.4.0.zip", "core-1.4.0.tar.gz"]


def test_builds_are_told_by_product() -> None:
    linux = Platform("linux", "x86_64", "gnu", "2.28")
    layout = {"wrap": "acme", "components": {"core-bin": {"to": "bin"}}}
    made = a_release(
        builds={
            "acme/linux": replace(row("l.zip", linux), layout=layout),
            "acme/any": replace(row("a.zip", Platform("any")), foreign="a reason"),
            "core": row("c.zip"),
        },
        taken={"core-bin": "1.3.0"},
        notes=sha256(b"notes"),
    )
    again = release_objects.parse(made.to_bytes())
    assert again == made
    assert {name: list(builds) for name, builds in again.products.items()} == {
        "acme": ["any", "linux"],
        "core": ["default"],
    }
    assert made.to_json()["products"]["acme"]["builds"]["linux"]["platform"] == linux.to_json()


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "1/4"},
        {"version": ""},
        {"store": ""},
        {"epoch": -1},
        {"epoch": 1.5},
        {"components": {"../x": sha256(b"t")}},
        {"components": {"x": "sha256:0"}},
        {"builds": {}},
        {"builds": {"a/b": row("1.zip"), "a-b": row("2.zip")}},
        {"builds": {"a": row("one.zip"), "b": row("ONE.zip")}},
        {"builds": {"a": row("1.zip", Platform("amiga"))}},
        {"taken": {"nobody": "1.0.0"}},
        {"checksums": "x"},
        {"evidence": (sha256(b"1"), sha256(b"1"))},
        {"config": "x"},
        {"builds": {"a": ReleaseBuild("zip", ReleaseArchive("x/y.zip", sha256(b"b"), 8), sha256(b"n"))}},
        {"builds": {"a": ReleaseBuild("zip", ReleaseArchive("..", sha256(b"b"), 8), sha256(b"n"))}},
        {
            "builds": {
                name: ReleaseBuild("zip", ReleaseArchive("same.zip", sha256(b"b"), 8), sha256(b"n")) for name in "ab"
            }
        },
    ],
)
def test_what_the_format_does_not_allow_is_never_written(changes: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        a_release(**changes).to_bytes()


def changed(**changes: Any) -> bytes:
    return canonical.dumps({**a_release().to_json(), **changes})


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        a_release().to_bytes() + b"\n",
        changed(format="casstore-release/1"),
        changed(extra=1),
        changed(evidence=[sha256(b"2"), sha256(b"1")]),
        changed(evidence=None),
        changed(products={"core": {}}),
        changed(products={"core": None}),
        changed(products={"core": {"builds": {}}}),
        changed(products={"core": {"builds": {"x": {}}}}),
        changed(taken={"other": "1.0.0"}),
        changed(taken={"core-bin": "prod"}),
        changed(notes="x"),
        changed(components=[]),
    ],
)
def test_wrong_documents_are_refused(raw: bytes) -> None:
    with pytest.raises(FormatError):
        release_objects.parse(raw)


@pytest.mark.parametrize("version", ["1", "1.4.0-rc.1+build_7", "v1", "1" * 128])
def test_versions(version: str) -> None:
    assert check_version(version) == version


@pytest.mark.parametrize("version", ["", "-1", ".1", "1 0", "1\n", "1" * 129, "ü", "prod", "dev-2", "0a1b2c3d4e5f"])
def test_no_versions(version: str) -> None:
    with pytest.raises(BadInput, match="not a version"):
        check_version(version)


def test_a_ref_means_one_release_or_none() -> None:
    one, two = Digest(f"sha256:{'ab' * 4}{'0' * 56}"), Digest(f"sha256:{'ab' * 4}{'1' * 56}")
    infos = {one: SimpleNamespace(digest=one, version="1.0"), two: SimpleNamespace(digest=two, version="2.0")}
    channels = {"dev": SimpleNamespace(release=one), "empty": SimpleNamespace(release=None)}
    state: Any = SimpleNamespace(channels=channels, versions={"1.0": one, "2.0": two}, releases=infos, order=[one, two])
    state._meant = lambda ref: LedgerState._meant(state, ref)
    state.newest_releases = lambda: LedgerState.newest_releases(state)
    for ref, digest in {"dev": one, "1.0": one, "2.0": two, one: one, two[7:]: two, f"{'ab' * 4}00": one}.items():
        assert LedgerState.find_release(state, ref).digest == digest
    with pytest.raises(NoSuchObject, match="more than one release is meant by abababab"):
        LedgerState.find_release(state, "ab" * 4)
    for ref in ("ab" * 3, "empty", "nosuch", "", "1.0/p"):
        with pytest.raises(NoSuchObject, match="no such release"):
            LedgerState.find_release(state, ref)
    channels["2.0"] = channels["dev"]  # no line of ours can have it
    with pytest.raises(NoSuchObject, match=r"more than one release is meant by 2\.0"):
        LedgerState.find_release(state, "2.0")
