"""gc is killed (SIGKILL, a real process) before each of its writes in turn: nothing needed is lost, the next ends it.

A write is: a pack that gets its name, an object that is created, a change of the index, files
that are removed.
"""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from worlds import World, identity, trust_root

from attest import signers
from attest.digests import Digest, sha256
from attest.keys import keys
from attest.trust.trust_roots import TrustIdentity
from casstore.fsck import fsck
from casstore.gc import Settings, collect, pins
from casstore.objects.kinds import NewObject
from casstore.store.store import Store

RUN = """
import os, signal, sys
from datetime import datetime, timedelta
from attest.keys import keys; from attest import signers
from casstore.gc import Settings, collect
from casstore.index.environment import Environment
from casstore.objects.packs import LocalPacks
from casstore.storage.file import FileStorage
from casstore.store.store import Store

url, key, at, now = sys.argv[1], sys.argv[2], int(sys.argv[3]), datetime.fromisoformat(sys.argv[4])
count = 0

def dying(owner, name):
    real = getattr(owner, name)
    def wrapper(*args, **kwargs):
        global count
        count += 1
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    setattr(owner, name, wrapper)

store = Store.open(url)
for owner, name in (LocalPacks, "adopt"), (FileStorage, "create"), (FileStorage, "delete"), (Environment, "write"):
    dying(owner, name)
signer = signers.from_private_key(keys.private_from_pem(open(key, "rb").read(), None))
collect(store, Settings(timedelta(0), 0), now=now, signer=signer, confirm=True)
print(count)
"""


def noise(size: int, seed: bytes) -> bytes:
    return b"".join(hashlib.sha256(seed + b"%d" % n).digest() for n in range(size // 32))


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrustIdentity]:
    """A promoter's key as a file, for the process."""
    private = keys.generate("ecdsa-p256")
    path = tmp_path_factory.mktemp("key") / "gc.pem"
    path.write_bytes(keys.private_to_pem(private, None))
    made = signers.from_private_key(private)
    entry = identity("pam")
    return path, TrustIdentity("pam", made.identity, made.public_pem, entry.valid_from)


def make(folder: Path, who: TrustIdentity) -> tuple[World, dict[Digest, bytes], list[Digest]]:
    """A store with a release, a half-empty pack, a superseded component, and plain garbage."""
    others = tuple(entry for entry in trust_root("0" * 32).identities if entry.name != "pam")
    world = World.make(str(folder / "store"), identities=tuple(sorted((*others, who), key=lambda one: one.name)))
    world.release("1.0.0")
    rows = [noise(20_000, b"%d" % n) for n in range(6)]
    digests = world.store.put_many([NewObject(row) for row in rows])
    kept = {digests[0]: rows[0], digests[1]: rows[1]}
    for digest in kept:
        pins.add(world.store, digest, reason="", now=world.now)
    tree = world.component("core-bin", "2.0.0", {b"a": noise(5000, b"old")})
    lost = [*digests[2:], tree, world.store.put_bytes(noise(5000, b"plain"))]
    return world, kept, lost


def run(world: World, key: Path, at: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", RUN, world.store.url, str(key), str(at), world.now.isoformat()],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_killed_before_any_write(tmp_path: Path, key: tuple[Path, TrustIdentity]) -> None:
    at, steps = 1, None
    while steps is None or at <= steps:
        (tmp_path / str(at)).mkdir()
        world, kept, lost = make(tmp_path / str(at), key[1])
        release = world.state.find_release("1.0.0")
        world.store.close()
        done = run(world, key[0], at)
        if done.returncode == 0:
            steps = int(done.stdout)
            assert steps < at
        else:
            assert done.returncode == -signal.SIGKILL, done.stderr
        after = World(Store.open(world.store.url), world.now)
        check(after, release.digest, kept)
        again = World(after.store, world.now + timedelta(seconds=1))
        collect(again.store, Settings(timedelta(0), 0), now=again.now, signer=signer_of(key[0]), confirm=True)
        check(again, release.digest, kept)
        assert not [digest for digest in lost if again.store.has(digest)]
        assert collect(again.store, Settings(timedelta(0), 0), now=again.now).deleted == ()
        again.store.close()
        at += 1
    assert steps > 10


def signer_of(path: Path) -> signers.Signer:
    return signers.from_private_key(keys.private_from_pem(path.read_bytes(), None))


def check(world: World, release: Digest, kept: dict[Digest, bytes]) -> None:
    """Everything that is needed is there, exact; nothing is damaged; the ledger stands."""
    assert world.state.void == ()
    assert world.state.find_release("1.0.0").digest == release
    for tree in world.state.find_release("1.0.0").components.values():
        for _, entry in world.store.walk(tree):
            assert sha256(world.store.read(entry.content)) == entry.content
    for digest, data in kept.items():
        assert world.store.read(digest) == data
    assert fsck(world.store).damaged == ()
