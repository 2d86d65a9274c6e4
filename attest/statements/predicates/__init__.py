"""The typed claims: one file per predicate, our own and those of the field that we reuse.

`SHORT_NAMES` is the table from the word that policies and commands use to the predicate types
that it covers; a predicate type that stands nowhere here passes through as checked JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

OWN = "https://casstore.dev/{}/v1"
"""Our own predicate types; each has a page in docs/formats/predicates/."""

_SPDX = ("https://spdx.dev/Document", "https://spdx.dev/Document/v2.3", "https://spdx.dev/Document/v3")
_CYCLONEDX = "https://cyclonedx.org/bom"

ISOLATION = "https://casstore.dev/isolation/v2"

OWN_NAMES = (
    "approval",
    "promotion",
    "isolation",
    "publication",
    "revocation",
    "baseline",
    "rehearsal",
    "ceremony",
    "collection",
    "seal",
)
"""Each has a module here with `TYPE` and `parse`; the trust root's is `attest.trust.trust_roots`."""

SHORT_NAMES: dict[str, tuple[str, ...]] = {
    "slsa-provenance": ("https://slsa.dev/provenance/v1",),
    "link": ("https://in-toto.io/attestation/link/v0.3",),
    "test-result": ("https://in-toto.io/attestation/test-result/v0.1",),
    "sbom": (*_SPDX, _CYCLONEDX),
    "spdx": _SPDX,
    "cyclonedx": (_CYCLONEDX,),
    "vulns": ("https://in-toto.io/attestation/vulns/v0.2",),
    "openvex": ("https://openvex.dev/ns",),
    "release": ("https://in-toto.io/attestation/release/v0.1",),
    "vsa": ("https://slsa.dev/verification_summary/v1",),
    **{name: (OWN.format(name),) for name in (*OWN_NAMES, "trust-root")},
    "isolation": (ISOLATION,),
}


def types_of(name: str) -> tuple[str, ...]:
    """The predicate types of a short name; a full type URI stands for itself."""
    return SHORT_NAMES.get(name, (name,))


def short_name(predicate_type: str) -> str:
    """The short name of a type, or the type itself."""
    return next((name for name, types in SHORT_NAMES.items() if predicate_type in types), predicate_type)


def own(name: str) -> Callable[[object], Any]:
    """The reader of one of our own predicates; what it reads has `to_json`. It raises FormatError."""
    parse: Callable[[object], Any] = import_module(f"{__name__}.{name}").parse
    return parse
