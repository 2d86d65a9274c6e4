"""A table of secrets in the forms in which they are met, and of what only looks like one; all drawn here, none is real.

for name, data in secrets(): ...
for name, data in harmless(): ...
"""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Iterator
from functools import cache
from urllib.parse import quote

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

Row = tuple[str, bytes]
WORD, HEX, B32, B64 = string.ascii_letters + string.digits, "0123456789abcdef", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "+/"
LOWER, UPPER, URL = string.ascii_lowercase + string.digits, string.ascii_uppercase + string.digits, WORD + "-_"


class Dice(random.Random):
    def some(self, alphabet: str, count: int) -> str:
        """Drawn letters, a digit and both cases among them where the alphabet has them."""
        while True:
            text = "".join(self.choice(alphabet) for _ in range(count))
            edges = text[0] not in "-_." and text[-1] not in "-_."
            if edges and (not set(alphabet) & set("0123456789") or any(c.isdigit() for c in text)):
                return text

    def b64(self, count: int) -> str:
        return base64.b64encode(self.randbytes(count)).decode()


def _basic(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def _web_token(dice: Dice) -> str:
    head = {"alg": "RS256", "typ": "JWT", "kid": dice.some(WORD, 8)}
    claims = {"iss": "https://login.corp.internal", "sub": dice.some(WORD, 12), "exp": 1790000000}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (head, claims)]
    return ".".join([*parts, dice.some(URL, 86)])


