"""64 writers, readers, fsck and gc on one store at once: what was acknowledged is listed once and exact.

gc runs with no grace at all, the hardest case: whatever is not pinned may go at any moment, so a
writer pins what it has put before it acknowledges it, and puts again what a collection took.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from attest.digests import Digest, sha256
from casstore.fsck import fsck
from casstore.gc import pins
from casstore.machine import clock
from casstore.store.store import Store
from tests.support.servers import bucket
from tests.support.system_calls import DEEP, tell

WRITERS = 64
TURNS = 20 if DEEP else 2
LINES = 16 if DEEP else 3
CASSTORE = [sys.executable, "-m", "cli.main"]
WRITER = """
import os, sys
from casstore.machine import clock
from casstore.errors import GivenUp, NoSuchObject
from casstore.gc import pins
from casstore.objects.kinds import NewObject
from casstore.store.store import Store
url, folder, me, turns = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
with Store.open(url) as store:
    for turn in range(turns):
        own = b"%d of %d " % (turn, me) * (100 + me * 50)
        shared = b"shared %d " % turn * 3000
        store.put_bytes(b"nobody needs it " + own)
        with open(f"{folder}/{me}", "wb") as file:
            file.write(own)
        while True:
            try:
                told = store.put_many([NewObject(own), NewObject(shared)])
                told.append(store.put_path(f"{folder}/{me}"))
                told.append(store.put_tree(folder, include=[str(me)]).tree)
                for digest in told:
                    pins.add(store, digest, reason="acknowledged", now=clock.now())
                break
            except (GivenUp, NoSuchObject):
                print("again", flush=True)
        print("told", *told, flush=True)
"""
READER = """
import glob, sys
from attest.digests import sha256
from casstore.store.store import Store
while True:
    with Store.open(sys.argv[1]) as store:
        for out in glob.glob(sys.argv[2] + "/out*"):
            for line in open(out).read().splitlines(keepends=True):
                if line.startswith("told") and line.endswith("\\n"):
                    for digest in line.split()[1:]:
                        assert sha256(store.read(digest)) == digest
                        print("read", flush=True)
"""


def start(*argv: str) -> subprocess.Popen[str]:
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def again_and_again(argv: list[str], writers: list[subprocess.Popen[str]]) -> list[dict[str, list[object]]]:
    """Run it as long as somebody writes; each time it must end well, or give way. What each run reported."""
    reports = []
    while any(writer.poll() is None for writer in writers):
        out, err = (process := start(*argv)).communicate()
        assert process.returncode == 0 or (process.returncode == 9 and "gc" in argv), (argv, out, err)
        reports += [json.loads(out)] if out else []
    return reports


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_64_writers_readers_fsck_and_gc(tmp_path: Path) -> None:
    url, folder = str(tmp_path / "store"), tmp_path / "work"
    folder.mkdir()
    with Store.init(url) as store:
        first = store.put_bytes(b"first")
        pins.add(store, first, reason="from the beginning", now=clock.now())
    outs = [(tmp_path / f"out{number}").open("w+") for number in range(WRITERS)]
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, url, str(folder), str(n), str(TURNS)], stdout=out, text=True)
        for n, out in enumerate(outs)
    ]
    readers = [start(sys.executable, "-c", READER, url, str(tmp_path)) for _ in range(2)]
    casstore = [*CASSTORE, "--store", url]
    with ThreadPoolExecutor() as pool:
        collecting = pool.submit(again_and_again, [*casstore, "gc", "--grace", "0", "--confirm", "--json"], writers)
        checking = pool.submit(again_and_again, [*casstore, "fsck", "--json"], writers)
        collected, checked = collecting.result(), checking.result()
    assert [writer.wait() for writer in writers] == [0] * WRITERS
    reads = 0
    for reader in readers:
        assert reader.poll() is None, reader.communicate()[1]
        reader.kill()
        reads += reader.communicate()[0].count("read")
    lines = [line for out in outs for line in (out.seek(0), out.read())[1].splitlines()]
    told = [Digest(word) for line in lines if line.startswith("told") for word in line.split()[1:]]
    assert len(told) == WRITERS * TURNS * 4
    tell(f"{WRITERS} writers: {len(told)} acknowledged, {lines.count('again')} put again, {reads} read meanwhile,")
    tell(f"{len(collected)} collections of {sum(len(r['deleted']) for r in collected)} packs, {len(checked)} fsck")
    check(url, [first, *told])


CONFIG = """
[store]
url = "{url}"
[components.part-{me}]
include = ["**"]
root = "work"
[products.whole-{me}]
components = ["part-{me}"]
format = "tar.gz"
[channels.dev]
approvals = 0
[network]
allow = ["127.0.0.1"]
"""


def put_components(folder: Path, url: str, me: int, environment: dict[str, str]) -> dict[tuple[str, str], str]:
    """Someone's versions, one after the other, each a signed entry of the one ledger; what was acknowledged."""
    told = {}
    (folder / "work").mkdir(parents=True)
    (folder / "casstore.toml").write_text(CONFIG.format(url=url, me=me))
    for turn in range(TURNS):
        (folder / "work" / "file").write_bytes(b"%d of %d" % (turn, me) * 1000)
        command = [*CASSTORE, "put", "--all", "--release-version", f"{me}.{turn}", "--json"]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        told.update({(f"{me}.{turn}", row["component"]): row["tree"] for row in json.loads(done.stdout)["components"]})
    return told


