"""The secrets gate: finds what issuers give out, wherever it is; tells where, never what; leaves the rest alone."""

from __future__ import annotations

import base64
import gzip
import io
import random
import string
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
import secret_table
from hypothesis import given
from hypothesis import strategies as st

from attest.keys import keys
from bundlers.gates import Phase
from bundlers.gates.base import ReleaseView
from bundlers.gates.builtin.secrets import Settings, check, scan_blob, scan_folder
from bundlers.inspection.secret_forms import finding, matches, redacted
from bundlers.inspection.secret_forms.stream import scan
from casstore.store.store import Store

_DICE = random.Random(7)  # a fixed seed: no real secret stands in this file


def some(alphabet: str, count: int) -> str:
    return "".join(_DICE.choice(alphabet) for _ in range(count))


WORD = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
PEM = keys.private_to_pem(keys.generate("ecdsa-p256"), None)

TOKENS: dict[str, str] = {
    "aws-access-key": "AKIA" + some(BASE32, 16),
    "github-token": "ghp_" + some(WORD, 36),
    "gitlab-token": "glpat-" + some(WORD, 20),
    "slack-token": "xoxb-" + some("123456789", 12) + "-" + some("123456789", 12) + "-" + some(WORD, 24),
    "google-api-key": "AIza" + some(WORD, 35),
    "google-oauth-secret": "GOCSPX-" + some(WORD, 28),
    "stripe-key": "sk_live_" + some(WORD, 24),
    "npm-token": "npm_" + some(WORD, 36),
    "pypi-token": "pypi-AgEIcHlwaS5vcmc" + some(WORD, 120),
    "rubygems-token": "rubygems_" + some(HEX, 48),
    "docker-token": "dckr_pat_" + some(WORD, 27),
    "azure-storage-key": "AccountKey=" + some(WORD, 86) + "==",
    "hashicorp-vault-token": "hvs." + some(WORD, 90),
    "digitalocean-token": "dop_v1_" + some(HEX, 64),
    "sendgrid-key": "SG." + some(WORD, 22) + "." + some(WORD, 43),
    "shopify-token": "shpat_" + some(HEX, 32),
    "grafana-token": "glsa_" + some(WORD, 32) + "_" + some(HEX, 8),
    "anthropic-key": "sk-ant-api03-" + some(WORD, 93) + "AA",
    "openai-key": "sk-proj-" + some(WORD, 40) + "T3BlbkFJ" + some(WORD, 40),
    "slack-webhook": "hooks.slack.com/services/T" + some(BASE32, 9) + "/B" + some(BASE32, 9) + "/" + some(WORD, 24),
    "url-password": "postgres://service:" + some(WORD, 16) + "@db.corp.internal",
    "private-key": PEM.decode(),
}


def rules_in(data: bytes) -> list[str]:
    return [secret.rule for secret in scan(io.BytesIO(data))]


@pytest.mark.parametrize("rule", TOKENS)
@pytest.mark.parametrize("around", ["{}", "x = '{}'\n", '{{"k": "{}"}}', "export T={} # comment", "a\n{}\nb"])
def test_tokens_in_text(rule: str, around: str) -> None:
    assert rules_in(around.format(TOKENS[rule]).encode()) == [rule]


@pytest.mark.parametrize("rule", TOKENS)
def test_tokens_in_binaries(rule: str) -> None:
    noise = bytes(range(256)) * 40
    assert rules_in(noise + b"\0" + TOKENS[rule].encode() + b"\0" + noise) == [rule]


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("shift", [b"", b"x"])
@pytest.mark.parametrize("rule", ["github-token", "private-key", "url-password"])
def test_tokens_in_wide_strings(rule: str, codec: str, shift: bytes) -> None:
    data = shift + b"\0\0" + TOKENS[rule].encode(codec) + b"\0\0\0"
    assert rules_in(data) == [rule]


def test_private_key_with_escaped_line_ends() -> None:
    escaped = PEM.decode().replace("\n", "\\n")
    assert rules_in(f'{{"private_key": "{escaped}"}}'.encode()) == ["private-key"]


def test_encrypted_private_key_is_a_private_key() -> None:
    pem = keys.private_to_pem(keys.generate("ed25519"), b"passphrase")
    assert rules_in(pem) == ["private-key"]