def tokens(dice: Dice) -> dict[str, str]:
    """One of each documented form."""
    s = dice.some
    gitlab = {
        f"gitlab {lead}": f"{lead}-{s(URL, 20)}"
        for lead in ("glpat", "gldt", "glrt", "glft", "glsoat", "glffct", "glwt")
    }
    github = {f"github {lead}": f"{lead}_{s(WORD, 36)}" for lead in ("ghp", "gho", "ghu", "ghs", "ghr")}
    slack = {
        f"slack xox{kind}": f"xox{kind}-{s('123456789', 12)}-{s('123456789', 12)}-{s(WORD, 24)}" for kind in "bapr"
    }
    shopify = {f"shopify {lead}": f"{lead}_{s(HEX, 32)}" for lead in ("shpat", "shpca", "shppa", "shpss")}
    stripe = {f"stripe {lead}": f"{lead}_{s(WORD, 24)}" for lead in ("sk_live", "rk_live", "sk_test")}
    return {
        **gitlab, **github, **slack, **shopify, **stripe,
        "github fine-grained": f"github_pat_{s(WORD, 22)}_{s(WORD, 59)}",
        "github app, longer": f"ghs_{s('123456789', 6)}_{_web_token(dice)}",
        "gitlab routable": f"glpat-{s(URL, 27)}.01.{s(LOWER, 9)}",
        "gitlab job": f"glcbt-{s(WORD, 2)}_{s(URL, 20)}",
        "gitlab trigger": f"glptt-{s(HEX, 40)}",
        "gitlab runner": f"glrt-t1_{s(URL, 27)}.01.{s(LOWER, 9)}",
        "gitlab runner registration": f"GR1348941{s(URL, 20)}",
        "gitlab agent": f"glagent-{s(URL, 50)}",
        "gitlab oauth": f"gloas-{s(HEX, 64)}",
        "gitlab mail": f"glimt-{s(LOWER, 25)}",
        "aws key": f"AKIA{s(B32, 16)}",
        "aws temporary key": f"ASIA{s(B32, 16)}",
        "aws secret in ini": f"aws_secret_access_key = {s(WORD + B64, 40)}",
        "aws secret in json": f'"SecretAccessKey": "{s(WORD + B64, 40)}"',
        "aws secret in env": f"AWS_SECRET_ACCESS_KEY={s(WORD + B64, 40)}",
        "aws bedrock": f"ABSK{s(WORD, 120)}",
        "google api": f"AIza{s(URL, 35)}",
        "google oauth": f"GOCSPX-{s(URL, 28)}",
        "google access": f"ya29.a0{s(URL, 120)}",
        "google refresh": f"1//0{s(URL, 98)}",
        "azure storage": f"DefaultEndpointsProtocol=https;AccountName=logs;AccountKey={dice.b64(64)};EndpointSuffix=core.windows.net",
        "azure service bus": f"Endpoint=sb://q.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey={dice.b64(32)}",
        "azure sas": f"https://logs.blob.core.windows.net/c?sv=2024-11-04&se=2027-01-01&sr=c&sp=r&sig={quote(dice.b64(32), safe='')}",
        "azure ad": f"{s(WORD, 3)}8Q~{s(WORD + '-._~', 34)}",
        "azure devops": f"{s(WORD, 76)}AZDO{s(WORD, 4)}",
        "npm": f"npm_{s(WORD, 36)}",
        "npm in npmrc": f"//registry.corp.internal/:_authToken={s(LOWER, 8)}-{s(HEX, 4)}-{s(HEX, 4)}-{s(HEX, 12)}",
        "pypi": f"pypi-AgEIcHlwaS5vcmc{s(URL, 140)}",
        "pypi test": f"pypi-AgENdGVzdC5weXBpLm9yZw{s(URL, 140)}",
        "rubygems": f"rubygems_{s(HEX, 48)}",
        "crates": f"cio{s(WORD, 32)}",
        "nuget": f"oy2{s(LOWER, 43)}",
        "clojars": f"CLOJARS_{s(LOWER, 60)}",
        "docker": f"dckr_pat_{s(URL, 27)}",
        "docker config": json.dumps({"auths": {"r.corp.internal": {"auth": _basic("ci-push", s(WORD, 14))}}}),
        "artifactory": f"AKCp{s(WORD, 69)}",
        "artifactory reference": f"cmVmd{s(WORD, 59)}",
        "atlassian": f"ATATT3{s(URL, 185)}A",
        "bitbucket": f"ATBB{s(WORD, 32)}",
        "slack app": f"xapp-1-A{s(UPPER, 10)}-{s('123456789', 13)}-{s(HEX, 64)}",
        "slack configuration": f"xoxe.xoxp-1-{s(UPPER, 163)}",
        "slack webhook": f"https://hooks.slack.com/services/T{s(UPPER, 9)}/B{s(UPPER, 9)}/{s(WORD, 24)}",
        "slack workflow": f"https://hooks.slack.com/workflows/T{s(UPPER, 9)}/A{s(UPPER, 9)}/{s('123456789', 18)}/{s(WORD, 24)}",
        "discord webhook": f"https://discord.com/api/webhooks/{s('123456789', 18)}/{s(URL, 68)}",
        "telegram": f"{s('123456789', 10)}:AA{s(URL, 33)}",
        "stripe webhook": f"whsec_{s(WORD, 32)}",
        "square": f"sq0atp-{s(URL, 22)}",
        "square secret": f"sq0csp-{s(URL, 43)}",
        "twilio": f"SK{s(HEX, 32)}",
        "sendgrid": f"SG.{s(URL, 22)}.{s(URL, 43)}",
        "sendinblue": f"xkeysib-{s(HEX, 64)}-{s(WORD, 16)}",
        "mailgun": f"key-{s(HEX, 32)}",
        "mailchimp": f"{s(HEX, 32)}-us12",
        "resend": f"re_{s(WORD, 8)}_{s(WORD, 24)}",
        "hashicorp vault": f"hvs.{s(URL, 90)}",
        "hashicorp vault batch": f"hvb.{s(URL, 140)}",
        "terraform": f"{s(WORD, 14)}.atlasv1.{s(URL, 64)}",
        "doppler": f"dp.pt.{s(WORD, 43)}",
        "doppler service": f"dp.st.prd.{s(WORD, 43)}",
        "pulumi": f"pul-{s(HEX, 40)}",
        "digitalocean": f"dop_v1_{s(HEX, 64)}",
        "digitalocean refresh": f"dor_v1_{s(HEX, 64)}",
        "heroku": f"HRKU-AA{s(URL, 58)}",
        "flyio": f"fo1_{s(URL, 43)}",
        "netlify": f"nfp_{s(WORD, 36)}",
        "supabase": f"sbp_{s(HEX, 40)}",
        "planetscale": f"pscale_pw_{s(URL, 43)}",
        "databricks": f"dapi{s(HEX, 32)}",
        "grafana": f"glsa_{s(WORD, 32)}_{s(HEX, 8)}",
        "grafana cloud": f"glc_{s(WORD, 100)}",
        "new relic": f"NRAK-{s(UPPER, 27)}",
        "dynatrace": f"dt0c01.{s(UPPER, 24)}.{s(UPPER, 64)}",
        "sentry user": f"sntryu_{s(HEX, 64)}",
        "sonar": f"squ_{s(HEX, 40)}",
        "sourcegraph": f"sgp_{s(HEX, 40)}",
        "linear": f"lin_api_{s(WORD, 40)}",
        "notion": f"ntn_{s('123456789', 11)}{s(WORD, 35)}",
        "figma": f"figd_{s(URL, 40)}",
        "airtable": f"pat{s(WORD, 14)}.{s(HEX, 64)}",
        "typeform": f"tfp_{s(URL, 59)}",
        "postman": f"PMAK-{s(HEX, 24)}-{s(HEX, 34)}",
        "readme": f"rdme_{s(LOWER, 70)}",
        "buildkite": f"bkua_{s(HEX, 40)}",
        "circleci": f"CCIPAT_{s(WORD, 22)}_{s(HEX, 40)}",
        "octopus": f"API-{s(UPPER, 26)}",
        "harness": f"pat.{s(WORD, 22)}.{s(WORD, 24)}.{s(WORD, 20)}",
        "tailscale": f"tskey-auth-{s(WORD, 12)}-{s(WORD, 32)}",
        "1password": "A3-" + "-".join([s(UPPER, 6), s(UPPER, 11), s(UPPER, 5), s(UPPER, 5), s(UPPER, 5)]),
        "openai": f"sk-proj-{s(URL, 74)}T3BlbkFJ{s(URL, 74)}",
        "openai old": f"sk-{s(WORD, 20)}T3BlbkFJ{s(WORD, 20)}",
        "anthropic": f"sk-ant-api03-{s(URL, 93)}AA",
        "huggingface": f"hf_{s(string.ascii_letters, 34)}",
        "groq": f"gsk_{s(WORD, 52)}",
        "perplexity": f"pplx-{s(WORD, 48)}",
        "replicate": f"r8_{s(WORD, 37)}",
        "openrouter": f"sk-or-v1-{s(HEX, 64)}",
        "nvidia": f"nvapi-{s(URL, 64)}",
        "alibaba": f"LTAI{s(WORD, 20)}",
        "tencent": f"AKID{s(WORD, 32)}",
        "yandex": f"AQVN{s(URL, 36)}",
        "duffel": f"duffel_live_{s(URL, 43)}",
        "easypost": f"EZAK{s(WORD, 54)}",
        "shippo": f"shippo_live_{s(HEX, 40)}",
        "contentful": f"CFPAT-{s(URL, 43)}",
        "wakatime": f"waka_{s(HEX, 8)}-{s(HEX, 4)}-{s(HEX, 4)}-{s(HEX, 4)}-{s(HEX, 12)}",
        "langsmith": f"lsv2_pt_{s(HEX, 32)}_{s(HEX, 10)}",
        "openshift": f"sha256~{s(URL, 43)}",
        "web token": _web_token(dice),
        "basic header": "Authorization: Basic " + base64.b64encode(f"deploy:{s(WORD, 18)}".encode()).decode(),
        "bearer header": f"Authorization: Bearer {s(WORD, 40)}",
        "netrc": f"machine git.corp.internal login ci password {s(WORD, 16)}",
        "netrc on lines": f"machine git.corp.internal\n  login ci\n  password {s(WORD, 16)}\n",
        "connection string": f"Server=db01;Database=app;User Id=svc;Password={s(WORD, 14)};Encrypt=true",
        "curl": f"curl -fsS -u deploy:{s(WORD, 16)} https://artifacts.corp.internal/x",
        "client secret": f'client_secret: "{s(WORD, 40)}"',
        "api key in code": f'const apiKey = "{s(WORD, 32)}";',
        "password in properties": f"spring.datasource.password={s(WORD, 20)}",
        "wireguard": f"PrivateKey = {dice.b64(32)[:-2]}0=",
        "age": f"AGE-SECRET-KEY-1{s('QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L', 58)}",
    }  # fmt: skip


