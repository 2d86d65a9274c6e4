"""Logins: passwords in URLs and connection strings, headers, tools' own files, and values that say what they are.

postgres://app:Tr0ub4dor%263@db/prod      Authorization: Basic ...      aws_secret_access_key = ...
"""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import unquote_to_bytes

from bundlers.inspection.secret_forms import guesses
from bundlers.inspection.secret_forms.rules import Rule, Test, rule

_HERE = (b"localhost", b"127.", b"0.0.0.0", b"::1", b"[::1")
_NOWHERE = re.compile(
    rb"(?i)(?:^|\.)(?:example|invalid|test)(?:\.|$)|(?:^|\.)example\.(?:com|net|org)$|^(?:host|hostname|server|domain|"
    rb"proxy|url|address|ip|fqdn|somewhere|some-?host|my-?host|your-?host|ip-?address)(?:\.com)?$|^(?:foo|bar|acme)\.(?:com|org)$"
)
_SCHEMES = (
    rb"(?i:https?|ftps?|sftp|ssh|git|svn|ldaps?|postgres(?:ql)?(?:\+[a-z0-9]+)?|cockroachdb|mysql2?(?:\+[a-z0-9]+)?|mariadb|"
    rb"mssql(?:\+[a-z0-9]+)?|sqlserver|oracle|clickhouse|mongodb(?:\+srv)?|amqps?|rediss?|valkey|nats|kafka|mqtts?|smtps?|"
    rb"imaps?|socks[45]h?|couchdbs?|neo4j(?:\+s)?|bolt|rtsp|elasticsearch)(?:\+https?)?"
)
_LOGIN = (
    rb"(?:\\{1,7}/)?(?P<user>[^\s/:@'\"<>{}$\\`*\x00-\x20\x7f-\xff]{0,64})(?::|%3[aA])"
    rb"(?P<password>[^\s/@'\"<>{}\\`\x00-\x20\x7f-\xff]{6,256})@"
    rb"(?P<host>\[[0-9a-fA-F:.]{2,40}\]|[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,253}[A-Za-z0-9_])?)"
)
_LOGIN_PARTS = re.compile(_LOGIN)


def _url(rest: bytes, _whole: bytes) -> bool:
    found = _LOGIN_PARTS.match(rest)
    if found is None:
        return False
    host, user, password = found["host"].lower(), found["user"], unquote_to_bytes(found["password"])
    if host.startswith(_HERE) or _NOWHERE.search(host) or guesses.is_example(user):
        return False
    return not password.startswith((b"$", b"%")) and guesses.is_password(password, user)


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return b""


def _basic(value: bytes, _whole: bytes) -> bool:
    user, colon, password = _decoded(value).partition(b":")
    if not colon or not (user + password).isascii() or not (user + password).decode().isprintable():
        return False
    return guesses.is_password(password, user)


def _bearer(value: bytes, _whole: bytes) -> bool:
    return guesses.random_enough(value, 3.4) and any(48 <= c < 58 for c in value) and not value.startswith(b"eyJ")


def _password(value: bytes, _whole: bytes) -> bool:
    return guesses.is_password(value.rstrip(b";"))


def _drawn_value(bits: float, digits: int = 2) -> Test:
    def real(value: bytes, _whole: bytes) -> bool:
        if _SPELLED.search(value) or len(re.findall(rb"[0-9]", value)) < digits:
            return False
        if sum(bool(kind.search(value)) for kind in _KINDS) < 2:
            return False
        return guesses.random_enough(value, bits) and guesses.is_password(value)

    return real


_KINDS = tuple(re.compile(kind) for kind in (rb"[a-z]", rb"[A-Z]", rb"[0-9]", rb"[^A-Za-z0-9]"))
_SPELLED = re.compile(rb"(?i)passw|secret|token|phrase|some")
_QUOTE = rb"\\{0,4}[\"'`]?"
_IS = _QUOTE + rb"\s{0,4}(?:=>|:=|=|:)\s{0,4}" + _QUOTE
_STOP = rb"(?=[\s\"'`;,<&)\\\x00-\x1f\x7f-\xff]|$)"


