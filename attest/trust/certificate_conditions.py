"""A keyless signer by named fields of its certificate, for CI systems whose subject changes with each tag.

A workflow that runs from tags signs as `.../release.yml@refs/tags/v1.4.0`, another subject each time. An identity
of the trust root may say instead which repository, workflow, refs, runner and event count. Each field is compared
whole; a `*` in a branch or tag stands for any characters but `/`; there are no regular expressions.

    conditions = parse({"issuer": ..., "repository": "https://github.com/team/core", "repositoryId": "12345",
                        "workflow": ".github/workflows/release.yml", "tags": ["v*"]}, "trust root: identity ci")
    conditions.identity                      # 'oidc:<issuer>#claims:<digest>': the same for the same conditions
    conditions.fits(issuer, claims)          # whether a certificate's claims are these

Source of the fields: https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from attest import canonical
from attest.core.fields import Fields
from attest.core.values import dataclass
from attest.digests import hex_of, sha256
from attest.errors import FormatError
from attest.keys import identities

PREFIX = "claims:"
"""How the subject of such an identity begins; no certificate may name its subject so."""

_OPTIONAL = ("repositoryId", "ownerId", "branches", "tags", "runner", "events")
_HEADS, _TAGS = "refs/heads/", "refs/tags/"
_EXACT = {
    "repository": "sourceRepositoryUri",
    "repositoryId": "sourceRepositoryId",
    "ownerId": "sourceRepositoryOwnerId",
    "runner": "runnerEnvironment",
}
"""Condition -> the claim that must be the same text."""


@dataclass(frozen=True, slots=True)
class CertificateConditions:
    """What a certificate must say, all of it."""

    issuer: str
    repository: str
    """Its whole URI: https://github.com/team/core."""
    workflow: str
    """The path of the file inside the repository, or the whole URI of a reusable one; without `@ref`."""
    repository_id: str = ""
    """A number that no repository of the same name gets again."""
    owner_id: str = ""
    branches: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    runner: str = ""
    """`github-hosted` or `self-hosted`."""
    events: tuple[str, ...] = ()
    """`push`, `release`, ...: one of them started the run."""

    def to_json(self) -> dict[str, Any]:
        """The field `certificate` of an identity; what is not asked for is left out."""
        value = {
            "issuer": self.issuer,
            "repository": self.repository,
            "workflow": self.workflow,
            "repositoryId": self.repository_id,
            "ownerId": self.owner_id,
            "branches": list(self.branches),
            "tags": list(self.tags),
            "runner": self.runner,
            "events": list(self.events),
        }
        return {name: item for name, item in value.items() if item}

    @property
    def identity(self) -> str:
        """One text for these conditions, whoever of those that they take has signed."""
        return identities.of_oidc(self.issuer, f"{PREFIX}{hex_of(sha256(canonical.dumps(self.to_json())))}")

    def fits(self, issuer: str, claims: Mapping[str, str]) -> bool:
        """Whether a certificate says all of it; one that is silent does not."""
        wanted = self.to_json()
        exact = all(claims.get(claim) == wanted[name] for name, claim in _EXACT.items() if name in wanted)
        signer, at, _ = claims.get("buildSignerUri", "").rpartition("@")
        return (
            issuer == self.issuer
            and exact
            and bool(at)
            and signer in self._workflow_uris
            and self._takes_ref(claims.get("sourceRepositoryRef", ""))
            and (not self.events or claims.get("buildTrigger") in self.events)
        )

    @property
    def _workflow_uris(self) -> tuple[str, ...]:
        """How GitHub writes a file of the repository, and how GitLab does: with two slashes before its path."""
        if "://" in self.workflow:
            return (self.workflow,)
        return f"{self.repository}/{self.workflow}", f"{self.repository}//{self.workflow}"

    def _takes_ref(self, ref: str) -> bool:
        for prefix, patterns in ((_HEADS, self.branches), (_TAGS, self.tags)):
            if ref.startswith(prefix):
                return any(_like(ref.removeprefix(prefix), pattern) for pattern in patterns)
        return False


def parse(value: object, what: str) -> CertificateConditions:
    """The signed form to value. Raises FormatError."""
    what = f"{what}: certificate"
    f = Fields(value, what, required=("issuer", "repository", "workflow"), optional=_OPTIONAL)
    found = CertificateConditions(
        f.text("issuer"),
        f.text("repository"),
        f.text("workflow"),
        f.text("repositoryId", ""),
        f.text("ownerId", ""),
        f.texts("branches", ()),
        f.texts("tags", ()),
        f.text("runner", ""),
        f.texts("events", ()),
    )
    texts = (*found.branches, *found.tags, *found.events, found.issuer, found.repository, found.workflow)
    problems = (
        (not all(texts) or not all(text.isprintable() for text in texts), "a field is empty"),
        (not found.branches and not found.tags, "branches or tags must be named: else any branch could sign"),
        (not _is_uri(found.issuer), "issuer is no https URL"),
        (not _is_uri(found.repository) or "@" in found.repository, "repository is no https URL"),
        ("@" in found.workflow, "workflow is written without @ref: branches and tags say which"),
        ("*" in "".join((found.issuer, found.repository, found.workflow, *found.events)), "a * stands in refs alone"),
    )
    for wrong, problem in problems:
        if wrong:
            raise FormatError(f"{what}: {problem}", hint="casstore help trust-root: every condition")
    return found


def _is_uri(text: str) -> bool:
    return text.startswith("https://") and len(text) > 8 and not text.endswith("/") and "#" not in text


def _like(text: str, pattern: str) -> bool:
    """Whole against whole; a `*` takes any characters but `/`."""
    parts = (re.escape(part) for part in pattern.split("*"))
    return re.fullmatch("[^/]*".join(parts), text) is not None
