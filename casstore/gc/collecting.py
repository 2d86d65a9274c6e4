"""One run of gc: condemn what nothing needs, and give up what was condemned long enough ago (docs/formats/gc.md).

The order is the promise: new packs durable, then the condemn step; grace; everything marked
again, new packs durable, then the delete step at the exact next number of every ledger; pins
read once more; then, and only then, files go. A run that is killed anywhere leaves nothing but
packs too many, and the next run goes on.

    report = collect(store, Settings(grace=timedelta(days=7)), signer=signer, now=now, confirm=True)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta

from attest.core.values import dataclass
from attest.digests import Digest, from_raw, to_raw
from attest.signers import Signer
from casstore.errors import Conflict, NoSuchObject, ObjectDamaged, StoreDamaged
from casstore.gc import planning
from casstore.gc.books import Book, open_books
from casstore.gc.contents import Contents
from casstore.gc.marking import Marks, mark
from casstore.gc.pins import Pin
from casstore.gc.pins import load as load_pins
from casstore.gc.planning import Plan
from casstore.gc.repacking import move
from casstore.gc.reports import CollectReport, PackRow
from casstore.gc.roots import pin_roots
from casstore.ledger.book.listing import ledger_names
from casstore.machine.progress import NullProgress, Progress
from casstore.objects.packs import LocalPacks, key_of
from casstore.store.store import Store

GRACE = timedelta(days=7)
KEEP_LAST = 1000
_TRIES = 50
NOTHING_SAYS = "no ledger and no pin says what is needed here, so everything is kept"


@dataclass(frozen=True, slots=True)
class Settings:
    """`grace`: how long a put may take, at least; `keep_last`: so many entries may still be released."""

    grace: timedelta = GRACE
    keep_last: int = KEEP_LAST


@dataclass(frozen=True, slots=True)
class Survey:
    """All that is known at one moment."""

    books: tuple[Book, ...]
    pins: tuple[Pin, ...]
    contents: Contents
    marks: Marks
    doomed: Mapping[bytes, bool]
    plan: Plan

    @property
    def judged(self) -> bool:
        """Whether anything says what is needed."""
        return bool(self.pins or any(book.name for book in self.books))


@dataclass(slots=True)
class _Run:
    """What a run has done so far."""

    condemned: list[PackRow] = field(default_factory=list)
    deleted: list[PackRow] = field(default_factory=list)
    lifted: set[Digest] = field(default_factory=set)
    moved: int = 0


def survey(
    store: Store,
    settings: Settings,
    now: datetime,
    signer: Signer | None,
    *,
    tell: bool = False,
    before: Survey | None = None,
) -> Survey:
    """See the module; `before` saves reading again. Raises StoreDamaged, unless another collection only moved it."""
    while True:
        doomed = store.catalog.doomed()
        try:
            return _survey(store, settings, now, signer, tell=tell, before=before)
        except (NoSuchObject, StoreDamaged):
            if store.catalog.doomed() == doomed:
                raise


def _survey(
    store: Store, settings: Settings, now: datetime, signer: Signer | None, *, tell: bool, before: Survey | None
) -> Survey:
    """Read ledgers, then pins, then packs: all that an entry names was there before it."""
    books = open_books(store, signer, before.books if before else ())
    pins = load_pins(store)
    contents = Contents.load(store, now.timestamp(), before.contents.found if before else None)
    roots = [root for book in books for root in book.roots(contents, settings.keep_last)]
    _check_pinned(pins, contents)
    marks = mark(contents, [*roots, *pin_roots(pins)], tell=tell)
    doomed = dict.fromkeys((to_raw(pack) for book in books for pack in book.condemned), False)
    doomed |= dict.fromkeys((to_raw(pack) for book in books for pack in book.given_up), True)
    plan = planning.make(contents, marks.needed, doomed)
    return Survey(tuple(books), tuple(pins), contents, marks, doomed, plan)


def _check_pinned(pins: list[Pin], contents: Contents) -> None:
    """A pin of what is not there keeps something that is not known: nothing is collected."""
    for pin in pins:
        if to_raw(pin.digest) not in contents.first:
            raise StoreDamaged(
                f"pin {pin.token[:8]}: {pin.digest} is not there, so nothing is collected",
                hint="mend the store (casstore fsck --repair --from STORE) or take the pin away (casstore pin remove)",
            )


def collect(
    store: Store,
    settings: Settings,
    *,
    now: datetime,
    signer: Signer | None = None,
    confirm: bool = False,
    progress: Progress | None = None,
) -> CollectReport:
    """Without `confirm` only say what would be done. Raises StoreDamaged, PolicyDenied, BadInput."""
    heard = progress or NullProgress()
    heard.start("gc", None, None)
    seen, run = survey(store, settings, now, signer), _Run()
    if not seen.judged:
        return _report(seen, settings, run, now, done=False, note=NOTHING_SAYS)
    if not confirm:
        _foretell(seen, settings, run, now)
        return _report(seen, settings, run, now, done=False)
    for book in seen.books:
        book.require(now)
    _condemn(store, seen, settings, run, now)
    last = _sweep(store, settings, run, now, signer, seen)
    heard.finish()
    return _report(last, settings, run, now, done=True)


def _condemn(store: Store, seen: Survey, settings: Settings, run: _Run, now: datetime) -> None:
    going = _to_condemn(seen, settings)
    made = _move(store, seen, going, run)
    for name in going:
        run.condemned.append(_row(seen, name, now + settings.grace))
    wanted = {from_raw(name) for name in (*going, *seen.doomed) if name in seen.contents.found}
    for book in seen.books:
        new = wanted - set(book.given_up) - book.condemned.keys()
        if new:
            _name(store, made)
            book.condemn(new, settings.grace, now)


def _to_condemn(seen: Survey, settings: Settings) -> list[bytes]:
    """Packs of which little or nothing is needed, and many small ones; those that are old enough."""
    old = [name for name in sorted(seen.plan.packs) if name not in seen.doomed and not _fresh(seen, name, settings)]
    little = [name for name in old if seen.plan.packs[name].may_go]
    rest = set(old).difference(little)
    return sorted([*little, *planning.to_merge(seen.contents, sorted(rest))])


def _fresh(seen: Survey, name: bytes, settings: Settings) -> bool:
    """Whether a put that made this pack may be on its way to its entry."""
    age = seen.contents.found[name].age
    return age is not None and settings.grace > timedelta(0) and age < settings.grace.total_seconds()


def _move(store: Store, seen: Survey, going: Collection[bytes], run: _Run) -> list[bytes]:
    """Copy what is needed of packs that shall go, unless a whole copy lies in one that stays; the new packs."""
    wanted: dict[bytes, bytes] = {}
    for name in going:
        for raw, *_ in seen.contents.found[name].table.iter_objects():
            if raw in seen.marks.needed and raw not in wanted:
                home = seen.plan.homes[raw]
                if home in going or not _whole(seen.contents, raw, home):
                    wanted[raw] = name
    made = move(store, seen.contents, wanted.items())
    run.moved += sum(store.packs.size(name) or 0 for name in made)
    return made


def _name(store: Store, made: Iterable[bytes]) -> None:
    """The next entry names these packs: whoever follows that ledger finds what was moved."""
    for name in made:
        store.take_pack(name)


def _whole(contents: Contents, raw: bytes, name: bytes) -> bool:
    try:
        for _ in contents.chunks(raw, name):
            pass
    except ObjectDamaged:
        return False
    return True


def _sweep(store: Store, settings: Settings, run: _Run, now: datetime, signer: Signer | None, seen: Survey) -> Survey:
    """Give up what is due; begin again whenever something came between."""
    for _ in range(_TRIES):
        seen = survey(store, settings, now, signer, before=seen)
        due, settled = _due(seen.books, now)
        there = [name for name in sorted(due) if name in seen.contents.found]
        going = [name for name in there if seen.doomed.get(name) or seen.plan.packs[name].may_go]
        made = _move(store, seen, going, run)
        if not _give_up(store, seen, going, settled, made, now):
            continue
        if [pin for pin in load_pins(store) if pin not in seen.pins] or ledger_names(store) != _names_of(seen):
            continue  # what was pinned meanwhile is moved out of what was given up, before anything goes
        run.lifted |= {from_raw(name) for name in there if name not in going}
        run.deleted += [_row(seen, name, None) for name in going]
        _remove(store, going)
        return seen
    raise Conflict(
        f"{store.url}: something came between in each of {_TRIES} tries; nothing more was removed",
        hint="run casstore gc again when fewer writers are busy",
    )


def _due(books: Sequence[Book], now: datetime) -> tuple[set[bytes], list[set[int]]]:
    """Packs that every book condemned long enough ago, or gave up; and the steps of each book that this settles."""
    over = [{pack: row.number for pack, row in book.condemned.items() if row.until <= now} for book in books]
    while True:
        due = set.intersection(*(set(known) | set(book.given_up) for known, book in zip(over, books, strict=True)))
        held = [{number for pack, number in known.items() if pack not in due} for known in over]
        if not any(held):
            settled = [set(known.values()) for known in over]
            return {to_raw(pack) for pack in due}, settled
        over = [{p: n for p, n in known.items() if n not in out} for known, out in zip(over, held, strict=True)]


def _give_up(
    store: Store,
    seen: Survey,
    going: Iterable[bytes],
    settled: Sequence[Collection[int]],
    made: Sequence[bytes],
    now: datetime,
) -> bool:
    """The delete step in every book that needs one; False when something came between."""
    packs = {from_raw(name) for name in going}
    for book, numbers in zip(seen.books, settled, strict=True):
        mine = packs - set(book.given_up)
        if mine or numbers or made:
            _name(store, made)
            if not book.delete(mine, numbers, now):
                return False
    return True


def _remove(store: Store, names: Sequence[bytes]) -> None:
    """The files go. One that is gone already is no fault."""
    store.storage.delete([key_of(name) for name in names])
    if isinstance(store.packs, LocalPacks):
        for name in names:
            store.packs.forget(name)


def _foretell(seen: Survey, settings: Settings, run: _Run, now: datetime) -> None:
    """What a confirmed run would do now."""
    for name in _to_condemn(seen, settings):
        run.condemned.append(_row(seen, name, now + settings.grace))
    due, _ = _due(seen.books, now)
    for name in sorted(due & seen.contents.found.keys()):
        if seen.doomed.get(name) or seen.plan.packs[name].may_go:
            run.deleted.append(_row(seen, name, None))
        else:
            run.lifted.add(from_raw(name))


def _row(seen: Survey, name: bytes, until: datetime | None) -> PackRow:
    return PackRow(from_raw(name), seen.contents.found[name].size, seen.plan.packs[name].homed, until)


def _names_of(seen: Survey) -> list[str]:
    return [book.name for book in seen.books if book.name]


def _report(seen: Survey, settings: Settings, run: _Run, now: datetime, *, done: bool, note: str = "") -> CollectReport:
    judged = {row.pack for row in (*run.condemned, *run.deleted)} | run.lifted
    rows = {pack: row for book in seen.books for pack, row in book.condemned.items() if pack not in judged}
    waiting = [
        _row(seen, to_raw(pack), row.until)
        for pack, row in sorted(rows.items())
        if row.until > now and to_raw(pack) in seen.contents.found
    ]
    fresh = [
        name
        for name, plan in seen.plan.packs.items()
        if seen.judged and name not in seen.doomed and plan.may_go and _fresh(seen, name, settings)
    ]
    gone = {to_raw(row.pack) for row in run.deleted} if done else set()
    left = [pack.size for name, pack in seen.contents.found.items() if name not in gone]
    return CollectReport(
        done=done,
        ledgers=tuple(_names_of(seen)),
        packs=len(left),
        bytes=sum(left),
        objects=len(seen.contents.first),
        needed=len(seen.marks.needed),
        fresh=len(fresh),
        condemned=tuple(run.condemned),
        waiting=tuple(waiting),
        deleted=tuple(run.deleted),
        lifted=tuple(sorted(run.lifted)),
        moved=run.moved,
        note=note,
    )
