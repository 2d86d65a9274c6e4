"""Laws of the ledger's fold, over ledgers that hold valid, void and repeated entries in any order.

fold(fold(s, a), b) == fold(s, a + b); void entries have no effect but their place; every reader
agrees, whatever it knew before.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import World, provenance, signer, trust_root

from attest import digests
from attest.digests import Digest, sha256
from attest.keys import keys
from attest.sigstore.sigstore_bundles import hint_of
from attest.statements import statements
from attest.statements.predicates import promotion as promotions
from attest.statements.predicates import revocation
from casstore.errors import NoSuchObject
from casstore.ledger import entries as formats
from casstore.ledger import facts, saved_state
from casstore.ledger.entries import Entry, EntryKind
from casstore.ledger.folding import fold
from casstore.ledger.states import state_records
from casstore.ledger.states.state import LedgerState, start
from casstore.store.store import Store

KEEPS_STORES = True
"""One is opened for all tests of this file."""


@pytest.fixture(autouse=True, scope="module")
def _cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    yield
    os.environ.pop("XDG_CACHE_HOME")
    if before is not None:
        os.environ["XDG_CACHE_HOME"] = before


@cache
def _world() -> World:
    """Two releases, some approvals and everything that a ledger can name, good and bad."""
    url = f"memory://{uuid4()}"
    world = World(Store.init(url))
    world.genesis(trust_root(world.store.store_id))
    world.release("1.0.0")
    world.release("1.0.1")
    world.to_staging("1.0.0")
    return world


@cache
def _material() -> tuple[tuple[EntryKind, str | None, Digest], ...]:
    """Kinds, channels and statements to draw from: the true ones, and others."""
    world = _world()
    true = [(e.kind, e.channel, e.statement) for e in world.ledger.entries()]
    put = world.store.put_bytes
    wrong = [
        (EntryKind.PROMOTE, "staging", put(_move(world, "1.0.1", "staging"))),
        (EntryKind.PROMOTE, "dev", put(_move(world, "1.0.1", "dev", sha256(b"elsewhere")))),
        (EntryKind.PIN, "dev", true[1][2]),
        (EntryKind.COMPONENT, None, put(provenance({"x": sha256(b"x")}, "pam", releaseVersion="3"))),
        (EntryKind.EVIDENCE, None, put(b"noise")),
        (EntryKind.REVOKE, None, put(_revocation())),
        (EntryKind.TRUST_ROOT, None, true[0][2]),
    ]
    return (*true, *wrong)


def _move(world: World, version: str, channel: str, after: Digest | None = None) -> bytes:
    state = world.state
    claim = promotions.Promotion(
        store=state.store,
        ledger="main",
        action="promote",
        channel=channel,
        from_move=after,
        release=version,
        time=world.now,
        trust_root=state.require_trust_root().digest,
    )
    subject = {"release": state.versions[version]}
    return signer("pam").sign_statement(statements.of_digests(subject, promotions.TYPE, claim.to_json()).to_bytes())


def _revocation() -> bytes:
    claim = revocation.Revocation("artifact", "leaked", _world().now)
    subject = {"artifact": _world().state.versions["1.0.1"]}
    return signer("aud").sign_statement(statements.of_digests(subject, revocation.TYPE, claim.to_json()).to_bytes())


def _chain(picks: list[int]) -> list[Entry]:
    """A well-formed chain out of picked material; what it means is the fold's affair."""
    chain: list[Entry] = []
    for number, pick in enumerate(picks):
        kind, channel, statement = _material()[pick % len(_material())]
        prev = chain[-1].digest if chain else digests.ZERO
        token = f"{number:032x}"
        chain.append(formats.make(number, prev, token, _world().now, kind, statement, channel=channel))
    return chain


def _start() -> LedgerState:
    return start(_world().store.store_id, "main")


# Mostly the true order, so that states get deep; with repetitions, gaps and strangers.
def _ledgers() -> st.SearchStrategy[list[int]]:
    size = 16

    def near_true(changes: list[tuple[int, int]]) -> list[int]:
        picks = list(range(size))
        for place, pick in changes:
            picks.insert(place % (len(picks) + 1), pick)
        return picks

    changed = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=6).map(near_true)
    return st.one_of(changed, st.lists(st.integers(0, 30), max_size=12))


