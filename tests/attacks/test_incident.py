"""An incident gives the digest of one file: every release that holds it ends, and nothing that holds it comes again."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from bundlers.building import provenance
from bundlers.publishing import file_lists
from bundlers.publishing.proofs import absence, withdrawals
from bundlers.publishing.proofs.absence import Against
from bundlers.releases import plan
from casstore.promotion import services
from cli.main import invoke

SCAN = Path(__file__).parents[1] / "data" / "scanners" / "grype.json"
BAD = b"#!/bin/sh\necho backdoor\n"
DIGEST = f"sha256:{sha256(BAD).hexdigest()}"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """1.0.0, which holds a bad file, is published and installed."""
    place = tmp_path / "app"
    (place / "build" / "bin").mkdir(parents=True)
    (place / "build" / "bin" / "tool").write_bytes(BAD)
    (place / "build" / "bin" / "other").write_bytes(b"good\n")
    monkeypatch.chdir(place)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    for name in ("CASSTORE_STORE", "CASSTORE_KEY", "CASSTORE_PASSWORD", "XDG_CACHE_HOME", "XDG_STATE_HOME", "CI"):
        monkeypatch.delenv(name, raising=False)
    typed(
        "keys generate key.pem --no-passphrase",
        "init --key key.pem --yes",
        "put --all --release-version 1.0.0 --key key.pem",
        "release 1.0.0 --key key.pem",
        "promote 1.0.0 --to dev --key key.pem",
        "promote 1.0.0 --to prod --key key.pem",
        "publish prod --to public --key key.pem",
        "install app --from ./public --channel prod --into ./installed",
    )
    yield place


def typed(*lines: str) -> None:
    for line in lines:
        assert invoke(line.split()) == 0, line


def revoke(*more: str) -> int:
    return invoke(["revoke", *more, "--reason", "a back door", "--key", "key.pem", "--confirm"])


def test_a_file_is_revoked_by_its_bytes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert revoke(DIGEST) == 0
    told = capsys.readouterr()
    assert "affected: release 1.0.0" in told.err and "affected: channel prod (now 1.0.0)" in told.err
    assert "affected: destination public (shows 1.0.0 as prod)" in told.err
    assert invoke(["explain", "1.0.0", "--to", "prod"]) != 0
    assert invoke(["channel", "log", "prod"]) == 0
    assert "revoked" in capsys.readouterr().out.lower()


def test_nothing_that_holds_it_is_put_again(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert revoke(DIGEST) == 0
    (here / "build" / "bin" / "more").write_bytes(b"makes another tree\n")
    capsys.readouterr()
    assert invoke(["put", "--all", "--release-version", "1.1.0", "--key", "key.pem"]) == 4
    told = capsys.readouterr().err
    assert "bin/tool" in told and DIGEST in told
    (here / "build" / "bin" / "tool").write_bytes(b"mended\n")
    typed(
        "put --all --release-version 1.1.0 --key key.pem",
        "release 1.1.0 --key key.pem",
        "promote 1.1.0 --to dev --key key.pem",
    )


def test_what_was_put_before_is_not_released_after(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "build" / "bin" / "more").write_bytes(b"makes another tree\n")
    typed("put --all --release-version 1.1.0 --key key.pem")
    assert revoke(DIGEST) == 0
    assert invoke(["release", "1.1.0", "--key", "key.pem"]) == 4
    assert "revoked" in capsys.readouterr().err


def test_ahead_of_the_bytes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    later = f"sha256:{sha256(b'later').hexdigest()}"
    capsys.readouterr()
    assert revoke(later) == 8
    assert "--ahead" in capsys.readouterr().err
    assert revoke(later, "--ahead") == 0
    (here / "build" / "bin" / "later").write_bytes(b"later")
    assert invoke(["put", "--all", "--release-version", "1.1.0", "--key", "key.pem"]) == 4


def test_a_feed_of_hashes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("feed.txt").write_text(f"# malware\n{'0' * 64}  not-here.exe\n{sha256(BAD).hexdigest()}  tool\n")
    capsys.readouterr()
    assert revoke("--list", "feed.txt") == 0
    told = capsys.readouterr()
    assert "1 of 2 digests are held here" in told.err and DIGEST in told.out and "0000" not in told.out
    Path("bad.txt").write_text("no hash\n")
    assert revoke("--list", "bad.txt") == 2
    assert "no hash" in capsys.readouterr().err


def test_a_reader_of_the_publication_hears_it(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "build" / "bin" / "tool").write_bytes(b"mended\n")
    typed("put --all --release-version 1.1.0 --key key.pem", "release 1.1.0 --key key.pem")
    assert revoke(DIGEST) == 0
    typed("promote 1.1.0 --to dev --key key.pem", "promote 1.1.0 --to prod --key key.pem")
    typed("publish prod --to public --key key.pem", "install app --from ./public --channel prod --into ./installed")
    assert (here / "installed" / "current" / "bin" / "tool").read_bytes() == b"mended\n"


def test_whence_tells_an_installed_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert invoke(["whence", "installed/current/bin/tool"]) == 0
    told = capsys.readouterr().out
    assert DIGEST in told and "bin/tool" in told and "release 1.0.0: product app" in told and "prod since" in told
    assert revoke(DIGEST) == 0
    shutil.copytree("installed/current/bin", "found")
    capsys.readouterr()
    assert invoke(["whence", "found", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["files"]}
    assert rows["found/tool"]["revoked"].startswith("a back door") and rows["found/other"]["revoked"] is None
    assert rows["found/other"]["releases"][0]["revoked"] is True
    assert [one["channel"] for one in rows["found/other"]["releases"][0]["channels"]] == ["dev", "prod"]
    Path("stranger").write_bytes(b"never put")
    assert invoke(["whence", "stranger"]) == 8


def test_the_empty_file_takes_nothing_away(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Feeds of hashes have it now and then, and nearly every release holds one."""
    (here / "build" / "bin" / "empty").write_bytes(b"")
    typed("put --all --release-version 1.1.0 --key key.pem", "release 1.1.0 --key key.pem")
    empty = sha256(b"").hexdigest()
    assert revoke(f"sha256:{empty}") == 2
    Path("feed.txt").write_text(f"{empty}\n{sha256(BAD).hexdigest()}\n")
    capsys.readouterr()
    assert revoke("--list", "feed.txt") == 0
    assert "the digest of an empty file is left out" in capsys.readouterr().err


