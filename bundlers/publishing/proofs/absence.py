"""Which rows of a sealed state a channel is judged by, so that nothing that speaks against it is left out.

Promises: publisher and consumer ask the same names; the leaves that answer them are all that is
published. Only absence is taken from a seal, and that the channel's head is no other move. Leaves
to others: that the seal holds its place (`consuming.ledger_proof`), and what the moves are worth.

    question = ask(history, "prod", 41, [release], trust_roots, read)
    answers = answer(seal.state, read, question.names)
    check(question, answers)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from attest.core import times
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import VerificationError
from attest.log import state_trie
from attest.log.state_trie import Row
from attest.trust.trust_roots import TrustRoot
from bundlers.publishing.proofs.channel_proof import History, Selection
from bundlers.publishing.proofs.ways import Way, way
from casstore.ledger.entries import Entry
from casstore.ledger.release_objects import Release
from casstore.ledger.states.rows import canary_row
from casstore.ledger.states.views import Revocation, Suspension
from casstore.objects import tree as trees
from casstore.store.attestations import id_of

Answers = Mapping[str, Row | None]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about one channel."""

    channel: str
    way: Way
    release: Digest
    canary: Mapping[str, Any] | None
    """As the row of the channel must have it."""
    root: TrustRoot
    made: frozenset[str]
    """What the releases consist of, down to each folder and file: revoked, they cannot be used."""
    leaned_on: frozenset[str]
    """Attestations (their ids) and identities: revoked, they do not count."""
    seals: frozenset[int]
    """Between these the entries lie that were judged: void, they bound nothing."""

    @property
    def held(self) -> tuple[int, ...]:
        """Entries that must not be void."""
        return tuple(sorted({self.way.head.number, *(entry.number for entry in self.way.decided), *self.seals}))

    @property
    def names(self) -> tuple[str, ...]:
        """The rows, sorted."""
        version = self.root.version
        subjects = self.made | self.leaned_on
        return tuple(
            sorted(
                {
                    f"channel/{self.channel}",
                    *(f"root/{number}" for number in (version, version + 1)),
                    *(f"void/{number}" for number in self.held),
                    *(f"revoked/{subject}" for subject in subjects),
                    *(f"suspended/{subject}" for subject in subjects if not subject.startswith("sha256:")),
                }
            )
        )


@dataclass(frozen=True, slots=True)
class Leaning:
    """What one release, and the moves that give it out, stand on."""

    made: frozenset[str]
    """The release and what it consists of."""
    leaned_on: frozenset[str]
    """Attestations (their ids) and identities."""


def leaning(
    history: History,
    moves: Iterable[Entry],
    release: Release,
    roots: Iterable[TrustRoot],
    read: Callable[[Digest], bytes],
) -> Leaning:
    """Of a release with its moves; `read` gives attestations and folders. Raises VerificationError."""
    attestations = {history.number(history.release_entry(release.digest)).statement, *release.evidence}
    for move in moves:
        attestations |= {move.statement, *history.claim(move).evidence}
    trees = _contents(release.components.values(), read, set())
    return Leaning(
        frozenset({release.digest, *release.archives.values(), *trees}),
        frozenset(
            {
                *(id_of(read(digest)) for digest in attestations),
                *(entry.identity for root in roots for entry in root.identities),
            }
        ),
    )


def ask(
    history: History,
    channel: str,
    head: int,
    releases: Sequence[Release],
    roots: Iterable[TrustRoot],
    read: Callable[[Digest], bytes],
    chosen: Selection | None = None,
) -> Question:
    """The question for a channel whose last move is `head`.

    `releases`: what it names, and the canary beside it unless that is nobody's any more. `chosen`: the entries that
    are judged, each between two seals that must have held. Raises VerificationError.
    """
    chain, found = tuple(roots), way(history, channel, head)
    leans = [leaning(history, by, one, chain, read) for one, by in zip(releases, by_release(found), strict=False)]
    return Question(
        channel,
        found,
        releases[0].digest,
        _canary(history, found),
        chain[-1],
        frozenset().union(*(one.made for one in leans)),
        frozenset().union(*(one.leaned_on for one in leans)),
        frozenset() if chosen is None else history.around(chosen.judged | chosen.seeds),
    )


def by_release(found: Way) -> tuple[tuple[Entry, ...], ...]:
    """The moves that give out what a channel names, and those of the canary."""
    named = (found.brought,) if found.canary else (found.brought, found.head)
    return named, found.canary[-1:]


def _canary(history: History, found: Way) -> Mapping[str, Any] | None:
    if not found.canary:
        return None
    first, last = found.canary[0], found.canary[-1]
    claim = history.claim(last)
    return canary_row(first.digest, first.number, history.release_of(last), claim.release, claim.share)