def keys(dice: Dice) -> dict[str, str]:
    """Private keys in PEM: kinds and containers."""
    kinds = {"rsa": rsa.generate_private_key(65537, 2048), "ec": ec.generate_private_key(ec.SECP256R1()), "ed25519": ed25519.Ed25519PrivateKey.generate()}  # fmt: skip
    forms = serialization.PrivateFormat
    found = {}
    for kind, key in kinds.items():
        named = {"PKCS8": forms.PKCS8, "OpenSSH": forms.OpenSSH, "traditional": forms.TraditionalOpenSSL}
        for name in list(named)[: 2 if kind == "ed25519" else 3]:
            found[f"{kind} {name}"] = key.private_bytes(
                serialization.Encoding.PEM, named[name], serialization.NoEncryption()
            ).decode()
    locked = serialization.BestAvailableEncryption(b"passphrase")
    found["rsa locked"] = kinds["rsa"].private_bytes(serialization.Encoding.PEM, forms.PKCS8, locked).decode()
    found["openpgp"] = (
        f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{_lines(dice.b64(900), 64)}=abcd\n-----END PGP PRIVATE KEY BLOCK-----\n"
    )
    return found


def _lines(text: str, width: int, end: str = "\n") -> str:
    return "".join(text[at : at + width] + end for at in range(0, len(text), width))


