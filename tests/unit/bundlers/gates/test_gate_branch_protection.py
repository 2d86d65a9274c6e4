"""Branch protection, asked from servers that speak the forges' documented JSON on a real socket."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from attest.errors import BadInput
from bundlers.gates import forges
from bundlers.gates.base import ChannelView, GateResult, ReleaseView
from bundlers.gates.builtin.branch_protection import Settings, check
from bundlers.gates.forges import gitlab
from casstore.config import Consumer
from casstore.network import circuit
from casstore.network.network import NetworkGuard

TOKENS = ("GITHUB_TOKEN", "GH_TOKEN", "GITLAB_TOKEN", "CI_JOB_TOKEN", "GITEA_TOKEN", "FORGEJO_TOKEN")
SECRET = "s3cret-token"
GITHUB = "/repos/example/shop/branches/main"
RULES = "/repos/example/shop/rules/branches/main?per_page=100"
Answers = dict[str, Any]


class Forge(ThreadingHTTPServer):
    """Answers by path: JSON, a status code, bytes, or what a function does."""

    def __init__(self) -> None:
        self.answers: Answers = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        forge = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                forge.asked.append((self.path, dict(self.headers)))
                answer = forge.answers.get(self.path, 404)
                status, body = (answer, b"") if isinstance(answer, int) else (200, answer)
                if callable(body):
                    body(self)
                    return
                body = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "http://localhost:1/elsewhere")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def forge(monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    for name in TOKENS:
        monkeypatch.delenv(name, raising=False)
    for name in ("GITHUB_TOKEN", "GITLAB_TOKEN", "GITEA_TOKEN"):
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setattr(circuit, "OUTSIDE", circuit.Breaker())
    server = Forge()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def judged(forge: Forge, kind: str, *checks: str, allow: str = "127.0.0.1", **settings: str) -> GateResult:
    consumer = Consumer(
        name="shop", forge=f"{kind}+{forge.url}", repository="example/shop", required_checks=list(checks or ("verify",))
    )
    channel = ChannelView("prod", "sha256:x", None, "s", "main", lambda _: [], NetworkGuard([allow]))  # type: ignore[arg-type]
    view = ReleaseView("1", {}, {}, SimpleNamespace(), "/", consumers=[consumer], channel=channel)  # type: ignore[arg-type]
    return check(view, Settings(**settings))


def on_github(contexts: list[str], *, level: str = "everyone", rules: Any = ()) -> Answers:
    asked = {"enforcement_level": level, "contexts": contexts, "checks": [{"context": c} for c in contexts]}
    branch = {"name": "main", "protected": True, "protection": {"enabled": True, "required_status_checks": asked}}
    return {GITHUB: branch, RULES: list(rules)}


def rule(*contexts: str) -> dict[str, Any]:
    checks = [{"context": context, "integration_id": 1} for context in contexts]
    return {"type": "required_status_checks", "parameters": {"required_status_checks": checks}}


GITLAB = "/projects/example%2Fshop"
GITEA = "/api/v1/repos/example/shop/branches/main"


@pytest.mark.parametrize(
    ("kind", "answers"),
    [
        ("github", on_github(["verify"])),
        ("github", on_github([], rules=[{"type": "deletion"}, rule("verify")])),
        ("github", {GITHUB: {"protected": False}, RULES: [rule("other", "verify")]}),
        (
            "gitlab",
            {
                GITLAB: {"only_allow_merge_if_pipeline_succeeds": True},
                f"{GITLAB}/protected_branches?per_page=100": [{"name": "ma*"}],
                f"{GITLAB}/external_status_checks?per_page=100": [{"name": "verify", "protected_branches": []}],
            },
        ),
        ("gitea", {GITEA: {"protected": True, "enable_status_check": True, "status_check_contexts": ["verify"]}}),
        ("forgejo", {GITEA: {"protected": True, "enable_status_check": True, "status_check_contexts": ["verify"]}}),
    ],
)
def test_protected_with_its_checks(forge: Forge, kind: str, answers: Answers) -> None:
    forge.answers = answers
    found = judged(forge, kind)
    assert (found.passed, found.messages, found.warnings) == (True, (), ())
    assert all(SECRET in str(headers) for _, headers in forge.asked)


@pytest.mark.parametrize(
    ("pattern", "branch", "matches"),
    [
        ("main", "main", True),
        ("main", "mains", False),
        ("*", "", True),
        ("ma*in", "main", True),
        ("ma*ain", "main", False),
        ("release/*-*", "release/1-2", True),
        ("release/*-*", "release/12", False),
        ("*a*b*", "xaxbx", True),
        ("*b*a*", "xaxbx", False),
        ("m.*", "main", False),
        ("*ab", "abab", True),
    ],
)
def test_gitlab_s_stars_stand_for_anything(pattern: str, branch: str, matches: bool) -> None:
    assert gitlab._matches(branch, frozenset({pattern})) is matches


def test_gitlab_s_pipeline_is_a_check_and_editions_without_external_ones_have_none(forge: Forge) -> None:
    forge.answers = {
        GITLAB: {"only_allow_merge_if_pipeline_succeeds": True},
        f"{GITLAB}/protected_branches?per_page=100": [{"name": "main"}],
        f"{GITLAB}/external_status_checks?per_page=100": 403,
    }
    assert judged(forge, "gitlab", "pipeline").passed
    assert judged(forge, "gitlab", "pipeline", "x").messages == ("shop: example/shop main does not ask for x",)


@pytest.mark.parametrize(
    ("kind", "answers", "told"),
    [
        ("github", on_github(["lint"]), "does not ask for verify"),
        ("github", on_github(["verify"], level="off"), "does not ask for verify"),
        ("github", {GITHUB: {"protected": False}, RULES: []}, "is not protected"),
        ("gitlab", {GITLAB: {}, f"{GITLAB}/protected_branches?per_page=100": [{"name": "stable"}]}, "is not protected"),
        ("gitea", {GITEA: {"protected": False}}, "is not protected"),
        (
            "gitea",
            {GITEA: {"protected": True, "enable_status_check": False, "status_check_contexts": ["verify"]}},
            "does not ask for verify",
        ),
        ("github", {GITHUB: ["odd"], RULES: {"odd": 1}}, "is not protected"),
    ],
)
def test_what_is_missing_is_named(forge: Forge, kind: str, answers: Answers, told: str) -> None:
    forge.answers = answers
    found = judged(forge, kind)
    assert not found.passed and found.messages[0].startswith("shop: example/shop main ") and told in found.messages[0]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (404, "answers 404"),
        (401, "answers 401"),
        (403, "answers 403"),
        (500, "answers 500"),
        (302, "leads elsewhere (302); not followed"),
        (b"<html>", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b" " * (5 * 1024 * 1024), "more than"),
    ],
)
def test_what_is_not_known_fails_unless_it_may_be_unknown(forge: Forge, answer: Any, told: str) -> None:
    forge.answers = {GITHUB: answer}
    found = judged(forge, "github")
    assert not found.passed and "not known" in found.messages[0] and told in found.messages[0]
    allowed = judged(forge, "github", unknown="warn")
    assert allowed.passed and "not known" in allowed.warnings[0]
    assert SECRET not in f"{found}{allowed}"


def test_without_a_token_nothing_is_asked(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_TOKEN")
    assert "no token" in judged(forge, "github").messages[0]
    assert forge.asked == []


def test_a_host_outside_the_allowlist_is_not_reached(forge: Forge) -> None:
    assert "not allowed by the network policy" in judged(forge, "github", allow="other.example").messages[0]
    assert forge.asked == []


def test_a_forge_that_is_away_is_tried_twice_and_then_left_alone(forge: Forge) -> None:
    forge.answers = {GITHUB: 503}
    judged(forge, "github")
    judged(forge, "github")
    assert len(forge.asked) == circuit.FAILURES
    assert "not asked again" in judged(forge, "github").messages[0]


def test_a_forge_that_drips_is_given_up_in_time(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circuit, "LONGEST", 0.3)

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(100):
            try:
                handler.wfile.write(b" ")
            except OSError:
                return
            time.sleep(0.05)

    forge.answers = {GITHUB: drip}
    began = time.monotonic()
    assert "did not answer whole in time" in judged(forge, "github").messages[0]
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("name", ["svn", "github+ssh://x", "gitea+http://forge.example", "gitea", "forgejo"])
def test_forges_that_are_not_known(forge: Forge, name: str) -> None:
    with pytest.raises(BadInput):
        forges.open_forge(name, NetworkGuard())


def test_wrong_settings(forge: Forge) -> None:
    with pytest.raises(BadInput, match="neither 'fail' nor 'warn'"):
        judged(forge, "github", unknown="maybe")
    channel = ChannelView("prod", "sha256:x", None, "s", "main", lambda _: [], NetworkGuard())  # type: ignore[arg-type]
    view: Callable[..., ReleaseView] = lambda **more: ReleaseView("1", {}, {}, SimpleNamespace(), "/", **more)  # type: ignore[arg-type] # noqa: E731
    for given, told in ((view(channel=channel), "no \\[\\[consumers"), (view(), "asked at promotion")):
        with pytest.raises(BadInput, match=told):
            check(given, Settings())
