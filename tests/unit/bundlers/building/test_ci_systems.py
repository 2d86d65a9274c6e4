"""What CI systems say of a run, and that it stands in the provenance."""

from __future__ import annotations

from pathlib import Path

import pytest

from attest.statements.predicates import slsa_provenance
from bundlers.building import ci_systems
from casstore.store.attestations import find
from tests.support.lines import TOML, Line

SHA = "0123456789abcdef0123456789abcdef01234567"
GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "owner/repo",
    "GITHUB_REF": "refs/tags/v1.0.0",
    "GITHUB_SHA": SHA,
    "GITHUB_RUN_ID": "77",
    "GITHUB_RUN_ATTEMPT": "2",
    "GITHUB_WORKFLOW_REF": "owner/repo/.github/workflows/release.yml@refs/tags/v1.0.0",
    "GITHUB_EVENT_NAME": "push",
    "GITHUB_TOKEN": "ghs_not_to_be_read",
}
GITLAB = {
    "GITLAB_CI": "true",
    "CI_SERVER_URL": "https://gitlab.com",
    "CI_PROJECT_PATH": "group/project",
    "CI_PROJECT_URL": "https://gitlab.com/group/project",
    "CI_COMMIT_REF_NAME": "main",
    "CI_COMMIT_SHA": SHA,
    "CI_JOB_URL": "https://gitlab.com/group/project/-/jobs/5",
    "CI_PIPELINE_SOURCE": "push",
    "CI_JOB_TOKEN": "not_to_be_read",
}


def test_github() -> None:
    run = ci_systems.of(GITHUB)
    assert run is not None
    assert run.builder == "https://github.com/owner/repo/.github/workflows/release.yml@refs/tags/v1.0.0"
    assert run.invocation == "https://github.com/owner/repo/actions/runs/77/attempts/2"
    assert run.parameters() == {"source": {"uri": "git+https://github.com/owner/repo", "ref": "refs/tags/v1.0.0"}}
    assert run.details == {"event": "push"}


@pytest.mark.parametrize(("more", "ref"), [({}, "refs/heads/main"), ({"CI_COMMIT_TAG": "v1"}, "refs/tags/v1")])
def test_gitlab(more: dict[str, str], ref: str) -> None:
    run = ci_systems.of({**GITLAB, **more})
    assert run is not None
    assert run.builder == f"https://gitlab.com/group/project//.gitlab-ci.yml@{ref}"
    assert (run.ref, run.commit) == (ref, SHA)


@pytest.mark.parametrize(
    "environment", [{}, {"GITHUB_ACTIONS": "true"}, {"GITLAB_CI": "true"}, {**GITHUB, "GITHUB_ACTIONS": "1"}]
)
def test_nowhere_and_not_enough(environment: dict[str, str]) -> None:
    assert ci_systems.of(environment) is None


def test_it_stands_in_the_provenance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GITHUB.items():
        monkeypatch.setenv(name, value)
    line = Line.make(tmp_path, toml=TOML)
    report = line.put("1.0.0")
    (found,) = find(line.store, report.components[0].report.tree)
    predicate = found.statement.predicate
    assert slsa_provenance.builder_of(predicate) == ci_systems.of(GITHUB).builder  # type: ignore[union-attr]
    assert "https://github.com/owner/repo@refs/tags/v1.0.0" in slsa_provenance.sources_of(predicate)
    source = predicate["buildDefinition"]["resolvedDependencies"][1]
    assert source == {"uri": "git+https://github.com/owner/repo@refs/tags/v1.0.0", "digest": {"gitCommit": SHA}}
    assert b"not_to_be_read" not in found.raw
