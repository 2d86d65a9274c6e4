"""`attest sign-bundle` and `verify-bundle`, as sigstore's conformance suite calls them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("sigstore", reason="keyless signing needs the [keyless] extra")

from private_sigstore import PrivateSigstore

from attest import signers
from attest.digests import sha256
from attest.keys import keys
from attest.statements import statements
from cli import main

DATA = Path(__file__).parents[1] / "data" / "sigstore-conformance"
CASES = sorted(path for path in DATA.iterdir() if path.is_dir())
BEACON = (
    "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows"
    "/extremely-dangerous-oidc-beacon.yml@refs/heads/main"
)
ACTIONS = "https://token.actions.githubusercontent.com"
ANN, ISSUER = "ann@example.com", "https://issuer.example"


def run(*arguments: str | Path) -> int:
    return main.invoke(["attest", *map(str, arguments)])


@pytest.mark.parametrize("by", ["path", "digest"])
@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_cases_of_the_suite(case: Path, by: str) -> None:
    key, root = case / "key.pub", case / "trusted_root.json"
    artifact = case / "artifact" if (case / "artifact").exists() else DATA / "a.txt"
    arguments: list[str | Path] = ["verify-bundle", "--bundle", case / "bundle.sigstore.json"]
    signer = ["--certificate-identity", BEACON, "--certificate-oidc-issuer", ACTIONS]
    arguments += ["--key", key] if key.exists() else signer
    arguments += ["--trusted-root", root] if root.exists() else []
    arguments.append(artifact if by == "path" else sha256(artifact.read_bytes()))
    assert run(*arguments) == (3 if case.name.endswith("_fail") else 0)


@pytest.fixture
def instance() -> Iterator[PrivateSigstore]:
    with PrivateSigstore() as running:
        yield running


@pytest.fixture
def files(instance: PrivateSigstore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_bytes(b"artifact")
    subject = {"name": "a.txt", "digest": {"sha256": hashlib.sha256(b"artifact").hexdigest(),
                                           "sha512": hashlib.sha512(b"artifact").hexdigest()}}  # fmt: skip
    statement = {"_type": statements.STATEMENT_V1, "subject": [subject], "predicateType": "https://example.com/p/v1",
                 "predicate": {}}  # fmt: skip
    (tmp_path / "statement.json").write_text(json.dumps(statement, indent=1))
    (tmp_path / "config.json").write_bytes(instance.trust_config(1))
    (tmp_path / "config2.json").write_bytes(instance.trust_config(2))
    (tmp_path / "signing_config.json").write_text(json.dumps(instance.signing_config(2)))
    (tmp_path / "root.json").write_bytes(instance.trusted_root())
    return tmp_path


def sign(instance: PrivateSigstore, *more: str, bundle: str = "b.json", file: str = "a.txt") -> int:
    token = instance.token(email=ANN)
    return run("sign-bundle", *more, "--identity-token", token, "--bundle", bundle, file)


def verify(*more: str, identity: str = ANN, issuer: str = ISSUER, file: str = "a.txt") -> int:
    who = ("--certificate-identity", identity, "--certificate-oidc-issuer", issuer)
    return run("verify-bundle", "--bundle", "b.json", *who, "--trusted-root", "root.json", *more, file)


INSTANCES = [
    ("--trust-config", "config.json"),
    ("--trust-config", "config2.json"),
    ("--trusted-root", "root.json", "--signing-config", "signing_config.json"),
]


@pytest.mark.parametrize("named", INSTANCES, ids=["v1", "v2", "two-files"])
def test_a_file_is_signed_and_verified(instance: PrivateSigstore, files: Path, named: tuple[str, ...]) -> None:
    assert sign(instance, *named) == 0
    assert "messageSignature" in json.loads((files / "b.json").read_bytes())
    assert verify() == verify(file=sha256(b"artifact")) == verify("--json") == 0
    assert verify("--verify-in-toto") == 3
    assert verify(file=sha256(b"other")) == verify(identity="bob@example.com") == verify(issuer="https://x") == 3
    assert sign(instance, *named) == 9, "a bundle is never written over another"


@pytest.mark.parametrize("config", ["config.json", "config2.json"])
def test_a_statement_is_signed_as_it_is(instance: PrivateSigstore, files: Path, config: str) -> None:
    assert sign(instance, "--trust-config", config, "--in-toto", file="statement.json") == 0
    envelope = json.loads((files / "b.json").read_bytes())["dsseEnvelope"]
    assert json.loads((files / "statement.json").read_bytes()) == json.loads(_decoded(envelope["payload"]))
    assert verify("--verify-in-toto") == verify(file=sha256(b"artifact")) == 0
    assert verify(file=sha256(b"other")) == 3


def _decoded(text: str) -> bytes:
    import base64

    return base64.b64decode(text)


def test_a_subject_whose_digests_disagree_is_refused(instance: PrivateSigstore, files: Path) -> None:
    text = (files / "statement.json").read_text()
    (files / "statement.json").write_text(text.replace(hashlib.sha512(b"artifact").hexdigest(), "ab" * 64))
    assert sign(instance, "--trust-config", "config.json", "--in-toto", file="statement.json") == 0
    assert verify() == 3


def test_a_service_that_is_down_leaves_no_bundle(instance: PrivateSigstore, files: Path, capfd) -> None:  # type: ignore[no-untyped-def]
    instance.faults["rekor"] = "down"
    assert sign(instance, "--trust-config", "config.json") == 12
    assert not os.path.exists("b.json")
    assert capfd.readouterr().err.count("error:") == 1


def test_a_key_needs_a_stamp_alone_where_the_root_names_no_log(instance: PrivateSigstore, files: Path) -> None:
    """As keyless signatures do; without a stamp nothing proves a time, and a root with a log asks for its entry."""
    key = keys.generate("ecdsa-p256")
    (files / "k.pem").write_bytes(keys.private_to_pem(key, None))
    (files / "k.pub").write_bytes(signers.from_private_key(key).public_pem or b"")
    (files / "p.json").write_text("{}")
    common = ("sign", "a.txt", "--type", "https://example.com/p/v1", "--predicate", "p.json", "--key", "k.pem")
    assert run(*common, "--tsa", instance.tsa_url, "--out", "b.json") == 0
    assert run(*common, "--out", "bare.json") == 0
    root = json.loads((files / "root.json").read_bytes())
    (files / "stamps.json").write_text(json.dumps({k: v for k, v in root.items() if k != "tlogs"}))
    judged = ("verify-bundle", "--key", "k.pub", "--trusted-root")
    assert run(*judged, "stamps.json", "--bundle", "b.json", "a.txt") == 0
    assert run(*judged, "stamps.json", "--bundle", "bare.json", "a.txt") == 3
    assert run(*judged, "root.json", "--bundle", "b.json", "a.txt") == 3


def test_a_log_that_is_named_may_be_asked_where_a_casstore_toml_rules(
    instance: PrivateSigstore, files: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """SECURITY.md: what a person names needs no entry in [network] allow; what a file leads to does."""
    key = keys.generate("ecdsa-p256")
    (files / "k.pem").write_bytes(keys.private_to_pem(key, None))
    (files / "p.json").write_text("{}")
    assert main.invoke(["--store", "store", "init", "--yes"]) == 0
    common = ("sign", "a.txt", "--type", "https://example.com/p/v1", "--predicate", "p.json", "--key", "k.pem")
    assert run(*common, "--rekor", instance.url, "--tsa", instance.tsa_url, "--out", "b.json") == 0
    assert run(*common, "--trust-config", "config.json", "--out", "c.json") == 12
    assert "not allowed by the network policy" in capfd.readouterr().err


def test_who_must_have_signed_has_to_be_said(instance: PrivateSigstore, files: Path) -> None:
    sign(instance, "--trust-config", "config.json")
    assert run("verify-bundle", "--bundle", "b.json", "a.txt") == 2
    assert run("verify-bundle", "--bundle", "b.json", "--certificate-identity", ANN, "a.txt") == 2
    assert run("sign-bundle", "--trusted-root", "root.json", "--identity-token", "x", "--bundle", "c", "a.txt") == 2


@pytest.mark.parametrize("algorithm", keys.ALGORITHMS)
def test_attest_sign_with_a_log_and_stamps(
    instance: PrivateSigstore, files: Path, algorithm: str, capsys: pytest.CaptureFixture[str]
) -> None:
    key = keys.generate(algorithm)
    (files / "k.pem").write_bytes(keys.private_to_pem(key, None))
    (files / "k.pub").write_bytes(signers.from_private_key(key).public_pem or b"")
    (files / "p.json").write_text("{}")
    common = ("sign", "a.txt", "--type", "https://example.com/p/v1", "--predicate", "p.json", "--key", "k.pem")
    assert run(*common, "--trust-config", "config.json", "--out", "b.json") == 0
    assert run(*common, "--rekor", instance.url, "--tsa", instance.tsa_url, "--out", "c.json") == 0
    capsys.readouterr()
    for name in ("b.json", "c.json"):
        judged = ("verify", name, "a.txt", "--type", "https://example.com/p/v1", "--public-key", "k.pub")
        assert run(*judged, "--sigstore-root", "root.json", "--json") == 0
        assert json.loads(capsys.readouterr().out)["signedAt"]
    by_key = ("verify-bundle", "--bundle", "b.json", "--key", "k.pub", "--trusted-root", "root.json")
    assert run(*by_key, "a.txt") == run(*by_key, sha256(b"artifact")) == 0
    assert run(*by_key, sha256(b"other")) == 3
    assert run(*common, "--trust-config", "config2.json", "--out", "d.json") == (2 if algorithm == "ed25519" else 0)
