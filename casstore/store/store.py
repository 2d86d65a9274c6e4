"""The store: immutable objects under one URL, found by digest, verified on every read.

What is promised: an object is durable when its put returns; no object is ever served with
other bytes than its digest's; nothing that was stored is ever changed. What entries and
channels mean is left to `casstore.ledger`.

    with Store.open("./store") as store:
        report = store.put_tree("build")
        store.checkout(report.tree, "out")
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Self

from attest.digests import Digest, from_raw, is_digest, to_raw
from attest.errors import BadInput, FormatError
from casstore.errors import Conflict, GivenUp, NoSuchObject, NotWritable, UnsupportedInput
from casstore.index.catalog import Catalog
from casstore.index.places import cache_folder, index_folder
from casstore.index.reading import ObjectReader
from casstore.machine import clock
from casstore.machine.progress import NullProgress
from casstore.objects import store_config, tree_building
from casstore.objects import tree as trees
from casstore.objects.kinds import Kind, NewObject
from casstore.objects.packs import LocalPacks, Packs, RemotePacks, clean_temp, wrapped
from casstore.objects.store_config import StoreConfig, StoreOptions
from casstore.objects.tree import Tree, TreeEntry, show
from casstore.storage import open_storage

if TYPE_CHECKING:
    from types import TracebackType

    from casstore.checkout.checkout import CheckoutReport
    from casstore.index import Index
    from casstore.ingest import IngestOptions, IngestReport
    from casstore.ingest.globs import Selection
    from casstore.ingest.losses import Losses
    from casstore.ingest.stat_cache import StatCache
    from casstore.ingest.stream import Outcome
    from casstore.ingest.walk import Folder
    from casstore.machine.progress import Progress
    from casstore.network.network import NetworkGuard
    from casstore.objects.pack_writer import SealedPack
    from casstore.storage import Storage
    from casstore.store.holders import Inside

__all__ = ["Kind", "NewObject", "Store", "StoreOptions", "TreeEntry"]

_TRIES = 5
"""How often a put begins again when collections of garbage take what it counted on."""


class Store:
    """An open store. Open one with `Store.open`, make one with `Store.init`; close it, or use `with`."""

    def __init__(
        self, storage: Storage, config: StoreConfig, *, read_only: bool = False, private: str | None = None
    ) -> None:
        """`private`: a folder for the index and for temporary files, instead of the usual places."""
        self.storage = storage
        self.url = storage.url
        self.store_id = config.store_id
        self.options = config.options
        self.read_only = read_only or storage.read_only
        self._packs = _packs_of(storage, config, private)
        folder = private or index_folder(storage.local_path, config.store_id)
        self._catalog = Catalog(self._packs, folder, config.store_id, config.options.durability)
        self._reader = ObjectReader(self._packs, self._catalog)
        self._new_packs: list[bytes] = []
        self._met_known = False
        self._lock = threading.Lock()
        self.inside: Inside | None = None
        """Who reads what is packed in files, for `holders`; whoever opens the store for people gives it."""
        self._caches: list[StatCache] = []
        """Of workspaces, to be saved when what they say is durable."""
        self._catalog.refresh()
        self._epoch = self._now_epoch()

    @staticmethod
    def init(
        url: str,
        *,
        network: NetworkGuard | None = None,
        options: StoreOptions = StoreOptions(),  # noqa: B008  frozen
    ) -> Store:
        """Make a store. Raises Conflict where there is one already."""
        storage = open_storage(url, network=network, create=True)
        config = StoreConfig(os.urandom(16).hex(), options)
        if not storage.create(store_config.KEY, config.to_bytes()):
            raise Conflict(f"{storage.url}: there is a store already", hint="use it, or choose another place")
        return Store(storage, config)

    @staticmethod
    def open(url: str, *, network: NetworkGuard | None = None, read_only: bool = False) -> Store:
        """Open a store. Raises NoSuchStore, TooNew, StoreDamaged."""
        storage = open_storage(url, network=network)
        return Store(storage, store_config.load(storage), read_only=read_only)

    def close(self) -> None:
        """Close files and index; what is gathered and not durable yet is dropped."""
        self._end_caches(keep=False)
        self._packs.close()
        self._catalog.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def index(self) -> Index:
        """The local index, for those who cache something in its `meta` table."""
        return self._catalog.index

    @property
    def catalog(self) -> Catalog:
        """Index and packs as one: for upkeep."""
        return self._catalog

    @property
    def packs(self) -> Packs:
        """The packs themselves: for upkeep."""
        return self._packs

    # putting

    @contextlib.contextmanager
    def gathering(self) -> Iterator[None]:
        """All that is put meanwhile goes into one pack, which is durable at the end, or when an entry is drafted.

        Until then it is found through this handle alone; after an error nothing of it is kept. Large packs go
        their own way.
        """
        try:
            with self._catalog.staged.gathering():
                yield
        except BaseException:
            self._end_caches(keep=False)
            raise
        if not self._catalog.staged.held_back:
            self._end_caches(keep=True)

    def settle(self) -> None:
        """What is gathered so far becomes durable now."""
        self._catalog.staged.settle()
        self._end_caches(keep=True)

    def put_bytes(self, data: bytes, *, subjects: Sequence[Digest] = (), kind: Kind = Kind.BLOB) -> Digest:
        """Store bytes; durable on return. `subjects` make them findable by `attestations`."""
        return self.put_many([NewObject(data, kind, tuple(subjects))])[0]

    def put_many(self, items: Iterable[NewObject]) -> list[Digest]:
        """Store many objects as one pack and one commit; their digests in order."""
        self._check_writable()
        wanted = [(hashlib.sha256(item.data).digest(), item) for item in items]
        while True:
            epoch = self._now_epoch()
            new = self._catalog.ask(lambda index: _unknown(self._catalog, index, wanted))
            self._met_known |= len(new) < len(wanted)
            if new:
                self._catalog.staged.add([self._pack(new)])
            if self._now_epoch() == epoch:  # else a collection may have taken what was counted on
                return [from_raw(raw) for raw, _ in wanted]

    def _pack(self, new: Mapping[bytes, NewObject]) -> SealedPack:
        """One pack of these objects."""
        from casstore.objects.pack_writer import PackWriter

        path = self._packs.new_path()
        with wrapped(path):
            writer = PackWriter(path, level=self.options.level, nonce=os.urandom(16))
        try:
            with wrapped(path):
                for raw, item in new.items():
                    writer.add(raw, item.data, item.kind, [to_raw(subject) for subject in item.subjects])
                return writer.finish()
        except BaseException:
            writer.abandon()
            raise

    def put_path(self, path: str | bytes, *, options: IngestOptions | None = None) -> Digest:
        """Store one regular file as a blob."""
        name = os.fsencode(os.path.abspath(path))
        found = _lstat(name)
        if not stat.S_ISREG(found.st_mode):
            raise UnsupportedInput(f"{show(name)}: is no regular file")
        report = self.put_paths(os.path.dirname(name), [os.path.basename(name)], options=options)
        return self.tree(report.tree).entries[0].content

    def put_tree(
        self,
        root: str | bytes,
        *,
        include: Sequence[str] = ("**",),
        exclude: Sequence[str] = (),
        progress: Progress | None = None,
        options: IngestOptions | None = None,
    ) -> IngestReport:
        """Store a folder as a tree; paths stay relative to `root`. Globs: see `ingest.globs`."""
        from casstore.ingest.counting import counted
        from casstore.ingest.globs import Selection
        from casstore.ingest.losses import Losses

        name = _folder_name(root)
        selection = Selection(include, exclude)
        own, shown = self._own_place(), progress or NullProgress()
        with counted(name, selection, shown):
            losses = Losses()
            report = self._take_in(name, partial(_all_matched, name, selection, own, losses), selection, shown, options)
            return replace(report, losses=losses.told(selection))

    def put_paths(
        self,
        root: str | bytes,
        files: Sequence[bytes],
        *,
        progress: Progress | None = None,
        options: IngestOptions | None = None,
    ) -> IngestReport:
        """As `put_tree`, for exactly these files and links (paths relative to `root`)."""
        from casstore.ingest.globs import Selection
        from casstore.ingest.walk import listed

        name = _folder_name(root)
        return self._take_in(name, lambda: listed(name, list(files)), Selection(key=b"listed"), progress, options)

    def put_stream(self, paths: Sequence[bytes]) -> Iterator[Outcome]:
        """Store files one by one; each outcome that is yielded is durable, or says why it was not kept.

        A path that cannot be kept does not stop the others. Raises StorageUnavailable.
        """
        from casstore.ingest.stream import StreamIntake

        self._check_writable()
        self._catalog.refresh()
        stream = StreamIntake(self._catalog, self._packs, self.options.level)
        try:
            yield from stream.put(paths)
        finally:
            self._take(stream.new_packs, learned=True)
            self._met_known |= stream.met_known

    def build_tree(self, files: Mapping[bytes, TreeEntry]) -> Digest:
        """A tree out of known blobs, links and empty folders: path -> entry (its name is the path's last part)."""
        root, objects = tree_building.built(self._known_only(sorted(files.items())))
        self.put_many(NewObject(data, Kind.TREE) for data in objects.values())
        return root

    def _known_only(self, files: Iterable[tuple[bytes, TreeEntry]]) -> Iterator[tuple[bytes, TreeEntry]]:
        """The same. Raises NoSuchObject for a file that is not in the store."""
        for path, entry in files:
            if entry.kind != "link" and not entry.is_empty_folder and not self.has(entry.content):
                raise NoSuchObject(f"{entry.content}: no such object in this store")
            yield path, entry

    def take_new_packs(self) -> list[Digest]:
        """Packs that hold what was put through this handle since the last call."""
        self.settle()
        with self._lock:
            taken, self._new_packs = {*self._new_packs, *self._catalog.staged.take_made()}, []
        return [from_raw(name) for name in sorted(taken)]

    def left_packs(self) -> list[Digest]:
        """Packs that no entry is known to name, where what was put since the last call was partly known before.

        It may lie in a pack of a put that never came to its entry.
        """
        with self._lock:
            met, self._met_known = self._met_known, False
        return [from_raw(name) for name in self._catalog.ask(lambda index: index.unannounced())] if met else []

    def learn_packs(self, names: Iterable[str]) -> None:
        """Packs that a ledger entry names: their objects can be found from now on."""
        self._catalog.learn([to_raw(Digest(name)) for name in names], announced=True)

    def learn_listed(self) -> None:
        """In a bucket, once for each machine: packs that no entry names are known too. Follow the ledger first."""
        self._catalog.learn_listed()

    def follow(self, ledger: str, packs: Mapping[Digest, bool], count: int) -> None:
        """What a ledger's first `count` entries condemn, or give up (True): nobody may lean on it from now on."""
        self._catalog.doom(ledger, {to_raw(name): gone for name, gone in packs.items()}, count)

    def packs_were_doomed(self) -> bool:
        """Whether anything was condemned, given up or forgotten since this handle was opened."""
        return self._now_epoch() != self._epoch

    def take_pack(self, name: bytes) -> None:
        """A durable pack that upkeep made: known from now on, and named by the next entry."""
        self._take([name])

    # reading

    def has(self, digest: Digest) -> bool:
        """Whether the object is in the store."""
        return self._catalog.locate(_raw(digest)) is not None

    def size(self, digest: Digest) -> int:
        """Bytes of the object. Raises NoSuchObject."""
        return self._reader.locate(_checked(digest)).place.length

    def kind(self, digest: Digest) -> Kind:
        """What it was stored as. Raises NoSuchObject."""
        return Kind(self._reader.locate(_checked(digest)).place.kind)

    def read(self, digest: Digest, *, max_bytes: int | None = None) -> bytes:
        """All bytes, verified. Raises NoSuchObject, ObjectDamaged; BadInput above `max_bytes`."""
        return self._reader.read(_checked(digest), max_bytes=max_bytes)

    @property
    def lent(self) -> dict[str, str] | None:
        """By what a worker process reads objects itself: folder and index; None where the packs are in no folder."""
        if not isinstance(self._packs, LocalPacks):
            return None
        return {"store": self._packs.root, "index": self._catalog.index.path}

    def chunks(self, digest: Digest) -> Iterator[bytes]:
        """The bytes, piece by piece; raises ObjectDamaged at the end when they are not the digest's."""
        return self._reader.chunks(_checked(digest))

    def chunks_of(self, wanted: Iterable[Digest]) -> Iterator[Iterator[bytes]]:
        """As `chunks` of one after the other, each to be used up before the next; faster for many."""
        return self._reader.chunks_of(map(_checked, wanted))

    def open_blob(self, digest: Digest) -> BinaryIO:
        """A seekable stream, verified before the first byte."""
        return self._reader.open(_checked(digest))

    def tree(self, digest: Digest) -> Tree:
        """One folder. Raises FormatError when the object is no tree."""
        data = self.read(digest, max_bytes=trees.MAX_TREE)
        try:
            return trees.parse(data)
        except FormatError as exc:
            raise FormatError(f"{digest}: {exc.message}", hint="name the digest of a tree") from exc

    def walk(self, digest: Digest) -> Iterator[tuple[bytes, TreeEntry]]:
        """(path, entry) of every file and link below a tree, depth first, names sorted."""
        return ((path, entry) for path, entry in trees.walk(self.tree, digest) if entry.kind != "dir")

    def walk_all(self, digest: Digest) -> Iterator[tuple[bytes, TreeEntry]]:
        """As `walk`, with the folders."""
        return trees.walk(self.tree, digest)

    def contents(self, digest: Digest) -> Iterator[tuple[bytes, TreeEntry]]:
        """As `walk`, with the empty folders."""
        return trees.contents(self.tree, digest)

    def checkout(self, tree: Digest, target: str | bytes, *, progress: Progress | None = None) -> CheckoutReport:
        """Write a tree into a new (or empty) folder. Raises Conflict, ObjectDamaged."""
        from casstore.checkout.checkout import Checkout

        self.settle()
        job = Checkout(self._reader, self._catalog, self._packs, progress or NullProgress())
        return job.run(_checked(tree), os.fsencode(os.path.abspath(target)))

    def checkout_files(self, files: Iterable[tuple[bytes, TreeEntry]], target: str | bytes) -> CheckoutReport:
        """As `checkout`, of files by path, sorted, that need be no tree of this store; nothing is stored."""
        from casstore.checkout.checkout import Checkout

        self.settle()
        root, known = tree_building.built(self._known_only(files))
        job = Checkout(self._reader, self._catalog, self._packs, NullProgress(), known=known)
        return job.run(root, os.fsencode(os.path.abspath(target)))

    def attestations(self, subject: Digest) -> list[Digest]:
        """Digests of the attestations whose subjects include this one, sorted."""
        raw = _raw(subject)
        self._catalog.refresh()
        found = self._catalog.ask(lambda index: index.subjects(raw))
        others = *self._catalog.condemned_about(raw), *self._catalog.staged.about(raw)
        return [from_raw(one) for one in sorted({*found, *others})]

    def digests(self, prefix: str = "") -> list[Digest]:
        """All digests in order, each once, whose hex digits start with `prefix` (an even number of them is fastest)."""
        self.settle()
        self._catalog.refresh()
        start = bytes.fromhex(prefix[: len(prefix) // 2 * 2])
        found = self._catalog.ask(lambda index: list(index.digests(start)))
        if condemned := self._catalog.condemned_digests():
            found = sorted({*found, *condemned})
        return [digest for raw in found if (digest := from_raw(raw)).startswith(f"sha256:{prefix}")]

    # inside

    def _take_in(
        self,
        root: bytes,
        folders: Callable[[], Iterator[Folder]],
        selection: Selection,
        progress: Progress | None,
        options: IngestOptions | None,
    ) -> IngestReport:
        from casstore.ingest import IngestOptions
        from casstore.ingest.ingest import Intake

        self._check_writable()
        self._catalog.refresh()
        chosen, shown = options or IngestOptions(), progress or NullProgress()
        for _ in range(_TRIES):
            epoch = self._now_epoch()
            job = Intake(root, self._catalog, self._packs, self.options.level, chosen, shown)
            report = job.put(folders(), selection)
            self._take(job.packs, learned=True)
            self._kept(job.sealed, job.cache)
            self._met_known |= report.new_files < report.files
            if self._now_epoch() == epoch or self._knows_all(report.tree):
                return report
        raise GivenUp(report.tree)

    def _kept(self, sealed: Sequence[SealedPack], cache: StatCache | None) -> None:
        if cache is not None:
            self._caches.append(cache)
        try:
            self._catalog.staged.add(sealed)
        except BaseException:
            self._end_caches(keep=False)
            raise
        if not self._catalog.staged.held_back:
            self._end_caches(keep=True)

    def _end_caches(self, *, keep: bool) -> None:
        caches, self._caches = self._caches, []
        for cache in caches:
            if keep:
                cache.save()
            else:
                cache.close()
        if caches and keep:
            from casstore.ingest.stat_cache import drop_unused

            drop_unused(self._catalog.folder, clock.now().timestamp())

    def _knows_all(self, tree: Digest) -> bool:
        """Whether a writer may count on the whole tree."""
        try:
            found = [entry.content for _, entry in self.walk_all(tree) if entry.kind != "link"]
        except NoSuchObject:
            return False
        return all(self._catalog.knows(to_raw(digest)) for digest in (tree, *found))

    def _now_epoch(self) -> bytes:
        return self._catalog.ask(lambda index: index.epoch())

    def _take(self, names: Sequence[bytes], *, learned: bool = False) -> None:
        with self._lock:
            self._new_packs += names
        if not learned:
            self._catalog.learn(names)

    def _check_writable(self) -> None:
        if self.read_only:
            raise NotWritable(f"{self.url}: opened for reading only")

    def _own_place(self) -> tuple[int, int] | None:
        local = self.storage.local_path
        if local is None:
            return None
        found = os.stat(local)
        return found.st_dev, found.st_ino


def _packs_of(storage: Storage, config: StoreConfig, private: str | None) -> Packs:
    local = storage.local_path
    temp = os.path.join(private or local or cache_folder(config.store_id), "tmp")
    if not storage.read_only:
        clean_temp(temp, clock.now().timestamp())
    return RemotePacks(storage, temp) if local is None else LocalPacks(local, config.options.durability)


def _unknown(catalog: Catalog, index: Index, wanted: Sequence[tuple[bytes, NewObject]]) -> dict[bytes, NewObject]:
    """Objects that are not there, or not yet as attestations about all their subjects; doubles merged."""
    new: dict[bytes, NewObject] = {}
    known = catalog.known(index.get)
    for raw, item in wanted:
        if raw in new:
            before = new[raw]
            subjects = tuple(dict.fromkeys(before.subjects + item.subjects))
            new[raw] = NewObject(item.data, max(before.kind, item.kind), subjects)
        elif not known(raw) or any(not _speaks(catalog, index, raw, s) for s in item.subjects):
            new[raw] = item
    return new


def _speaks(catalog: Catalog, index: Index, raw: bytes, subject: Digest) -> bool:
    about = to_raw(subject)
    return raw in index.subjects(about) or raw in catalog.staged.about(about)


def _all_matched(root: bytes, selection: Selection, own: tuple[int, int] | None, losses: Losses) -> Iterator[Folder]:
    """The walk of a workspace; an include that matched nothing ends it before anything is kept."""
    from casstore.ingest.walk import walk

    yield from walk(root, selection, forbidden=own, losses=losses)
    selection.check_matched()


def _folder_name(root: str | bytes) -> bytes:
    name = os.fsencode(os.path.abspath(root))
    if not stat.S_ISDIR(_lstat(os.path.realpath(name)).st_mode):
        raise UnsupportedInput(f"{show(name)}: is no folder")
    return os.path.realpath(name)


def _lstat(path: bytes) -> os.stat_result:
    try:
        return os.lstat(path)
    except OSError as exc:
        raise UnsupportedInput(f"{show(path)}: {exc.strerror}") from exc


def _checked(digest: Digest) -> Digest:
    if not is_digest(digest):
        raise BadInput(f"not a digest: {str(digest)[:100]!r}", hint="write sha256: and 64 lowercase hex digits")
    return digest


def _raw(digest: Digest) -> bytes:
    return to_raw(_checked(digest))
