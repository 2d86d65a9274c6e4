"""Genuine keyless bundles, judged offline; the trusted roots come inside the sigstore package."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import pytest

from attest.digests import ZERO, sha256, to_raw
from attest.errors import CasstoreError, FormatError, TrustError, VerificationError
from attest.sigstore import keyless
from attest.sigstore.sigstore_bundles import SigstoreBundle

sigstore = pytest.importorskip("sigstore", reason="keyless verification needs the [keyless] extra")

DATA = Path(__file__).parents[3] / "data" / "sigstore-bundles"
STORE = Path(sigstore.__file__).parent / "_store"
ROOTS = {
    "production": (STORE / "https%3A%2F%2Ftuf-repo-cdn.sigstore.dev" / "trusted_root.json").read_bytes(),
    "staging": (STORE / "https%3A%2F%2Ftuf-repo-cdn.sigstage.dev" / "trusted_root.json").read_bytes(),
    "github": (DATA / "trusted_root.jsonl").read_bytes(),
}
ROWS = json.loads((DATA / "MANIFEST.json").read_bytes())
AT = datetime(2026, 9, 1, tzinfo=UTC)

# The log entry of this file is of another artifact. MANIFEST.json speaks of certificate and log alone.
OTHER_ARTIFACT = "bundle_cve_2022_36056"

GITHUB = next(row["file"] for row in ROWS if row["root"] == "github")
INTOTO = next(row["file"] for row in ROWS if row["file"].endswith("bundleV02-intoto.sigstore"))
UNPROVEN = [row["file"] for row in ROWS if "no-proof" in row["file"]]
STAGED = next(row["file"] for row in ROWS if row["file"].endswith("assets__bundle_v3.txt.sigstore"))

DSSE = "slsa-verifier__cli__slsa-verifier__testdata__bcr__MODULE.bazel.intoto.jsonl"
PUBLISHER = (
    "oidc:https://token.actions.githubusercontent.com#https://github.com/bazel-contrib/publish-to-bcr"
    "/.github/workflows/publish.yaml@refs/tags/v0.0.1"
)


class RefusedSocket(socket.socket):
    def __init__(self, *_: Any, **__: Any) -> None:
        raise AssertionError("a socket was opened")


@pytest.fixture(autouse=True)
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("a host was looked up")

    monkeypatch.setattr(socket, "socket", RefusedSocket)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def judge(name: str, root: bytes, at: datetime = AT) -> keyless.KeylessSignature:
    raw = (DATA / name).read_bytes()
    message = SigstoreBundle.parse(raw).message_signature
    if message is None:
        return keyless.verify_keyless(raw, trusted_root_json=root, at=at)
    assert message.digest is not None
    return keyless.verify_keyless_artifact(raw, message.digest, trusted_root_json=root, at=at)


def edited_root(change: Callable[[dict[str, Any]], None], name: str = "production") -> bytes:
    root = json.loads(ROOTS[name])
    change(root)
    return json.dumps(root).encode()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["file"][-40:])
def test_genuine_bundles_come_out_as_listed(row: dict[str, Any]) -> None:
    if row["expect"] == "verified" and OTHER_ARTIFACT not in row["file"]:
        found = judge(row["file"], ROOTS[row["root"]])
        assert found.identity.startswith("oidc:https://")
        assert found.signed_at < AT
    else:
        with pytest.raises(VerificationError, match="the keyless signature is refused"):
            judge(row["file"], ROOTS[row["root"]])


@pytest.mark.parametrize("row", [row for row in ROWS if row["root"] != "github"], ids=lambda row: row["file"][-40:])
def test_what_sigstore_python_takes_we_take_and_it_says_the_same(row: dict[str, Any]) -> None:
    theirs, ours = by_sigstore_python(row), None
    with contextlib.suppress(CasstoreError):
        ours = judge(row["file"], ROOTS[row["root"]])
    if theirs is not None:
        assert ours is not None and (ours.payload_type, ours.payload) == theirs
    elif OTHER_ARTIFACT not in row["file"]:
        assert row["entry"] == "intoto/0.0.2" or "no-proof" in row["file"]


def by_sigstore_python(row: dict[str, Any]) -> tuple[str, bytes] | None:
    from sigstore import models
    from sigstore.hashes import Hashed
    from sigstore.verify import Verifier, policy
    from sigstore_models.common.v1 import HashAlgorithm
    from sigstore_models.trustroot.v1 import TrustedRoot

    raw, root = (DATA / row["file"]).read_bytes(), ROOTS[row["root"]]
    message = SigstoreBundle.parse(raw).message_signature
    verifier = Verifier(trusted_root=models.TrustedRoot(TrustedRoot.from_json(root)))
    try:
        bundle = models.Bundle.from_json(raw)
        if message is None:
            return verifier.verify_dsse(bundle, policy.UnsafeNoOp())
        hashed = Hashed(algorithm=HashAlgorithm.SHA2_256, digest=to_raw(message.digest or ZERO))
        verifier.verify_artifact(hashed, bundle, policy.UnsafeNoOp())
    except Exception:
        return None
    return "", b""


def test_a_log_entry_of_another_artifact_is_refused() -> None:
    name = next(row["file"] for row in ROWS if OTHER_ARTIFACT in row["file"])
    with pytest.raises(VerificationError, match="about something else than this signature"):
        judge(name, ROOTS["staging"])


def test_what_a_verified_bundle_says() -> None:
    found = judge(DSSE, ROOTS["production"])
    assert found.identity == PUBLISHER
    assert found.payload_type == "application/vnd.in-toto+json"
    assert json.loads(found.payload)["predicateType"] == "https://slsa.dev/provenance/v1"
    assert found.signed_at == datetime(2025, 3, 26, 23, 47, 30, tzinfo=UTC)


def test_another_instances_root_vouches_for_nothing() -> None:
    with pytest.raises(VerificationError):
        judge(DSSE, ROOTS["staging"])


@pytest.mark.parametrize("field", ["payload", "payloadType", "sig"])
def test_a_changed_envelope_is_refused(field: str) -> None:
    document = json.loads((DATA / DSSE).read_bytes())
    envelope = document["dsseEnvelope"]
    place = envelope["signatures"][0] if field == "sig" else envelope
    place[field] = "A" + place[field][1:] if field != "payloadType" else "text/plain"
    with pytest.raises(VerificationError):
        keyless.verify_keyless(json.dumps(document).encode(), trusted_root_json=ROOTS["production"], at=AT)


def test_another_artifact_is_refused() -> None:
    row = next(row for row in ROWS if not row["predicate"] and row["root"] == "production")
    raw = (DATA / row["file"]).read_bytes()
    with pytest.raises(VerificationError):
        keyless.verify_keyless_artifact(raw, sha256(b"other"), trusted_root_json=ROOTS["production"], at=AT)


def close(part: dict[str, Any], end: str) -> None:
    holder = part.get("publicKey", part)
    holder.setdefault("validFor", {"start": "2000-01-01T00:00:00Z"})["end"] = end


@pytest.mark.parametrize(
    ("parts", "what"),
    [
        ("certificateAuthorities", "certificate authority"),
        ("ctlogs", "certificate log"),
        ("tlogs", "transparency log"),
    ],
)
def test_a_part_that_ended_before_the_signature_is_not_used(parts: str, what: str) -> None:
    def change(root: dict[str, Any], end: str) -> None:
        for part in root[parts]:
            close(part, end)

    with pytest.raises(TrustError, match=rf"has no {what} .*that was valid at 2025-03-26T23:4"):
        judge(DSSE, edited_root(lambda root: change(root, "2025-03-26T23:47:00Z")))
    assert judge(DSSE, edited_root(lambda root: change(root, "2025-03-26T23:48:00Z"))).identity == PUBLISHER


@pytest.mark.parametrize("parts", ["certificateAuthorities", "ctlogs", "tlogs"])
def test_a_part_that_began_after_the_signature_is_not_used(parts: str) -> None:
    def change(root: dict[str, Any]) -> None:
        for part in root[parts]:
            part.get("publicKey", part)["validFor"] = {"start": "2025-03-26T23:48:00Z"}

    with pytest.raises(TrustError, match="was valid at"):
        judge(DSSE, edited_root(change))


def test_a_rotated_out_authority_beside_a_good_one_does_not_help() -> None:
    """Only the one authority that issued the certificate has ended; others are still valid."""

    def change(root: dict[str, Any]) -> None:
        for authority in root["certificateAuthorities"]:
            if "end" not in authority["validFor"]:
                authority["validFor"]["end"] = "2024-01-01T00:00:00Z"
        first = json.loads(json.dumps(root["certificateAuthorities"][0]))
        first["validFor"] = {"start": "2020-01-01T00:00:00Z"}
        root["certificateAuthorities"].append(first)

    with pytest.raises(VerificationError, match="certificate chain"):
        judge(DSSE, edited_root(change))


STAMPED = next(row["file"] for row in ROWS if row["file"].endswith("a.dsse.staging-rekor-v2.txt.sigstore.json"))


def test_a_time_stamp_is_the_signing_time() -> None:
    assert judge(STAMPED, ROOTS["staging"]).signed_at == datetime(2026, 5, 13, 19, 23, 33, tzinfo=UTC)


def test_a_time_stamp_of_an_authority_that_ended_proves_no_time() -> None:
    def change(root: dict[str, Any]) -> None:
        for authority in root["timestampAuthorities"]:
            authority["validFor"]["end"] = "2026-05-13T19:23:32Z"

    with pytest.raises(VerificationError, match="no proven signing time"):
        judge(STAMPED, edited_root(change, "staging"))


def test_without_time_stamp_authorities_a_stamp_proves_nothing() -> None:
    with pytest.raises(VerificationError, match="no proven signing time"):
        judge(STAMPED, edited_root(lambda root: root.pop("timestampAuthorities"), "staging"))


def test_a_signature_from_the_future_is_refused() -> None:
    assert judge(DSSE, ROOTS["production"], datetime(2025, 3, 26, 23, 43, tzinfo=UTC))
    with pytest.raises(VerificationError, match=r"after the time of judgement 2025-03-26T23:42:00Z"):
        judge(DSSE, ROOTS["production"], datetime(2025, 3, 26, 23, 42, tzinfo=UTC))


@pytest.mark.parametrize("root", [b"{}", b"[]", b"", b"\xff", b'{"mediaType":"x"}', b'{"a":1,"a":2}'])
def test_a_root_that_cannot_be_used_is_told(root: bytes) -> None:
    with pytest.raises((TrustError, FormatError), match="sigstore trusted root"):
        judge(DSSE, root)


@pytest.mark.parametrize("raw", [b"", b"{}", b"null", b'{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}'])
def test_what_is_no_bundle_is_wrapped(raw: bytes) -> None:
    with pytest.raises(CasstoreError) as caught:
        keyless.verify_keyless(raw, trusted_root_json=ROOTS["production"], at=AT)
    assert "\n" not in caught.value.message


def test_a_duplicate_key_never_reaches_the_laxer_reader() -> None:
    raw = (DATA / DSSE).read_bytes().replace(b'{"mediaType"', b'{"mediaType":"x","mediaType"', 1)
    with pytest.raises(FormatError, match="stands twice"):
        keyless.verify_keyless(raw, trusted_root_json=ROOTS["production"], at=AT)


def edited(name: str, change: Callable[[dict[str, Any]], Any]) -> bytes:
    document = json.loads((DATA / name).read_bytes())
    change(document)
    return json.dumps(document).encode()


def refused(raw: bytes, root: str, match: str) -> None:
    with pytest.raises((VerificationError, FormatError), match=match):
        keyless.verify_keyless(raw, trusted_root_json=ROOTS[root], at=AT)


def entry_of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DATA / name).read_bytes())["verificationMaterial"]["tlogEntries"][0]
    return found


def material(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["verificationMaterial"]
    return found


@pytest.mark.parametrize("name", UNPROVEN, ids=["dsse", "intoto"])
def test_a_logs_promise_is_enough_in_version_0_1_alone(name: str) -> None:
    assert judge(name, ROOTS["production"]).identity.startswith("oidc:")
    version = "application/vnd.dev.sigstore.bundle+json;version=0.2"
    refused(edited(name, lambda d: d.update(mediaType=version)), "production", "inclusionProof is missing")
    refused(edited(name, lambda d: entry(d).pop("inclusionPromise")), "production", "inclusionProof is missing")
    refused(edited(name, lambda d: entry(d).update(integratedTime="1689177272")), "production", "promise")
    refused(edited(name, lambda d: entry(d).update(integratedTime="0")), "production", "neither a proof")
    refused(edited(name, lambda d: entry(d).update(logIndex="27159640")), "production", "promise")


def entry(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = material(document)["tlogEntries"][0]
    return found


@pytest.mark.parametrize("other", [DSSE, *UNPROVEN], ids=["dsse", "dsse-v01", "intoto-v01"])
def test_an_entry_of_another_bundle_is_refused(other: str) -> None:
    stolen = entry_of(other)
    for name in (INTOTO, DSSE):
        if entry_of(name)["canonicalizedBody"] != stolen["canonicalizedBody"]:
            changed = edited(name, lambda d: material(d).update(tlogEntries=[stolen]))
            refused(changed, "production", "about something else|inclusionProof is missing")


@pytest.mark.parametrize("name", [DSSE, INTOTO])
def test_every_part_that_is_changed_is_noticed(name: str) -> None:
    """One character of each base64 text, one digit of each number: nothing of it is taken."""
    document = json.loads((DATA / name).read_bytes())
    for path, text in texts(document):
        if path[-1] in ("keyid", "mediaType", "kind") or "hashes" in path:
            continue
        place = document
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = ("B" if text[0] != "B" else "C") + text[1:] if not text.isdigit() else str(int(text) + 1)
        with pytest.raises(CasstoreError):
            keyless.verify_keyless(json.dumps(document).encode(), trusted_root_json=ROOTS["production"], at=AT)
        place[path[-1]] = text


def texts(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], str]]:
    if isinstance(value, str):
        return [(path, value)] if value else []
    rows = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, item in rows for found in texts(item, (*path, key))]


def test_githubs_own_instance_needs_a_stamp_and_no_log() -> None:
    found = judge(GITHUB, ROOTS["github"])
    assert found.signed_at == datetime(2025, 11, 19, 2, 26, 13, tzinfo=UTC)
    assert found.claims["sourceRepositoryId"] == "760702757"
    refused(edited(GITHUB, lambda d: material(d).pop("timestampVerificationData")), "github", "no proven signing time")
    changed = edited(GITHUB, lambda d: material(d).update(tlogEntries=[entry_of(DSSE)]))
    refused(changed, "github", "about something else")


def test_the_parts_of_two_instances_are_never_mixed() -> None:
    """Under a root that names both, the public one's bundle without its log is not saved by GitHub's rule."""
    assert judge(DSSE, ROOTS["github"]).identity == PUBLISHER
    bare = edited(DSSE, lambda d: material(d).update(tlogEntries=[]))
    refused(bare, "github", "no proven signing time")
    stamps = json.loads((DATA / GITHUB).read_bytes())["verificationMaterial"]["timestampVerificationData"]
    stamped = edited(DSSE, lambda d: material(d).update(tlogEntries=[], timestampVerificationData=stamps))
    refused(stamped, "github", "no proven signing time")
    refused((DATA / GITHUB).read_bytes(), "production", "no proven signing time")
    refused((DATA / STAMPED).read_bytes(), "github", "0 of the 2 instances")


def test_a_stamp_that_stands_twice_is_refused() -> None:
    def double(document: dict[str, Any]) -> None:
        data = material(document)["timestampVerificationData"]
        data["rfc3161Timestamps"] *= 2

    refused(edited(GITHUB, double), "github", "stands twice")


def test_certificates_that_come_with_the_bundle_are_a_chain_and_vouch_for_nothing() -> None:
    authorities = json.loads(ROOTS["production"])["certificateAuthorities"]
    intermediate, root = authorities[-1]["certChain"]["certificates"]

    def bring(*more: dict[str, str]) -> bytes:
        return edited(INTOTO, lambda d: material(d)["x509CertificateChain"]["certificates"].extend(more))

    whole = bring(intermediate, root)
    assert keyless.verify_keyless(whole, trusted_root_json=ROOTS["production"], at=AT)
    refused(whole, "staging", "no proven signing time")
    for wrong in (bring(root), bring(root, intermediate), bring(intermediate, intermediate)):
        refused(wrong, "production", "no chain")


def test_errors_speak_our_words() -> None:
    for change in (
        {"version": 1},
        {"dsseEnvelope": 3},
        {"verificationMaterial": {"certificate": {"rawBytes": "AAAA"}}},
    ):
        with pytest.raises(CasstoreError) as caught:
            keyless.verify_keyless(
                edited(DSSE, lambda d, change=change: d.update(change)),  # type: ignore[misc]
                trusted_root_json=ROOTS["staging"],
                at=AT,
            )
        assert "pydantic" not in caught.value.message and "http" not in caught.value.message


def test_an_authority_whose_own_certificates_are_no_chain_vouches_for_nothing() -> None:
    def shuffle(root: dict[str, Any]) -> None:
        for authority in root["certificateAuthorities"]:
            authority["certChain"]["certificates"].reverse()

    with pytest.raises(VerificationError, match="are no chain"):
        judge(DSSE, edited_root(shuffle))


def test_an_entry_of_a_log_that_the_instance_does_not_name_proves_nothing() -> None:
    def rename(root: dict[str, Any]) -> None:
        for log in root["tlogs"]:
            log["logId"]["keyId"] = "A" * 43 + "="

    with pytest.raises(VerificationError, match="no proven signing time"):
        judge(DSSE, edited_root(rename))
