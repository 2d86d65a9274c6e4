"""The forms of secrets that issuers document for their own tokens, and private keys.

A rule is a literal that every such secret holds, found at the speed of memchr, and patterns that
must fit before and from it. There is no guess by entropy: what is found is almost always real, in
compiled files as in texts. Values that documentation uses for examples are left out.

    for start, end, rule in matches(window): ...
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

LONGEST = 16 * 1024
"""No secret is looked at further than this."""
_BACK = 112
_END = rb"(?![A-Za-z0-9_-])"
_WORD = re.compile(rb"[A-Za-z0-9_]\Z")

Test = Callable[[re.Match[bytes]], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """A literal, what follows from it on, and what stands right before it."""

    name: str
    literal: bytes
    pattern: re.Pattern[bytes]
    before: re.Pattern[bytes] | None
    real: Test

    def at(self, window: bytes, place: int) -> tuple[int, int] | None:
        """Begin and end of the secret whose literal is at this place, if it is one."""
        start = place
        if self.before is not None:
            low = max(0, place - _BACK)
            lead = self.before.search(window[low:place])
            if lead is None:
                return None
            start = low + lead.start()
        if start and _WORD.match(window[start - 1 : start]):
            return None
        found = self.pattern.match(window, place, place + LONGEST)
        return (start, found.end()) if found is not None and self.real(found) else None


_EXAMPLES = (b"EXAMPLE", b"example", b"xxxxxx", b"XXXXXX", b"000000000000", b"123456789012", b"abcdefghij")
_WEAK = frozenset({b"password", b"passw0rd", b"changeme", b"yourpassword", b"mypassword", b"pass_word", b"username"})


def _no_example(found: re.Match[bytes]) -> bool:
    return not any(word in found[0] for word in _EXAMPLES)


def _real_password(found: re.Match[bytes]) -> bool:
    password, host = found["password"], found["host"].lower()
    return password.lower() not in _WEAK and b"." in host and b"example" not in host


def _pem_inside(found: re.Match[bytes]) -> bool:
    try:
        text = base64.b64decode(found[0][: len(found[0]) // 4 * 4])
    except binascii.Error:
        return False
    return any(rule == "private-key" for _, _, rule in matches(text))


def _rule(name: str, literal: bytes, rest: bytes, *, before: bytes = b"", real: Test = _no_example) -> Rule:
    lead = re.compile(b"(?:" + before + rb")\Z") if before else None
    return Rule(name, literal, re.compile(re.escape(literal) + rest), lead, real)


_GAP = rb"(?:\s|\\r|\\n){1,4}"
_PEM = (
    rb"(?: BLOCK)?-----"
    + _GAP
    + rb"(?:[A-Za-z-]{3,30}: [^\r\n\\]{1,200}"
    + _GAP
    + rb"){0,6}(?:[A-Za-z0-9+/=]|\s|\\r|\\n|\\/){64,}"
)
_SCHEMES = (
    rb"(?:https?|ftps?|sftp|ssh|git|ldaps?|postgres(?:ql)?|mysql|mariadb|mongodb(?:\+srv)?|amqps?|rediss?|smtps?)"
)
_LOGIN = (
    rb"[A-Za-z0-9._%+-]{0,64}:(?P<password>[^\s/:@'\"<>{}$%\\`*\x00-\x20\x7f-\xff]{8,64})@"
    rb"(?P<host>[A-Za-z0-9][A-Za-z0-9.-]+)"
)


def _any(_: re.Match[bytes]) -> bool:
    return True


RULES: tuple[Rule, ...] = (
    _rule("private-key", b"PRIVATE KEY", _PEM, before=rb"-----BEGIN (?:[A-Z0-9]{1,12} ){0,2}", real=_any),
    _rule("private-key", b"PuTTY-User-Key-File-", rb"[23]: [\s\S]{1,4000}?Private-Lines: [0-9]+", real=_any),
    _rule("private-key", b"AGE-SECRET-KEY-1", rb"[02-9AC-HJ-NP-Z]{58}" + _END),
    _rule("private-key-base64", b"LS0tLS1CRUdJTi", rb"[A-Za-z0-9+/=]{100,}", real=_pem_inside),
    *(_rule("aws-access-key", lead, rb"[A-Z2-7]{16}(?![A-Za-z0-9+/_-])") for lead in (b"AKIA", b"ASIA")),
    *(_rule("github-token", b"gh%c_" % kind, rb"[A-Za-z0-9]{36}" + _END) for kind in b"pousr"),
    _rule("github-token", b"github_pat_", rb"[A-Za-z0-9]{22}_[A-Za-z0-9]{59}" + _END),
    _rule("gitlab-token", b"glpat-", rb"[A-Za-z0-9_-]{20,64}" + _END),
    _rule("slack-token", b"xox", rb"[abeoprs]-(?:[0-9]{8,14}-){1,3}[A-Za-z0-9]{16,64}" + _END),
    _rule("slack-webhook", b"hooks.slack.com/services/T", rb"[A-Z0-9]{6,12}/B[A-Z0-9]{6,12}/[A-Za-z0-9]{24}" + _END),
    _rule("google-api-key", b"AIza", rb"[A-Za-z0-9_-]{35}" + _END),
    _rule("google-oauth-secret", b"GOCSPX-", rb"[A-Za-z0-9_-]{28}" + _END),
    _rule("stripe-key", b"k_live_", rb"[A-Za-z0-9]{24,247}" + _END, before=rb"[rs]"),
    _rule("npm-token", b"npm_", rb"[A-Za-z0-9]{36}" + _END),
    _rule("pypi-token", b"pypi-AgEIcHlwaS5vcmc", rb"[A-Za-z0-9_-]{50,1000}"),
    _rule("rubygems-token", b"rubygems_", rb"[0-9a-f]{48}" + _END),
    _rule("docker-token", b"dckr_pat_", rb"[A-Za-z0-9_-]{27}" + _END),
    _rule("azure-storage-key", b"AccountKey=", rb"[A-Za-z0-9+/]{86}=="),
    _rule("hashicorp-vault-token", b"hvs.", rb"[A-Za-z0-9_-]{24,128}" + _END),
    _rule("digitalocean-token", b"dop_v1_", rb"[0-9a-f]{64}" + _END),
    _rule("sendgrid-key", b"SG.", rb"[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}" + _END),
    _rule("shopify-token", b"shpat_", rb"[0-9a-fA-F]{32}" + _END),
    _rule("grafana-token", b"glsa_", rb"[A-Za-z0-9]{32}_[0-9a-f]{8}" + _END),
    _rule("anthropic-key", b"sk-ant-", rb"[a-z]{2,8}[0-9]{2}-[A-Za-z0-9_-]{80,120}" + _END),
    _rule("openai-key", b"T3BlbkFJ", rb"[A-Za-z0-9_-]{20,100}" + _END, before=rb"sk-[A-Za-z0-9_-]{20,100}"),
    _rule("url-password", b"://", _LOGIN, before=_SCHEMES, real=_real_password),
)


def matches(window: bytes) -> Iterator[tuple[int, int, str]]:
    """(start, end, rule) of what looks like a secret in these bytes."""
    for rule in RULES:
        place = window.find(rule.literal)
        while place >= 0:
            found = rule.at(window, place)
            if found is not None:
                yield *found, rule.name
            place = window.find(rule.literal, max(place + 1, found[1] if found else 0))
