"""Gates that are asked at promotion: run, signed about the release for this very move, and handed in.

Which ones is the signed policy's word (`require = ["gate:rollback-capability"]`); their settings are
those of casstore.toml. A result counts for one channel after one move of it: whoever promotes later,
or elsewhere, asks again. What a failed gate says is told and not recorded.

    asked = ask(store, ledger, config, "1.4.0", "prod", signer=signer, now=now, guard=guard)
    asked.require()
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from attest.core import limits, times
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import CasstoreError, NotInstalled
from attest.judging.decisions import Record
from attest.signers import Signer
from attest.statements import statements
from attest.statements.predicates import slsa_provenance, test_result
from attest.trust.requirements import AT_PROMOTION, GATE, roles_for
from attest.trust.verify import VerifiedStatement, verify
from bundlers import gates
from bundlers.blockers import Blocker
from bundlers.errors import BaselineFailed, Blocked, BranchProtectionMissing, GateFailed
from bundlers.gates import Outcome, Phase, ReleaseView
from bundlers.gates.base import ChannelView
from bundlers.products import product_manifests
from casstore.config import Config
from casstore.ledger import release_objects
from casstore.ledger.book.log import Ledger
from casstore.ledger.commit import commit
from casstore.ledger.entries import EntryKind
from casstore.ledger.folding import replay
from casstore.ledger.release_objects import Release
from casstore.ledger.rules.reader import Reader
from casstore.ledger.states.channel_states import ChannelState
from casstore.ledger.states.state import LedgerState
from casstore.ledger.states.views import ReleaseInfo
from casstore.network.network import NetworkGuard
from casstore.promotion.services import Situation, judge, next_step, require_role
from casstore.store.attestations import parse_unverified, put_attestation
from casstore.store.store import Store

_ORDER: tuple[type[Blocked], ...] = (BranchProtectionMissing, BaselineFailed, GateFailed)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the gates said."""

    outcomes: tuple[Outcome, ...]
    entries: tuple[int, ...]
    """The ledger entries of the results that were handed in."""

    @property
    def blockers(self) -> tuple[Blocker, ...]:
        """One record per message of a failed gate."""
        return tuple(blocker for outcome in self.outcomes for blocker in outcome.blockers)

    def require(self) -> None:
        """Raises BranchProtectionMissing (5), BaselineFailed (6) or GateFailed (10), the gravest first."""
        found = self.blockers
        if not found:
            return
        codes = {outcome.exit_code for outcome in self.outcomes if not outcome.passed}
        kind = next((kind for kind in _ORDER if kind.exit_code in codes), GateFailed)
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        message = f"gate {found[0].gate} failed: {found[0].message}{more}"
        raise kind(message, hint=found[0].suggested_fix, blockers=found)

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"gates": [outcome.to_json() for outcome in self.outcomes], "entries": list(self.entries)}


def missing(
    store: Store, ledger: Ledger, release: str, channel: str, *, now: datetime, sigstore_root: bytes | None = None
) -> tuple[str, ...]:
    """The gates that a promotion would want asked now. Raises NoSuchObject."""
    state = replay(ledger, store, sigstore_root=sigstore_root)
    found = state.channel(channel)
    at = Situation(state, found, state.find_release(release), "promote", next_step(state, found))
    if at.there:
        return ()
    decision = judge(store, at, now=now, promoter=None, sigstore_root=sigstore_root)
    return tuple(
        rule.id.removeprefix(GATE) for rule in decision.rules if rule.id in AT_PROMOTION and rule.status != "satisfied"
    )


def ask(
    store: Store,
    ledger: Ledger,
    config: Config | None,
    release: str,
    channel: str,
    names: Sequence[str],
    *,
    signer: Signer,
    now: datetime,
    guard: NetworkGuard,
    sigstore_root: bytes | None = None,
) -> Asked:
    """Run these gates about a release and a channel; hand in what passed, signed.

    Raises NoSuchObject, PolicyDenied when the signer may sign none of it.
    """
    state = replay(ledger, store, sigstore_root=sigstore_root)
    at, info = state.channel(channel), state.find_release(release)
    policy = state.require_trust_root().channels[channel]
    for name in names:
        word = f"{GATE}{name}"
        require_role(state, signer, frozenset(policy.signers.get(word, roles_for(word))), now)
    found = look(store, state, config, release, channel, names, now=now, guard=guard, sigstore_root=sigstore_root)
    outcomes, entries = found.outcomes, []
    for outcome in outcomes:
        if outcome.passed:
            digest = put_attestation(store, signer.sign_statement(_statement(outcome, at, info, now)))
            entry, state = commit(
                ledger, store, state, EntryKind.EVIDENCE, digest, now=now, sigstore_root=sigstore_root
            )
            entries.append(entry.number)
    return Asked(outcomes, tuple(entries))


