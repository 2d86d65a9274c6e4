"""GitHub: the branch's own protection, and the rules of rulesets that apply to it.

Sources: REST API "Get a branch" and "Get rules for a branch" (docs.github.com/rest).
"""

from __future__ import annotations

from urllib.parse import quote

from bundlers.gates.forges import Protection
from bundlers.gates.forges.client import Client, field, names

API = "https://api.github.com"
TOKENS = ("GITHUB_TOKEN", "GH_TOKEN")
_RULE = "required_status_checks"


def headers(token: str) -> dict[str, str]:
    """A bearer token, and the version of the API that is read here."""
    return {
        "Authorization": f"Bearer {token}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
    }


def protection(client: Client, repository: str, branch: str) -> Protection:
    """Checks of both kinds of protection together."""
    place = f"repos/{quote(repository)}"
    found = client.get(f"{place}/branches/{quote(branch, safe='')}")
    rules = client.get(f"{place}/rules/branches/{quote(branch, safe='')}?per_page=100")
    asked = field(found, "protection", _RULE)
    checks: frozenset[str] = frozenset()
    if field(asked, "enforcement_level") != "off":
        checks |= names(field(asked, "contexts")) | names(field(asked, "checks"), "context")
    active = [rule for rule in rules if isinstance(rule, dict)] if isinstance(rules, list) else []
    for rule in active:
        if rule.get("type") == _RULE:
            checks |= names(field(rule, "parameters", _RULE), "context")
    return Protection(field(found, "protected") is True or bool(active), checks)
