"""The typed claims: one file per predicate, our own and those of the field that we reuse.

In: a checked JSON object, or typed values. Out: the same as the other of the two. Called by whoever makes a statement
or judges one: rules of the ledger, gates, policies, publishing.

`SHORT_NAMES` is the table from the word that policies and commands use to the predicate types
that it covers; a predicate type that stands nowhere here passes through as checked JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from attest.errors import BadInput

OWN = "https://casstore.dev/{}/v1"
"""Our own predicate types; each has a page in docs/formats/predicates/."""

_SPDX = (
    "https://spdx.dev/Document",
    *(f"https://spdx.dev/Document/v{version}" for version in ("2.2", "2.3", "3", "3.0", "3.0.1")),
)
_CYCLONEDX = (
    "https://cyclonedx.org/bom",
    *(f"https://cyclonedx.org/bom/v1.{minor}" for minor in range(2, 8)),
)
_OPENVEX = (
    "https://openvex.dev/ns",
    *(f"https://openvex.dev/ns/v{version}" for version in ("0.0.0", "0.0.1", "0.0.2", "0.2.0")),
)

ISOLATION = "https://casstore.dev/isolation/v2"

OWN_NAMES = (
    "approval",
    "promotion",
    "isolation",
    "publication",
    "revocation",
    "suspension",
    "baseline",
    "rehearsal",
    "ceremony",
    "collection",
    "seal",
)
"""Each has a module here with `TYPE` and `parse`; the trust root's is `attest.trust.trust_roots`."""

SHORT_NAMES: dict[str, tuple[str, ...]] = {
    "slsa-provenance": ("https://slsa.dev/provenance/v1", "https://slsa.dev/provenance/v0.2"),
    "link": ("https://in-toto.io/attestation/link/v0.3",),
    "test-result": ("https://in-toto.io/attestation/test-result/v0.1",),
    "sbom": (*_SPDX, *_CYCLONEDX),
    "spdx": _SPDX,
    "cyclonedx": _CYCLONEDX,
    "vulns": ("https://in-toto.io/attestation/vulns/v0.2",),
    "openvex": _OPENVEX,
    "release": ("https://in-toto.io/attestation/release/v0.2", "https://in-toto.io/attestation/release/v0.1"),
    "vsa": ("https://slsa.dev/verification_summary/v1",),
    **{name: (OWN.format(name),) for name in (*OWN_NAMES, "trust-root")},
    "isolation": (ISOLATION,),
}


def types_of(name: str) -> tuple[str, ...]:
    """The predicate types of a short name; a full type URI stands for itself."""
    return SHORT_NAMES.get(name, (name,))


def written(name: str, predicate: Mapping[str, Any]) -> str:
    """The one type in which something is signed: the newest of a word, or what the document itself is.

    Raises BadInput for a word that has none, FormatError for a document of another kind.
    """
    if name in ("sbom", "spdx") and "bomFormat" not in predicate:
        from attest.statements.predicates import spdx

        return spdx.type_of(predicate)
    found = "https://cyclonedx.org/bom" if name == "sbom" else types_of(name)[0]
    if ":" not in found:
        raise BadInput(
            f"not one predicate type: {name[:60]!r}", hint=f"give a URI, or one of: {', '.join(sorted(SHORT_NAMES))}"
        )
    return found


def short_name(predicate_type: str) -> str:
    """The short name of a type, or the type itself."""
    return next((name for name, types in SHORT_NAMES.items() if predicate_type in types), predicate_type)


def own(name: str) -> Callable[[object], Any]:
    """The reader of one of our own predicates; what it reads has `to_json`. It raises FormatError."""
    parse: Callable[[object], Any] = import_module(f"{__name__}.{name}").parse
    return parse