def wrapped_keys(pem: str, dice: Dice) -> dict[str, bytes]:
    """One key in everything that keys are put into."""
    rows = pem.rstrip("\n").split("\n")
    coded = base64.b64encode(pem.encode()).decode()
    once = json.dumps({"type": "service_account", "private_key": pem})
    deep = json.dumps({"body": json.dumps({"inner": once})})
    return {
        "json": once.encode(),
        "json in json": json.dumps({"config": once}).encode(),
        "json three deep": deep.encode(),
        "c string": "\n".join(['static const char key[] ='] + [f'    "{row}\\n"' for row in rows] + [";"]).encode(),
        "c string with \\r\\n": "\n".join([f'"{row}\\r\\n"' for row in rows]).encode(),
        "c string, one line": ('char *key = "' + "\\n".join(rows) + '";').encode(),
        "c string with continuations": ('k = "' + "\\n\\\n".join(rows) + '"').encode(),
        "java": (" +\n".join(f'    "{row}\\n"' for row in rows) + ";").encode(),
        "php": (" .\n".join(f"    '{row}'" for row in rows) + ";").encode(),
        "list of lines": json.dumps({"key": rows}, indent=1).encode(),
        "python tuple": ("(" + "\n".join(f'    "{row}\\n",' for row in rows) + ")").encode(),
        "yaml block": ("key: |\n" + "".join(f"    {row}\n" for row in rows)).encode(),
        "yaml folded quotes": ('key: "' + "\\n\\\n  ".join(rows) + '"').encode(),
        "crlf": pem.replace("\n", "\r\n").encode(),
        "cr only": pem.replace("\n", "\r").encode(),
        "env with \\n": ("KEY=" + "\\n".join(rows)).encode(),
        "env on one line with spaces": ("KEY='" + " ".join(rows) + "'").encode(),
        "url-encoded": ("key=" + quote(pem, safe="")).encode(),
        "url-encoded form": ("key=" + quote(pem, safe=" ").replace(" ", "+")).encode(),
        "xml": ("<key>" + pem.replace("\n", "&#10;") + "</key>").encode(),
        "json with \\u escapes": once.replace("+", "\\u002b").replace("/", "\\/").encode(),
        "commented out": "".join(f"# {row}\n" for row in rows).encode(),
        "utf-16-le": pem.encode("utf-16-le"),
        "utf-16-be": pem.encode("utf-16-be"),
        "utf-16 in a program": dice.randbytes(60_000) + b"\0\0" + pem.encode("utf-16-le") + b"\0\0" + dice.randbytes(60_000),
        "in a program": bytes(range(256)) * 50 + pem.encode() + b"\0" + bytes(range(256)) * 50,
        "base64": coded.encode(),
        "base64 in yaml": f"data:\n  tls.key: {coded}\n".encode(),
        "base64 with line breaks": _lines(coded, 76).encode(),
        "base64 with crlf": _lines(coded, 64, "\r\n").encode(),
        "base64 with \\n": _lines(coded, 76, "\\n").encode(),
        "base64, indented": _lines(coded, 76, "\n      ").encode(),
        "base64 of base64": base64.b64encode(coded.encode()),
        "base64 as c strings": "\n".join(f'"{row}"' for row in _lines(coded, 60).split()).encode(),
        "base64 at another place": base64.b64encode(b"x\n" + pem.encode()),
        "base64 in utf-16": coded.encode("utf-16-le"),
        "headers": pem.replace("-----\n", "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0123\n\n", 1).encode(),
    }  # fmt: skip


