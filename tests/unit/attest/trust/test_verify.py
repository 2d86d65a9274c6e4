from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from attest import signers
from attest.digests import Digest, sha256
from attest.errors import BadInput, CasstoreError, FormatError, TrustError, VerificationError
from attest.keys import keys
from attest.sigstore import sigstore_bundles
from attest.statements import envelopes, statements
from attest.statements.envelopes import Envelope, pae
from attest.statements.statements import PAYLOAD_TYPE
from attest.trust.trust_roots import Role, TrustIdentity, TrustRoot
from attest.trust.verify import VerifiedStatement, verify, verify_with_key

TYPE = "https://example.com/p/v1"
A, B, C = (sha256(name) for name in (b"a", b"b", b"c"))
DAY = timedelta(days=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = START + 10 * DAY
ANN, BEN, EVE = (signers.from_private_key(keys.generate(a)) for a in ("ecdsa-p256", "ed25519", "ecdsa-p256"))
PAYLOAD = statements.of_digests({"a": A, "b": B}, TYPE, {"k": 1}).to_bytes()


def entry(name: str, signer: signers.Signer, until: datetime | None = None, since: datetime = START) -> TrustIdentity:
    return TrustIdentity(name, signer.identity, signer.public_pem, since, until)


def trust_root(*entries: TrustIdentity, **roles: tuple[str, ...]) -> TrustRoot:
    named = {role: Role(role, names) for role, names in roles.items()}
    return TrustRoot(1, "store", START, START + 365 * DAY, entries, named, {})


ROOT = trust_root(entry("ann", ANN), entry("ben", BEN), approver=("ann",), builder=("ben",))


def check(raw: bytes, root: TrustRoot = ROOT, **changes: Any) -> VerifiedStatement:
    expected: dict[str, Any] = {"predicate_type": TYPE, "subjects": [A], "at": NOW, **changes}
    return verify(raw, trust_root=root, **expected)


def bundle(signer: signers.Signer, payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """Signed right, whatever the payload is."""
    envelope = Envelope(payload_type, payload, signer.sign_bytes(pae(payload_type, payload)))
    public = keys.public_from_pem(signer.public_pem or b"")
    return sigstore_bundles.of_managed_key(envelope, keys.public_to_der(public))


def changed(raw: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    document = json.loads(raw)
    change(document)
    return json.dumps(document).encode()


@pytest.mark.parametrize(("signer", "name", "role"), [(ANN, "ann", "approver"), (BEN, "ben", "builder")])
def test_verified(signer: signers.Signer, name: str, role: str) -> None:
    raw = signer.sign_statement(PAYLOAD)
    found = check(raw, role=role, subjects={A, B})
    assert (found.payload, found.identity, found.names, found.roles) == (PAYLOAD, signer.identity, {name}, {role})
    assert (found.bundle, found.signed_at, found.statement.digests) == (sha256(raw), None, {A, B})


def test_one_key_under_two_names_is_one_identity_with_both_names_and_roles() -> None:
    root = trust_root(entry("ann", ANN), entry("anna", ANN), approver=("ann",), builder=("anna",))
    found = check(ANN.sign_statement(PAYLOAD), root)
    assert (found.names, found.roles) == ({"ann", "anna"}, {"approver", "builder"})


@pytest.mark.parametrize("hint", ["", "another tool's name of the key", None])
def test_the_hint_decides_nothing(hint: str | None) -> None:
    def change(document: dict[str, Any]) -> None:
        document["verificationMaterial"]["publicKey"] = {} if hint is None else {"hint": hint}
        document["dsseEnvelope"]["signatures"][0].pop("keyid")

    assert check(changed(BEN.sign_statement(PAYLOAD), change)).identity == BEN.identity


def test_a_hint_of_a_trusted_key_does_not_make_a_stranger_trusted() -> None:
    def change(document: dict[str, Any]) -> None:
        document["verificationMaterial"] = json.loads(ANN.sign_statement(PAYLOAD))["verificationMaterial"]

    with pytest.raises(VerificationError, match=r"does not match .* the key that it names"):
        check(changed(EVE.sign_statement(PAYLOAD), change))


def test_a_stranger_is_refused() -> None:
    with pytest.raises(TrustError, match="no key of trust root version 1 made this signature"):
        check(EVE.sign_statement(PAYLOAD))
    with pytest.raises(TrustError, match="no key of trust root"):
        check(ANN.sign_statement(PAYLOAD), trust_root())


@pytest.mark.parametrize("subjects", [[C], [A, C], [sha256(b"")]])
def test_every_expected_subject_must_be_there(subjects: list[Digest]) -> None:
    with pytest.raises(VerificationError, match="does not speak of sha256:"):
        check(ANN.sign_statement(PAYLOAD), subjects=subjects)


@pytest.mark.parametrize("changes", [{"subjects": []}, {"subjects": A}, {"subjects": ["a"]}, {"predicate_type": ""}])
def test_what_is_expected_must_be_said(changes: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="verify:"):
        check(ANN.sign_statement(PAYLOAD), **changes)


@pytest.mark.parametrize("kind", [TYPE + "/", TYPE.upper(), "https://example.com/p/v2", TYPE[:-1]])
def test_the_predicate_type_is_compared_exactly(kind: str) -> None:
    with pytest.raises(VerificationError, match="the predicate type is"):
        check(ANN.sign_statement(PAYLOAD), predicate_type=kind)


@pytest.mark.parametrize("payload_type", ["text/plain", "", "application/vnd.in-toto+dsse", PAYLOAD_TYPE + " "])
def test_another_payload_type_is_refused_before_anything_is_parsed(payload_type: str) -> None:
    with pytest.raises(VerificationError, match="the payload type is"):
        check(bundle(ANN, b"not even JSON", payload_type))


@pytest.mark.parametrize(
    "payload", [b"", b"not JSON", b"[]", b"{}", PAYLOAD[:-1], PAYLOAD.replace(b'"k"', b'"predicate"')]
)
def test_a_signed_payload_that_is_no_statement_is_refused(payload: bytes) -> None:
    with pytest.raises(VerificationError):
        check(bundle(ANN, payload), predicate_type="x" if payload.startswith(b"{") and payload.endswith(b"}") else TYPE)


def test_a_payload_with_a_key_twice_is_refused_though_signed() -> None:
    twice = PAYLOAD.replace(b'"predicateType"', b'"predicateType":"https://example.com/other","predicateType"')
    with pytest.raises(VerificationError, match="stands twice"):
        check(bundle(ANN, twice))


def test_a_changed_payload_is_refused() -> None:
    def change(document: dict[str, Any]) -> None:
        other = statements.of_digests({"c": C}, TYPE, {"k": 1}).to_bytes()
        document["dsseEnvelope"]["payload"] = base64.b64encode(other).decode()

    with pytest.raises(VerificationError, match="does not match"):
        check(changed(ANN.sign_statement(PAYLOAD), change), subjects=[C])


def test_the_window_holds_its_start_and_not_its_end() -> None:
    root = trust_root(entry("ann", ANN, START + DAY), approver=("ann",))
    raw = ANN.sign_statement(PAYLOAD)
    assert check(raw, root, at=START)
    assert check(raw, root, at=START + DAY - timedelta(seconds=1))
    for at in (START - timedelta(minutes=11), START + DAY):
        with pytest.raises(TrustError, match="is not valid at"):
            check(raw, root, at=at)


def test_only_the_names_that_are_valid_count() -> None:
    root = trust_root(
        entry("old", ANN, START + DAY), entry("new", ANN, None, START + DAY), approver=("old",), builder=("new",)
    )
    found = check(ANN.sign_statement(PAYLOAD), root)
    assert (found.names, found.roles) == ({"new"}, {"builder"})
    with pytest.raises(TrustError, match="has not the role 'approver'"):
        check(ANN.sign_statement(PAYLOAD), root, role="approver")


def test_a_missing_role_says_who_has_it() -> None:
    with pytest.raises(TrustError, match=r"ben has not the role 'approver' \(has: builder\)") as caught:
        check(BEN.sign_statement(PAYLOAD), role="approver")
    assert "ann" in caught.value.hint


def test_a_role_that_nobody_has_is_nobodys() -> None:
    with pytest.raises(TrustError, match="has not the role"):
        check(ANN.sign_statement(PAYLOAD), role="auditor")


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"\xff", b"[]", PAYLOAD, json.dumps(envelopes.Envelope("t", b"", b"").to_json()).encode()]
)
def test_what_is_no_bundle_is_refused(raw: bytes) -> None:
    with pytest.raises(FormatError):
        check(raw)


def test_two_signatures_are_refused() -> None:
    def change(document: dict[str, Any]) -> None:
        document["dsseEnvelope"]["signatures"] *= 2

    with pytest.raises(FormatError, match="2 signatures"):
        check(changed(ANN.sign_statement(PAYLOAD), change))


def test_every_refusal_is_one_line_with_exit_code_3() -> None:
    for raw in (EVE.sign_statement(PAYLOAD), bundle(ANN, b"x", "t"), bundle(ANN, b"{}"), b"x"):
        with pytest.raises(CasstoreError) as caught:
            check(raw)
        assert caught.value.exit_code == 3
        assert "\n" not in caught.value.message


def test_with_a_key_alone() -> None:
    raw = BEN.sign_statement(PAYLOAD)
    assert BEN.public_pem and ANN.public_pem
    found = verify_with_key(raw, BEN.public_pem, predicate_type=TYPE, subjects=[A])
    assert (found.identity, found.names, found.roles) == (BEN.identity, frozenset(), frozenset())
    with pytest.raises(VerificationError, match="does not match the key"):
        verify_with_key(raw, ANN.public_pem, predicate_type=TYPE, subjects=[A])
    with pytest.raises(BadInput):
        verify_with_key(raw, BEN.public_pem, predicate_type=TYPE, subjects=[])
    with pytest.raises(VerificationError, match="payload type"):
        verify_with_key(bundle(BEN, PAYLOAD, "t"), BEN.public_pem, predicate_type=TYPE, subjects=[A])


class TestKeyless:
    """Genuine bundles by way of `verify`; test_keyless.py judges the signatures themselves."""

    DATA = Path(__file__).parents[3] / "data" / "sigstore-bundles"
    RAW = (DATA / "slsa-verifier__cli__slsa-verifier__testdata__bcr__MODULE.bazel.intoto.jsonl").read_bytes()
    SLSA = "https://slsa.dev/provenance/v1"
    SIGNED = datetime(2025, 3, 26, 23, 47, 30, tzinfo=UTC)
    PUBLISHER = (
        "oidc:https://token.actions.githubusercontent.com#https://github.com/bazel-contrib/publish-to-bcr"
        "/.github/workflows/publish.yaml@refs/tags/v0.0.1"
    )

    @pytest.fixture
    def sigstore_root(self) -> bytes:
        sigstore = pytest.importorskip("sigstore", reason="keyless verification needs the [keyless] extra")
        store = Path(sigstore.__file__).parent / "_store" / "https%3A%2F%2Ftuf-repo-cdn.sigstore.dev"
        return (store / "trusted_root.json").read_bytes()

    def root(self, since: datetime, until: datetime | None = None) -> TrustRoot:
        return trust_root(TrustIdentity("bcr", self.PUBLISHER, None, since, until), builder=("bcr",))

    def subjects(self) -> list[Digest]:
        return list(
            statements.parse(sigstore_bundles.SigstoreBundle.parse(self.RAW).statement_envelope.payload).digests
        )

    def check(self, root: TrustRoot, sigstore_root: bytes | None, **changes: Any) -> VerifiedStatement:
        expected: dict[str, Any] = {"predicate_type": self.SLSA, "subjects": self.subjects(), "at": NOW, **changes}
        return verify(self.RAW, trust_root=root, sigstore_root=sigstore_root, **expected)

    def test_verified(self, sigstore_root: bytes) -> None:
        found = self.check(self.root(self.SIGNED), sigstore_root, role="builder")
        assert (found.identity, found.names, found.signed_at) == (self.PUBLISHER, {"bcr"}, self.SIGNED)

    def test_a_signature_from_before_the_identity_was_trusted_is_refused(self, sigstore_root: bytes) -> None:
        with pytest.raises(TrustError, match="is not valid at 2025-03-26T23:47:30Z"):
            self.check(self.root(self.SIGNED + timedelta(minutes=11)), sigstore_root)

    def test_a_role_of_a_name_that_began_after_the_signature_does_not_count(self, sigstore_root: bytes) -> None:
        entries = (
            TrustIdentity("bcr", self.PUBLISHER, None, self.SIGNED, None),
            TrustIdentity("late", self.PUBLISHER, None, self.SIGNED + timedelta(days=1), None),
        )
        found = self.check(trust_root(*entries, builder=("bcr",), auditor=("late",)), sigstore_root)
        assert (found.names, found.roles) == ({"bcr"}, {"builder"})

    def test_an_identity_that_ended_is_refused(self, sigstore_root: bytes) -> None:
        with pytest.raises(TrustError, match="is not valid at 2026-01-11"):
            self.check(self.root(self.SIGNED, NOW), sigstore_root)

    def test_an_unknown_identity_is_refused(self, sigstore_root: bytes) -> None:
        with pytest.raises(TrustError, match="does not name"):
            self.check(ROOT, sigstore_root)

    def test_without_a_sigstore_root_it_is_refused(self) -> None:
        with pytest.raises(TrustError, match="no sigstore trusted root was given"):
            self.check(self.root(self.SIGNED), None)

    def test_type_and_subjects_are_checked_here_too(self, sigstore_root: bytes) -> None:
        with pytest.raises(VerificationError, match="the predicate type is"):
            self.check(self.root(self.SIGNED), sigstore_root, predicate_type=TYPE)
        with pytest.raises(VerificationError, match="does not speak of"):
            self.check(self.root(self.SIGNED), sigstore_root, subjects=[A])

    def test_a_key_alone_cannot_judge_it(self) -> None:
        with pytest.raises(VerificationError, match="signed keyless"):
            verify_with_key(self.RAW, ANN.public_pem or b"", predicate_type=self.SLSA, subjects=self.subjects())
