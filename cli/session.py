"""What the commands of one process share: configuration, store, signer, network policy, time.

Each is opened when first asked for, and closed at the end. Files named on the command line are
read here, so that commands stay parse - one call - render.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from attest.errors import BadInput
from casstore.machine import config_files
from casstore.machine.config_files import FewSettings

if TYPE_CHECKING:
    from datetime import datetime

    from attest.digests import Digest
    from attest.signers import Signer
    from attest.trust.policies import ChannelPolicy
    from attest.trust.trust_roots import TrustRoot
    from casstore.config import Config
    from casstore.ledger.book.log import Ledger
    from casstore.ledger.states.state import LedgerState
    from casstore.network.network import NetworkGuard
    from casstore.store.holders import Inside
    from casstore.store.store import Store

PASSPHRASE, LEDGER_PASSPHRASE = "CASSTORE_PASSWORD", "CASSTORE_LEDGER_PASSWORD"
MAX_INPUT = 64 * 1024 * 1024


class Session:
    """Opens things once, on demand."""

    def __init__(self, *, store_url: str | None, config_path: str | None, offline: bool) -> None:
        self._store_url = store_url
        self.config_path = config_path
        self.offline = offline
        self._config: Config | None = None
        self._few: FewSettings | None = None
        self._stores: dict[bool, Store] = {}
        self._ledgers: dict[str, tuple[Store, Ledger]] = {}
        self._closers: list[Callable[[], None]] = []

    def close(self) -> None:
        """Close what was opened, last first; warn of a trust root or identity that ends within 30 days."""
        for _, ledger in self._ledgers.values():
            _warn_of_ends(ledger, self.now)
        self._ledgers.clear()
        while self._closers:
            self._closers.pop()()

    @property
    def now(self) -> datetime:
        """The time of this run."""
        from casstore.machine import clock

        return clock.now()

    @property
    def config(self) -> Config:
        """The configuration; raises ConfigError when there is none."""
        if self._config is None:
            from casstore import config

            self._config = config.load(self.config_path, os.getcwd())
        return self._config

    @property
    def optional_config(self) -> Config | None:
        """The configuration, or None where no casstore.toml is found."""
        if self._config is None and self.config_path is None and config_files.find_config(os.getcwd()) is None:
            return None
        return self.config

    @property
    def proposed_policies(self) -> Mapping[str, ChannelPolicy] | None:
        """The [channels] of casstore.toml as policies, or None where there are none."""
        if self._config is not None:
            return self._config.channels or None
        if self.config_path is None and config_files.find_config(os.getcwd()) is None:
            return None
        from casstore import config

        return config.proposed(self.config_path, os.getcwd()) or None

    @property
    def few(self) -> FewSettings | None:
        """What every command needs of casstore.toml; None where there is none. Raises ConfigError."""
        if self._few is None:
            path = self.config_path or config_files.find_config(os.getcwd())
            if path is not None and (few := config_files.few_settings(path)) is None:
                found = self.config
                allow, components = tuple(found.network.allow), tuple(found.components)
                few = FewSettings(
                    found.store_url, found.store.ledger, allow, found.folder, components, bool(found.notify)
                )
            self._few = few if path is not None else None
        return self._few

    @property
    def root(self) -> str:
        """The folder that relative names of the configuration start from."""
        return self.few.folder if self.few else os.getcwd()

    @property
    def network(self) -> NetworkGuard:
        """The network policy of the configuration; refuses everything with --offline."""
        from casstore.network.network import NetworkGuard

        return NetworkGuard(self.few.allow if self.few else (), offline=self.offline)

    @property
    def store_url(self) -> str:
        """--store, else CASSTORE_STORE, else [store] url. Raises BadInput."""
        if self._store_url:
            return self._store_url
        if self.few is None:
            raise BadInput(
                "no store is named, and no casstore.toml is here or above",
                hint="give --store URL or set CASSTORE_STORE; to write a first casstore.toml: casstore init --yes",
            )
        return self.few.store_url

    @property
    def named_store(self) -> str | None:
        """--store or CASSTORE_STORE, as it was given."""
        return self._store_url or None

    @property
    def ledger_name(self) -> str:
        """[store] ledger, by default `main`."""
        return self.few.ledger if self.few else "main"

    def open_store(self, *, read_only: bool = False) -> Store:
        """The store, opened once; a writable one serves readers too."""
        for mode in (False, read_only):
            if mode in self._stores:
                return self._stores[mode]
        from casstore.store.store import Store

        url = self.store_url
        network = self.network if "://" in url else None  # a folder needs none, and costs nothing to load
        store = self._stores[read_only] = Store.open(url, network=network, read_only=read_only)
        store.inside = _inside(store)
        self._closers.append(store.close)
        return store

    def filled_store(self) -> Store:
        """The store, with all known that lies in a bucket: what is there is not sent again, what is given up is."""
        store = self.open_store()
        if store.storage.local_path is None:
            from casstore.ledger.folding import replay

            replay(self.ledger(), store)
            store.learn_listed()
        return store

    def ledger(self, *, read_only: bool = False) -> Ledger:
        """The ledger of this product line: one handle per store handle, so that it is replayed once."""
        store = self.open_store(read_only=read_only)
        if store.url not in self._ledgers or self._ledgers[store.url][0] is not store:
            from casstore.ledger.book.log import Ledger

            self._ledgers[store.url] = (store, Ledger(store, self.ledger_name))
        return self._ledgers[store.url][1]

    def state(self, *, read_only: bool = True, anew: bool = False) -> LedgerState:
        """The fold of all ledger entries; void ones are told on stderr. `anew` believes no fold of before."""
        from casstore.ledger.folding import replay, replay_all
        from cli.drawing import render

        fold = replay_all if anew else replay
        state = fold(self.ledger(read_only=read_only), self.open_store(read_only=read_only))
        for number, reason in state.void:
            render.warning(f"ledger entry {number} is void: {reason}")
        return state

    def check_clock(self, checked: bool, destination: str | None = None) -> None:
        """Before a seal: this machine's clock against one that is not its own. Raises PolicyDenied."""
        if checked:
            return
        from casstore.errors import StorageUnavailable
        from casstore.ledger import clocks
        from casstore.storage import open_storage

        storages: list[object] = [self.open_store().storage]
        if destination is not None and "://" in destination:
            with contextlib.suppress(StorageUnavailable):  # publishing says it, or goes to the fallback
                storages.append(open_storage(destination, network=self.network))
        clocks.check(storages, floor=self.state(read_only=False).floor, now=self.now)

    def tell_void(self) -> None:
        """After a seal: what it made void, by the time that it bounds, is told at once."""
        from casstore.ledger.folding import replay
        from cli.drawing import render

        state = replay(self.ledger(), self.open_store())
        before = () if state.sealed is None else [row for row in state.void if row[0] < state.sealed.number]
        for number, reason in before:
            render.warning(f"ledger entry {number} is void: {reason}")

    def trust_root(self) -> TrustRoot:
        """The trust root in force. Raises NoSuchObject before the ceremony."""
        return self.state().require_trust_root()

    def signer(self, uri: str | None, *, passphrase_in: str = PASSPHRASE) -> Signer:
        """The signer of --key or CASSTORE_KEY. Raises BadInput, SignerError."""
        uri = uri or os.environ.get("CASSTORE_KEY")
        if not uri:
            raise BadInput(
                "this needs a signer", hint="give --key URI (a PEM file, hsm:..., keyless:) or set CASSTORE_KEY"
            )
        from attest.signers import open_signer
        from bundlers.inspection.signed_texts import Clean
        from casstore.machine import seclusion
        from cli.drawing import render

        seclusion.guard_memory()
        found = open_signer(uri, read=read_file, password=lambda: passphrase(uri, passphrase_in), network=self.network)
        return Clean(found, render.warning)


