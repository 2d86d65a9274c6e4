"""Which rows of a sealed state a channel is judged by, so that nothing that speaks against it is left out.

Promises: publisher and consumer ask the same names; the leaves that answer them are all that is
published. Only absence is taken from a seal, and that the channel's head is no other move. Leaves
to others: that the seal holds its place (`consuming.ledger_proof`), and what the moves are worth.

    question = ask(history, "prod", 41, release_digest, release, trust_roots)
    answers = answer(seal.state, read, question.names)
    check(question, answers)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from attest.core import times
from attest.digests import Digest
from attest.errors import VerificationError
from attest.log import state_trie
from attest.log.state_trie import Row
from attest.trust.trust_roots import TrustRoot
from bundlers.publishing.channel_proof import History, Selection, brought_by
from casstore.ledger.entries import Entry
from casstore.ledger.release_objects import Release
from casstore.ledger.views import Revocation, Suspension
from casstore.objects import tree as trees
from casstore.store.attestations import id_of

Answers = Mapping[str, Row | None]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about one channel."""

    channel: str
    head: Entry
    brought: Entry
    release: Digest
    root: TrustRoot
    made: frozenset[str]
    """The release and what it consists of, down to each folder and file: revoked, it cannot be used."""
    leaned_on: frozenset[str]
    """Attestations (their ids) and identities: revoked, they do not count."""
    seals: frozenset[int]
    """Between these the entries lie that were judged: void, they bound nothing."""

    @property
    def held(self) -> tuple[int, ...]:
        """Entries that must not be void."""
        return tuple(sorted({self.head.number, self.brought.number, *self.seals}))

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


def ask(
    history: History,
    channel: str,
    head: int,
    digest: Digest,
    release: Release,
    roots: Iterable[TrustRoot],
    read: Callable[[Digest], bytes],
    chosen: Selection | None = None,
) -> Question:
    """The question for a channel whose last move is `head`; `read` gives attestations and folders of the release.

    Raises VerificationError.

    `chosen`: the entries that are judged, each between two seals that must have held.
    """
    chain = tuple(roots)
    last, brought = history.number(head), brought_by(history, channel, head, set())
    attestations = {last.statement, brought.statement, *release.evidence, *history.claim(brought).evidence}
    attestations.add(history.number(history.release_entry(digest)).statement)
    return Question(
        channel,
        last,
        brought,
        digest,
        chain[-1],
        frozenset({digest, *release.archives.values(), *_contents(release.components.values(), read, set())}),
        frozenset(
            {
                *(id_of(read(digest)) for digest in attestations),
                *(entry.identity for root in chain for entry in root.identities),
            }
        ),
        frozenset() if chosen is None else history.around(chosen.judged | chosen.seeds),
    )


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
    head, brought = question.head, question.brought
    if (
        said.get("move") != {"digest": head.digest, "kind": str(head.kind), "number": head.number}
        or said.get("brought") != {"digest": brought.digest, "number": brought.number}
        or said.get("release") != question.release
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
