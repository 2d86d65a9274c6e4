"""Private keys, however their lines were put: plain, C strings, JSON in JSON, arrays, URL- and XML-escaped.

A key counts when what stands between its lines is one: ASN.1, OpenSSH's form, an OpenPGP packet, or a text
that says how it was encrypted. A program that only names the first line has none.
"""

from __future__ import annotations

import base64
import re

from bundlers.inspection.secret_forms import guesses
from bundlers.inspection.secret_forms.rules import Rule, always, rule

_SPACE = rb"(?: |%20|\+|\\u0020|&#32;)"
_GAP = (
    rb"(?:\\{1,8}(?:[nrt]|u000[aAdD]|x0[aAdD]|0?1[25])|%0[AaDd]|%5[Cc]n|&#(?:x0?[aAdD]|1[03]);|<br ?/?>|"
    rb"[\s\"'`,#>|*;]|\\(?![/nrtux0-9])|(?<=[\s\"'`])[+.&](?=[\s\"'`\\]))"
)
_ESCAPES = (
    (rb"\\{1,8}/", b"/"),
    (rb"\\{1,8}(?:u002[bB]|x2[bB])|%2[Bb]", b"+"),
    (rb"\\{1,8}(?:u002[fF]|x2[fF])|%2[Ff]", b"/"),
    (rb"\\{1,8}(?:u003[dD]|x3[dD])|%3[Dd]", b"="),
)
_HEADER = re.compile(rb"[A-Za-z][A-Za-z-]{2,30}: ?[^\r\n\\\"']{1,200}")
_BODY = re.compile(rb"[A-Za-z0-9+/=]+")
_GAPS = re.compile(_GAP + rb"{1,200}")
_ENDS = re.compile(rb"-----END|----END|---- END")


_OTHER = re.compile(rb"[^A-Za-z0-9+/]")
_BEGINNING = 64
"""So many letters tell what it is."""


def _text(whole: bytes) -> tuple[bytes, bool]:
    """The base64 between the lines, joined, and whether headers say that it is encrypted."""
    body = whole.partition(b"KEY")[2].partition(b"-----")[2]
    cut = _ENDS.search(body)
    body = body[: cut.start()] if cut else body
    for pattern, plain in _ESCAPES:
        body = re.sub(pattern, plain, body)
    joined = bytearray()
    for piece in _GAPS.split(_HEADER.sub(b"", body)):
        joined += piece if _BODY.fullmatch(piece) else b""
        if piece and (piece.endswith(b"=") or not _BODY.fullmatch(piece)):
            break
    return bytes(joined), b"ENCRYPTED" in body


def _is_key(_rest: bytes, whole: bytes) -> bool:
    text, encrypted = _text(whole)
    if len(text) < 56 or guesses.counts_up(text[:64]) or guesses.entropy(text) < 3:
        return False
    letters = _OTHER.sub(b"", text)[:_BEGINNING]
    data = base64.b64decode(letters[: len(letters) // 4 * 4])
    if encrypted or any(word in whole[:64] for word in (b"PGP", b"SIGSTORE", b"COSIGN")):
        return True
    return data[:1] == b"0" or data.startswith((b"openssh-key-v1", b"{"))


def _known_by(whole: bytes) -> bytes:
    """By what a key is known again, whatever wraps its lines."""
    return _text(whole)[0]


_LEAD = rb"-----BEGIN" + _SPACE + rb"(?:[A-Z0-9]{1,12}" + _SPACE + rb"){0,2}"
_REST = _SPACE + rb"KEY(?:" + _SPACE + rb"BLOCK)?-----(?:(?!-----)(?s:.)){64,14000}"

PRIVATE_KEYS: tuple[Rule, ...] = (
    rule("private-key", b"PRIVATE", _REST, before=_LEAD, real=_is_key, known_by=_known_by, bounded=False, end=b""),
    rule("private-key", b"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----", rb"[\s\S]{64,8000}?----", real=always, end=b""),
    rule("private-key", b"PuTTY-User-Key-File-", rb"[23]: [\s\S]{1,4000}?Private-Lines: [0-9]+", real=always, end=b""),
    rule(
        "private-key",
        b'"kty"',
        rb"\s{0,4}:\s{0,4}\"(?:RSA|EC|OKP|oct)\"[^{}]{0,4000}\"[dk]\"\s{0,4}:\s{0,4}\"[A-Za-z0-9_-]{40,700}\"",
        real=always,
        bounded=False,
        end=b"",
    ),
    rule(
        "private-key",
        b'"d"',
        rb"\s{0,4}:\s{0,4}\"[A-Za-z0-9_-]{40,700}\"[^{}]{0,4000}\"kty\"\s{0,4}:\s{0,4}\"(?:RSA|EC|OKP)\"",
        real=always,
        bounded=False,
        end=b"",
    ),
    rule("private-key", b"<RSAKeyValue>", rb"[\s\S]{64,6000}?<D>[A-Za-z0-9+/=\s]{40,1000}</D>", real=always, end=b""),
    rule("wireguard-key", b"PrivateKey", rb"\s{0,4}=\s{0,4}(?P<value>[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=)", end=b""),
    rule("signify-secret-key", b"RWRCSw", rb"[A-Za-z0-9+/]{130,150}={0,2}", end=b""),
)