def _anycase(words: bytes) -> tuple[bytes, ...]:
    """As variables are written: password, PASSWORD, Password."""
    return tuple(
        dict.fromkeys(form for word in words.split() for form in (word.lower(), word.upper(), word.capitalize()))
    )


_NAMES = _anycase(
    b"password passwd passphrase secret_key secretkey secret-key client_secret client-secret clientsecret api_key "
    b"apikey api-key access_token access-token accesstoken auth_token auth-token authtoken private_token "
    b"private-token secret_access_key consumer_secret signing_secret webhook_secret app_secret encryption_key "
    b"jwt_secret session_secret"
)
_CAMEL = b"clientSecret secretKey apiKey accessToken authToken secretAccessKey SecretKey ApiKey".split()

LOGINS: tuple[Rule, ...] = (
    rule("url-password", (b"://", b":\\/", b":\\\\/", b":\\\\\\/"), _LOGIN, before=_SCHEMES, real=_url, end=b""),
    rule(
        "basic-login",
        (b"Basic ", b"basic ", b"BASIC "),
        rb"(?P<value>[A-Za-z0-9+/]{12,200}={0,2})",
        end=rb"(?![A-Za-z0-9+/=])",
        real=_basic,
    ),
    rule(
        "docker-login",
        (b'"auth"', b'\\"auth\\"'),
        rb"\s{0,4}:\s{0,4}\\{0,4}\"(?P<value>[A-Za-z0-9+/]{12,400}={0,2})",
        real=_basic,
        end=rb"(?=\\{0,4}\")",
        bounded=False,
    ),
    rule("bearer-token", (b"Bearer ", b"bearer "), rb"(?P<value>[A-Za-z0-9_.=+/~-]{24,400})", real=_bearer, end=_STOP),
    rule(
        "npm-login",
        (b":_authToken=", b":_password=", b"_auth="),
        rb"\"?(?P<value>[A-Za-z0-9+/=_.-]{16,400})",
        real=_bearer,
        end=rb"(?=[\s\"]|$)",
        bounded=False,
    ),
    rule(
        "netrc-password",
        b"machine ",
        rb"\S{3,100}\s{1,8}login\s{1,8}\S{1,64}\s{1,8}password\s{1,8}(?P<value>\S{6,200})",
        real=_password,
        end=b"",
    ),
    rule(
        "connection-password",
        (b"Password=", b"password=", b"PASSWORD=", b"Pwd=", b"PWD=", b"pwd="),
        rb"(?P<value>[^;,()=\"'\s<>{}]{6,128}={0,2})",
        before=rb"(?i:(?:user ?id|uid|user|username|server|data source|host|database|initial catalog|accountname)"
        rb" ?=[^;\"'\r\n]{1,80};)[^\"'\r\n]{0,40}",
        real=_password,
        end=rb"(?=[;\"'\s]|$)",
        bounded=False,
    ),
    rule(
        "aws-secret-key",
        (b"ecret_access_key", b"ECRET_ACCESS_KEY", b"ecretAccessKey", b"ecret_key", b"ECRET_KEY"),
        _IS + rb"(?P<value>[A-Za-z0-9/+]{40})",
        real=_drawn_value(4.0, 1),
        end=rb"(?![A-Za-z0-9/+=])",
        bounded=False,
    ),
    rule(
        "curl-login",
        (b" -u ", b" --user ", b" --user="),
        rb"[\"']?[^\s:\"'$]{1,64}:(?P<value>[^\s\"'${}]{6,128})",
        real=_password,
        before=rb"curl[^\r\n]{0,100}",
        end=rb"(?=[\"'\s]|$)",
        bounded=False,
    ),
    rule(
        "nuget-password",
        b'ClearTextPassword"',
        rb"\s{1,4}value=\"(?P<value>[^\"]{6,200})\"",
        real=_password,
        end=b"",
        bounded=False,
    ),
    rule(
        "named-secret",
        (*_NAMES, *_CAMEL),
        _IS + rb"(?P<value>[A-Za-z0-9_.+/=~!@#%^&*-]{16,128})",
        real=_drawn_value(3.5),
        end=_STOP,
        bounded=False,
    ),
)
