"""How hard products must have been compared, and what may explain common content: `isolation` of a policy.

Without it nothing looser than the defaults counts, and no reference and no whole acceptance does.

    IsolationRules.parse({"references": ["sha256:77.."]}).check(claim)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from attest import digests
from attest.core.fields import Fields
from attest.core.values import dataclass
from attest.errors import FormatError
from attest.statements.predicates.isolation import FAILS, STRICT, Isolation

ANY = "*"
_KEYS = ("copies", "minSize", "minCopy", "unopened", "references", "accepted", "never")
_CHOICES = {"copies": ("fail", "off"), "unopened": ("report", "fail")}
_AT_LEAST = ("maxDepth", "maxMember", "maxTotal", "maxRatio")


@dataclass(frozen=True, slots=True)
class IsolationRules:
    """The least that an isolation attestation must say."""

    copies: str = "fail"
    min_size: int = STRICT["minSize"]
    min_copy: int = STRICT["minCopy"]
    unopened: str = "report"
    references: tuple[str, ...] = ()
    """Trees of references that may explain something; `*` for any."""
    accepted: tuple[str, ...] = ()
    """Trees of acceptances of whole files, and of most of a file; `*` for any."""
    never: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Product -> globs of paths that it was held never to hold."""

    def to_json(self) -> dict[str, Any]:
        """As it is signed: what says the default is left out."""
        value = {
            "copies": self.copies,
            "minSize": self.min_size,
            "minCopy": self.min_copy,
            "unopened": self.unopened,
            "references": list(self.references),
            "accepted": list(self.accepted),
            "never": {product: list(rules) for product, rules in sorted(self.never.items())},
        }
        return {key: item for key, item in value.items() if item != _DEFAULTS[key]}

    @staticmethod
    def parse(value: object, what: str) -> IsolationRules:
        """The signed form to value. Raises FormatError."""
        f = Fields(value, what, required=(), optional=_KEYS)
        found = IsolationRules(
            f.text("copies", "fail"),
            f.integer("minSize", STRICT["minSize"]),
            f.integer("minCopy", STRICT["minCopy"], least=STRICT["minCopy"]),
            f.text("unopened", "report"),
            f.texts("references", ()),
            f.texts("accepted", ()),
            _never(f.optional_mapping("never"), what),
        )
        for key, choices in _CHOICES.items():
            if (said := f.text(key, choices[0])) not in choices:
                raise FormatError(f"{what}: {key} is {said[:20]!r}", hint=f"{key}: {' or '.join(choices)}")
        for tree in (*found.references, *found.accepted):
            if tree != ANY and not digests.is_digest(tree):
                raise FormatError(f"{what}: {tree[:80]!r} is not the digest of a tree, nor *")
        return found

    def check(self, claim: Isolation) -> None:
        """Raises FormatError where an attestation says less than is asked."""
        if claim.findings:
            raise FormatError("the isolation check has findings")
        self._check_parameters(claim.parameters)
        self._check_never(claim)
        for name, tree in _references(claim.parameters).items():
            if not {tree, ANY} & set(self.references):
                raise FormatError(f"the policy does not list the reference {name[:60]!r} ({tree})")
        for row in claim.accepted:
            if row.get("whole") is not False and not {row.get("tree"), ANY} & set(self.accepted):
                told = f"{str(row.get('name'))[:60]!r} ({row.get('tree')})"
                raise FormatError(f"the policy does not list the acceptance of whole files {told}")

    def _check_never(self, claim: Isolation) -> None:
        said = _never(claim.parameters.get("never", {}), "isolation")
        for product, rules in self.never.items():
            if product in claim.products and (missing := sorted(set(rules) - set(said.get(product, ())))):
                raise FormatError(f"the policy asks that {product} never holds {missing[0][:80]!r}: nobody looked")

    def _check_parameters(self, said: Mapping[str, Any]) -> None:
        missing = sorted(STRICT.keys() - said.keys())
        looser = missing or [key for key in STRICT if not self._strict_enough(key, said[key])]
        if looser:
            told = "is not told" if missing else f"is {said[looser[0]]!r}"[:80]
            raise FormatError(f"the products were compared less hard than the policy asks: {looser[0]} {told}")

    def _strict_enough(self, key: str, said: Any) -> bool:
        if key == "fails":
            return bool(said == FAILS)
        if key == "copies":
            return bool(said in ("fail", self.copies))
        if key == "unopened":
            return bool(said in ("fail", self.unopened))
        if key == "minEntropy":
            return _number(said) <= _number(STRICT[key])
        if not isinstance(said, int) or isinstance(said, bool):
            return False
        if key in _AT_LEAST:
            return bool(said >= STRICT[key])
        return said <= (self.min_size if key == "minSize" else self.min_copy)


_DEFAULTS: dict[str, Any] = {
    "copies": "fail",
    "minSize": STRICT["minSize"],
    "minCopy": STRICT["minCopy"],
    "unopened": "report",
    "references": [],
    "accepted": [],
    "never": {},
}


def _never(value: object, what: str) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, Mapping):
        raise FormatError(f"{what}: never is no table of products")
    f = Fields(value, f"{what}: never", required=(), optional=tuple(value))
    return {str(product): f.texts(product) for product in sorted(value)}


def _references(parameters: Mapping[str, Any]) -> dict[str, str]:
    found = parameters.get("references", {})
    if not isinstance(found, Mapping):
        raise FormatError("isolation: references is no table")
    return {str(name): str(tree) for name, tree in found.items()}


def _number(text: object) -> float:
    try:
        return float(str(text))
    except ValueError:
        return float("inf")
