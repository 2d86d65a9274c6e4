"""Genuine files of every form: what stands in them, and that it verifies; then liars beside honest ones."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from attest import canonical
from attest.digests import sha256
from attest.errors import CasstoreError, FormatError, VerificationError
from attest.sigstore import forms, keyless, rekor_answers, shown, sigstore_roots
from attest.sigstore.sigstore_bundles import SigstoreBundle
from attest.statements import statements, subjects

DATA = Path(__file__).parents[3] / "data"
FORMS = DATA / "forms"
ROOTS = (DATA / "sigstore-bundles" / "trusted_root.jsonl").read_bytes()
AT = datetime(2026, 9, 1, tzinfo=UTC)
ACTIONS = "oidc:https://token.actions.githubusercontent.com#https://github.com/"

PYPI = "trailofbits/pypi-attestations/.github/workflows/release.yml@refs/tags/v0.0.19"
NPM = "ramonpetgrave64/gundam-visor/.github/workflows/npm-publish.yml@refs/tags/v1.0.1"
GH = "sigstore/sigstore-js/.github/workflows/release.yml@refs/heads/main"
KEYLESS = [
    ("pypi.provenance.json", forms.PEP740, f"{ACTIONS}{PYPI}"),
    ("gh.download.jsonl", forms.BUNDLE, f"{ACTIONS}{GH}"),
    ("npm.attestations.json", forms.BUNDLE, f"{ACTIONS}{NPM}"),
    ("github.release.sigstore.json", forms.BUNDLE, "oidc:ca:fulcio.githubapp.com#https://dotcom.releases.github.com"),
]


def pieces(name: str) -> list[forms.Piece]:
    return forms.read((FORMS / name).read_bytes())


def bundle(piece: forms.Piece) -> SigstoreBundle:
    assert piece.raw is not None, piece.problem
    return SigstoreBundle.parse(piece.raw)


@pytest.mark.parametrize(("name", "form", "identity"), KEYLESS, ids=[row[0] for row in KEYLESS])
def test_what_forges_and_registries_serve_verifies(name: str, form: str, identity: str) -> None:
    found = [piece for piece in pieces(name) if bundle(piece).certificate]
    assert found
    for piece in found:
        judged = keyless.verify_keyless(piece.raw or b"", trusted_root_json=ROOTS, at=AT)
        statement = statements.parse(judged.payload)
        assert (piece.form, judged.identity) == (form, identity)
        assert any(set(subject.digest_set) & set(subjects.STRONG) for subject in statement.subjects)


def test_pypis_staging_attestation_has_no_predicate() -> None:
    (piece,) = pieces("pypi.publish.attestation")
    staging = pytest.importorskip("sigstore") and sigstore_roots.packaged("staging")
    judged = keyless.verify_keyless(piece.raw or b"", trusted_root_json=staging, at=AT)
    assert statements.parse(judged.payload).predicate == {}
    assert json.loads(judged.payload)["predicate"] is None


def test_npm_names_packages_by_sha512_alone() -> None:
    publish, provenance = pieces("npm.attestations.json")
    assert (publish.place, provenance.place) == ("attestations[0].bundle", "attestations[1].bundle")
    statement = statements.parse(bundle(provenance).statement_envelope.payload)
    assert (statement.digests, set(statement.subjects[0].digest_set)) == (frozenset(), {"sha512"})
    assert subjects.about(statement, {"sha512": statement.subjects[0].digest_set["sha512"]})
    assert shown.signer(bundle(publish)).startswith("a key (hint SHA256:jl3b")


def test_a_release_of_github_names_its_tag_by_sha1_and_its_files_by_sha256() -> None:
    (piece,) = pieces("github.release.sigstore.json")
    statement = statements.parse(bundle(piece).statement_envelope.payload)
    assert (statement.subjects[0].name, set(statement.subjects[0].digest_set)) == (
        "pkg:github/jdx/communique@v0.1.9",
        {"sha1"},
    )
    assert len(statement.named) == len(statement.subjects) - 1
    with pytest.raises(VerificationError, match="the keyless signature is refused"):
        production = ROOTS.splitlines()[0]
        keyless.verify_keyless(piece.raw or b"", trusted_root_json=production, at=AT)


def test_a_blob_that_cosign_signed() -> None:
    (piece,) = pieces("cosign.blob.sigstore.json")
    artifact = sha256((FORMS / "cosign.blob.txt").read_bytes())
    found = keyless.verify_keyless_artifact(piece.raw or b"", artifact, trusted_root_json=ROOTS, at=AT)
    assert found.identity.endswith("@gmail.com")
    assert shown.of(bundle(piece))["what"] == "a signature over a file"
    with pytest.raises(VerificationError):
        keyless.verify_keyless_artifact(piece.raw or b"", sha256(b"other"), trusted_root_json=ROOTS, at=AT)


def as_cosign_kept_it() -> dict[str, Any]:
    """The same signature in the form that `cosign sign-blob --bundle` wrote before version 3."""
    document = json.loads((FORMS / "cosign.blob.sigstore.json").read_bytes())
    entry = document["verificationMaterial"]["tlogEntries"][0]
    der = base64.b64decode(document["verificationMaterial"]["certificate"]["rawBytes"])
    pem = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"
    payload = {
        "body": entry["canonicalizedBody"],
        "integratedTime": int(entry["integratedTime"]),
        "logIndex": int(entry["logIndex"]),
        "logID": base64.b64decode(entry["logId"]["keyId"]).hex(),
    }
    return {
        "base64Signature": document["messageSignature"]["signature"],
        "cert": base64.b64encode(pem).decode(),
        "rekorBundle": {
            "SignedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
            "Payload": payload,
        },
    }


def test_cosigns_own_form_is_judged_by_the_logs_promise() -> None:
    value = as_cosign_kept_it()
    artifact = sha256((FORMS / "cosign.blob.txt").read_bytes())
    (piece,) = forms.read(json.dumps(value).encode())
    assert piece.form == forms.COSIGN
    assert keyless.verify_keyless_artifact(piece.raw or b"", artifact, trusted_root_json=ROOTS, at=AT)
    value["rekorBundle"]["Payload"]["integratedTime"] += 1
    (late,) = forms.read(json.dumps(value).encode())
    with pytest.raises(VerificationError, match="promise"):
        keyless.verify_keyless_artifact(late.raw or b"", artifact, trusted_root_json=ROOTS, at=AT)


def test_an_slsa_generators_line_needs_its_log_entry() -> None:
    (piece,) = pieces("slsa-go.intoto.jsonl")
    assert piece.form == forms.DSSE
    assert rekor_answers.lacks_entry(bundle(piece))
    assert "builder_go_slsa3.yml" in shown.signer(bundle(piece))
    with pytest.raises(VerificationError, match="no proven signing time"):
        keyless.verify_keyless(piece.raw or b"", trusted_root_json=ROOTS, at=AT)


INTOTO = DATA / "sigstore-bundles" / "sigstore-js__tests__bundles__bundleV02-intoto.sigstore"


def as_a_line(path: Path) -> tuple[bytes, bytes]:
    """A genuine bundle as an SLSA generator writes it, and its entry as Rekor's API answers it."""
    document = json.loads(path.read_bytes())
    material, envelope = document["verificationMaterial"], document["dsseEnvelope"]
    der = base64.b64decode(material["x509CertificateChain"]["certificates"][0]["rawBytes"])
    pem = f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(der).decode()}-----END CERTIFICATE-----\n"
    line = {**envelope, "signatures": [{"keyid": "", "sig": envelope["signatures"][0]["sig"], "cert": pem}]}
    entry = material["tlogEntries"][0]
    proof = entry["inclusionProof"]
    answer = {
        "body": entry["canonicalizedBody"],
        "integratedTime": int(entry["integratedTime"]),
        "logID": base64.b64decode(entry["logId"]["keyId"]).hex(),
        "logIndex": int(entry["logIndex"]),
        "verification": {
            "signedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
            "inclusionProof": {
                "logIndex": int(proof["logIndex"]),
                "treeSize": int(proof["treeSize"]),
                "rootHash": base64.b64decode(proof["rootHash"]).hex(),
                "hashes": [base64.b64decode(item).hex() for item in proof["hashes"]],
                "checkpoint": proof["checkpoint"]["envelope"],
            },
        },
    }
    return json.dumps(line).encode(), json.dumps([{"uuid": answer}]).encode()