@pytest.mark.parametrize(
    "data",
    [
        b"-----BEGIN PRIVATE KEY-----",
        b'if text.startswith("-----BEGIN RSA PRIVATE KEY-----"): load(text)\n',
        b"-----BEGIN PUBLIC KEY-----\n" + b"A" * 120 + b"\n-----END PUBLIC KEY-----\n",
        b"-----BEGIN CERTIFICATE-----\n" + b"A" * 1200,
        b"AKIAIOSFODNN7EXAMPLE",
        b"AKIAIOSFODNN7EXAMPLEAKIAIOSFODNN7EXAMPLE",
        b"https://user:password@host.example.com/",
        b"http://username:password@host.com:80/path",
        b"https://user:$PASSWORD@host.corp.com, https://{user}:{password}@host.corp.com",
        b"https://host.corp.com:8080/@scope/package",
        b"ghp_short, glpat-x, npm_run_all_scripts",
        b"sha256:" + b"0123456789abcdef" * 4,
        b"xxghp_" + b"k9Zb3Qm7Tw2Xr5Yv8Lp4Nj6Hd1Fs0GcAeUiO",
        b"ghp_" + b"x" * 36,
        b"",
        b"\0" * 5000,
    ],
)
def test_what_is_no_secret(data: bytes) -> None:
    assert rules_in(data) == []


@given(st.binary(max_size=4096))
def test_noise_has_no_secret(data: bytes) -> None:
    assert rules_in(data) == []


@pytest.mark.parametrize("place", [0, 1 << 20, (1 << 20) - 1, (1 << 20) - 20, (2 << 20) - 100, (2 << 20) + 3])
@pytest.mark.parametrize("rule", ["github-token", "private-key"])
def test_tokens_across_the_pieces_of_a_large_file(rule: str, place: int) -> None:
    data = b"\n" * place + TOKENS[rule].encode() + b"\n" * (3 << 20)
    (found,) = scan(io.BytesIO(data))
    assert (found.rule, found.offset) == (rule, place)


def test_same_secret_is_told_once_and_others_too() -> None:
    text = f"{TOKENS['npm-token']}\n{TOKENS['npm-token']}\n{TOKENS['github-token']}\n"
    assert sorted(rules_in(text.encode())) == ["github-token", "npm-token"]


@pytest.mark.parametrize("seed", [11, 29])
def test_the_table_of_forms(seed: int) -> None:
    """More than 300 real forms and 80 harmless ones; docs/gates.md tells these figures."""
    real, none = secret_table.secrets(seed), secret_table.harmless(seed + 1)
    assert len(real) > 300 and len(none) >= 80
    assert [name for name, data in real if not rules_in(data)] == []
    assert [(name, rules_in(data)) for name, data in none if rules_in(data)] == []


def test_a_key_has_one_fingerprint_however_it_is_wrapped() -> None:
    rows = [data for name, data in secret_table.secrets() if name.startswith("key ec PKCS8")]
    fingerprints = {secret.fingerprint for data in rows for secret in scan(io.BytesIO(data))}
    assert len(rows) > 30 and len(fingerprints) <= 2  # one of them stands under headers of its own


@pytest.mark.parametrize(
    "filler", [b"a", b"A-", b"\\n", b"eyJ", b"://x:", b"-----BEGIN PRIVATE KEY-----", b"password=", b"\0a"]
)
def test_time_grows_with_the_size_alone(filler: bytes) -> None:
    begin = time.process_time()
    rules_in((filler * (1 << 21))[: 1 << 21])
    assert time.process_time() - begin < 8


def packed(name: str, data: bytes) -> bytes:
    out = io.BytesIO()
    if name.endswith(".zip"):
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("in/config", data)
    elif name.endswith(".gz"):
        return gzip.compress(data)
    else:
        with tarfile.open(fileobj=out, mode="w:xz") as tar:
            info = tarfile.TarInfo("in/config")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.mark.parametrize("name", ["a.zip", "a.gz", "a.tar.xz"])
def test_tokens_in_archives(name: str) -> None:
    found = scan_blob(io.BytesIO(packed(name, TOKENS["npm-token"].encode())))
    assert [(secret.rule, secret.place != "") for secret in found.secrets] == [("npm-token", True)]


def test_tokens_in_nested_archives_name_the_place() -> None:
    data = packed("a.zip", packed("b.zip", TOKENS["npm-token"].encode()))
    (secret,) = scan_blob(io.BytesIO(data)).secrets
    assert secret.place == "!in/config!in/config"


def test_archive_that_cannot_be_opened_is_told() -> None:
    assert scan_blob(io.BytesIO(packed("a.zip", b"x" * 100)[:-9])).unopened


# as a gate


def view(store: Store, files: Mapping[str, bytes], folder: Path) -> ReleaseView:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return ReleaseView("1", {"app": store.put_tree(str(folder)).tree}, {}, store, "/")