def logins(dice: Dice) -> dict[str, str]:
    """URLs with a password."""
    p = lambda: dice.some(WORD, 14)  # noqa: E731
    return {
        "postgres": f"postgres://app:{p()}@db.corp.internal:5432/prod", "postgres, short host": f"postgres://app:{p()}@db/prod",
        "postgresql with driver": f"postgresql+psycopg2://app:{p()}@db:5432/prod", "mysql": f"mysql://root:{p()}@mysql:3306/app",
        "mongodb": f"mongodb://app:{p()}@m1.corp.internal,m2.corp.internal/app", "mongodb srv": f"mongodb+srv://app:{p()}@c0.ab1cd.mongodb.net",
        "redis, no user": f"redis://:{p()}@redis:6379/0", "rediss": f"rediss://default:{p()}@cache.corp.internal:6380",
        "amqp": f"amqp://ci:{p()}@rabbit:5672/%2f", "ftp": f"ftp://up:{p()}@files.corp.internal/x", "sftp": f"sftp://up:{p()}@10.0.3.7/x",
        "https": f"https://ci:{p()}@git.corp.internal/x.git", "https, address": f"https://ci:{p()}@192.168.7.4/x", "https, ipv6": f"https://ci:{p()}@[fd00::7]/x",
        "smtp": f"smtp://mailer:{p()}@mail:587", "ldap": f"ldap://cn=x:{p()}@dir.corp.internal", "proxy": f"http_proxy=http://svc:{p()}@proxy.corp.internal:3128",
        "percent": f"postgres://app:{quote('p@ss/W0rd#' + p(), safe='')}@db/prod", "percent short": "postgres://app:Tr0ub4%40dor%263@db/prod",
        "json with \\/": json.dumps(f"https://ci:{p()}@git.corp.internal/x").replace("/", "\\/"), "json in json": json.dumps(json.dumps({"u": f"amqp://ci:{p()}@mq/v"})),
        "underscore host": f"http://svc:{p()}@auth_service:8080/", "jdbc": f"jdbc:postgresql://app:{p()}@db:5432/prod", "git": f"git+https://token:{p()}@git.corp.internal/x",
        "sqlserver": f"mssql://sa:{p()}@sql01:1433/app", "nats": f"nats://ci:{p()}@nats:4222", "upper": f"HTTPS://CI:{p()}@GIT.CORP.INTERNAL/x",
        "marks": f"https://ci:{p()}!~*()@git.corp.internal/", "colon in it": f"https://ci:a1b2:{p()}@git.corp.internal/", "long": f"https://ci:{dice.some(WORD, 90)}@git.corp.internal/",
    }  # fmt: skip


_AROUND = (
    "{}",
    "TOKEN={}\n",
    '{{"token": "{}"}}',
    "  key: {} # ours\n",
    "'{}'",
    "a\\n{}\\nb",
    "https://api.corp.internal/v1?k={}&x=1",
    "<t>{}</t>",
)
_WRAPS = (
    "c string",
    "json in json",
    "base64",
    "base64 lines",
    "utf-16 in a program",
    "in a program",
    "url-encoded",
    "colours",
)


