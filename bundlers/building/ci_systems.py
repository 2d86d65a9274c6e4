"""What the CI system says of the run that we are in: source, builder, invocation.

For the provenance of components (docs/formats/predicates/build-types.md). It is what the signer
claims of its own run, read from the environment that GitHub Actions and GitLab CI document; no
secret among it is read. Elsewhere Git itself is asked (`provenance.revision_of`).

    run = of(os.environ)            # None outside a known CI system
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from attest.core.values import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a pipeline."""

    system: str
    """`github` or `gitlab`: the key of `details` in the provenance."""
    builder: str
    """The URI of the workflow, at its revision."""
    source: str
    """The repository's URI."""
    ref: str
    commit: str
    invocation: str
    """The URL of the run."""
    details: Mapping[str, str] = field(default_factory=dict)

    def parameters(self) -> dict[str, Any]:
        """For `externalParameters`."""
        return {"source": {"uri": f"git+{self.source}", "ref": self.ref}}


_GITHUB = {
    "event": "GITHUB_EVENT_NAME",
    "repositoryId": "GITHUB_REPOSITORY_ID",
    "repositoryOwnerId": "GITHUB_REPOSITORY_OWNER_ID",
    "runner": "RUNNER_ENVIRONMENT",
    "actor": "GITHUB_ACTOR",
}
_GITLAB = {
    "event": "CI_PIPELINE_SOURCE",
    "projectId": "CI_PROJECT_ID",
    "pipelineId": "CI_PIPELINE_ID",
    "jobId": "CI_JOB_ID",
    "runnerId": "CI_RUNNER_ID",
}


def of(environment: Mapping[str, str]) -> Run | None:
    """The run of a known CI system; None elsewhere, and where it does not say enough."""
    try:
        if environment.get("GITHUB_ACTIONS") == "true":
            return _github(environment)
        if environment.get("GITLAB_CI") == "true":
            return _gitlab(environment)
    except KeyError:
        return None
    return None


def _github(env: Mapping[str, str]) -> Run:
    server = env["GITHUB_SERVER_URL"]
    repository = f"{server}/{env['GITHUB_REPOSITORY']}"
    return Run(
        "github",
        f"{server}/{env['GITHUB_WORKFLOW_REF']}",
        repository,
        env["GITHUB_REF"],
        env["GITHUB_SHA"],
        f"{repository}/actions/runs/{env['GITHUB_RUN_ID']}/attempts/{env.get('GITHUB_RUN_ATTEMPT', '1')}",
        _said(env, _GITHUB),
    )


def _gitlab(env: Mapping[str, str]) -> Run:
    tag = env.get("CI_COMMIT_TAG")
    ref = f"refs/tags/{tag}" if tag else f"refs/heads/{env['CI_COMMIT_REF_NAME']}"
    path = env.get("CI_CONFIG_PATH") or ".gitlab-ci.yml"
    return Run(
        "gitlab",
        f"{env['CI_SERVER_URL']}/{env['CI_PROJECT_PATH']}//{path}@{ref}",
        env["CI_PROJECT_URL"],
        ref,
        env["CI_COMMIT_SHA"],
        env["CI_JOB_URL"],
        _said(env, _GITLAB),
    )


def _said(env: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    return {key: env[name] for key, name in names.items() if env.get(name)}