def _contents(folders: Iterable[Digest], read: Callable[[Digest], bytes], seen: set[Digest]) -> Iterator[Digest]:
    """Some trees, and every folder and file below them."""
    for folder in folders:
        if folder in seen:
            continue
        seen.add(folder)
        yield folder
        entries = trees.parse(read(folder)).entries
        yield from (entry.content for entry in entries if entry.kind == "file")
        yield from _contents([entry.content for entry in entries if entry.kind == "dir"], read, seen)


def names_of_withdrawal(channel: str, roots: Iterable[TrustRoot]) -> tuple[str, ...]:
    """The rows for a channel that holds nothing any more: where it stands, who counts."""
    chain = tuple(roots)
    version = chain[-1].version
    people = {entry.identity for root in chain for entry in root.identities}
    rows = {f"channel/{channel}", f"root/{version}", f"root/{version + 1}"}
    return tuple(sorted(rows | {f"{kind}{who}" for who in people for kind in _AGAINST}))


def answer(root: Digest, read: Callable[[Digest], bytes], names: Iterable[str]) -> Answers:
    """The rows under a root; None where it is shown that there is none."""
    return state_trie.look_up_all(root, read, names)


def check(question: Question, answers: Answers, at: datetime) -> Against:
    """Raises VerificationError for what the state says against it; returns who and what counts no more at a time."""
    row = answers[f"channel/{question.channel}"]
    said: Any = row.value if row is not None else {}
    head, brought = question.way.head, question.way.brought
    if (
        said.get("move") != {"digest": head.digest, "kind": str(head.kind), "number": head.number}
        or said.get("brought") != {"digest": brought.digest, "number": brought.number}
        or said.get("release") != question.release
        or said.get("canary") != question.canary
    ):
        raise VerificationError(
            f"channel {question.channel}: the sealed state names another move than ledger entry {head.number}",
            hint="an older or other state is served: do not install from here",
        )
    _check_root(answers, question.root)
    return _against(question, answers, at)


def check_withdrawal(answers: Answers, channel: str, move: Digest, root: TrustRoot, at: datetime) -> Against:
    """Raises VerificationError unless the channel still stands at that move; returns whose signature counts no more."""
    row = answers[f"channel/{channel}"]
    said: Any = row.value if row is not None else {}
    if said.get("move", {}).get("digest") != move:
        raise VerificationError(
            f"channel {channel}: the sealed state names another move than the one that was withdrawn",
            hint="an older or other state is served: do not install from here",
        )
    _check_root(answers, root)
    return _named(answers, at)


def told(row: Revocation | Suspension) -> str:
    """What took something away, in a line: why, what, and where it is written."""
    if isinstance(row, Suspension):
        what = f"identity {row.identity[:90]} suspended until {times.format(row.until)}"
    else:
        what = f"{row.kind} {row.name[:90]} revoked"
    return f"{' '.join(row.reason.split())[:300]} ({what}, ledger entry {row.entry})"


def _check_root(answers: Answers, root: TrustRoot) -> None:
    known, later = answers[f"root/{root.version}"], answers[f"root/{root.version + 1}"]
    if known is None or known.value.get("digest") != root.digest or later is not None:
        raise VerificationError(
            f"trust root {root.version} is not the newest one of the sealed state",
            hint="the chain is not complete: do not install from here",
        )


@dataclass(frozen=True, slots=True)
class Against:
    """Who and what counts no more, by the sealed state."""

    revoked: frozenset[str]
    limited: Mapping[str, int]
    """Identities of which counts what was recorded before an entry."""

    @property
    def names(self) -> frozenset[str]:
        """All of whom nothing new counts."""
        return self.revoked | self.limited.keys()


def _named(answers: Answers, at: datetime) -> Against:
    rows = {name: row.value for name, row in answers.items() if row is not None and name.startswith(_AGAINST)}
    limited = {name.partition("/")[2]: row["from"] for name, row in rows.items() if "from" in row}
    gone = {name.partition("/")[2] for name, row in rows.items() if name.startswith("revoked/") and "from" not in row}
    waits = {
        name.partition("/")[2]
        for name, row in rows.items()
        if name.startswith("suspended/") and at < times.parse(row.get("until"))
    }
    return Against(
        frozenset(gone | waits), {name: limit for name, limit in limited.items() if name not in gone | waits}
    )


def _against(question: Question, answers: Answers, at: datetime) -> Against:
    for number in question.held:
        if answers[f"void/{number}"] is not None:
            raise VerificationError(f"ledger entry {number} is void", hint="do not install it; ask the promoters")
    against = _named(answers, at)
    if bad := sorted(against.revoked & question.made):
        raise VerificationError(f"{bad[0]} of this release was revoked", hint="do not install it; ask for a newer one")
    return against


_AGAINST = ("revoked/", "suspended/")