def test_a_line_with_its_log_entry_verifies() -> None:
    line, answer = as_a_line(INTOTO)
    (piece,) = forms.read(line)
    whole = rekor_answers.completed(piece.raw or b"", [answer])
    assert keyless.verify_keyless(whole, trusted_root_json=ROOTS, at=AT).payload
    asked = [json.loads(question) for question in rekor_answers.questions(piece.raw or b"")]
    kinds = [[(entry["kind"], entry["apiVersion"]) for entry in question["entries"]] for question in asked]
    assert kinds == [[("intoto", "0.0.1"), ("dsse", "0.0.1"), ("intoto", "0.0.2")]] * 2


def test_what_is_asked_is_the_very_text_that_the_generator_wrote() -> None:
    """A log finds an entry by the hash of what was logged, to the byte."""
    raw = (FORMS / "slsa-go.intoto.jsonl").read_bytes()
    (piece,) = forms.read(raw)
    with_certificate, without = map(json.loads, rekor_answers.questions(piece.raw or b""))
    assert with_certificate["entries"][0]["spec"]["content"]["envelope"].encode() == raw
    assert with_certificate["entries"][1]["spec"]["proposedContent"]["envelope"].encode() == raw
    hashed = with_certificate["entries"][2]["spec"]["content"]["hash"]["value"]
    assert sha256(raw) == f"sha256:{hashed}"
    certificate = json.loads(raw)["signatures"][0]["cert"]
    assert certificate.encode() == base64.b64decode(with_certificate["entries"][0]["spec"]["publicKey"])
    assert without["entries"][0]["spec"]["content"]["envelope"].encode() == raw.replace(
        b',"cert":' + json.dumps(certificate).encode(), b""
    )


