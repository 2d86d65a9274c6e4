"""`put --from-stdin`: every acknowledged file is there, whatever happens next."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from attest.digests import Digest, sha256
from casstore.errors import UnsupportedInput
from casstore.ingest import stream
from casstore.store.store import Store

PUT = [sys.executable, "-m", "cli.main", "--store", "store", "put", "--from-stdin"]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    Store.init(str(tmp_path / "store")).close()
    for number in range(5):
        (tmp_path / f"file{number}").write_bytes(b"content %d" % number)
    return tmp_path


def ran(place: Path, given: bytes, *options: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*PUT, *options], cwd=place, input=given, capture_output=True, check=False, timeout=60)


def rows(out: bytes, end: bytes = b"\n") -> dict[bytes, Digest]:
    """path -> digest, of acknowledgements."""
    parts = [row.split(b" ", 1) for row in out.split(end) if row]
    return {path: Digest(digest.decode()) for digest, path in parts}


def test_each_path_is_acknowledged_with_its_digest(place: Path) -> None:
    done = ran(place, b"file0\nfile1\n./file0\n" + os.fsencode(place / "file2"))
    assert (done.returncode, done.stderr) == (0, b"")
    assert rows(done.stdout) == {
        b"file0": sha256(b"content 0"),
        b"file1": sha256(b"content 1"),
        b"./file0": sha256(b"content 0"),
        os.fsencode(place / "file2"): sha256(b"content 2"),
    }
    with Store.open(str(place / "store")) as store:
        assert store.read(sha256(b"content 2")) == b"content 2"
        assert len(store.digests()) == 3


def test_an_answer_comes_before_the_next_question(place: Path) -> None:
    """Whoever sends one path and waits is answered; nothing waits for a batch to fill."""
    with subprocess.Popen(PUT, cwd=place, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        for number in range(3):
            process.stdin.write(b"file%d\n" % number)
            process.stdin.flush()
            assert rows(process.stdout.readline()) == {b"file%d" % number: sha256(b"content %d" % number)}
        process.stdin.close()
        assert process.wait(30) == 0


def test_what_cannot_be_kept_is_named_and_the_others_go_on(place: Path) -> None:
    os.mkfifo(place / "fifo")
    (place / "link").symlink_to("file0")
    done = ran(place, b"file0\nnone\nfifo\nlink\nstore\nfile1\n")
    assert done.returncode == 1
    assert rows(done.stdout) == {b"file0": sha256(b"content 0"), b"file1": sha256(b"content 1")}
    told = done.stderr.decode()
    for name, why in (("none", "no such file"), ("fifo", "a FIFO"), ("link", "is a link"), ("store", "is a folder")):
        assert f"error: {name}: {why}" in told or (name in told and why in told)
    assert "4 of the named paths were not kept" in told


def test_any_name_is_given_back_as_it_came(place: Path) -> None:
    names = [b"line\nbreak", b"not \xff utf-8", b" blanks  ", b"\x1b[31m"]
    for name in names:
        (place / os.fsdecode(name)).write_bytes(name)
    done = ran(place, b"\0".join(names), "-0")
    assert rows(done.stdout, b"\0") == {name: sha256(name) for name in names}


def test_json_is_one_object(place: Path) -> None:
    done = ran(place, b"file0\nnone\n", "--json")
    assert json.loads(done.stdout) == {"stored": [{"path": "file0", "digest": sha256(b"content 0")}], "failed": 1}


def test_many_at_once_share_packs(place: Path) -> None:
    given = b"".join(b"file%d\n" % (number % 5) for number in range(3000))
    done = ran(place, given)
    assert len(done.stdout.splitlines()) == 3000
    assert 1 <= len(list((place / "store" / "packs").rglob("*.pack"))) <= 3


def test_a_batch_ends_by_bytes_too(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MOST_BYTES", 15)
    monkeypatch.chdir(place)
    with Store.open(str(place / "store")) as store:
        outcomes = list(store.put_stream([b"file0", b"file1", b"file2", b"none"]))
        assert [outcome.digest for outcome in outcomes[:3]] == [sha256(b"content %d" % n) for n in range(3)]
        assert isinstance(outcomes[3].error, UnsupportedInput)
        assert len(store.take_new_packs()) == 2


def test_killed_with_9_every_acknowledged_file_is_there(place: Path) -> None:
    for number in range(400):
        (place / f"many{number}").write_bytes(b"%d" % number * 500)
    acknowledged: dict[bytes, Digest] = {}
    with subprocess.Popen(PUT, cwd=place, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        for number in range(400):
            process.stdin.write(b"many%d\n" % number)
            process.stdin.flush()
            if number % 7 == 0:
                acknowledged |= rows(process.stdout.readline())
            if number == 300:
                process.kill()
                break
        acknowledged |= rows(process.stdout.read().rpartition(b"\n")[0])
    assert len(acknowledged) >= 40
    with Store.open(str(place / "store")) as store:
        for path, digest in acknowledged.items():
            assert store.read(digest) == path.removeprefix(b"many") * 500


def test_it_is_one_way_of_naming_files_among_others(place: Path) -> None:
    done = ran(place, b"", "file0")
    assert done.returncode == 2
    assert b"--from-stdin" in done.stderr
