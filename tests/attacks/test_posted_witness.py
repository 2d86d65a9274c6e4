"""Public witnesses that are posted to: what they refuse, how they lie, and that a second history is seen.

The witness is a server that was written from c2sp.org/tlog-witness alone (`support.c2sp_witness`).
"""

from __future__ import annotations

import base64
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from attest.digests import sha256
from attest.keys import keys
from attest.log import checkpoints, cosignatures
from attest.log.checkpoints import Checkpoint
from attest.log.cosignatures import WitnessKey
from attest.trust.witnesses import CONSISTENCY, FOLD, Witness, Witnesses
from bundlers.publishing.asking import Asking
from bundlers.publishing.reports import PublishReport
from bundlers.witnessing.c2sp import C2spWitness as Client
from casstore import promotion
from casstore.errors import NoSuchObject
from casstore.ledger import checkpoints as ledger_checkpoints
from casstore.network import circuit
from casstore.network.network import NetworkGuard
from tests.support.c2sp_witness import Answer, C2spWitness, serving
from tests.support.witnessed import Line, asked
from tests.support.worlds import signer

NAME = "witness.example/w1"


class Posted:
    """A line whose one witness is posted to."""

    def __init__(self, at: Path, stack: ExitStack, kind: str = CONSISTENCY, beside: int = 0) -> None:
        key = Ed25519PrivateKey.generate()
        pem = keys.public_to_pem(key.public_key())
        others = asked(1, "w1").keys if beside else ()
        self.server = C2spWitness(key, NAME, {})
        self.witness = Witness(NAME, kind, pem)
        self.line = Line(at, Witnesses(1, (self.witness, *others)))
        self.origin = ledger_checkpoints.origin(self.line.world.store.store_id, "main")
        log = keys.public_to_der(keys.public_from_pem(signer("log").public_pem or b""))[-32:]
        self.server.logs = {self.origin: [log]}
        self.server.clock = self.line.world.now.timestamp()
        self.url = stack.enter_context(serving(self.server, prefix="/submit"))

    def asking(self, url: str = "") -> Asking:
        return Asking({NAME: Client(url or self.url, NetworkGuard(), self.line.world.now)})

    def publish(self, url: str = "", **changes: Any) -> PublishReport:
        return self.line.publish(asking=self.asking(url), **changes)

    def ship(self, version: str) -> None:
        self.line.later()
        self.server.clock = self.line.world.now.timestamp()
        self.line.world.ship(version, content=version.encode())
        self.line.world.promote(version, "dev")

    @property
    def cosigned_by(self) -> tuple[str, ...]:
        return self.line.verify().verified.channel.cosigned_by

    def lines(self) -> list[Path]:
        return sorted(self.line.public.glob(f"ledger/cosignatures/*/{self.witness.key_id}"))


@pytest.fixture
def posted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Posted]]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(circuit, "OUTSIDE", circuit.Breaker())
    with ExitStack() as stack:
        yield lambda **changes: Posted(tmp_path, stack, **changes)


def test_it_signs_what_goes_on_and_consumers_take_it(posted: Callable[..., Posted]) -> None:
    world = posted()
    first = world.publish()
    assert (first.staged, first.exit_code, dict(first.witnesses)) == (None, 0, {})
    assert world.cosigned_by == (NAME,)
    before = world.server.signed[world.origin][0]
    world.ship("2.0.0")
    assert world.publish().exit_code == 0
    assert world.line.verify().verified.channel.version == "2.0.0"
    assert len(world.server.asked) == 2 and world.server.asked[1].startswith(b"old %d\n" % before)
    assert {path.parent.name for path in world.lines()} == {str(before), str(world.line.seen()), "newest"}
    assert world.publish().unchanged and len(world.server.asked) == 2


def test_what_it_signed_last_is_learnt_from_its_own_answer(posted: Callable[..., Posted]) -> None:
    world = posted()
    world.publish()
    world.ship("2.0.0")
    (world.line.public / "ledger/cosignatures/newest" / world.witness.key_id).unlink()
    assert world.publish().exit_code == 0
    assert [body.partition(b"\n")[0] for body in world.server.asked[1:]] == [
        b"old 0",
        world.server.asked[2].split(b"\n")[0],
    ]
    assert world.server.asked[2].split(b"\n")[0] != b"old 0"


def test_a_lost_line_is_asked_for_again(posted: Callable[..., Posted]) -> None:
    world = posted()
    world.publish()
    for path in world.lines():
        path.unlink()
    again = world.publish()
    assert (again.unchanged, again.exit_code) == (True, 0)
    assert len(world.lines()) == 2 and world.cosigned_by == (NAME,)