def test_a_line_with_the_entry_of_another_is_refused() -> None:
    (piece,) = pieces("slsa-go.intoto.jsonl")
    with pytest.raises(VerificationError, match="none of the 1 log entries is about this signature"):
        rekor_answers.completed(piece.raw or b"", [as_a_line(INTOTO)[1]])


@pytest.mark.parametrize(
    "answer",
    [
        b"[]",
        b"{}",
        b"[{}]",
        b'[{"u":{}}]',
        b'{"u":3}',
        b"null",
        b'{"u":{},"v":{}}',
        b"[3]",
        b'{"SignedEntryTimestamp":1}',
    ],
)
def test_what_is_no_answer_of_a_log(answer: bytes) -> None:
    (piece,) = pieces("slsa-go.intoto.jsonl")
    with pytest.raises(FormatError):
        rekor_answers.completed(piece.raw or b"", [answer])


def test_more_entries_than_anybody_needs_are_refused() -> None:
    (piece,) = pieces("slsa-go.intoto.jsonl")
    for answer in (b"[" + b",".join([b"{}"] * 4097) + b"]", json.dumps({f"{n}": 0 for n in range(4097)}).encode()):
        with pytest.raises(FormatError, match="more log entries in one file than the limit"):
            rekor_answers.completed(piece.raw or b"", [answer])


def test_two_lines_of_which_one_lies() -> None:
    good, _ = (FORMS / "gh.download.jsonl").read_bytes().splitlines()
    document = json.loads(good)
    payload = json.loads(base64.b64decode(document["dsseEnvelope"]["payload"]))
    payload["subject"][0]["digest"]["sha512"] = "0" * 128
    document["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()
    lines = b"\n".join((json.dumps(document).encode(), good, b'{"cut": }'))
    lie, honest, broken = forms.read(lines)
    assert (lie.place, honest.place, broken.place) == ("line 1", "line 2", "line 3")
    assert keyless.verify_keyless(honest.raw or b"", trusted_root_json=ROOTS, at=AT)
    with pytest.raises(VerificationError):
        keyless.verify_keyless(lie.raw or b"", trusted_root_json=ROOTS, at=AT)
    assert broken.raw is None and broken.problem


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (b"", b"%s", [("line 2", forms.BROKEN)]),
        (b"%s", b"", [("line 1", forms.BROKEN)]),
        (b"# exported by a script\n# on monday", b"", [("line 1 to 2", forms.JSON)]),
        (b"[", b",]", [("line 1", forms.JSON), ("line 3", forms.JSON)]),
    ],
    ids=["cut-at-the-end", "cut-first", "comments", "brackets"],
)
def test_a_broken_line_hides_no_other(before: bytes, after: bytes, told: list[tuple[str, str]]) -> None:
    """A download that broke off, a file that was put together by hand: the whole is no JSON, its good lines are."""
    good, _ = (FORMS / "gh.download.jsonl").read_bytes().splitlines()
    cut = good[:2000]
    lines = [line for line in (before.replace(b"%s", cut), good, after.replace(b"%s", cut)) if line]
    found = forms.read(b"\n".join(lines))
    assert [(piece.place, piece.form) for piece in found if piece.raw is None] == told
    assert [piece.raw for piece in found if piece.raw] == [good]


