"""Keyless signing against a real private instance, by unchanged sigstore-python, and every fault of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

pytest.importorskip("sigstore", reason="keyless signing needs the [keyless] extra")

from private_sigstore import FAULTS, PrivateSigstore

from attest import signers
from attest.digests import sha256
from attest.errors import CasstoreError, ServiceUnavailable, SignerError, VerificationError
from attest.signers import services
from attest.signers.keyless import KeylessSigner
from attest.sigstore import keyless
from attest.statements import statements

TYPE = "https://example.com/p/v1"
PAYLOAD = statements.of_digests({"artifact": sha256(b"artifact")}, TYPE, {"n": 1}).to_bytes()
ANN = "ann@example.com"


@pytest.fixture
def instance() -> Iterator[PrivateSigstore]:
    with PrivateSigstore() as running:
        yield running


Open = Callable[..., KeylessSigner]


@pytest.fixture
def open_signer(instance: PrivateSigstore, monkeypatch: pytest.MonkeyPatch) -> Open:
    def opener(
        rekor: int = 1, *, token: str | None = None, config: bytes | None = None, **claims: Any
    ) -> KeylessSigner:
        monkeypatch.setenv("SIGSTORE_ID_TOKEN", token or instance.token(**(claims or {"email": ANN})))
        files = {"config.json": config or instance.trust_config(rekor)}
        found = signers.open_signer("keyless:config.json", read=files.__getitem__, password=lambda: None)
        assert isinstance(found, KeylessSigner)
        return found

    return opener


def judge(instance: PrivateSigstore, raw: bytes, *, root: bytes | None = None, at: datetime | None = None) -> Any:
    return keyless.verify_keyless(raw, trusted_root_json=root or instance.trusted_root(), at=at or instance.clock.now())


@pytest.mark.parametrize("rekor", [1, 2])
def test_a_statement_is_signed_and_verified_offline(instance: PrivateSigstore, open_signer: Open, rekor: int) -> None:
    signer = open_signer(rekor)
    raw = signer.sign_statement(PAYLOAD)
    instance.faults.update(fulcio="down", rekor="down", tsa="down")
    found = judge(instance, raw)
    assert (found.payload, found.payload_type) == (PAYLOAD, statements.PAYLOAD_TYPE)
    assert found.identity == signer.identity == f"oidc:https://issuer.example#{ANN}"
    assert abs(found.signed_at - instance.clock.now()) < timedelta(seconds=30)
    kinds = [entry["kindVersion"] for entry in json.loads(raw)["verificationMaterial"]["tlogEntries"]]
    assert kinds == [
        {"kind": "dsse", "version": "0.0.1"} if rekor == 1 else {"kind": "hashedrekord", "version": "0.0.2"}
    ]


@pytest.mark.parametrize("rekor", [1, 2])
def test_an_artifact_itself_is_signed(instance: PrivateSigstore, open_signer: Open, rekor: int) -> None:
    raw = open_signer(rekor).sign_artifact(sha256(b"file"))
    root, at = instance.trusted_root(), instance.clock.now()
    assert keyless.verify_keyless_artifact(raw, sha256(b"file"), trusted_root_json=root, at=at).payload == b""
    with pytest.raises(VerificationError):
        keyless.verify_keyless_artifact(raw, sha256(b"other"), trusted_root_json=root, at=at)


def test_one_certificate_serves_a_session_and_the_log_grows(instance: PrivateSigstore, open_signer: Open) -> None:
    signer = open_signer()
    for _ in range(5):
        judge(instance, signer.sign_statement(PAYLOAD))
    assert instance.asked.count("fulcio") == 1
    assert len(instance.rekor_v1.tree) == 5


def test_a_ci_job_is_named_by_its_workflow(instance: PrivateSigstore, open_signer: Open) -> None:
    workflow = "https://git.example/o/r/.ci/build.yml@refs/heads/main"
    signer = open_signer(sub=workflow, repository="o/r", sha="ab" * 20, event_name="push")
    assert judge(instance, signer.sign_statement(PAYLOAD)).identity == f"oidc:https://issuer.example#{workflow}"


def test_an_instance_without_time_stamps_serves_rekor_v1(instance: PrivateSigstore, open_signer: Open) -> None:
    raw = open_signer(config=instance.trust_config(1, stamps=False)).sign_statement(PAYLOAD)
    assert "tsa" not in instance.asked
    assert judge(instance, raw).identity.endswith(ANN)


def test_the_trust_material_comes_over_tuf(instance: PrivateSigstore, open_signer: Open, tmp_path: Any) -> None:
    from sigstore.models import ClientTrustConfig

    pinned = tmp_path / "root.json"
    pinned.write_bytes(instance.publish_tuf())
    config = ClientTrustConfig.from_tuf(instance.url, bootstrap_root=pinned)._inner.to_json().encode()
    judge(instance, open_signer(config=config).sign_statement(PAYLOAD))


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("service", ["fulcio", "rekor", "tsa"])
@pytest.mark.parametrize("rekor", [1, 2])
def test_a_service_that_fails_gives_one_error_and_no_bundle(
    instance: PrivateSigstore,
    open_signer: Open,
    monkeypatch: pytest.MonkeyPatch,
    rekor: int,
    service: str,
    fault: str,
) -> None:
    monkeypatch.setattr(services, "PATIENCE", 0.3)
    monkeypatch.setattr("sigstore._internal.timestamp.CLIENT_TIMEOUT", 0.3)
    instance.faults[service] = fault
    with pytest.raises(SignerError) as caught:
        open_signer(rekor).sign_statement(PAYLOAD)
    assert caught.value.hint and "\n" not in caught.value.message and len(caught.value.message) > 40
    if service != "tsa" and fault != "garbage":
        assert isinstance(caught.value, ServiceUnavailable) and caught.value.exit_code == 12


LIES = [
    *(("fulcio", lie) for lie in ("other-key", "no-sct", "bad-sct", "expired")),
    *(("rekor", lie) for lie in ("other-body", "bad-root", "bad-proof", "bad-checkpoint")),
    ("rekor_v1", "bad-promise"),
    *(("tsa", lie) for lie in ("other-data", "bad-signature", "rejects")),
]


@pytest.mark.parametrize(("service", "lie"), LIES, ids=lambda value: value)
@pytest.mark.parametrize("rekor", [1, 2])
def test_a_service_that_lies_is_noticed_by_the_signer(
    instance: PrivateSigstore, open_signer: Open, rekor: int, service: str, lie: str
) -> None:
    if service == "rekor_v1" and rekor == 2:
        rekor = 1
    getattr(instance, f"rekor_v{rekor}" if service == "rekor" else service).lies.add(lie)
    with pytest.raises(SignerError) as caught:
        open_signer(rekor).sign_statement(PAYLOAD)
    assert "\n" not in caught.value.message


def test_a_certificate_for_somebody_else_is_noticed(instance: PrivateSigstore, open_signer: Open) -> None:
    instance.fulcio.lies.add("other-subject")
    with pytest.raises(SignerError, match=r"certified mallory@example\.com, the token names ann@example\.com"):
        open_signer()


@pytest.mark.parametrize("token", ["", "x", "a.b.c"])
def test_what_is_no_token_is_told(open_signer: Open, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SignerError):
        open_signer(token=token or " ")


def test_tokens_that_the_instance_refuses(instance: PrivateSigstore, open_signer: Open) -> None:
    other = PrivateSigstore()
    with pytest.raises(SignerError, match=r"no certificate from the sigstore instance: .*identity token"):
        open_signer(token=other.oidc.token(email=ANN, sub=ANN))
    with pytest.raises(SignerError):
        open_signer(token=instance.token(email=ANN, seconds=-60))
    with pytest.raises(SignerError):
        open_signer(token=instance.token(email=ANN, audience="elsewhere"))


class Refusing:
    def check(self, url_or_host: str) -> None:
        raise CasstoreError(f"not allowed: {url_or_host}")


def test_the_network_policy_is_asked_first(instance: PrivateSigstore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGSTORE_ID_TOKEN", instance.token(email=ANN))
    with pytest.raises(CasstoreError, match="not allowed: http://127"):
        signers.open_signer(
            "keyless:c", read=lambda _: instance.trust_config(), password=lambda: None, network=Refusing()
        )
    assert instance.asked == []


@pytest.mark.parametrize("part", ["fulcio", "ct", "rekor_v1", "rekor_v2", "tsa"])
def test_after_a_rotation_old_signatures_hold_and_the_old_key_makes_no_new_ones(
    instance: PrivateSigstore, open_signer: Open, part: str
) -> None:
    rekor = 2 if part in ("rekor_v2", "tsa") else 1
    # All of it lies in the past: sigstore-python leaves out parts whose window starts in the real future.
    instance.fulcio.life = timedelta(days=1)
    instance.clock.move(hours=-6)
    before, first = open_signer(rekor).sign_statement(PAYLOAD), instance.clock.now()
    instance.clock.move(hours=2)
    kept = old_parts(instance, part)
    instance.rotate(part)
    judge(instance, before, at=first + timedelta(days=700))
    instance.clock.move(hours=2)
    judge(instance, open_signer(rekor).sign_statement(PAYLOAD))
    after = stale(instance, open_signer, kept, rekor)
    with pytest.raises(VerificationError):
        judge(instance, after)


def old_parts(instance: PrivateSigstore, part: str) -> Callable[[], None]:
    """Puts the old key of a part back to work: stolen, or kept by mistake."""
    holder, name = {
        "fulcio": (instance.fulcio, "authority"),
        "ct": (instance.fulcio, "ct_key"),
        "tsa": (instance, "tsa"),
    }.get(part, (instance, part))
    old = getattr(holder, name)
    return lambda: setattr(holder, name, old)


def stale(instance: PrivateSigstore, open_signer: Open, put_back: Callable[[], None], rekor: int) -> bytes:
    """A bundle made with the old key; its maker trusts a root in which no window ends."""
    put_back()
    config = json.loads(instance.trust_config(rekor))
    for parts in config["trustedRoot"].values():
        for entry in parts if isinstance(parts, list) else ():
            entry.get("publicKey", entry)["validFor"].pop("end", None)
    return open_signer(config=json.dumps(config).encode()).sign_statement(PAYLOAD)


def test_an_expired_stamping_certificate_proves_no_time(instance: PrivateSigstore, open_signer: Open) -> None:
    instance.clock.move(days=3651)
    with pytest.raises(SignerError):
        open_signer(2).sign_statement(PAYLOAD)


def test_a_signature_of_tomorrow_is_refused_today(instance: PrivateSigstore, open_signer: Open) -> None:
    today = instance.clock.now()
    instance.clock.move(days=1)
    raw = open_signer().sign_statement(PAYLOAD)
    assert judge(instance, raw).signed_at > today
    with pytest.raises(VerificationError, match="after the time of judgement"):
        judge(instance, raw, at=today)