def test_many_lines_of_one_ledger_in_a_folder(tmp_path: Path) -> None:
    many_lines(tmp_path, str(tmp_path / "store"), {})


@pytest.mark.server
def test_many_lines_of_one_ledger_in_a_bucket(tmp_path: Path) -> None:
    pytest.importorskip("obstore")
    with bucket("localbucket", tmp_path / "bucket") as endpoint:
        url = f"s3://bucket/{uuid4().hex}?endpoint={endpoint}"
        many_lines(tmp_path, url, {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"})


def many_lines(tmp_path: Path, url: str, more: dict[str, str]) -> None:
    """Each line puts its versions, all at once; each acknowledged one is listed once and comes back exact."""
    environment = {**os.environ, "HOME": str(tmp_path), "CASSTORE_KEY": str(tmp_path / "key.pem"), **more}
    environment["XDG_STATE_HOME"] = str(tmp_path / "state")
    first = tmp_path / "first"
    first.mkdir()
    (first / "casstore.toml").write_text(CONFIG.format(url=url, me="first"))

    def must(*words: str) -> str:
        done = subprocess.run([*CASSTORE, *words], cwd=first, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    must("keys", "generate", environment["CASSTORE_KEY"], "--no-passphrase", "--algorithm", "ed25519")
    must("init", "--key", environment["CASSTORE_KEY"])
    with ThreadPoolExecutor(LINES) as pool:
        doing = [pool.submit(put_components, tmp_path / f"line{n}", url, n, environment) for n in range(LINES)]
        told = {key: tree for one in doing for key, tree in one.result().items()}
    assert len(told) == LINES * TURNS
    entries = json.loads(must("ledger", "verify", "--json"))
    tell(f"{url}: {len(told)} acknowledged by {LINES} lines, {entries}")
    listed = [
        ((row["version"], row["component"]), row["tree"]) for row in json.loads(must("ls", "--json"))["components"]
    ]
    assert len(listed) == len(told)
    assert dict(listed) == told
    for number, tree in enumerate(sorted(told.values())[:: 1 if DEEP else 4]):
        must("get", tree, str(tmp_path / f"got{number}"))
    must("fsck")


def check(url: str, told: list[Digest]) -> None:
    with Store.open(url) as store:
        listed = Counter(store.digests())
        for digest in set(told):
            assert listed[digest] == 1
            assert sha256(store.read(digest)) == digest
        assert fsck(store).ok
