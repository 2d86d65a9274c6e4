"""Asks a public witness for its line below a checkpoint, by C2SP tlog-witness (docs/formats/witness.md, "Posted to").

Promises: what comes back is verified: the line of this very key over this very checkpoint, made at a time; nothing else
of an answer is kept. That the witness knows more than the ledger has, or another history, is told apart from every
other refusal (`OtherHistory`). Leaves to others: where the line is put (`publishing.asking`), and how bytes are sent.

    ask = C2spWitness("https://witness.example", network=guard, now=now)
    note = ask(question, witness)

Source: https://c2sp.org/tlog-witness
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from attest.core import times
from attest.core.values import dataclass
from attest.errors import BadInput, FormatError, PolicyDenied, VerificationError
from attest.log import checkpoints, cosignatures
from attest.trust.witnesses import CONSISTENCY, Witness
from bundlers.consuming import web_posts
from bundlers.consuming.ledger_proof import note_keys
from bundlers.consuming.web_posts import Answer
from bundlers.publishing.asking import OtherHistory, Outrun, Question, Refused
from casstore.errors import StorageUnavailable
from casstore.network.network import NetworkGuard

PROTOCOL = "c2sp"
MAX_PROOF = 63
"""Hashes that a request may have."""
SIZE_KIND = "text/x.tlog.size"
_SIZE = re.compile(rb"(0|[1-9]\d{0,18})\n", re.ASCII)
_SKEW = timedelta(minutes=10)
_TRIES = 3
"""Others may ask at the same time, and then its size is another one."""
_NO_MORE = "nothing of its answer is kept; ask whoever runs the witness"


def request_body(note: bytes, old: int, proof: Sequence[bytes]) -> bytes:
    """An `add-checkpoint` request. Raises BadInput for a proof that is too long."""
    if len(proof) > MAX_PROOF:
        raise BadInput(f"a consistency proof of {len(proof)} hashes, more than the limit of {MAX_PROOF}")
    lines = [f"old {old}", *(base64.b64encode(one).decode() for one in proof)]
    return "".join(f"{line}\n" for line in lines).encode() + b"\n" + note


@dataclass(frozen=True, slots=True)
class C2spWitness:
    """One witness, by its submission prefix."""

    url: str
    network: NetworkGuard
    now: datetime

    def __call__(self, question: Question, one: Witness) -> bytes:
        """The ledger's note with the line of this witness.

        Raises PolicyDenied, Refused, OtherHistory, VerificationError, StorageUnavailable.
        """
        if one.kind != CONSISTENCY:
            raise PolicyDenied(
                f"the witness {one.name} is posted to, and the trust root says that it folds",
                hint=f"a C2SP witness compares histories alone: the owners name it as {CONSISTENCY}",
            )
        old = question.before
        for _ in range(_TRIES):
            answer = self._posted(question, old)
            if answer.status != 409:
                return self._line(answer, question, one)
            old = self._known(answer, question, one)
        raise StorageUnavailable(
            f"the witness {one.name} signs other checkpoints meanwhile ({_TRIES} tries)", hint="run it again"
        )

    def _posted(self, question: Question, old: int) -> Answer:
        size = question.checkpoint.size
        proof = question.proof(old) if 0 < old < size else ()
        url = f"{self.url.rstrip('/')}/add-checkpoint"
        body = request_body(question.note, old, proof)
        return web_posts.post(url, body, network=self.network.named(url))

    def _known(self, answer: Answer, question: Question, one: Witness) -> int:
        """How many entries the witness has signed: no more than the checkpoint has."""
        match = _SIZE.fullmatch(answer.body)
        if match is None or answer.kind != SIZE_KIND:
            raise VerificationError(
                f"the witness {one.name} answers 409, and not how many entries it has signed", hint=_NO_MORE
            )
        known, size = int(match[1]), question.checkpoint.size
        if known > question.known:
            raise OtherHistory(
                f"the witness {one.name} has signed {known} entries of this ledger, there are {question.known} here",
                hint=f"another history under the ledger's key, or entries that were lost: {self._shown(question)}",
            )
        if known > size:
            raise Outrun(
                f"the witness {one.name} has signed {known} entries already, this checkpoint has {size}",
                hint="publish once more: a newer checkpoint goes on from there",
            )
        return known

    def _line(self, answer: Answer, question: Question, one: Witness) -> bytes:
        if answer.status != 200:
            raise self._refusal(answer.status, question, one)
        name = (one.name, one.key.key_id)
        try:
            made = checkpoints.only(question.note + answer.body, {*question.signed_by, name})
            at = cosignatures.time_of(made, one.key, question.checkpoint)
        except (FormatError, VerificationError) as exc:
            raise VerificationError(
                f"the witness {one.name} answers with no line of its own over this checkpoint: {exc.message}",
                hint=_NO_MORE,
            ) from exc
        if at > self.now + _SKEW:
            raise VerificationError(
                f"the line of the witness {one.name} is of {times.format(at)}, this machine's clock says"
                f" {times.format(self.now)}",
                hint="one of the two clocks is wrong; the line is not kept",
            )
        return made

    def _refusal(self, status: int, question: Question, one: Witness) -> Exception:
        origin = question.checkpoint.origin
        if status == 422:
            return OtherHistory(
                f"the witness {one.name} says that this checkpoint does not go on from the one that it signed (422)",
                hint=f"two histories of one ledger: {self._shown(question)}",
            )
        if status in (403, 404):
            told = "does not know this ledger" if status == 404 else "takes no key that signed this checkpoint"
            keys = " or ".join(key.verifier_text for key in note_keys(question.root, origin, self.now))
            return Refused(
                f"the witness {one.name} {told} ({status})", hint=f"check the URL; who runs it must add the log {keys}"
            )
        if status == 400:
            return VerificationError(f"the witness {one.name} takes the request for none (400)", hint=_NO_MORE)
        return StorageUnavailable(
            f"{self.url}: the witness {one.name} answers {status}", hint="check the URL, or later"
        )

    def _shown(self, question: Question) -> str:
        """Where witnesses show what they signed, by the prefix for monitors, which is mostly the same one."""
        named = hashlib.sha256(question.checkpoint.origin.encode()).hexdigest()
        return f"look at {self.url.rstrip('/')}/{named}/checkpoint"
