"""sigstore-js judges what we sign: an implementation that shares no code with sigstore-python or us."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sigstore", reason="keyless signing needs the [keyless] extra")

import bare_envelopes
from private_sigstore import PrivateSigstore

from attest import signers
from attest.digests import sha256
from attest.keys import keys
from attest.signers.keyless import KeylessSigner, open_config, open_session
from attest.signers.logged import LoggedSigner, Services
from attest.sigstore import forms, rekor_answers
from attest.statements import statements

pytestmark = pytest.mark.foreign

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
PAYLOAD = statements.of_digests({"a": sha256(b"a")}, "https://example.com/p/v1", {"n": 1}).to_bytes()
ANN, ISSUER = "ann@example.com", "https://issuer.example"


@pytest.fixture(scope="module")
def modules() -> Path:
    """Where npm installed sigstore-js: CASSTORE_TEST_SIGSTORE_JS, else .venv/sigstore-js (see .ci/run)."""
    folder = Path(os.environ.get("CASSTORE_TEST_SIGSTORE_JS", ROOT / ".venv" / "sigstore-js")) / "node_modules"
    if shutil.which("node") is None or not (folder / "@sigstore" / "verify").is_dir():
        pytest.skip("sigstore-js is not installed (npm ci, see .ci/run)")
    return folder


@pytest.fixture(scope="module")
def instance() -> Iterator[PrivateSigstore]:
    with PrivateSigstore() as running:
        yield running


def judge(modules: Path, instance: PrivateSigstore, bundle: Any, **more: Any) -> str:
    case = {"bundle": bundle, "trustedRoot": json.loads(instance.trusted_root()), **more}
    done = subprocess.run(
        ["node", str(HERE / "sigstore-js" / "judge.js")],
        input=json.dumps(case),
        env={**os.environ, "NODE_PATH": str(modules)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def keyless(instance: PrivateSigstore, rekor: int) -> KeylessSigner:
    config = open_config(instance.trust_config(rekor), network=None)
    return open_session(config, instance.token(email=ANN), network=None)


@pytest.mark.parametrize("rekor", [1, 2])
def test_keyless_statements(modules: Path, instance: PrivateSigstore, rekor: int) -> None:
    bundle = json.loads(keyless(instance, rekor).sign_statement(PAYLOAD))
    by = {"identity": ANN, "issuer": ISSUER, "logged": True, "timed": True}
    assert judge(modules, instance, bundle, **by) == "verified"
    assert "refused" in judge(modules, instance, bundle, **{**by, "identity": "bob@example.com"})
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(PAYLOAD.replace(b'"n":1', b'"n":2')).decode()
    assert "refused" in judge(modules, instance, bundle, **by)


@pytest.mark.parametrize("kind", [("dsse", "0.0.1"), ("intoto", "0.0.2")], ids="-".join)
def test_a_bare_envelope_that_was_completed(modules: Path, instance: PrivateSigstore, kind: tuple[str, str]) -> None:
    """What `attest complete` writes is a sigstore bundle for others too; `intoto` 0.0.1 they do not know."""
    signed = keyless(instance, 1).sign_statement(PAYLOAD)
    line = bare_envelopes.line_of(signed)
    (piece,) = forms.read(line.encode())
    bare = piece.raw or b""
    answer = bare_envelopes.logged(instance, line, bare_envelopes.pem_of(json.loads(signed)), kind)
    by = {"identity": ANN, "issuer": ISSUER, "logged": True, "timed": True}
    assert judge(modules, instance, json.loads(rekor_answers.completed(bare, [answer])), **by) == "verified"
    assert "refused" in judge(modules, instance, json.loads(bare), **by)


@pytest.mark.parametrize("rekor", [1, 2])
def test_keyless_files(modules: Path, instance: PrivateSigstore, rekor: int) -> None:
    bundle = json.loads(keyless(instance, rekor).sign_artifact(sha256(b"file")))
    by = {"identity": ANN, "issuer": ISSUER, "logged": True, "timed": True}
    assert judge(modules, instance, bundle, artifact=base64.b64encode(b"file").decode(), **by) == "verified"
    assert "refused" in judge(modules, instance, bundle, artifact=base64.b64encode(b"other").decode(), **by)


@pytest.mark.parametrize("rekor", [None, 1, 2])
@pytest.mark.parametrize("stamped", [False, True])
@pytest.mark.parametrize("algorithm", keys.ALGORITHMS)
def test_managed_keys(
    modules: Path, instance: PrivateSigstore, algorithm: str, stamped: bool, rekor: int | None
) -> None:
    if algorithm == keys.ED25519 and rekor == 2:
        return  # that log takes no such signature
    key = signers.from_private_key(keys.generate(algorithm))
    services = Services(
        instance.url if rekor else None, rekor or 1, instance.tsa_url if stamped else None, instance.trusted_root()
    )
    bundle = json.loads(LoggedSigner(key, services).sign_statement(PAYLOAD))
    assert key.public_pem
    by = {"publicKey": key.public_pem.decode(), "logged": bool(rekor), "timed": stamped or rekor == 1}
    assert judge(modules, instance, bundle, **by) == "verified"
    other = signers.from_private_key(keys.generate(algorithm)).public_pem or b""
    assert "refused" in judge(modules, instance, bundle, **{**by, "publicKey": other.decode()})
