"""The words of `require`: is every subject covered, by enough distinct persons, by evidence that fits?

An attestation fits when its signer holds one of the roles, its predicate says what is required,
it is not too old, and, for provenance, its builder and sources are allowed. What does not fit
counts as absent, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attest import canonical
from attest.core.values import dataclass
from attest.digests import Digest, hex_of, sha256
from attest.errors import CasstoreError, FormatError
from attest.judging import explained
from attest.judging.evidence import Evidence
from attest.judging.rebuilds import most_builders, record_of
from attest.judging.values import MISSING, REFUSED, SATISFIED, MoveRequest, Rule
from attest.keys import identities
from attest.statements import predicates
from attest.statements.predicates import isolation, slsa_provenance, test_result
from attest.trust import origins
from attest.trust.policies import ChannelPolicy
from attest.trust.policy_parts import GateSettings
from attest.trust.requirements import (
    AT_PROMOTION,
    AT_PROMOTION_SECONDS,
    GATE,
    REQUIREMENTS,
    roles_for,
)
from attest.trust.verify import VerifiedStatement

_DAY = 24 * 3600
_PASSED = ("PASSED", "WARNED")
"""A warning fails no gate; what may be one stands in the settings that the owners signed."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One word of `require` under a policy."""

    name: str
    policy: ChannelPolicy
    evidence: Evidence

    @property
    def roles(self) -> tuple[str, ...]:
        """Who may sign it here."""
        return self.policy.signers.get(self.name, roles_for(self.name))

    @property
    def who(self) -> tuple[str, ...]:
        """The names that hold one of the roles, and count."""
        return self.evidence.holders(*self.roles)

    def fitting(self, types: Iterable[str], holds: Callable[[VerifiedStatement], None]) -> list[VerifiedStatement]:
        """Those that count, about the release or what is in it; the others are ignored with the reason."""
        fit = []
        for found in self.evidence.of_type(frozenset(types)):
            if not found.statement.digests & self.evidence.made:
                continue
            if reason := self._unfit(found, holds):
                self.evidence.ignore(found, reason)
            else:
                fit.append(found)
        return fit

    def _unfit(self, found: VerifiedStatement, holds: Callable[[VerifiedStatement], None]) -> str:
        if not found.roles & set(self.roles):
            return f"{', '.join(sorted(found.names))} has none of the roles {', '.join(self.roles)}"
        try:
            holds(found)
        except CasstoreError as exc:
            return exc.message
        return self._too_old(found)

    def _too_old(self, found: VerifiedStatement) -> str:
        usual = AT_PROMOTION_SECONDS if self.name in AT_PROMOTION else None
        limit = self.policy.max_age.get(self.name, usual)
        if limit is None:
            return ""
        age = self.evidence.age(found)
        if age is None:
            return "its age is not known: it was never handed in"
        return f"it is {told(age)} old, {told(limit)} are allowed" if age > limit else ""


def judge(name: str, policy: ChannelPolicy, evidence: Evidence) -> Rule:
    """The rule of one word of `require`."""
    asked = Asked(name, policy, evidence)
    return _gate(asked) if name.startswith(GATE) else _coverage(asked)


def fitting(name: str, policy: ChannelPolicy, evidence: Evidence) -> list[VerifiedStatement]:
    """The attestations that fit a word which is no gate."""
    asked = Asked(name, policy, evidence)
    return asked.fitting(predicates.types_of(name), lambda found: _holds(asked, found))