def _warn_of_ends(ledger: Ledger, now: datetime) -> None:
    """By what this run has folded of the ledger anyway."""
    from attest.core import times
    from attest.trust.endings import endings
    from cli.drawing import render

    newest = max(ledger.folded.values(), key=lambda state: state.count, default=None)
    if newest is not None and newest.trust_root is not None:
        for ending in endings(newest.trust_root, now):
            render.warning(f"{ending.told}: the owners sign the next version (casstore keys ceremony draft)")
        if newest.floor is not None and newest.is_long(now):
            render.warning(
                f"nothing was sealed since {times.format(newest.floor)}: what has ended when the next seal is made had"
                " ended (casstore ledger checkpoint --key URI, or publish)"
            )


def passphrase(what: str, variable: str = PASSPHRASE) -> bytes | None:
    """By the variable (or its _FILE, _COMMAND), else CASSTORE_PASSWORD's, else asked for on a terminal, else None."""
    from casstore.machine import passphrases

    for name in dict.fromkeys((variable, PASSPHRASE)):
        if (found := passphrases.find(name)) is not None:
            return found
    from cli.drawing import render

    if not render.interactive():
        return None
    import getpass

    return getpass.getpass(f"Passphrase of {render.named(what)}: ").encode()


def read_file(path: str, *, max_bytes: int = MAX_INPUT) -> bytes:
    """A file named by the user. Raises BadInput naming it."""
    check_no_key(path)
    try:
        with open(path, "rb") as file:
            data = file.read(max_bytes + 1)
    except FileNotFoundError as exc:
        raise BadInput(f"{path}: no such file") from exc
    except OSError as exc:
        raise BadInput(f"{path}: cannot be read: {exc.strerror}") from exc
    if len(data) > max_bytes:
        raise BadInput(f"{path}: larger than {max_bytes} bytes")
    return data


def _inside(store: Store) -> Inside:
    """Who reads what is packed in files of a store; loaded when it is asked."""
    made: list[Inside] = []

    def inside(files: Mapping[Digest, int]) -> Iterator[tuple[Digest, Iterable[tuple[str, Digest]]]]:
        from bundlers.isolation.scans import packed_members

        if not made:
            made.append(packed_members.reader(store))
        return made[0](files)

    return inside


def check_no_key(path: str) -> None:
    """Raises BadInput where a key's text stands in the place of a file's name; it is not shown."""
    if "-----BEGIN" in path:
        raise BadInput("the text of a key stands where a file is named", hint="name the file that holds it")


def write_new(path: str, data: bytes, *, mode: int = 0o644) -> None:
    """A new file, complete or not there; never over an existing one. Raises Conflict."""
    from casstore.errors import Conflict
    from casstore.machine.naming import take_name

    folder = os.path.dirname(os.path.abspath(path))
    temp = os.path.join(folder, f".{os.path.basename(path)}.{os.getpid()}.tmp")
    try:
        fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            take_name(temp, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temp)
    except FileExistsError as exc:
        raise Conflict(f"{path}: is there already and was not overwritten", hint="name another file") from exc
    except FileNotFoundError as exc:
        raise BadInput(f"{folder}: no such folder") from exc