def _as_bytes(how: str, text: str, coded: str, dice: Dice) -> bytes:
    if how == "utf-16 in a program":
        return dice.randbytes(3000) + b"\0\0" + text.encode("utf-16-le") + b"\0\0" + dice.randbytes(3000)
    if how == "in a program":
        return dice.randbytes(3000) + b"\0" + text.encode() + b"\0" + dice.randbytes(3000)
    plain = {
        "c string": f'#define T "{text}\\n"\n',
        "json in json": json.dumps({"a": json.dumps({"b": text})}),
        "base64": f"data: {coded}",
        "base64 lines": _lines(coded, 40),
        "url-encoded": f"q={quote('t=' + text, safe='')}",
        "colours": f"\x1b[32m{text}\x1b[0m",
    }
    return plain[how].encode()


@cache
def secrets(seed: int = 11) -> tuple[Row, ...]:
    """Each form once: every token in some text, some of them wrapped, keys in everything, logins."""
    return tuple(_secrets(Dice(seed)))


def _secrets(dice: Dice) -> Iterator[Row]:
    for number, (name, text) in enumerate(tokens(dice).items()):
        around = "{}" if "\n" in text or '"' in text else _AROUND[number % len(_AROUND)]
        yield name, around.format(text).encode()
    for number, (name, text) in enumerate(tokens(dice).items()):
        if text.isascii() and len(text.split()) == 1 and '"' not in text and "/" not in text and number % 2:
            how = _WRAPS[number // 2 % len(_WRAPS)]
            yield (
                f"{name}, {how}",
                _as_bytes(how, text, base64.b64encode(f"user=ci\ntoken={text}\nhost=git\n".encode()).decode(), dice),
            )
    made = keys(dice)
    for name, text in made.items():
        yield f"key {name}", text.encode()
    for kind in ("rsa PKCS8", "ec PKCS8"):
        for name, data in wrapped_keys(made[kind], dice).items():
            yield f"key {kind}, {name}", data
    for name, text in logins(dice).items():
        yield f"login {name}", f"url: {text}\n".encode()


@cache
def harmless(seed: int = 12) -> tuple[Row, ...]:
    """What documentation, templates, lock files and programs hold."""
    return tuple(_harmless(Dice(seed)))


def _harmless(dice: Dice) -> Iterator[Row]:
    s = dice.some
    public = rsa.generate_private_key(65537, 2048).public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    texts = {
        "aws example": "AKIAIOSFODNN7EXAMPLE", "aws secret example": "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "x token": f"ghp_{'x' * 36}", "counted token": "ghp_abcdefghijklmnopqrstuvwxyz0123456789", "stars": "glpat-********************", "your token": "glpat-your-personal-token-here",
        "template": "https://user:${PASSWORD}@git.corp.internal/", "template 2": "https://{user}:{password}@git.corp.internal/", "template 3": "postgres://%s:%s@%s/%s",
        "template 4": "https://user:<password>@host/", "template 5": "https://$USER:$PASS@git.corp.internal/", "template 6": "https://user:{{ secret }}@git.corp.internal/",
        "doc login": "https://user:password@example.com/", "doc login 2": "http://username:password@proxy.corp.com:8080", "doc login 3": "https://user:secret@host.example.org/",
        "default login": "postgres://postgres:postgres@localhost/test", "default login 2": "amqp://guest:guest@localhost:5672/", "default 3": "redis://:password@localhost:6379", "own machine": f"http://dev:{s(WORD, 12)}@localhost:3000",
        "port and scope": "https://registry.corp.internal:8080/@scope/package", "mail": "mailto:a.person:b@corp.internal", "ssh": "git@github.com:owner/repository.git", "npm scope": "npm:@scope/pkg@1.0.0",
        "public key": pem, "certificate": f"-----BEGIN CERTIFICATE-----\n{_lines(dice.b64(900), 64)}-----END CERTIFICATE-----\n", "ssh public key": f"ssh-ed25519 {dice.b64(51)} me@host",
        "key header in code": 'if text.startswith("-----BEGIN RSA PRIVATE KEY-----"): load(text)', "key header in docs": "paste everything from -----BEGIN PRIVATE KEY----- to -----END PRIVATE KEY-----",
        "key elided": "-----BEGIN PRIVATE KEY-----\nMIIE...\n-----END PRIVATE KEY-----", "key of letters": "-----BEGIN PRIVATE KEY-----\n" + "A" * 256 + "\n-----END PRIVATE KEY-----",
        "key regex": r"-----BEGIN (?:RSA |EC )?PRIVATE KEY-----[\s\S]+?-----END (?:RSA |EC )?PRIVATE KEY-----", "key placeholder": "-----BEGIN PRIVATE KEY-----\n<your key goes here, all of its lines, in base64, please>\n-----END PRIVATE KEY-----",
        "sha256": f"sha256:{s(HEX, 64)}", "sha512 integrity": f'"integrity": "sha512-{dice.b64(64)}"', "git revision": f"uses: actions/checkout@{s(HEX, 40)}", "uuid": "014df517-39d1-4453-b7b3-9930c563627c",
        "pip hash": f"click==8.1.8 --hash=sha256:{s(HEX, 64)}", "go.sum": f"github.com/a/b v1.0.0 h1:{dice.b64(32)}", "digest pin": f"FROM nginx@sha256:{s(HEX, 64)}", "etag": f'ETag: "{s(HEX, 32)}"',
        "picture": f"data:image/png;base64,iVBORw0KGgo{dice.b64(600)}", "font": f"url(data:font/woff2;base64,d09GMgABAAA{dice.b64(900)})", "source map": f"//# sourceMappingURL=data:application/json;base64,{base64.b64encode(b'{' + b'x' * 300).decode()}",
        "css": ".btn-primary-secret-key{color:#fff}", "identifier": "npm_config_user_agent npm_lifecycle_event", "kebab": "glpat-some-words-in-a-row-here", "camel": "const apiKey = process.env.API_KEY;",
        "env reference": "password: ${{ secrets.DEPLOY_PASSWORD }}", "env reference 2": 'password = os.environ["DB_PASSWORD"]', "null password": "password: null", "asterisks": "password: ********", "type": "password: string; accessToken: string;",
        "prose": "The client_secret is obtained from the console. api_key: see the settings page", "form": '<input type="password" name="password" placeholder="Your password">', "schema": '{"access_token": {"type": "string", "description": "the OAuth token"}}',
        "function": "access_token = get_access_token_from_the_vault_service()", "path": "api_key=/etc/corp/secrets/api_key.txt", "label": "secret_key=SECRET_KEY_FROM_ENVIRONMENT_VARIABLE",
        "web token sample": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
        "basic sample": "Authorization: Basic dXNlcjpwYXNzd29yZA==", "basic words": "Basic authentication and authorization", "bearer words": "Authorization: Bearer <token>", "bearer template": "Authorization: Bearer ${TOKEN}",
        "stripe publishable": f"pk_live_{s(WORD, 24)}", "mapbox public": f"pk.eyJ{s(WORD, 60)}.{s(WORD, 22)}", "netrc sample": "machine example.com login me password your-password-here",
        "test numbers": "ghp_000000000000000000000000000000000000", "nothing": "", "lorem": "Lorem ipsum dolor sit amet " * 40, "long identifier": "a_very_long_identifier_with_secret_token_in_it = 1",
        "guid": f"appId={s(HEX, 8)}-{s(HEX, 4)}-4{s(HEX, 3)}-a{s(HEX, 3)}-{s(HEX, 12)}", "csrf": '<meta name="csrf-token" content="">', "color list": "#abcdef #012345 #6789ab " * 30, "roman": "MMXXIV" * 30,
        "postgres in compose": "postgres://app:app@db/app", "minified": "function(e,t){return e.apiKey?t.password=e.password:t.token}", "hex dump": " ".join(s(HEX, 2) for _ in range(400)), "base64 of text": base64.b64encode(b"just some words, nothing to hide; " * 8).decode(),
    }  # fmt: skip
    for name, text in texts.items():
        yield name, text.encode()
    yield "noise", dice.randbytes(200_000)
    yield "wide words", "ProductName FileDescription CompanyName password token".encode("utf-16-le") * 20