def _coverage(asked: Asked) -> Rule:
    request, needed = asked.evidence.request, asked.policy.rebuilds if asked.name == "slsa-provenance" else 1
    over = REQUIREMENTS[asked.name].over
    subjects = request.archive_names if over == "archives" else {**request.tree_names, **request.archive_names}
    if not subjects:
        return Rule(asked.name, REFUSED, f"there is nothing that it could cover ({over})", action="new-release")
    by_subject: dict[Digest, list[VerifiedStatement]] = {digest: [] for digest in subjects}
    for found in fitting(asked.name, asked.policy, asked.evidence):
        for digest in found.statement.digests & subjects.keys():
            by_subject[digest].append(found)
    shown = {digest: most_builders(items, digest, needed) for digest, items in by_subject.items()}
    used = tuple(sorted({item for items in shown.values() for item in items}))
    missing = sorted(subjects[digest] for digest, items in shown.items() if len(items) < needed)
    if not missing:
        by = f", each by {needed} builders" if needed > 1 else ""
        return Rule(asked.name, SATISFIED, f"covers {len(subjects)} of {len(subjects)} ({over}){by}", used)
    message = f"missing for {', '.join(missing[:3])}" + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
    if REQUIREMENTS[asked.name].whole and (why := _why_ignored(asked)):
        message += f": {why}"
    if needed > 1:
        message += f": {needed} distinct builders of the same arguments and inputs are needed"
        idle = sorted(subjects[d] for d, items in by_subject.items() if items and not _was_built(items, d))
        message += f"; {idle[0]} has no build, so there is nothing to rebuild" if idle else ""
    return Rule(asked.name, MISSING, message, used, asked.roles[0], asked.who, "attest", len(missing))


def _was_built(items: Iterable[VerifiedStatement], digest: Digest) -> bool:
    return any(record_of(found, digest) is not None for found in items)


def _why_ignored(asked: Asked) -> str:
    """Why the last attestation of the kind about this release does not count."""
    rows = asked.evidence.of_type(frozenset(predicates.types_of(asked.name)))
    reasons = (asked.evidence.ignored.get(found.bundle, "") for found in rows)
    return next((reason for reason in reasons if reason), "")


def _holds(asked: Asked, found: VerifiedStatement) -> None:
    """Raises FormatError where the predicate does not say what is required."""
    requirement, request = REQUIREMENTS[asked.name], asked.evidence.request
    if requirement.holds is not None:
        requirement.holds(found.statement.predicate)
    if requirement.whole and not request.archive_names.keys() <= found.statement.digests:
        raise FormatError("it speaks of some archives of the release only")
    if asked.name == "isolation":
        _check_isolation(asked.policy, found, request)
    if asked.name == "slsa-provenance":
        _check_trees(found, request)
        _check_provenance(asked.policy, found, request)


def _check_isolation(policy: ChannelPolicy, found: VerifiedStatement, request: MoveRequest) -> None:
    """As hard as the policy asks, and explained by what the release object lists and nothing else."""
    claim = isolation.parse(dict(found.statement.predicate))
    policy.isolation.check(claim)
    if explained.keys_of(claim) != {row.key for row in request.explained}:
        raise FormatError("it was made with other references or acceptances than the release lists")


def _check_trees(found: VerifiedStatement, request: MoveRequest) -> None:
    """Every tree that an archive was bundled from is one of the release, and so has provenance of its own."""
    strange = slsa_provenance.trees_of(found.statement.predicate) - request.tree_names.keys()
    if strange:
        raise FormatError(f"it was bundled from {min(strange)}, which is no component of the release")


def _check_provenance(policy: ChannelPolicy, found: VerifiedStatement, request: MoveRequest) -> None:
    builder = slsa_provenance.builder_of(found.statement.predicate)
    if policy.builders and not origins.matches(builder, policy.builders):
        raise FormatError(f"its builder {builder[:100]!r} is not allowed")
    if policy.builders and not origins.proven_builder(builder, found.proven, found.builders):
        raise FormatError(f"its builder {builder[:100]!r} is a claim: nothing binds {_who(found)} to it")
    if not policy.sources or not found.statement.digests & request.tree_names.keys():
        return
    sources = slsa_provenance.sources_of(found.statement.predicate)
    if not sources:
        raise FormatError("it names no git source")
    for source in sources:
        if not origins.source_matches(source, policy.sources):
            raise FormatError(f"its source {source[:100]!r} is not allowed")
        if not origins.proven_source(source, found.proven, found.sources):
            raise FormatError(f"its source {source[:100]!r} is a claim: nothing binds {_who(found)} to it")


