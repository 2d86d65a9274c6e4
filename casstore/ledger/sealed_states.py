"""What a seal names, kept in the store: a machine that has folded nothing begins there (docs/formats/state.md).

Promises: what is read is what the seal signed, by its digest; the seal is judged as every entry is, by the chain of
trust roots that stands in the ledger itself; every entry that says who or what counts is looked for there, too.
Whatever does not fit is passed over, and everything is folded. Nothing is lost with these files: they may be deleted
at any time. Only a store in a folder has them.

Leaves to others: who may begin so. What somebody signs for others about the whole ledger, takes away or proves
is folded from the first entry (`folding.replay_whole`): a seal's signer is believed about the rest, which he may hide.

    keep(ledger.storage, state)                # right after a seal, now and then
    state = begin(ledger, store, sigstore_root, again)
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import msgpack

from attest.digests import sha256
from attest.errors import CasstoreError, FormatError, VerificationError
from attest.statements.predicates import seal as predicate
from attest.trust import trust_chain
from attest.trust.verify import verify
from casstore.ledger import rules
from casstore.ledger.book.all_entries import AllEntries
from casstore.ledger.book.log import Ledger
from casstore.ledger.entries import ROOTS, TRUST, Entry
from casstore.ledger.rules import trust
from casstore.ledger.saved_state import Again, SavedRows, entries_of, rows_of
from casstore.ledger.states import state_records
from casstore.ledger.states.state import LedgerState, ObjectReader
from casstore.objects import codec
from casstore.storage import Storage

if TYPE_CHECKING:
    from attest.trust.trust_roots import TrustRoot

MAGIC = b"casstore-sealed-state/1\n"
MAX_BYTES = 256 * 1024 * 1024
"""Before compression; of more nothing is kept."""
_LEVEL = 3
_LEAST, _SHARE = 256, 16
"""One is made when so many entries, or that share of all, came since."""
_KEPT = 2
_DIGITS = 20
_KINDS = tuple(f'"kind":"{kind}"'.encode() for kind in sorted(TRUST))


def folder_of(ledger: str) -> str:
    """What their keys begin with."""
    return f"states/{ledger}/"


def is_due(before: int | None, number: int) -> bool:
    """Whether a seal's state is to be kept, by the number of the seal before it."""
    step = max(_LEAST, 1 << max(0, (number // _SHARE).bit_length() - 1))
    return number // step > (0 if before is None else before // step)


def keep(storage: Storage, state: LedgerState) -> None:
    """Keep what the newest seal of a state names, and let older ones go; what cannot be written is not."""
    made = state.tries
    watched = state.require_trust_root().witnesses is not None
    if storage.local_path is None or storage.read_only or made is None or watched:
        return
    with contextlib.suppress(CasstoreError, OSError), tempfile.NamedTemporaryFile() as file:
        data = encode(state_records.record(made.of.fields()), rows_of(made.of))
        file.write(data)
        file.flush()
        folder = folder_of(state.ledger)
        storage.put_file(f"{folder}{made.of.count:0{_DIGITS}}", file.name, sha256(data))
        storage.delete(sorted(storage.list(folder))[:-_KEPT])


def encode(record: bytes, rows: Mapping[bytes, bytes]) -> bytes:
    """A file's bytes. Raises FormatError for a state that is too large."""
    raw: bytes = msgpack.packb([record, sorted(rows.items())])
    if len(raw) > MAX_BYTES:
        raise FormatError(f"a state of {len(raw)} bytes is not kept, the limit is {MAX_BYTES}")
    kind, stored = codec.Packer(_LEVEL).pack(raw)
    return b"".join([MAGIC, len(raw).to_bytes(8, "big"), bytes([kind]), stored])


def decode(data: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """(the record, the rows of its tables by their keys), neither of them believed. Raises FormatError."""
    head = len(MAGIC)
    size = int.from_bytes(data[head : head + 8], "big")
    if not data.startswith(MAGIC) or len(data) <= head + 8 or size > MAX_BYTES:
        raise FormatError("not the state of a seal")
    try:
        record, rows = msgpack.unpackb(codec.unpack(data[head + 8], data[head + 9 :], size), use_list=False)
        found = dict(rows)
    except (ValueError, TypeError, msgpack.UnpackException) as exc:
        raise FormatError(f"not the state of a seal: {exc}") from exc
    if not isinstance(record, bytes) or not all(isinstance(part, bytes) for row in found.items() for part in row):
        raise FormatError("not the state of a seal: other things stand in it")
    return record, found


def begin(ledger: Ledger, store: ObjectReader, sigstore_root: bytes | None, again: Again) -> LedgerState | None:
    """The state after the newest seal whose state lies in the store; None: fold everything."""
    storage = ledger.storage
    if storage.local_path is None:
        return None
    reader = rules.Reader(store, sigstore_root)
    for key in sorted(storage.list(folder_of(ledger.name)), reverse=True)[:_KEPT]:
        with contextlib.suppress(CasstoreError, TypeError, ValueError, LookupError, AttributeError):
            found = _begun(ledger, reader, again, key)
            if ledger.resume(found.count, found.tip) and _hides_nobody(found, ledger.all_entries(), reader):
                return found
    return None


def _begun(ledger: Ledger, reader: rules.Reader, again: Again, key: str) -> LedgerState:
    """Raises CasstoreError where anything is not as the ledger has it."""
    if (ledger.storage.size(key) or 0) > MAX_BYTES:
        raise FormatError(f"{key} is larger than any state of a seal")
    record, rows = decode(ledger.storage.read(key))
    entry = ledger.peek(_number(key))
    claim = predicate.parse(reader.unverified(entry).predicate)
    if claim.full != sha256(record):
        raise VerificationError(f"{key} is not what its seal names")
    roots = _trust_roots(ledger, record, reader, claim.time)
    _check_signer(entry, claim, roots[-1], reader)  # before what it signed is made anything of
    kept = SavedRows(ledger.name, rows.get, entries_of(ledger), again, lambda _: None, claim.size, claim.tip)
    state = LedgerState(**state_records.of_record(record, roots, kept))
    if (state.store, state.ledger, state.count, state.tip) != (claim.store, ledger.name, claim.size, claim.tip):
        raise VerificationError(f"{key} is of another place")
    if state.require_trust_root().witnesses is not None:
        raise VerificationError("whose word takes witnesses is not believed without them")
    return replace(rules.judge(state, entry, reader), begun=entry.number)


def _hides_nobody(state: LedgerState, entries: AllEntries, reader: rules.Reader) -> bool:
    """Whether it knows every entry that says who and what counts: none is left out, and none says something else.

    An entry's bytes are RFC 8785: the text of a field stands in them once, and in no value.
    """
    known = {*state.trust_root_entries, *(row.entry for row in state.revocations)}
    known |= {row.entry for row in state.suspensions}
    if known != {number for number in range(state.count) if any(kind in entries.raws[number] for kind in _KINDS)}:
        return False
    again = replace(state, revocations=(), revoked=frozenset(), limited={})
    for row in state.revocations:
        again = trust.revoked(again, trust.revocation_of(entries[row.entry], reader))
    held = all(row.identity == trust.suspended_in(entries[row.entry], reader) for row in state.suspensions)
    return held and (again.revocations, again.revoked, again.limited) == (
        state.revocations,
        state.revoked,
        state.limited,
    )


def _trust_roots(ledger: Ledger, record: bytes, reader: rules.Reader, at: datetime) -> Sequence[TrustRoot]:
    """The chain of trust roots as the ledger's own entries have it."""
    raws = []
    for number, digest in state_records.trust_files(record):
        entry = ledger.peek(number)
        if entry.kind not in ROOTS or entry.statement != digest:
            raise VerificationError(f"entry {number} brings another trust root, or none")
        raws.append(reader.read(digest, entry))
    return trust_chain.verify_chain(raws, at=at, read=reader.pinned, sigstore_root=reader.sigstore_root)


def _check_signer(entry: Entry, claim: predicate.Seal, root: TrustRoot, reader: rules.Reader) -> None:
    verify(
        reader.read(entry.statement, entry),
        trust_root=root,
        predicate_type=predicate.TYPE,
        subjects=tuple(claim.subjects.values()),
        at=claim.time,
        role="ledger",
        sigstore_root=reader.sigstore_roots(root).of(root),
    )


def _number(key: str) -> int:
    digits = key.rpartition("/")[2]
    if not (len(digits) == _DIGITS and digits.isascii() and digits.isdigit()):
        raise FormatError(f"{key} is no number of a seal")
    return int(digits)
