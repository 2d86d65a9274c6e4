"""GitLab: a protected branch, merges only after a passed pipeline (the check `pipeline`), external status checks.

Sources: REST API "Protected branches", "Projects" and "External status checks" (docs.gitlab.com/api).
"""

from __future__ import annotations

from urllib.parse import quote

from attest.errors import FormatError, PolicyDenied
from bundlers.gates.forges import Protection
from bundlers.gates.forges.client import Client, field, names
from casstore.errors import NoSuchObject

API = "https://gitlab.com/api/v4"
TOKENS = ("GITLAB_TOKEN",)
PIPELINE = "pipeline"
_ROWS = 100


def headers(token: str) -> dict[str, str]:
    """A private token."""
    return {"PRIVATE-TOKEN": token}


def protection(client: Client, repository: str, branch: str) -> Protection:
    """`pipeline` where merges need a passed one, and the external checks that the branch asks for."""
    place = f"projects/{quote(repository, safe='')}"
    project = client.get(place)
    rows = client.get(f"{place}/protected_branches?per_page={_ROWS}")
    if isinstance(rows, list) and len(rows) >= _ROWS:
        raise FormatError(f"{repository}: {_ROWS} protected branches or more are not read")
    if not _matches(branch, names(rows, "name")):
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
    return not patterns or _matches(branch, patterns)


def _matches(branch: str, patterns: frozenset[str]) -> bool:
    return any(_matches_one(branch, pattern) for pattern in patterns)


def _matches_one(branch: str, pattern: str) -> bool:
    """A star stands for anything; nothing else is special. Each part is looked for once: many stars hold nobody."""
    first, *parts = pattern.split("*")
    if not parts:
        return branch == first
    last, at = parts.pop(), len(first)
    for part in parts:
        found = branch.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return branch.startswith(first) and branch.endswith(last) and at + len(last) <= len(branch)