def _who(found: VerifiedStatement) -> str:
    return " / ".join(sorted(found.names)) or identities.short(found.identity)


def _gate(asked: Asked) -> Rule:
    gate, request = asked.name.removeprefix(GATE), asked.evidence.request
    if asked.name in AT_PROMOTION and request.action != "promote":
        return Rule(asked.name, SATISFIED, f"gate {gate} is not asked of a {request.action}")
    wanted = (frozenset({request.release}), frozenset(request.archives.values()), frozenset(request.trees.values()))
    place = test_result.place_of(request.channel, request.from_move) if asked.name in AT_PROMOTION else None
    allowed = asked.policy.gates.get(gate, ())
    passed = [found for found in asked.evidence.of_type((test_result.TYPE,)) if _is_gate(found, gate, place)]
    signed = [found for found in passed if _as_signed(found, gate, allowed)]
    fit = {found.bundle for found in asked.fitting((test_result.TYPE,), _nothing)}
    for found in signed:
        if found.bundle in fit and any(subjects and subjects <= found.statement.digests for subjects in wanted):
            noted = ", with warnings" if found.statement.predicate.get("result") == "WARNED" else ""
            return Rule(asked.name, SATISFIED, f"gate {gate} passed{noted}", (found.bundle,))
    fresh = " for this very move" if place else ""
    message = f"no passed result of gate {gate}{fresh}"
    if others := [found for found in passed if found not in signed and found.bundle in fit]:
        message += f" with the settings that the owners signed: {_difference(others[0], gate, allowed)}"
    return Rule(asked.name, MISSING, message, (), asked.roles[0], asked.who, "ask-gates" if place else "attest", 1)


def _nothing(_found: VerifiedStatement) -> None:
    """Whether it is this gate's is asked beside: the result of another gate is not worth a reason."""


def _is_gate(found: VerifiedStatement, gate: str, place: Mapping[str, Any] | None) -> bool:
    """Whether it says that the gate passed; at promotion, for this channel after its last move."""
    try:
        claim = test_result.parse(dict(found.statement.predicate))
    except FormatError:
        return False
    rows = [item for item in claim.configuration if item.get("name") == gate]
    return claim.result in _PASSED and any(place is None or _says(item.get("annotations"), place) for item in rows)


def _as_signed(found: VerifiedStatement, gate: str, allowed: GateSettings) -> bool:
    """Whether the gate ran with settings that the policy names: by name alone it is whatever its builder says."""
    if allowed is None:
        return True
    wanted = {hex_of(sha256(canonical.dumps(dict(settings)))) for settings in allowed}
    return any(row.get("digest") in [{"sha256": one} for one in wanted] for row in _rows(found, gate))


def _rows(found: VerifiedStatement, gate: str) -> list[Mapping[str, Any]]:
    return [row for row in test_result.parse(dict(found.statement.predicate)).configuration if row.get("name") == gate]


def _difference(found: VerifiedStatement, gate: str, allowed: GateSettings) -> str:
    """The keys that differ from the nearest signed settings, as far as the result says its own."""
    said = [row.get("annotations") for row in _rows(found, gate)]
    used = next((one["settings"] for one in said if isinstance(one, Mapping) and "settings" in one), None)
    if not isinstance(used, Mapping) or not allowed:
        return "it does not say its own" if allowed else "there are none"
    differing = [
        sorted(key for key in {*used, *settings} if used.get(key) != settings.get(key)) for settings in allowed
    ]
    keys = min(differing, key=len)
    return ", ".join(f"{key} = {canonical.dumps(used.get(key)).decode()[:100]}" for key in keys) + " is not"


def _says(annotations: object, place: Mapping[str, Any]) -> bool:
    return isinstance(annotations, Mapping) and all(
        key in annotations and annotations[key] == value for key, value in place.items()
    )


def told(seconds: int) -> str:
    """A length of time for people."""
    if seconds >= 2 * _DAY:
        return f"{seconds // _DAY} days"
    return f"{seconds // 3600} hours" if seconds >= 7200 else f"{seconds} seconds"
