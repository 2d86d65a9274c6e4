"""Gitea and Forgejo: the protection that is in force for a branch.

Source: REST API "Get a repository's branch" (docs.gitea.com/api, forgejo.org/docs/latest/user/api-usage).
"""

from __future__ import annotations

from urllib.parse import quote

from bundlers.gates.forges import Protection
from bundlers.gates.forges.client import Client, field, names

API = ""
TOKENS = ("GITEA_TOKEN", "FORGEJO_TOKEN")


def headers(token: str) -> dict[str, str]:
    """An access token."""
    return {"Authorization": f"token {token}"}


def protection(client: Client, repository: str, branch: str) -> Protection:
    """Checks count where checking is switched on."""
    found = client.get(f"api/v1/repos/{quote(repository)}/branches/{quote(branch, safe='')}")
    on = field(found, "enable_status_check") is True
    checks = names(field(found, "status_check_contexts")) if on else frozenset()
    return Protection(field(found, "protected") is True, checks)
