"""Forges: which checks a protected branch asks for. One file each, one row in the table.

In: a forge's name or address, a repository, a branch. Out: the checks that it asks for. Called by the gate
`branch-protection`; `bundlers.releases` asks whether a forge is known.

forge = open_forge("github", guard)                       # or gitlab, gitea+https://git.example
forge.protection("owner/name", "main").checks
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Protocol, cast

from attest.core.values import dataclass
from attest.errors import BadInput
from bundlers.gates.forges.client import Client
from casstore.network.network import NetworkGuard

__all__ = ["FORGES", "Forge", "NoToken", "Protection", "open_forge"]

FORGES = {
    "github": "bundlers.gates.forges.github",
    "gitlab": "bundlers.gates.forges.gitlab",
    "gitea": "bundlers.gates.forges.gitea",
    "forgejo": "bundlers.gates.forges.gitea",
}
"""Kind -> module."""
_LOOPBACK = ("http://127.0.0.1:", "http://[::1]:", "http://localhost:")


class NoToken(BadInput):
    """No token is set, so what the forge would say is not known."""


@dataclass(frozen=True, slots=True)
class Protection:
    """How a branch is protected."""

    protected: bool
    checks: frozenset[str] = frozenset()
    """Names of the checks without which nothing is merged."""


class Forge(Protocol):
    """What one file of this package offers."""

    API: str
    """The usual address of its API."""
    TOKENS: tuple[str, ...]
    """Environment variables that may hold a token, the first one that is set counts."""

    def headers(self, token: str) -> dict[str, str]:
        """How the token is sent."""

    def protection(self, client: Client, repository: str, branch: str) -> Protection:
        """Ask. Raises StorageUnavailable, NoSuchObject, PolicyViolation, FormatError."""


@dataclass(frozen=True, slots=True)
class OpenForge:
    """A forge with an address and a token."""

    forge: Forge
    client: Client

    def protection(self, repository: str, branch: str) -> Protection:
        """How a branch is protected. Raises StorageUnavailable, NoSuchObject, PolicyViolation, FormatError."""
        return self.forge.protection(self.client, repository, branch)


def open_forge(name: str, guard: NetworkGuard) -> OpenForge:
    """`KIND`, or `KIND+https://host[/path]` for an instance of one's own. Raises BadInput, NoToken."""
    kind, plus, url = name.partition("+")
    if kind not in FORGES:
        raise BadInput(
            f"{name!r} is no forge that is known here", hint=f"write one of {', '.join(FORGES)}, or gitea+https://host"
        )
    forge = cast("Forge", import_module(FORGES[kind]))
    if plus and not url.startswith(("https://", *_LOOPBACK)):
        raise BadInput(f"{name!r}: after the plus sign comes an https address", hint="a token is not sent in the clear")
    if not plus and not forge.API:
        raise BadInput(f"{kind} has no usual address", hint=f"write {kind}+https://host")
    token = next((os.environ[variable] for variable in forge.TOKENS if os.environ.get(variable)), "")
    if not token:
        raise NoToken(f"{name}: no token, so its branches are not known", hint=f"set {' or '.join(forge.TOKENS)}")
    return OpenForge(forge, Client((url or forge.API).rstrip("/"), forge.headers(token), guard))