FILES = {"a/one.txt": f"t={TOKENS['npm-token']}".encode(), "b/two.bin": b"\0fine", "c/copy.txt": b""}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.init(str(tmp_path / "store"))


def test_finding_names_rule_file_and_place_not_the_secret(store: Store, tmp_path: Path) -> None:
    result = check(view(store, FILES, tmp_path / "files"), Settings())
    (message,) = result.messages
    assert message.startswith("app/a/one.txt: npm-token at byte 2 (fingerprint ")
    assert result.files == ("app/a/one.txt",)
    assert TOKENS["npm-token"] not in repr(result)
    assert TOKENS["npm-token"][4:20] not in repr(result)


def test_allowed_by_fingerprint_only(store: Store, tmp_path: Path) -> None:
    looked = view(store, FILES, tmp_path / "files")
    fingerprint = check(looked, Settings()).messages[0].split("fingerprint ")[1].rstrip(")")
    allowed = check(looked, Settings(allow=(fingerprint,)))
    assert allowed.passed and not allowed.warnings and allowed.measured["allowed"] == 1
    assert not check(looked, Settings(allow=("0" * 16,))).passed


def test_allowance_that_nothing_needs_is_told(store: Store, tmp_path: Path) -> None:
    result = check(view(store, {"x": b"fine"}, tmp_path / "files"), Settings(allow=("0" * 16,)))
    assert result.passed
    assert "nothing has the fingerprint" in result.warnings[0]


def test_excluded_by_glob(store: Store, tmp_path: Path) -> None:
    looked = view(store, FILES, tmp_path / "files")
    result = check(looked, Settings(exclude=("app/a/*",)))
    assert result.passed and result.warnings == ()
    missed = check(looked, Settings(exclude=("a/*",)))
    assert not missed.passed and missed.warnings == ("exclude: 'a/*' hits nothing",)


def test_every_place_of_a_content_is_named(store: Store, tmp_path: Path) -> None:
    files = {"one": FILES["a/one.txt"], "two": FILES["a/one.txt"]}
    assert check(view(store, files, tmp_path / "files"), Settings()).files == ("app/one", "app/two")


def test_folder_of_reports(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "ci.log").write_text(f"+ curl -H {TOKENS['gitlab-token']}\n")
    (tmp_path / "loop").symlink_to(tmp_path)
    result = scan_folder(str(tmp_path))
    assert result.files == ("logs/ci.log",)


def test_it_is_asked_before_a_byte_is_packed() -> None:
    from bundlers.gates.builtin import secrets

    assert secrets.PHASE is Phase.INPUTS


@pytest.mark.parametrize("width", [64, 76])
def test_a_plus_in_lines_of_base64_is_a_letter(width: int) -> None:
    """It stands at the begin and at the end of lines too."""
    plain = b"\xfb\xef\xbe" * 200 + b" " + TOKENS["npm-token"].encode() + b" " + b"\xfb\xef\xbe" * 40
    text = base64.b64encode(plain).decode()
    lines = "\n".join(text[at : at + width] for at in range(0, len(text), width)).encode()
    assert b"+\n+" in lines
    assert [secret.rule for secret in scan(io.BytesIO(lines))] == ["npm-token"]


@pytest.mark.parametrize("letters", range(1000, 1008))
@pytest.mark.parametrize("padding", ["", "=", "==", "==="])
def test_a_key_that_is_cut_anywhere_ends_no_search(letters: int, padding: str) -> None:
    body = base64.b64encode(b"0" + random.Random(1).randbytes(900)).decode()[:letters] + padding
    text = f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n".encode()
    assert [secret.rule for secret in scan(io.BytesIO(text + b"x"))] == ["private-key"]
    assert "BEGIN" not in redacted(text.decode())


def test_the_same_is_found_without_numpy() -> None:
    """What is signed is looked at by Python alone, where nothing else has brought numpy."""
    texts = [data for _, data in (*secret_table.secrets(5), *secret_table.harmless(6)) if len(data) < finding._SHORT]
    found = [list(matches(text)) for text in texts]
    assert sum(map(len, found)) > 200
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(sys.modules, "numpy")
        assert [list(matches(text)) for text in texts] == found
        assert "numpy" not in sys.modules


def test_who_signs_does_not_load_numpy() -> None:
    code = "import sys; from bundlers.inspection.secret_forms import cleaned; cleaned({'a': 'b' * 9000})"
    run = [sys.executable, "-c", f"{code}; print('numpy' in sys.modules)"]
    told = subprocess.run(run, capture_output=True, text=True)
    assert told.stdout == "False\n", told.stderr
