"""A bare envelope and its entry in a log: put together by `attest complete`, judged by `verify-bundle`.

The log is a private one that computes what it logs as Rekor v1 does, for every kind of entry that envelopes have.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sigstore", reason="keyless signing needs the [keyless] extra")

import bare_envelopes
from private_sigstore import PrivateSigstore

from attest.digests import sha256
from attest.statements import statements
from cli import main

ANN, ISSUER = "ann@example.com", "https://issuer.example"
WHO = ("--certificate-identity", ANN, "--certificate-oidc-issuer", ISSUER)


def run(*arguments: str | Path) -> int:
    return main.invoke(["attest", *map(str, arguments)])


@pytest.fixture
def instance() -> Iterator[PrivateSigstore]:
    with PrivateSigstore() as running:
        yield running


@pytest.fixture
def signed(instance: PrivateSigstore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A keyless bundle about a.txt; its root in root.json."""
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_bytes(b"artifact")
    Path("config.json").write_bytes(instance.trust_config(1))
    Path("root.json").write_bytes(instance.trusted_root())
    return sign(instance, "a", b"artifact")


def sign(instance: PrivateSigstore, name: str, content: bytes) -> bytes:
    subject = {"name": name, "digest": {"sha256": hashlib.sha256(content).hexdigest()}}
    statement = {"_type": statements.STATEMENT_V1, "subject": [subject],
                 "predicateType": "https://slsa.dev/provenance/v1", "predicate": {}}  # fmt: skip
    Path(f"{name}.statement").write_text(json.dumps(statement))
    token = ("--identity-token", instance.token(email=ANN), "--bundle", f"{name}.json")
    assert run("sign-bundle", "--in-toto", "--trust-config", "config.json", *token, f"{name}.statement") == 0
    return Path(f"{name}.json").read_bytes()


def verify(bundle: str = "whole.json", *more: str, file: str = "a.txt") -> int:
    return run("verify-bundle", "--bundle", bundle, *WHO, "--trusted-root", "root.json", *more, file)


