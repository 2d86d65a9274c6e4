"""Evidence that was made elsewhere: taken in where somebody who counts signed it, and told what it is.

found = take(store, ledger, piece, source="npm.json", now=now)     # a bad one is told, and raises nothing
found.outcome            # recorded, known, passed over, refused
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from attest.core import limits
from attest.core.values import dataclass
from attest.digests import Digest, sha256
from attest.errors import BadInput, FormatError, VerificationError
from attest.sigstore import shown
from attest.sigstore.forms import Piece
from attest.sigstore.sigstore_bundles import SigstoreBundle
from attest.statements import predicates
from attest.trust.requirements import REQUIREMENTS, roles_for
from attest.trust.verify import VerifiedStatement, verify
from casstore.ledger.book.log import Ledger
from casstore.ledger.commit import commit
from casstore.ledger.entries import EntryKind
from casstore.ledger.folding import replay
from casstore.ledger.rules import Reader
from casstore.ledger.states.state import LedgerState
from casstore.promotion.services import PromotionStore
from casstore.store.attestations import id_of, parse_unverified, put_attestation

RECORDED, KNOWN, PASSED_OVER, REFUSED = "recorded", "known", "passed over", "refused"


@dataclass(frozen=True, slots=True)
class Taken:
    """What was found, whom it names, and what became of it."""

    source: str
    place: str
    form: str
    outcome: str
    what: str = ""
    about: tuple[str, ...] = ()
    signer: str = ""
    names: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    counts: bool = False
    why: str = ""
    """Why it was refused, passed over, or counts for nothing yet."""
    hint: str = ""
    digest: Digest | None = None
    entry: int | None = None

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "file": self.source,
            "place": self.place,
            "form": self.form,
            "outcome": self.outcome,
            "what": self.what,
            "about": list(self.about),
            "signer": self.signer,
            "names": list(self.names),
            "roles": list(self.roles),
            "counts": self.counts,
            "why": self.why,
            "digest": self.digest,
            "entry": self.entry,
        }


def take(
    store: PromotionStore,
    ledger: Ledger,
    piece: Piece,
    *,
    source: str,
    now: datetime,
    sigstore_root: bytes | None = None,
) -> Taken:
    """Record one signature; what cannot be taken is told in the result. Raises only what is no fault of the piece."""
    if piece.raw is None:
        return Taken(source, piece.place, piece.form, REFUSED, why=piece.problem, hint=piece.hint)
    bundle = SigstoreBundle.parse(piece.raw)
    said = {"what": shown.what(bundle), "about": _about(bundle), "signer": shown.signer(bundle)}
    if why := _unfit(bundle):
        return Taken(source, piece.place, piece.form, PASSED_OVER, **said, why=why)  # type: ignore[arg-type]
    try:
        digest, entry, found, state = _record(store, ledger, piece.raw, now=now, sigstore_root=sigstore_root)
    except (BadInput, FormatError, VerificationError) as exc:
        return Taken(source, piece.place, piece.form, REFUSED, **said, why=exc.message, hint=exc.hint)  # type: ignore[arg-type]
    why = _idle(found, state)
    said["signer"] = found.identity
    outcome = KNOWN if entry is None else RECORDED
    return Taken(
        source,
        piece.place,
        piece.form,
        outcome,
        **said,  # type: ignore[arg-type]
        names=tuple(sorted(found.names)),
        roles=tuple(sorted(found.roles)),
        counts=not why,
        why=why,
        digest=digest,
        entry=entry,
    )


def import_attestation(
    store: PromotionStore, ledger: Ledger, raw: bytes, *, now: datetime, sigstore_root: bytes | None = None
) -> tuple[Digest, int | None]:
    """Keep an attestation that was made elsewhere and append it as evidence: (digest, entry).

    The entry is None when the ledger names it already, by the same signer. Raises FormatError, VerificationError
    when nobody whom the trust root knows signed it.
    """
    return _record(store, ledger, raw, now=now, sigstore_root=sigstore_root)[:2]


def _record(
    store: PromotionStore, ledger: Ledger, raw: bytes, *, now: datetime, sigstore_root: bytes | None
) -> tuple[Digest, int | None, VerifiedStatement, LedgerState]:
    state = replay(ledger, store, sigstore_root=sigstore_root)
    found = _verified(store, state, raw, now, sigstore_root)  # before a byte is kept
    if known := _known(store, state, raw, found.identity, now, sigstore_root):
        return known, None, found, state
    digest = put_attestation(store, raw)
    entry, _ = commit(ledger, store, state, EntryKind.EVIDENCE, digest, now=now, sigstore_root=sigstore_root)
    return digest, entry.number, found, state


def _known(
    store: PromotionStore, state: LedgerState, raw: bytes, signer: str, now: datetime, sigstore_root: bytes | None
) -> Digest | None:
    """What the ledger names already of the same statement by the same signer: these very bytes first.

    Another's signature under the same statement is evidence of its own: who signed decides what it counts for.
    """
    digest, claimed = sha256(raw), parse_unverified(raw)
    known: set[Digest] = {found for subject in claimed.digests for found in state.evidence.get(subject, ())}
    if digest in known:
        return digest
    for found in sorted(known):
        kept = store.read(found, max_bytes=limits.ATTESTATION)
        if id_of(kept) == id_of(raw) and _signer(store, state, kept, now, sigstore_root) == signer:
            return found
    return None


def _signer(
    store: PromotionStore, state: LedgerState, raw: bytes, now: datetime, sigstore_root: bytes | None
) -> str | None:
    """Who is proven to have signed what the ledger names; None for one who counts no more."""
    try:
        return _verified(store, state, raw, now, sigstore_root).identity
    except (BadInput, VerificationError):
        return None


def _verified(
    store: PromotionStore, state: LedgerState, raw: bytes, now: datetime, sigstore_root: bytes | None
) -> VerifiedStatement:
    claimed, root = parse_unverified(raw), state.require_trust_root()
    return verify(
        raw,
        trust_root=root,
        predicate_type=claimed.predicate_type,
        subjects=claimed.digests,
        at=now,
        sigstore_root=Reader(store, sigstore_root).sigstore_roots(root).of(root),
    )


def _unfit(bundle: SigstoreBundle) -> str:
    """Why it can be no evidence, whoever signed it."""
    if bundle.envelope is None:
        return "it signs a file itself and says nothing about it: casstore attest verify-bundle judges it"
    statement = shown.statement_of(bundle)
    if statement is None:
        return "it holds no in-toto statement"
    if not statement.digests:
        return "none of its subjects has a sha256, by which a ledger knows what it speaks of"
    return ""


def _idle(found: VerifiedStatement, state: LedgerState) -> str:
    """Why it counts for nothing as things stand."""
    if state.is_revoked(found.identity, found.proven, found.id):
        return "it, or who signed it, was revoked"
    word = predicates.short_name(found.statement.predicate_type)
    wanted = roles_for(word) if word in REQUIREMENTS else ()
    if wanted and not found.roles & set(wanted):
        held = ", ".join(sorted(found.roles)) or "no role"
        return f"{word} is asked of {' or '.join(wanted)}; the signer holds {held}"
    if not found.statement.digests & _made(state):
        return "nothing that this ledger has released is among its subjects, so far"
    return ""


def _made(state: LedgerState) -> frozenset[Digest]:
    releases = state.releases.values()
    archives = {digest for info in releases for digest in info.archives.values()}
    trees = {digest for info in releases for digest in info.components.values()}
    return frozenset(archives | trees | set(state.releases) | set(state.components.values()))


def _about(bundle: SigstoreBundle) -> tuple[str, ...]:
    rows = []
    for row in shown.about(bundle):
        digest = next(iter(sorted(row["digest"].items())), ("", ""))
        rows.append(row["name"] or f"{digest[0]}:{digest[1]}")
    return tuple(rows)