@pytest.mark.parametrize(("forget", "status"), [(True, 404), (False, 403)])
def test_a_log_or_key_that_it_does_not_know_is_told_with_what_it_needs(
    posted: Callable[..., Posted], forget: bool, status: int
) -> None:
    world = posted()
    logs, world.server.logs = world.server.logs, {} if forget else {world.origin: [bytes(32)]}
    report = world.publish()
    assert report.staged and report.exit_code == 4
    ours = checkpoints.NoteKey.of_pem(world.origin, signer("log").public_pem or b"").verifier_text
    assert f"({status})" in report.witnesses[NAME] and ours in report.witnesses[NAME]
    world.server.logs = logs
    assert world.publish().exit_code == 0 and world.cosigned_by == (NAME,)


def test_one_that_is_away_stages_and_is_asked_again_while_one_waits(posted: Callable[..., Posted]) -> None:
    world = posted()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        away = world.publish(f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert away.staged and away.exit_code == 4 and "Connection refused" in away.witnesses[NAME]
    answers, sign = [(503, "text/plain", b"")], world.server.answer
    world.server.answer = lambda body: answers.pop() if answers else sign(body)  # type: ignore[method-assign]
    there = world.publish(wait=30)
    assert (there.staged, there.exit_code, dict(there.witnesses)) == (None, 0, {})


def test_a_second_history_is_refused_and_told(posted: Callable[..., Posted]) -> None:
    world = posted()
    world.server.signed[world.origin] = 3, bytes(32)
    report = world.publish()
    assert report.staged and report.disputed and report.exit_code == 3
    assert "(422)" in report.witnesses[NAME] and "two histories" in report.witnesses[NAME]
    assert world.server.asked[-1].startswith(b"old 3\n") and not world.lines()


def test_more_entries_than_there_are_are_another_history_or_a_lost_ledger(posted: Callable[..., Posted]) -> None:
    world = posted()
    world.server.signed[world.origin] = 10_000, bytes(32)
    report = world.publish()
    assert report.disputed and report.exit_code == 3 and "10000 entries" in report.witnesses[NAME]
    with pytest.raises(NoSuchObject):  # nothing was shown to consumers
        world.line.verify()


def test_another_history_is_told_though_the_quorum_is_there(posted: Callable[..., Posted]) -> None:
    world = posted(beside=1)
    world.server.signed[world.origin] = 10_000, bytes(32)
    assert world.publish().exit_code == 3
    world.line.witness("w1")
    report = world.publish()
    assert (report.staged, report.exit_code) == (None, 3)
    assert world.cosigned_by == ("w1",)


def test_one_that_folds_by_the_trust_root_is_not_posted_to(posted: Callable[..., Posted]) -> None:
    world = posted(kind=FOLD)
    report = world.publish()
    assert report.exit_code == 4 and "compares histories alone" in report.witnesses[NAME]
    assert world.server.asked == []


def other_line(world: Posted, text: bytes) -> bytes:
    return C2spWitness(Ed25519PrivateKey.generate(), NAME, {}, clock=world.server.clock).line(text)


def named_line(world: Posted, text: bytes) -> bytes:
    """Another witness's true line."""
    return C2spWitness(Ed25519PrivateKey.generate(), "witness.example/w2", {}, clock=world.server.clock).line(text)


def forged(world: Posted, text: bytes) -> bytes:
    line = world.server.line(text).decode().rstrip()
    name, raw = line.rpartition(" ")[0], bytearray(base64.b64decode(line.rpartition(" ")[2]))
    raw[-1] ^= 1
    return f"{name} {base64.b64encode(bytes(raw)).decode()}\n".encode()


def at(seconds: float) -> Callable[[Posted, bytes], bytes]:
    def made(world: Posted, text: bytes) -> bytes:
        world.server.clock = seconds
        return world.server.line(text)

    return made


def elsewhere(world: Posted, text: bytes) -> bytes:
    return world.server.line(text.replace(b"\n", b"x\n", 1))


LIES: dict[str, tuple[Callable[[Posted, bytes], bytes], str]] = {
    "another witness's line": (named_line, "no line of its own"),
    "a line of another key under its name": (other_line, "no line of its own"),
    "a line over another checkpoint": (elsewhere, "no line of its own"),
    "a broken signature": (forged, "no line of its own"),
    "no time": (at(0), "no line of its own"),
    "a time to come": (at(4_000_000_000), "one of the two clocks is wrong"),
    "a time of no calendar": (at(2**62), "no line of its own"),
    "a web page": (lambda *_: b"<html>welcome</html>\n", "no line of its own"),
    "nothing": (lambda *_: b"", "no line of its own"),
    "bytes": (lambda *_: bytes(range(256)), "no line of its own"),
    "the text of another checkpoint": (lambda w, t: b"\nx\n1\n\n" + w.server.line(t), "no line of its own"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_answer_is_one_line_and_nothing_of_it_is_kept(posted: Callable[..., Posted], lie: str) -> None:
    world, (make, told) = posted(), LIES[lie]

    def answer(body: bytes) -> Answer:
        text = body.partition(b"\n\n")[2].rpartition(b"\n\n")[0] + b"\n"
        return 200, "text/plain", make(world, text)

    world.server.answer = answer  # type: ignore[method-assign]
    report = world.publish()
    assert report.staged and not report.disputed and report.exit_code == 4
    assert told in report.witnesses[NAME] and "\n" not in report.witnesses[NAME]
    assert not world.lines()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((409, "text/plain", b"5\n"), "not how many entries"),
        ((409, "text/x.tlog.size", b"05\n"), "not how many entries"),
        ((409, "text/x.tlog.size", b""), "not how many entries"),
        ((409, "text/x.tlog.size", b"1\n"), "signs other checkpoints meanwhile (3 tries)"),
        ((400, "text/plain", b"no"), "takes the request for none (400)"),
        ((302, "text/html", b""), "answers 302"),
        ((500, "text/plain", b""), "answers 500"),
        ((200, "text/plain", b"x" * 100_000), "answers more than 65536 bytes"),
    ],
)
def test_every_other_answer_is_told(posted: Callable[..., Posted], answer: Answer, told: str) -> None:
    world = posted()
    world.server.answer = lambda _: answer  # type: ignore[method-assign]
    report = world.publish()
    assert report.exit_code == 4 and told in report.witnesses[NAME]
    assert not world.lines()


def test_lines_of_keys_that_nobody_named_are_left_out(posted: Callable[..., Posted]) -> None:
    """As of ML-DSA keys, which a witness may answer beside its own."""
    world = posted()
    unknown = base64.b64encode(b"\x00\x01\x02\x06" + bytes(8 + 2420)).decode()
    sign = world.server.answer
    world.server.answer = lambda body: _with(sign(body), f"\u2014 {NAME} {unknown}\n".encode())  # type: ignore[method-assign]
    assert world.publish().exit_code == 0
    note = world.lines()[0].read_bytes()
    assert [one.name for one in checkpoints.parse(note)[1]] == [world.origin, NAME]


def _with(answer: Answer, more: bytes) -> Answer:
    return answer[0], answer[1], more + answer[2]


def test_one_that_is_ahead_gets_the_next_checkpoint(posted: Callable[..., Posted], tmp_path: Path) -> None:
    """Staged here; then another destination is published, and the witness signs no smaller one any more."""
    world = posted()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        staged = world.publish(f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert staged.staged
    mirrored = world.line.world.publish("dev", str(tmp_path / "mirror"), name="mirror", asking=world.asking())
    assert mirrored.staged is None
    report = world.publish()
    assert (report.staged, report.exit_code, report.number) == (None, 0, staged.number + 1)
    assert world.cosigned_by == (NAME,)


def test_a_withdrawal_is_told_before_it_is_asked(posted: Callable[..., Posted]) -> None:
    world = posted()
    world.publish()
    world.line.later()
    store, ledger = world.line.world.store, world.line.world.ledger
    promotion.revoke(
        store, ledger, "1.0.0", kind="artifact", reason="leaks", signer=signer("aud"), now=world.line.world.now
    )
    pointer = world.line.public / "metadata/timestamp.json"
    before, seen = pointer.read_bytes(), []
    sign = world.server.answer

    def answer(body: bytes) -> Answer:
        seen.append(pointer.read_bytes() != before)
        return sign(body)

    world.server.answer = answer  # type: ignore[method-assign]
    report = world.publish()
    assert report.withdrawn and report.staged is None and seen == [True]
    assert len(world.lines()) == 3


def test_the_key_that_an_operator_tells_is_taken_as_it_is() -> None:
    server = C2spWitness(Ed25519PrivateKey.generate(), NAME, {})
    key = WitnessKey.of_verifier_text(server.vkey)
    assert (key.name, keys.public_to_der(key.public)[-32:]) == (NAME, server.public)
    point = Checkpoint("log.example", 7, sha256(b"x").encode()[:32])
    text = point.to_text().encode()
    assert cosignatures.time_of(text + b"\n" + server.line(text), key, point)
