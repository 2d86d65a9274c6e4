"""gc without any grace beside processes that put, read and check, all at once: nothing acknowledged is lost.

Each writer puts bytes that nobody needs (and that gc takes at once), then the same bytes as a
component: between the two, and between the put and its entry, gc strikes all the time.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from worlds import World, identity, trust_root

from attest import signers
from attest.digests import Digest, sha256
from attest.keys import keys
from attest.trust.trust_roots import TrustIdentity
from casstore.fsck import fsck
from casstore.store.store import Store

WRITERS, ROUNDS = 4, 8

COMMON = """
import json, os, sys, time
from datetime import datetime, timedelta
from attest.keys import keys; from attest import signers
from casstore.errors import GivenUp
from casstore.ledger.book.log import Ledger
from casstore.store.store import Store
url, key, now, folder = sys.argv[1], sys.argv[2], datetime.fromisoformat(sys.argv[3]), sys.argv[4]
signer = signers.from_private_key(keys.private_from_pem(open(key, "rb").read(), None))
"""

WRITE = (
    COMMON
    + """
from bundlers.building.provenance import put_components
from casstore import config as configs
number, rounds = int(sys.argv[5]), int(sys.argv[6])
config = configs.load(folder + "/casstore.toml", folder)
for turn in range(rounds):
    for name in range(0, 20, 3):
        with open(f"{folder}/data{number}/f{name}", "wb") as file:
            file.write(os.urandom(64) * (1 + 100 * name))
    with Store.open(url) as store:
        store.put_tree(f"{folder}/data{number}")
    with Store.open(url) as store:
        report = put_components(
            store, Ledger(store), config, [f"c{number}"],
            version=f"{number}.{turn}", signer=signer, root=folder, now=now,
        )
        (one,) = report.components
        print(json.dumps([f"{number}.{turn}", one.name, one.report.tree]), flush=True)
"""
)

COLLECT = (
    COMMON
    + """
from casstore.gc import Settings, collect
freed = runs = last = 0
while not last:
    last = os.path.exists(folder + "/stop")  # one more run when the writers have ended
    with Store.open(url) as store:
        freed += len(collect(store, Settings(timedelta(0), 1000), now=now, signer=signer, confirm=True).deleted)
    runs += 1
print(json.dumps([runs, freed]))
"""
)

CHECK = (
    COMMON
    + """
from casstore.fsck import fsck
runs = 0
while not os.path.exists(folder + "/stop"):
    with Store.open(url) as store:
        damaged = fsck(store).damaged
        assert damaged == (), damaged
    runs += 1
print(json.dumps(runs))
"""
)


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """None of them outlives the test, however it ends."""
    with ExitStack() as started:

        def one(script: str, *arguments: object) -> subprocess.Popen[str]:
            command = [sys.executable, "-c", script, *map(str, arguments)]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            started.enter_context(process)
            started.callback(process.kill)
            return process

        yield one


def ended(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate()
    assert process.returncode == 0, err
    return out


@pytest.fixture
def line(tmp_path: Path) -> tuple[World, Path, Path]:
    """A store, a project of one component for each writer, and one key that is builder and promoter."""
    private = keys.generate("ecdsa-p256")
    key, folder = tmp_path / "key.pem", tmp_path / "project"
    key.write_bytes(keys.private_to_pem(private, None))
    made = signers.from_private_key(private)
    who = TrustIdentity("zoe", made.identity, made.public_pem, identity("ci").valid_from)
    root = trust_root("0" * 32)
    roles = {
        name: type(role)(
            name, (*role.identities, "zoe") if name in ("builder", "promoter") else role.identities, role.threshold
        )
        for name, role in root.roles.items()
    }
    world = World.make(str(tmp_path / "store"), identities=(*root.identities, who), roles=roles)
    toml = ['[store]\nurl = "../store"\n']
    for number in range(WRITERS):
        for name in range(20):
            path = folder / f"data{number}" / f"f{name}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(hashlib.sha256(b"%d %d" % (number % 2, name)).digest() * (1 + 100 * name))
        toml.append(f'[components.c{number}]\nroot = "data{number}"\ninclude = ["**"]\n')
        toml.append(f'[products.p{number}]\ncomponents = ["c{number}"]\nformat = "tar.gz"\n')
    toml.append("[channels.dev]\napprovals = 0\n")
    (folder / "casstore.toml").write_text("".join(toml))
    return world, key, folder


def test_nothing_acknowledged_is_lost_beside_a_collector_without_grace(
    line: tuple[World, Path, Path], start: Start
) -> None:
    world, key, folder = line
    common = (world.store.url, key, world.now.isoformat(), folder)
    collector, checker = start(COLLECT, *common), start(CHECK, *common)
    writers = [start(WRITE, *common, number, ROUNDS) for number in range(WRITERS)]
    told = [json.loads(row) for writer in writers for row in ended(writer).splitlines()]
    time.sleep(0.1)
    (folder / "stop").touch()
    runs, _ = json.loads(ended(collector))
    assert json.loads(ended(checker)) > 0
    assert len(told) == WRITERS * ROUNDS
    assert runs > 1
    with Store.open(world.store.url) as store:
        state = World(store, world.now).state
        assert state.void == ()
        assert {(version, name): tree for version, name, tree in told} == dict(state.components)
        for tree in {Digest(tree) for _, _, tree in told}:
            files = list(store.walk(tree))
            assert len(files) == 20
            for _, entry in files:
                assert sha256(store.read(entry.content)) == entry.content
        assert fsck(store).damaged == ()