def wheel(*members: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for number, member in enumerate(members):
            file.writestr(f"pkg/{number}.bin", member)
    return made.getvalue()


def test_what_is_packed_is_looked_up(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a wheel, and in a wheel in a tar."""
    inner = b"\x7fELF bad module\n" * 50
    (here / "build" / "bin" / "tool").write_bytes(b"good now\n")
    with tarfile.open(here / "build" / "deps.tar.gz", "w:gz") as file:
        member = tarfile.TarInfo("a/b.whl")
        data = wheel(b"fine", inner)
        member.size = len(data)
        file.addfile(member, io.BytesIO(data))
    typed(
        "put --all --release-version 1.1.0 --key key.pem",
        "release 1.1.0 --key key.pem",
        "promote 1.1.0 --to dev --key key.pem",
    )
    digest = f"sha256:{sha256(inner).hexdigest()}"
    capsys.readouterr()
    assert invoke(["whence", digest]) == 0
    assert "deps.tar.gz!a/b.whl!pkg/1.bin" in capsys.readouterr().out
    assert revoke(digest) == 0
    told = capsys.readouterr().err
    assert "affected: release 1.1.0" in told and "affected: channel dev (now 1.1.0)" in told and "1.0.0" not in told
    (here / "build" / "deps.tar.gz").unlink()
    (here / "build" / "other.whl").write_bytes(wheel(b"new", b"also new", inner))
    assert invoke(["put", "--all", "--release-version", "1.2.0", "--key", "key.pem"]) == 4
    assert "other.whl!pkg/2.bin" in capsys.readouterr().err


def test_readers_find_what_the_writers_let_through(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Builder, promoter and publisher look away: a new tree with a revoked file reaches no consumer."""
    assert revoke(DIGEST) == 0
    (here / "build" / "bin" / "more").write_bytes(b"makes another tree\n")
    looked = [(module, module.check_contents) for module in (services, plan, provenance)]
    check, because = absence.check, withdrawals.because
    for module, _ in looked:
        monkeypatch.setattr(module, "check_contents", lambda *_: None)
    typed(
        "put --all --release-version 1.1.0 --key key.pem",
        "release 1.1.0 --key key.pem",
        "promote 1.1.0 --to dev --key key.pem",
        "promote 1.1.0 --to prod --key key.pem",
    )
    monkeypatch.setattr(withdrawals, "because", lambda *_, **__: ())
    capsys.readouterr()
    assert invoke(["publish", "prod", "--to", "public", "--key", "key.pem"]) == 3, "an honest reading back"
    monkeypatch.setattr(absence, "check", lambda *words: Against(frozenset(), {}))
    typed("publish prod --to public --key key.pem")
    monkeypatch.setattr(absence, "check", check)
    capsys.readouterr()
    assert invoke(["verify", "./public", "--channel", "prod"]) == 3
    assert DIGEST in capsys.readouterr().err
    assert invoke(["install", "app", "--from", "./public", "--channel", "prod", "--into", "./installed"]) == 3
    monkeypatch.setattr(withdrawals, "because", because)
    typed("publish prod --to public --key key.pem")
    for module, check_contents in looked:
        monkeypatch.setattr(module, "check_contents", check_contents)
    capsys.readouterr()
    assert invoke(["verify", "./public", "--channel", "prod"]) == 3
    assert "a back door" in capsys.readouterr().err, "an honest publisher tells the withdrawal and why"
    assert invoke(["audit", "prod"]) != 0
    assert DIGEST in capsys.readouterr().out


def test_a_customer_needs_no_store(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From what was published alone: also of a release that was withdrawn, and of one that is gone."""
    (here / "build" / "bin" / "tool").write_bytes(b"mended\n")
    typed(
        "put --all --release-version 1.1.0 --key key.pem",
        "release 1.1.0 --key key.pem",
        "promote 1.1.0 --to dev --key key.pem",
        "promote 1.1.0 --to prod --key key.pem",
        "publish prod --to public --key key.pem",
    )
    shutil.move("store", "elsewhere")
    ask = ["--from", "./public", "--channel", "prod"]
    capsys.readouterr()
    assert invoke(["whence", "installed/current/bin/other", *ask]) == 0
    told = capsys.readouterr().out
    assert "release 1.0.0: prod since" in told and "until" in told and "release 1.1.0: prod since" in told
    assert "product app: bin/other, component app, built by urn:casstore:builder:key:sha256:" in told
    assert "list alone" not in told and "dev" not in told, "channels that are not shown here are nobody's business"
    shutil.move("elsewhere", "store")
    assert revoke(DIGEST) == 0
    (here / "build" / "bin" / "more").write_bytes(b"more\n")
    typed(
        "put --all --release-version 1.2.0 --key key.pem",
        "release 1.2.0 --key key.pem",
        "promote 1.2.0 --to dev --key key.pem",
        "promote 1.2.0 --to prod --key key.pem",
        "publish prod --to public --key key.pem",
    )
    shutil.rmtree("store")
    capsys.readouterr()
    assert invoke(["whence", DIGEST, *ask, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["files"][0]["releases"]
    assert (row["version"], row["revoked"], row["confirmed"]) == ("1.0.0", "a back door", False)
    Path("stranger").write_bytes(b"never put")
    assert invoke(["whence", "stranger", *ask]) == 8


def test_what_is_known_of_vulnerabilities_and_inputs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The store's answer and the publication's are the same; no scan and a clean one are told apart."""
    Path("src").mkdir()
    for name in ("main.c", "main.h"):
        Path("src", name).write_text(name)
    toml = Path("casstore.toml").read_text().replace('include = ["**"]', 'include = ["**"]\ninputs = ["src/**"]', 1)
    Path("casstore.toml").write_text(toml)
    (here / "build" / "bin" / "new").write_bytes(b"new\n")
    typed(
        "put --all --release-version 1.1.0 --key key.pem",
        "release 1.1.0 --key key.pem --out got",
        "promote 1.1.0 --to dev --key key.pem",
        "promote 1.1.0 --to prod --key key.pem",
        "publish prod --to public --key key.pem",
    )
    ask = ["whence build/bin/new", "whence build/bin/new --from ./public --channel prod"]

    def told() -> list[str]:
        found = []
        for line in ask:
            capsys.readouterr()
            assert invoke(line.split()) == 0
            found.append(capsys.readouterr().out)
        return found

    for said in told():
        assert (
            "no scan was handed in: nothing is known of vulnerabilities" in said
            and ", 2 input files by globs (list sha256:" in said
        )
    typed(f"attest sign got/app-1.1.0.tar.gz --type vulns --key key.pem --hand-in --predicate {SCAN} --out scan.json")
    store, place = told()
    assert "known vulnerabilities: 1 high, by 1 scan (20" in store
    assert "no scan was handed in" in place, "what came since is in the next publication"
    typed("publish prod --to public --key key.pem")
    assert "known vulnerabilities: 1 high, by 1 scan (20" in told()[1]
    assert invoke([*ask[1].split(), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["files"][0]["releases"]
    assert row["vulnerabilities"]["found"] == {"high": 1} and row["files"][0]["inputs"]["files"] == 2
    assert revoke(f"sha256:{sha256(Path('scan.json').read_bytes()).hexdigest()}", "--kind", "attestation") == 0
    typed("publish prod --to public --key key.pem")
    for said in told():
        assert "no scan was handed in" in said, "a scan that was revoked says nothing"


def test_a_list_that_says_something_else_than_the_release_is_refused(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "build" / "bin" / "tool").write_bytes(b"mended\n")
    lie = sha256(b"somebody else's").hexdigest()
    honest = file_lists._files

    def forged(*words: Any) -> tuple[int, Iterator[list[str]]]:
        count, rows = honest(*words)
        return count + 1, iter(sorted([*rows, [lie, "app", "bin/tool", "app"]]))

    monkeypatch.setattr(file_lists, "_files", forged)
    typed(
        "put --all --release-version 1.1.0 --key key.pem",
        "release 1.1.0 --key key.pem",
        "promote 1.1.0 --to dev --key key.pem",
        "promote 1.1.0 --to prod --key key.pem",
        "publish prod --to public --key key.pem",
    )
    capsys.readouterr()
    assert invoke(["whence", f"sha256:{lie}", "--from", "./public", "--channel", "prod"]) == 3
    assert "its ProductManifest does not" in capsys.readouterr().err