def test_two_holders_in_one_object_hide_nothing() -> None:
    good, _ = (FORMS / "gh.download.jsonl").read_bytes().splitlines()
    found = forms.read(b'{"attestations":[],"bundle":' + good + b',"attestation":{"bundle":' + good + b"}}")
    assert [piece.place for piece in found] == ["bundle", "attestation.bundle"]
    assert all(piece.raw for piece in found)


def test_a_pep_740_object_is_as_strict_as_a_bundle() -> None:
    value = json.loads((FORMS / "pypi.provenance.json").read_bytes())["attestation_bundles"][0]["attestations"][0]
    other = json.loads(base64.b64decode(value["envelope"]["statement"]))
    other["subject"][0]["name"] = "evil.tar.gz"
    changes: list[tuple[str, str, Any]] = [
        ("envelope", "statement", base64.b64encode(json.dumps(other).encode()).decode()),
        ("envelope", "signature", "AAAA"),
        ("verification_material", "transparency_entries", []),
        ("verification_material", "certificate", "AAAA"),
    ]
    for part, key, new in changes:
        changed = {**value, part: {**value[part], key: new}}
        with pytest.raises(CasstoreError):
            (piece,) = forms.read(json.dumps(changed).encode())
            keyless.verify_keyless(piece.raw or b"{}", trusted_root_json=ROOTS, at=AT)
    (piece,) = forms.read(json.dumps({**value, "version": 2}).encode())
    assert piece.problem == "PEP 740: only version 1 is known"


def test_an_envelope_with_several_signatures_gives_one_bundle_each() -> None:
    envelope = json.loads((FORMS / "vsa.intoto.jsonl").read_bytes())
    envelope["signatures"] = [*envelope["signatures"], {"sig": "AAAA", "keyid": "second"}]
    one, two = forms.read(json.dumps(envelope).encode())
    assert (one.place, two.place) == ("signature 1", "signature 2")
    assert bundle(one).statement_envelope.payload == bundle(two).statement_envelope.payload
    assert bundle(two).statement_envelope.keyid == "second"


def test_a_bundle_stays_the_very_bytes() -> None:
    raw = (FORMS / "github.release.sigstore.json").read_bytes()
    assert [piece.raw for piece in forms.read(raw)] == [raw]
    lines = (FORMS / "gh.download.jsonl").read_bytes().splitlines()
    assert [piece.raw for piece in pieces("gh.download.jsonl")] == lines


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ({"@context": "https://openvex.dev/ns/v0.2.0", "statements": []}, "OpenVEX document"),
        ({"bomFormat": "CycloneDX", "specVersion": "1.6"}, "CycloneDX document"),
        ({"spdxVersion": "SPDX-2.3"}, "SPDX document"),
        ({"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": []}, "SPDX document"),
        ({"_type": "https://in-toto.io/Statement/v1"}, "in-toto statement"),
        ({"name": "package.json"}, "JSON"),
    ],
)
def test_what_nobody_signed_is_told(value: dict[str, Any], form: str) -> None:
    (piece,) = forms.read(json.dumps(value).encode())
    assert (piece.form, piece.raw) == (form, None)
    assert piece.problem


def test_a_classic_link_is_told_with_a_way_out() -> None:
    (piece,) = pieces("in-toto.link")
    assert piece.raw is None and "no statement about a digest" in piece.problem
    assert "in-toto-verify" in piece.hint


@pytest.mark.parametrize("raw", [b"", b"\xff", b"x", b"3", b'{"a":1,"a":2}', b"{" * 100, b"[]", b"{}\n{", b"[[[]]]"])
def test_what_is_no_attestation_at_all(raw: bytes) -> None:
    try:
        found = forms.read(raw)
    except CasstoreError as exc:
        assert "\n" not in exc.message
    else:
        assert all(piece.raw is None and piece.problem for piece in found)


def test_more_than_anybody_needs_is_refused() -> None:
    with pytest.raises(FormatError, match="more than the limit"):
        forms.read(b"[" + b",".join([b"{}"] * (forms.MAX_PIECES + 1)) + b"]")


def test_what_is_shown_of_each() -> None:
    for path in sorted(FORMS.iterdir()):
        if path.suffix in (".md", ".txt"):
            continue
        for piece in forms.read(path.read_bytes()):
            if piece.raw is not None:
                said = shown.of(SigstoreBundle.parse(piece.raw))
                assert said["signer"] and said["what"]
                canonical.dumps({"said": json.loads(json.dumps(said))})