def look(
    store: Store,
    state: LedgerState,
    config: Config | None,
    release: str,
    channel: str,
    names: Sequence[str],
    *,
    now: datetime,
    guard: NetworkGuard,
    sigstore_root: bytes | None = None,
) -> Asked:
    """As `ask`, for whoever only wants to know: nothing is signed. Raises NoSuchObject."""
    tables = config.gates if config else {}
    at, info = state.channel(channel), state.find_release(release)
    view = _view(store, state, config, at, info, now, guard, sigstore_root)
    return Asked(gates.run(view, {name: tables.get(name, {}) for name in names}, Phase.CHANNEL), ())


def _statement(outcome: Outcome, at: ChannelState, info: ReleaseInfo, now: datetime) -> bytes:
    """The test-result, bound to the channel and its last move.

    Its time makes it another attestation each time that it is asked: the ledger would know the same bytes
    as old ones.
    """
    claim = outcome.claim().to_json()
    place = {**test_result.place_of(at.name, at.move), "asked": times.format(now)}
    claim["configuration"] = [
        {**row, "annotations": {**row.get("annotations", {}), **place}} for row in claim["configuration"]
    ]
    return statements.of_digests({"release": info.digest}, test_result.TYPE, claim).to_bytes()


def _view(
    store: Store,
    state: LedgerState,
    config: Config | None,
    at: ChannelState,
    info: ReleaseInfo,
    now: datetime,
    guard: NetworkGuard,
    sigstore_root: bytes | None,
) -> ReleaseView:
    made = release_objects.parse(store.read(info.digest))
    manifests = {n: product_manifests.read(store.chunks(p.product_manifest)) for n, p in made.builds.items()}
    previous = release_objects.parse(store.read(at.release)) if at.release else None
    evidence = RecordedEvidence(store, state, sigstore_root)
    return ReleaseView(
        made.version,
        made.components,
        manifests,
        store,
        config.folder if config else "",
        config=made.config,
        previous=previous,
        provenance=provenance_of(store, state, made),
        now=now,
        allow=tuple(config.network.allow) if config else (),
        urls=config.urls if config else {},
        consumers=config.consumers if config else (),
        channel=ChannelView(
            at.name,
            info.digest,
            at.release,
            state.store,
            state.ledger,
            evidence.of_type,
            guard,
            made.builds,
            state.require_trust_root().channels[at.name].signers,
        ),
    )


def provenance_of(store: Store, state: LedgerState, made: Release) -> Mapping[str, Mapping[str, Any]]:
    """Component -> the predicate of its provenance that the ledger accepted."""
    found = {}
    for name in made.components:
        digest = state.component_statements.get((made.taken.get(name, made.version), name))
        if digest is not None:
            statement = parse_unverified(
                store.read(digest, max_bytes=limits.ATTESTATION)
            )  # verified when it was folded
            if statement.predicate_type == slsa_provenance.TYPE:
                found[name] = dict(statement.predicate)
    return found


@dataclass(frozen=True, slots=True)
class RecordedEvidence:
    """What the ledger recorded, by type; each verified by the trust root in force at its entry."""

    store: Store
    state: LedgerState
    sigstore_root: bytes | None

    def of_type(self, predicate_type: str) -> list[VerifiedStatement]:
        """In the order of the ledger; what does not verify, or was revoked, is left out."""
        named = {digest for rows in self.state.evidence.values() for digest in rows}
        recorded = sorted((self.state.recorded[d].number, d) for d in named if d in self.state.recorded)
        found = (self._verified(digest, self.state.recorded[digest], predicate_type) for _, digest in recorded)
        return [item for item in found if item is not None]

    def _verified(self, digest: Digest, record: Record, predicate_type: str) -> VerifiedStatement | None:
        raw = self.store.read(digest, max_bytes=limits.ATTESTATION)
        try:
            said = parse_unverified(raw)
            if said.predicate_type != predicate_type:
                return None
            root = record.trust_root
            sigstore = Reader(self.store, self.sigstore_root).sigstore_roots(root).of(root)
            found = verify(
                raw,
                trust_root=root,
                predicate_type=predicate_type,
                subjects=said.digests,
                at=record.at,
                sigstore_root=sigstore,
            )
        except NotInstalled:
            raise
        except CasstoreError:  # anybody may hand in anything
            return None
        return None if self.state.is_revoked(found.id, found.identity, found.proven) else found