@settings(deadline=None)
@given(_ledgers(), st.data())
def test_a_fold_can_be_cut_anywhere(picks: list[int], data: st.DataObject) -> None:
    chain = _chain(picks)
    cut = data.draw(st.integers(0, len(chain)))
    whole = fold(_start(), chain, _world().store)
    assert fold(fold(_start(), chain[:cut], _world().store), chain[cut:], _world().store) == whole
    assert whole.count == len(chain)
    assert whole.tip == (chain[-1].digest if chain else digests.ZERO)


@settings(deadline=None)
@given(_ledgers(), st.data())
def test_a_saved_state_goes_on_as_if_it_had_never_been_saved(picks: list[int], data: st.DataObject) -> None:
    chain = _chain(picks)
    cut = data.draw(st.integers(0, len(chain)))
    before = fold(_start(), chain[:cut], _world().store)
    body, kept = saved_state.encode(before.fields(), "code", None), saved_state.rows_of(before)
    rows = saved_state.SavedRows(
        before.ledger, kept.get, lambda start, *_: iter(chain[start:cut]), lambda _: before, dict
    )
    found = saved_state.decode(body, "code", None, before.store, rows)
    assert found is not None
    again = LedgerState(**found[0])
    assert again == before
    assert fold(again, chain[cut:], _world().store) == fold(_start(), chain, _world().store)
    assert saved_state.encode(again.fields(), "code", None) == body


@settings(deadline=None)
@given(_ledgers())
def test_what_a_worker_tells_changes_nothing(picks: list[int]) -> None:
    chain, store = _chain(picks), _world().store
    roots = _world().state.trust_roots
    pems = {pem for root in roots for one in root.identities if (pem := one.public_pem) is not None}
    hinted = {hint_of(keys.public_to_der(keys.public_from_pem(pem))): pem for pem in pems}
    alone = fold(_start(), chain, store)
    for raw in {store.read(entry.statement) for entry in chain}:
        if (row := facts.told(raw, hinted)) is not None:
            facts.learn(raw, row)
    found = fold(_start(), chain, store)
    assert found == alone and found.void == alone.void
    assert state_records.record(found.fields()) == state_records.record(alone.fields())


@settings(deadline=None)
@given(_ledgers())
def test_a_void_entry_changes_nothing_but_its_place(picks: list[int]) -> None:
    state = _start()
    for entry in _chain(picks):
        after = fold(state, [entry], _world().store)
        if len(after.void) > len(state.void):
            assert after == replace(state, void=after.void, codes=after.codes, count=after.count, tip=after.tip)
            assert after.void[-1][0] == entry.number
            assert after.void[-1][1]
        state = after


@settings(deadline=None)
@given(_ledgers())
def test_what_the_state_says_is_consistent(picks: list[int]) -> None:
    state = fold(_start(), _chain(picks), _world().store)
    assert {info.version: digest for digest, info in state.releases.items()} == state.versions
    assert set(state.order) == set(state.releases) and len(state.order) == len(state.releases)
    void = {number for number, _ in state.void}
    for name, channel in state.channels.items():
        assert channel.history
        assert channel.release in state.releases
        assert [move.number for move in channel.history] == sorted({move.number for move in channel.history} - void)
        assert channel.history[-1].entry == channel.move
        heads = [(place, move) for place, move in enumerate(channel.history) if move.kind in ("promote", "rollback")]
        assert channel.head == heads[-1][1]
        for release in {move.release for _, move in heads}:
            places = [place for place, move in heads if move.release == release]
            assert channel.been[release] == (places[0], places[-1])
        assert name in state.require_trust_root().channels
    for name in ("staging", "prod"):
        for release in state.channels[name].been if name in state.channels else ():
            before = state.require_trust_root().channels[name].from_channel
            assert before is not None
            assert release in state.channels[before].been


@settings(deadline=None)
@given(_ledgers())
def test_readers_that_know_other_things_agree(picks: list[int]) -> None:
    """Only the bytes that entries lead to are asked for; another store with more or less agrees."""
    chain = _chain(picks)
    store = _world().store
    asked: dict[Digest, bytes] = {}

    class Recording:
        store_id = store.store_id

        def read(self, digest: Digest, *, max_bytes: int = 2**30) -> bytes:
            asked[digest] = store.read(digest, max_bytes=max_bytes)
            return asked[digest]

    class Few:
        store_id = store.store_id

        def read(self, digest: Digest, *, max_bytes: int = 2**30) -> bytes:
            if digest not in asked:
                raise NoSuchObject(digest)
            return asked[digest]

    assert fold(_start(), chain, Recording()) == fold(_start(), chain, Few())