@pytest.mark.parametrize("kind", bare_envelopes.KINDS, ids="-".join)
@pytest.mark.parametrize("inside", [True, False], ids=["logged-with-certificate", "logged-without"])
def test_the_log_is_asked_for_every_kind(
    instance: PrivateSigstore, signed: bytes, kind: tuple[str, str], inside: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    line = bare_envelopes.line_of(signed)
    Path("a.intoto.jsonl").write_text(line)
    assert verify("a.intoto.jsonl") == 3
    assert "casstore attest complete FILE --rekor URL" in capfd.readouterr().err
    assert run("complete", "a.intoto.jsonl", "--rekor", instance.url, "--out", "whole.json") == 3, "not logged yet"
    as_logged = bare_envelopes.line_of(signed, certificate=inside)
    bare_envelopes.logged(instance, as_logged, bare_envelopes.pem_of(json.loads(signed)), kind)
    assert run("complete", "a.intoto.jsonl", "--rekor", instance.url, "--out", "whole.json") == 0
    assert verify() == 0
    assert verify(file=sha256(b"other")) == 3
    entry = json.loads(Path("whole.json").read_bytes())["verificationMaterial"]["tlogEntries"][0]
    assert entry["kindVersion"] == {"kind": kind[0], "version": kind[1]}
    assert run("complete", "a.intoto.jsonl", "--rekor", instance.url, "--out", "whole.json") == 9


@pytest.mark.parametrize("kind", bare_envelopes.KINDS, ids="-".join)
@pytest.mark.parametrize("inside", [True, False], ids=["with-certificate", "without"])
def test_the_entry_is_handed_in(instance: PrivateSigstore, signed: bytes, kind: tuple[str, str], inside: bool) -> None:
    """Also beside an envelope that names no certificate, as registries keep them: the entry names it."""
    line = bare_envelopes.line_of(signed, certificate=inside)
    Path("a.intoto.jsonl").write_text(line + "\n")
    Path("entry.json").write_bytes(
        bare_envelopes.logged(instance, line, bare_envelopes.pem_of(json.loads(signed)), kind)
    )
    assert run("complete", "a.intoto.jsonl", "--log-entry", "entry.json", "--out", "whole.json") == 0
    assert verify() == 0


def as_promise(answer: bytes) -> bytes:
    """What cosign keeps of an answer, beside attestations of images."""
    (entry,) = json.loads(answer).values()
    payload = {name: entry[name] for name in ("body", "integratedTime", "logIndex", "logID")}
    promise = entry["verification"]["signedEntryTimestamp"]
    return json.dumps({"SignedEntryTimestamp": promise, "Payload": payload}).encode()


def as_entry_of_a_bundle(answer: bytes) -> bytes:
    from attest.sigstore import rekor_answers

    return json.dumps([rekor_answers.entry_of(json.loads(answer))]).encode()


@pytest.mark.parametrize("form", [as_promise, as_entry_of_a_bundle])
def test_every_form_of_an_entry(instance: PrivateSigstore, signed: bytes, form: Any) -> None:
    line = bare_envelopes.line_of(signed, certificate=False)
    answer = bare_envelopes.logged(instance, line, bare_envelopes.pem_of(json.loads(signed)), ("intoto", "0.0.1"))
    Path("a.intoto.jsonl").write_text(line)
    Path("entry.json").write_bytes(form(answer))
    assert run("complete", "a.intoto.jsonl", "--log-entry", "entry.json", "--out", "whole.json") == 0
    assert verify() == 0


def test_several_lines_and_several_entries(
    instance: PrivateSigstore, signed: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each line finds its own, in whatever order they lie; where one has none, nothing is written."""
    both = [signed, sign(instance, "b", b"another")]
    answers = []
    for raw in both:
        line = bare_envelopes.line_of(raw)
        answers.append(bare_envelopes.logged(instance, line, bare_envelopes.pem_of(json.loads(raw)), ("dsse", "0.0.1")))
    Path("two.intoto.jsonl").write_text("\n".join(map(bare_envelopes.line_of, both)) + "\n")
    Path("entries.json").write_text(json.dumps([json.loads(answer) for answer in reversed(answers)]))
    assert run("complete", "two.intoto.jsonl", "--log-entry", "entries.json", "--out", "whole.json") == 0
    assert [*map(json.loads, Path("whole.json").read_text().splitlines())]
    capfd.readouterr()
    assert verify("whole.json", "--json") == 3, "the second is about another file"
    rows = json.loads(capfd.readouterr().out)["verdicts"]
    assert [row["verified"] for row in rows] == [True, False]
    Path("one.json").write_bytes(answers[0])
    assert run("complete", "two.intoto.jsonl", "--log-entry", "one.json", "--out", "half.json") == 3
    assert "none of the 1 log entries is about this signature" in capfd.readouterr().err
    assert not Path("half.json").exists()


def test_what_needs_no_entry_stays_as_it_is(instance: PrivateSigstore, signed: bytes) -> None:
    assert run("complete", "a.json", "--rekor", instance.url, "--out", "same.json") == 0
    assert Path("same.json").read_bytes() == signed


def test_a_log_that_cannot_be_asked(
    instance: PrivateSigstore, signed: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("a.intoto.jsonl").write_text(bare_envelopes.line_of(signed))
    ask = ("complete", "a.intoto.jsonl", "--rekor", instance.url, "--out", "whole.json")
    assert run("complete", "a.intoto.jsonl", "--out", "whole.json") == 2
    assert main.invoke(["--offline", "attest", *ask]) == 12
    for fault, code in (("down", 12), ("error", 12), ("garbage", 3)):
        instance.faults["rekor"] = fault
        assert run(*ask) == code, fault
        assert "error: " in capfd.readouterr().err
    Path("bare.jsonl").write_text(bare_envelopes.line_of(signed, certificate=False))
    assert run("complete", "bare.jsonl", "--rekor", instance.url, "--out", "whole.json") == 2
    assert "names no certificate" in capfd.readouterr().err
    assert not Path("whole.json").exists()


def test_a_payload_in_urls_base64_has_the_same_text(instance: PrivateSigstore, signed: bytes) -> None:
    """What is written anew for the hash is standard base64, as Go writes it."""
    line = bare_envelopes.line_of(signed)
    Path("entry.json").write_bytes(
        bare_envelopes.logged(instance, line, bare_envelopes.pem_of(json.loads(signed)), ("intoto", "0.0.1"))
    )
    value = json.loads(line)
    value["payload"] = base64.urlsafe_b64encode(base64.b64decode(value["payload"])).decode()
    Path("a.intoto.jsonl").write_text(json.dumps(value, indent=2))
    assert run("complete", "a.intoto.jsonl", "--log-entry", "entry.json", "--out", "whole.json") == 0
    assert verify() == 0
