"""Signers by named fields of their certificates, over a genuine one; a look-alike of each field is an attack."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import moves
import pytest
from moves import NOW

from attest.ceremony import told
from attest.errors import FormatError, TrustError, VerificationError
from attest.sigstore import keyless
from attest.sigstore.sigstore_bundles import SigstoreBundle
from attest.statements import statements
from attest.trust import certificate_conditions, trust_roots
from attest.trust.certificate_conditions import CertificateConditions
from attest.trust.trust_roots import Role, TrustIdentity, TrustRoot
from attest.trust.verify import VerifiedStatement, verify

DATA = Path(__file__).parents[3] / "data" / "sigstore-bundles"
RAW = (DATA / "slsa-verifier__cli__slsa-verifier__testdata__bcr__MODULE.bazel.intoto.jsonl").read_bytes()
ROOTS = (DATA / "trusted_root.jsonl").read_bytes()
SLSA = "https://slsa.dev/provenance/v1"
AT = datetime(2026, 9, 1, tzinfo=UTC)
ISSUER = "https://token.actions.githubusercontent.com"
ASKED: dict[str, Any] = {
    "issuer": ISSUER,
    "repository": "https://github.com/aspect-build/rules_lint",
    "repositoryId": "631710741",
    "ownerId": "60951090",
    "workflow": "https://github.com/bazel-contrib/publish-to-bcr/.github/workflows/publish.yaml",
    "branches": ["publish-*"],
    "runner": "github-hosted",
    "events": ["release", "workflow_dispatch"],
}
CLAIMS = keyless.verify_keyless(RAW, trusted_root_json=ROOTS, at=AT).claims


def conditions(**changes: Any) -> CertificateConditions:
    asked = {**ASKED, **changes}
    return certificate_conditions.parse({k: v for k, v in asked.items() if v is not None}, "identity ci")


def root(*entries: TrustIdentity, builders: tuple[str, ...] = ("ci",)) -> TrustRoot:
    before = moves.root()
    known = tuple(sorted((*(e for e in before.identities if e.name not in builders), *entries), key=lambda e: e.name))
    return replace(before, identities=known, roles={**before.roles, "builder": Role("builder", builders)})


def entry(asked: CertificateConditions, name: str = "ci") -> TrustIdentity:
    return TrustIdentity(name, asked.identity, None, datetime(2020, 1, 1, tzinfo=UTC), certificate=asked)


def judge(trust_root: TrustRoot, **changes: Any) -> VerifiedStatement:
    subjects = statements.parse(SigstoreBundle.parse(RAW).statement_envelope.payload).digests
    expected: dict[str, Any] = {"predicate_type": SLSA, "subjects": subjects, "at": NOW, "role": "builder", **changes}
    return verify(RAW, trust_root=trust_root, sigstore_root=ROOTS, **expected)


def test_a_certificate_that_says_all_of_it_is_the_identity() -> None:
    asked = conditions()
    found = judge(root(entry(asked)))
    assert (found.identity, found.names, found.roles) == (asked.identity, {"ci"}, {"builder"})
    assert found.proven.endswith("publish.yaml@refs/tags/v0.0.1"), "what the certificate itself says is kept"


LOOK_ALIKES: list[tuple[str, Any]] = [
    ("issuer", "https://token.actions.githubusercontent.com.evil.example"),
    ("repository", "https://github.com/aspect-build/rules_lint-evil"),
    ("repository", "https://github.com/aspect-build/rules_lin"),
    ("repository", "https://github.com/aspect-build/Rules_Lint"),
    ("repository", "https://github.com/aspect-builds/rules_lint"),
    ("repositoryId", "6317107410"),
    ("repositoryId", "63171074"),
    ("ownerId", "60951091"),
    ("workflow", ".github/workflows/publish.yaml"),
    ("workflow", "https://github.com/bazel-contrib/publish-to-bcr/.github/workflows/publish.yml"),
    ("workflow", "https://github.com/bazel-contrib/publish-to-bcr-evil/.github/workflows/publish.yaml"),
    ("workflow", "https://github.com/bazel-contrib/publish-to-bcr"),
    ("branches", ["publish"]),
    ("branches", ["publish-to-bc"]),
    ("branches", ["*/publish-to-bcr"]),
    ("branches", ["p.blish-to-bcr"]),
    ("branches", ["refs/heads/publish-to-bcr"]),
    ("branches", ["(publish-to-bcr)"]),
    ("runner", "self-hosted"),
    ("runner", "github-hosted "),
    ("events", ["push"]),
    ("events", ["workflow"]),
]


@pytest.mark.parametrize(("field", "value"), LOOK_ALIKES)
def test_a_look_alike_of_each_field_is_somebody_else(field: str, value: Any) -> None:
    with pytest.raises(TrustError, match="does not name"):
        judge(root(entry(conditions(**{field: value}))))


def test_gitlab_writes_two_slashes_before_the_path() -> None:
    """As Fulcio's certificates for GitLab name it; another project's file of that path is none of it."""
    asked = {"issuer": "https://gitlab.com", "repository": "https://gitlab.com/team/core", "workflow": ".gitlab-ci.yml",
             "tags": ["v*"], "repositoryId": "55235664", "runner": "gitlab-hosted", "events": ["push"]}  # fmt: skip
    found = certificate_conditions.parse(asked, "identity ci")
    claims = {
        "buildSignerUri": "https://gitlab.com/team/core//.gitlab-ci.yml@refs/tags/v1.4.0",
        "sourceRepositoryUri": "https://gitlab.com/team/core",
        "sourceRepositoryRef": "refs/tags/v1.4.0",
        "sourceRepositoryId": "55235664",
        "runnerEnvironment": "gitlab-hosted",
        "buildTrigger": "push",
    }
    assert found.fits("https://gitlab.com", claims)
    for name, lie in (
        ("buildSignerUri", "https://gitlab.com/team/core2//.gitlab-ci.yml@refs/tags/v1.4.0"),
        ("buildSignerUri", "https://gitlab.com/team/core///.gitlab-ci.yml@refs/tags/v1.4.0"),
        ("buildSignerUri", "https://gitlab.com/team/core//x/.gitlab-ci.yml@refs/tags/v1.4.0"),
        ("sourceRepositoryUri", "https://gitlab.com/team/core/"),
        ("sourceRepositoryRef", "refs/heads/v1.4.0"),
    ):
        assert not found.fits("https://gitlab.com", {**claims, name: lie}), lie
    assert not found.fits("https://gitlab.example", claims)


def test_tags_are_no_branches() -> None:
    with pytest.raises(TrustError, match="does not name"):
        judge(root(entry(conditions(branches=None, tags=["publish-*"]))))


@pytest.mark.parametrize(
    "missing", ["sourceRepositoryId", "runnerEnvironment", "buildSignerUri", "sourceRepositoryRef"]
)
def test_a_certificate_that_is_silent_says_nothing(missing: str) -> None:
    claims = {name: value for name, value in CLAIMS.items() if name != missing}
    assert conditions().fits(ISSUER, CLAIMS)
    assert not conditions().fits(ISSUER, claims)
    assert not conditions().fits(ISSUER, {})


def refs(ref: str, **asked: Any) -> bool:
    claims: Mapping[str, str] = {**CLAIMS, "sourceRepositoryRef": ref}
    return conditions(**{"branches": None, **asked}).fits(ISSUER, claims)


def test_patterns_are_anchored_and_stop_at_a_slash() -> None:
    assert refs("refs/tags/v1.4.0", tags=["v*"]) and refs("refs/tags/v1.4.0", tags=["x", "v1.*.0"])
    for ref in ("refs/tags/v1/evil", "refs/tags/xv1", "refs/heads/v1", "refs/tags/", "v1", "refs/pull/7/merge", ""):
        assert not refs(ref, tags=["v*"]), ref
    assert not refs("refs/heads/refs/tags/v1", tags=["v*"])
    assert refs("refs/heads/release/1.4", branches=["release/*"])
    assert not refs("refs/heads/release/1/4", branches=["release/*"])
    assert not refs("refs/tags/v1\n", tags=["v1"]) and not refs("refs/tags/v1x", tags=["v1"])


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"branches": None}, "branches or tags must be named"),
        ({"repository": "github.com/a/b"}, "repository is no https URL"),
        ({"repository": "https://github.com/a/b/"}, "repository is no https URL"),
        ({"issuer": "https://x#y"}, "issuer is no https URL"),
        ({"workflow": "a.yml@refs/heads/main"}, "workflow is written without @ref"),
        ({"repository": "https://github.com/team/*"}, "a . stands in refs alone"),
        ({"events": [""]}, "a field is empty"),
        ({"repository": None}, "'repository' is missing"),
        ({"workflow": None}, "'workflow' is missing"),
        ({"pattern": ".*"}, "unknown field 'pattern'"),
        ({"tags": "v*"}, "tags is not a list of texts"),
    ],
)
def test_conditions_that_would_take_too_much_are_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(FormatError, match=why):
        conditions(**changes)


def test_one_signer_is_one_identity() -> None:
    wide, narrow = conditions(), conditions(events=None)
    both = root(entry(wide), entry(narrow, "ci2"), builders=("ci", "ci2"))
    with pytest.raises(TrustError, match="the conditions of ci and of ci2 both fit"):
        judge(both)
    same = root(entry(wide), entry(wide, "again"), builders=("ci", "again"))
    assert judge(same).names == {"ci", "again"}, "two names of one identity are one signer"
    exact = judge(same).proven
    named = TrustIdentity("exact", exact, None, datetime(2020, 1, 1, tzinfo=UTC))
    assert judge(root(entry(wide), named, builders=("ci", "exact"))).names == {"exact"}


def test_the_document_says_all_and_the_identity_is_computed_from_it() -> None:
    value = root(entry(conditions())).to_json()
    assert trust_roots.parse(value).to_json() == value
    lines = told.lines(root(entry(conditions())).statement().to_bytes())
    shown = [line.partition("identities.ci.certificate.")[2] for line in lines if "identities.ci.certificate." in line]
    assert len(shown) == 9 and 'repositoryId = "631710741"' in shown and 'branches.0 = "publish-*"' in shown
    for change in (
        {"certificate": {**value["identities"]["ci"]["certificate"], "branches": ["*"]}},
        {"identity": "oidc:https://x#claims:" + "0" * 64},
        {"identity": "oidc:https://token.actions.githubusercontent.com#a", "certificate": ASKED},
    ):
        changed = json.loads(json.dumps(value))
        changed["identities"]["ci"].update(change)
        with pytest.raises(FormatError, match="identity is not that of its conditions"):
            trust_roots.parse(changed)
    bare = json.loads(json.dumps(value))
    del bare["identities"]["ci"]["certificate"]
    with pytest.raises(FormatError, match="identity is not that of its conditions"):
        trust_roots.parse(bare)


def test_no_certificate_may_name_its_subject_as_conditions_do() -> None:
    from cryptography import x509

    from attest.sigstore import certificates

    class Extensions(list[Any]):
        def get_extension_for_class(self, _: Any) -> Any:
            names = [x509.UniformResourceIdentifier("claims:" + "0" * 64)]
            return type("E", (), {"value": names})()

    certificate: Any = type("C", (), {"extensions": Extensions()})()
    with pytest.raises(VerificationError, match="only a trust root's conditions"):
        certificates.issuer_and_subject(certificate, "x")
