"""GitLab: a protected branch, merges only after a passed pipeline (the check `pipeline`), external status checks.

Sources: REST API "Protected branches", "Projects" and "External status checks" (docs.gitlab.com/api).
"""

from __future__ import annotations

import fnmatch
from urllib.parse import quote

from attest.errors import PolicyDenied
from bundlers.forges import Protection
from bundlers.forges.client import Client, field, names
from casstore.errors import NoSuchObject

API = "https://gitlab.com/api/v4"
TOKENS = ("GITLAB_TOKEN", "CI_JOB_TOKEN")
PIPELINE = "pipeline"


def headers(token: str) -> dict[str, str]:
    """A private token."""
    return {"PRIVATE-TOKEN": token}


def protection(client: Client, repository: str, branch: str) -> Protection:
    """`pipeline` where merges need a passed one, and the external checks that the branch asks for."""
    place = f"projects/{quote(repository, safe='')}"
    project = client.get(place)
    rows = client.get(f"{place}/protected_branches?per_page=100")
    patterns = names(rows, "name")
    if not any(fnmatch.fnmatchcase(branch, pattern) for pattern in patterns):
        return Protection(False)
    pipeline = field(project, "only_allow_merge_if_pipeline_succeeds") is True
    return Protection(True, (frozenset({PIPELINE}) if pipeline else frozenset()) | _external(client, place, branch))


def _external(client: Client, place: str, branch: str) -> frozenset[str]:
    """Those of all branches, or of this one; an edition without them has none."""
    try:
        rows = client.get(f"{place}/external_status_checks?per_page=100")
    except (NoSuchObject, PolicyDenied):
        return frozenset()
    mine = [row for row in rows if _is_for(row, branch)] if isinstance(rows, list) else []
    return names(mine, "name")


def _is_for(row: object, branch: str) -> bool:
    patterns = names(field(row, "protected_branches"), "name")
    return not patterns or any(fnmatch.fnmatchcase(branch, pattern) for pattern in patterns)
