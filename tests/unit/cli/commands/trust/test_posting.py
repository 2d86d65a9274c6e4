"""`ledger witness --protocol c2sp`, and public witnesses in a ceremony and in casstore.toml, as they are typed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from attest.keys import keys
from attest.trust import trust_roots
from casstore.network import circuit
from tests.support.c2sp_witness import C2spWitness, serving
from tests.support.typed_line import Clock, begun, said, shipped, told, typed

NAME = "witness.example/w1"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
PUBLISH = "publish prod --to public --clock-checked"
World = tuple[C2spWitness, str]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A published line whose trust root names one public witness, and does not know it yet."""
    monkeypatch.setattr(circuit, "OUTSIDE", circuit.Breaker())
    clock = Clock.turned(monkeypatch)
    begun(tmp_path, monkeypatch)
    shipped(tmp_path, clock, "1.0.0")
    server = C2spWitness(KEY, NAME, {}, clock=clock.time.timestamp())
    typed(
        f"keys ceremony draft --witness {server.vkey} --out next.draft",
        "keys ceremony sign next.draft --key key.pem --out next.sig",
        "keys ceremony finish next.draft next.sig --key key.pem",
    )
    with serving(server) as url:
        yield server, url


def learn(server: C2spWitness) -> None:
    """It is told of the log."""
    origin = Path("public/ledger/checkpoint").read_text().partition("\n")[0]
    public = keys.public_from_pem(Path("key.pem.pub").read_bytes())
    server.logs = {origin: [keys.public_to_der(public)[-32:]]}


def post(url: str, name: str = NAME) -> str:
    payload = trust_roots.payload_of(Path("public/trust-root/1.json").read_bytes())
    first = trust_roots.parse_payload(payload).digest
    return f"ledger witness --protocol c2sp --from public --out public --trust-root {first} --post {name}={url}"


def configured(url: str) -> None:
    with open("casstore.toml", "a") as file:
        file.write(f'[witnesses."{NAME}"]\nprotocol = "c2sp"\npost = "{url}"\n')


def test_publishing_posts_to_whom_the_configuration_names(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    server, url = world
    configured(url)
    unknown = said(capsys, PUBLISH, 4)
    assert "does not know this ledger (404)" in unknown and "staged" in unknown and "Traceback" not in unknown
    learn(server)
    assert told(capsys, PUBLISH)["witnesses"] == {}
    assert told(capsys, "verify public --channel prod")["checkpoint"]["witnesses"] == [NAME]
    assert f"witness {NAME}: signed" in said(capsys, "doctor", 2)


def test_publishing_ends_with_3_where_a_witness_knows_more(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    server, url = world
    configured(url)
    said(capsys, PUBLISH, 4)
    learn(server)
    server.signed = dict.fromkeys(server.logs, (9999, bytes(32)))
    found = told(capsys, PUBLISH, 3)
    assert found["disputed"] is True and "9999 entries" in found["witnesses"][NAME]


def test_whoever_can_read_the_publication_may_post_it(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    server, url = world
    said(capsys, PUBLISH, 4)
    assert "does not know this ledger (404)" in said(capsys, post(url), 4)
    assert "check the URL" in said(capsys, post(f"{url}/elsewhere"), 4)
    learn(server)
    assert told(capsys, post(url))["signed"] == [NAME]
    assert f"signed by {NAME}" in said(capsys, post(url)) and len(server.asked) == 2
    typed(PUBLISH)
    assert told(capsys, "verify public --channel prod")["checkpoint"]["witnesses"] == [NAME]


@pytest.mark.parametrize(
    ("what", "code", "words"),
    [
        ("more", 3, "9999 entries of this ledger, there are"),
        ("fork", 3, "two histories of one ledger"),
        ("other line", 3, "no line of its own over this checkpoint"),
        ("unknown key", 4, "takes no key that signed this checkpoint (403)"),
        ("away", 12, "answers 503"),
    ],
)
def test_each_refusal_has_its_exit_code(
    world: World, capsys: pytest.CaptureFixture[str], what: str, code: int, words: str
) -> None:
    server, url = world
    said(capsys, PUBLISH, 4)
    learn(server)
    if what in ("more", "fork"):
        server.signed = dict.fromkeys(server.logs, (9999 if what == "more" else 3, bytes(32)))
    elif what == "other line":
        server.key = Ed25519PrivateKey.generate()
    elif what == "unknown key":
        server.logs = {origin: [bytes(32)] for origin in server.logs}
    else:
        server.answer = lambda _: (503, "text/plain", b"")  # type: ignore[method-assign]
    found = said(capsys, post(url), code)
    assert words in found and found.count("error: ") == 1
    assert not list(Path("public").glob("ledger/cosignatures/*/*"))


def test_who_is_no_witness_is_not_asked(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    server, url = world
    said(capsys, PUBLISH, 4)
    assert f"its witnesses: {NAME}" in said(capsys, post(url, "w9"), 4)
    assert "--offline opens no socket" in said(capsys, f"--offline {post(url)}", 12)
    assert server.asked == []


def test_the_two_ways_are_not_mixed(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    _, url = world
    assert "Missing option '--memory'" in said(capsys, "ledger witness --from public --out x", 2)
    assert "--post belongs to --protocol" in said(
        capsys, f"ledger witness --from public --out x --memory m --post a={url}", 2
    )
    assert "needs --post" in said(capsys, "ledger witness --protocol c2sp --from public --out x", 2)
    assert "no such" not in said(capsys, "ledger witness --protocol other --from public --out x", 2)
    for extra in ("--memory w1", "--key key.pem", "--also public", "--peers w2-site"):
        assert "signs and remembers nothing" in said(capsys, f"{post(url)} {extra}", 2)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('protocol = "c2sp"', "key 'witnesses.w1.post': is missing"),
        ('post = "https://w.example"', "key 'witnesses.w1.protocol': is missing"),
        ('post = "https://w.example"\nprotocol = "c3sp"', "key 'witnesses.w1.protocol': Input should be 'c2sp'"),
        ('post = "./folder"\nprotocol = "c2sp"', "posted to at an http URL"),
        ('post = "https://w.example"\nprotocol = "c2sp"\nprotocl = 1', "no such key, did you mean 'protocol'?"),
    ],
)
def test_a_table_that_cannot_be_taken_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], table: str, words: str
) -> None:
    begun(tmp_path, monkeypatch)
    with open("casstore.toml", "a") as file:
        file.write(f"[witnesses.w1]\n{table}\n")
    found = said(capsys, "config check", 2)
    assert words in found and "1 mistake" in found
