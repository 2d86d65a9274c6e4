from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from private_sigstore import PrivateSigstore

from attest.errors import BadInput, CasstoreError, FormatError, TrustError
from attest.sigstore import sigstore_roots

INSTANCE = PrivateSigstore()
ROOT: dict[str, Any] = json.loads(INSTANCE.trusted_root())
NOW = datetime.now(UTC)


def changed(**parts: Any) -> bytes:
    return json.dumps({**ROOT, **parts}).encode()


def test_logs_and_stamp_authorities_are_read() -> None:
    (root,) = sigstore_roots.parse(INSTANCE.trusted_root()).instances
    assert [log.key_id for log in root.logs] == [INSTANCE.rekor_v1.key_id, INSTANCE.rekor_v2.key_id]
    assert len(root.stamp_authorities) == 1 and len(root.stamp_authorities[0].chain) == 2
    assert root.knows_log(INSTANCE.rekor_v1.key_id) and not root.knows_log(bytes(32))


def test_a_window_is_closed_at_both_ends() -> None:
    window = sigstore_roots.Window(NOW, NOW + timedelta(hours=1))
    assert window.holds([NOW, NOW + timedelta(hours=1)])
    assert not window.holds([NOW - timedelta(microseconds=1)])
    assert not window.holds([NOW, NOW + timedelta(hours=1, microseconds=1)])
    assert sigstore_roots.Window(NOW, None).holds([NOW + timedelta(days=9999)])


def test_a_log_outside_its_window_is_not_there() -> None:
    (root,) = sigstore_roots.parse(INSTANCE.trusted_root()).instances
    assert root.log(INSTANCE.rekor_v1.key_id, [NOW])
    with pytest.raises(TrustError, match=r"no transparency log .* that was valid at"):
        root.log(INSTANCE.rekor_v1.key_id, [NOW - timedelta(days=30)])


@pytest.mark.parametrize("window", [None, {}, {"end": "2030-01-01T00:00:00Z"}])
def test_a_part_without_a_start_is_never_used(window: Any) -> None:
    log = json.loads(json.dumps(ROOT["tlogs"][0]))
    log["publicKey"]["validFor"] = window
    authority = {**ROOT["timestampAuthorities"][0], "validFor": window}
    (root,) = sigstore_roots.parse(changed(tlogs=[log], timestampAuthorities=[authority])).instances
    assert (root.logs, root.stamp_authorities) == ((), ())


def test_a_log_by_another_key_type_is_left_out() -> None:
    log = json.loads(json.dumps(ROOT["tlogs"][0]))
    log["publicKey"]["rawBytes"] = "AAAA"
    (root,) = sigstore_roots.parse(changed(tlogs=[log])).instances
    assert root.logs == () and root.asks_log, "what it names is still asked for"


NO_ROOTS = [b"{}", b"[]", changed(tlogs=3), changed(tlogs=[1]), changed(tlogs=[{}]), changed(mediaType="x")]


@pytest.mark.parametrize("raw", [*NO_ROOTS, changed(tlogs=[{}] * 2000)])
def test_what_is_no_root_is_refused(raw: bytes) -> None:
    with pytest.raises(FormatError):
        sigstore_roots.parse(raw)


def test_a_time_that_is_none() -> None:
    log = json.loads(json.dumps(ROOT["tlogs"][0]))
    log["publicKey"]["validFor"]["start"] = "yesterday"
    with pytest.raises(FormatError, match="not a time"):
        sigstore_roots.parse(changed(tlogs=[log]))


@pytest.mark.parametrize("instance", sorted(sigstore_roots.INSTANCES))
def test_the_public_instances_come_with_sigstore_python(instance: str) -> None:
    pytest.importorskip("sigstore", reason="the public roots come with the [keyless] extra")
    (root,) = sigstore_roots.parse(sigstore_roots.packaged(instance)).instances
    assert root.logs


def test_without_sigstore_python_a_root_must_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> Any:
        raise ModuleNotFoundError

    monkeypatch.setattr("importlib.resources.files", missing)
    with pytest.raises(BadInput, match="production instance is installed") as caught:
        sigstore_roots.packaged("production")
    assert "--trusted-root" in caught.value.hint


def test_two_files_make_a_trust_config() -> None:
    joined = sigstore_roots.join_trust_config(INSTANCE.trusted_root(), json.dumps(INSTANCE.signing_config()).encode())
    assert json.loads(joined)["trustedRoot"] == ROOT
    with pytest.raises(CasstoreError):
        sigstore_roots.join_trust_config(b"{", b"{}")


GITHUB = (Path(__file__).parents[3] / "data" / "sigstore-bundles" / "trusted_root.jsonl").read_bytes()


def test_one_instance_a_line_as_gh_prints_them() -> None:
    public, github = sigstore_roots.parse(GITHUB).instances
    assert (public.told, github.told) == (
        "https://fulcio.sigstore.dev: log entry",
        "fulcio.githubapp.com: time stamp, no log",
    )
    assert sigstore_roots.parse(GITHUB.replace(b"\n", b"\n\n")).instances == (public, github)
    pretty = json.dumps(json.loads(GITHUB.splitlines()[1]), indent=2).encode()
    assert sigstore_roots.parse(pretty).instances == (github,)


def test_an_authority_stands_in_one_instance() -> None:
    """Else a certificate could be judged by whichever asks for less."""
    lax = json.loads(GITHUB.splitlines()[0])
    lax.update(tlogs=[], ctlogs=[])
    with pytest.raises(FormatError, match="two instances name the same certificate authority"):
        sigstore_roots.parse(GITHUB + json.dumps(lax).encode() + b"\n")
    with pytest.raises(FormatError, match="17 instances"):
        sigstore_roots.parse(b"{}\n" * 17)
