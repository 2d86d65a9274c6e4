"""What is needed by itself: entries of every ledger, trust roots, releases, open components, pins.

roots = list(ledger_roots(view, contents, keep_last=1000))
"""

from __future__ import annotations

from collections.abc import Iterator

from attest.core.values import dataclass
from attest.digests import Digest, to_raw
from casstore.gc.contents import Contents
from casstore.gc.marking import Root
from casstore.gc.pins import Pin
from casstore.ledger import release_objects
from casstore.ledger.book.log import Ledger
from casstore.ledger.entries import Entry, EntryKind
from casstore.ledger.states.state import LedgerState
from casstore.ledger.states.views import ReleaseInfo


@dataclass(frozen=True, slots=True)
class LedgerView:
    """One ledger as it was when the marking began."""

    ledger: Ledger
    state: LedgerState
    entries: tuple[Entry, ...]

    @property
    def name(self) -> str:
        """The ledger's name."""
        return self.ledger.name


def ledger_roots(view: LedgerView, contents: Contents, keep_last: int) -> Iterator[Root]:
    """All that one ledger needs; what must be there comes first."""
    state, name = view.state, view.name
    for root, file in zip(state.trust_roots, state.trust_root_files, strict=True):
        yield Root(file, f"trust root version {root.version} of ledger {name}")
        if root.sigstore_root is not None:
            yield Root(root.sigstore_root, f"sigstore root of trust root version {root.version}")
    if state.sealed is not None and state.tries is not None:
        for digest in sorted(state.tries.shown()):
            yield Root(
                digest, f"rows that the seal of ledger {name}, entry {state.sealed.number}, names", may_be_gone=True
            )
    for info in state.releases.values():
        yield from _release_roots(info, contents, _where(state, info))
    for entry in view.entries:
        yield Root(entry.statement, f"statement of ledger {name}, entry {entry.number} ({entry.kind})")
        if entry.pack_list is not None:
            yield Root(entry.pack_list, f"pack list of ledger {name}, entry {entry.number}")
    yield from _component_roots(view, contents, keep_last)


def pin_roots(pins: list[Pin]) -> Iterator[Root]:
    """What was pinned by hand; that it is there was looked at before."""
    for pin in pins:
        told = f": {pin.reason}" if pin.reason else ""
        yield Root(pin.digest, f"pin {pin.token[:8]}{told}", may_be_gone=True)


def _release_roots(info: ReleaseInfo, contents: Contents, where: str) -> Iterator[Root]:
    told = f"release {info.version} (entry {info.number}{where})"
    yield Root(info.digest, told)
    made = release_objects.parse(contents.read(to_raw(info.digest)))
    for name, tree in made.components.items():
        yield Root(tree, f"{told}, component {name}", tree=True)
    for build in made.builds.values():
        yield Root(build.archive.digest, f"{told}, archive {build.archive.name}")
        yield Root(build.product_manifest, f"{told}, manifest of {build.archive.name}")
    if made.notes is not None:
        yield Root(made.notes, f"{told}, notes")
    yield Root(made.checksums, f"{told}, checksums")
    if made.config is not None:
        yield Root(made.config, f"{told}, configuration")
    for digest in made.evidence:
        yield Root(digest, f"{told}, evidence")
    for row in made.explained:
        yield Root(row.tree, f"{told}, {row.kind} {row.name}", tree=True)


def _where(state: LedgerState, info: ReleaseInfo) -> str:
    """In which channels it is now."""
    names = sorted(name for name, channel in state.channels.items() if info.digest in channel.gives)
    return f", in channel {', '.join(names)}" if names else ""


def _component_roots(view: LedgerView, contents: Contents, keep_last: int) -> Iterator[Root]:
    """Trees of the last component entries: they may still be released."""
    start = max(0, len(view.entries) - keep_last)
    for entry in view.entries[start:]:
        if entry.kind is EntryKind.COMPONENT:
            for name, tree in _subjects(entry.statement, contents):
                told = f"component {name} of ledger {view.name}, entry {entry.number} (among the last {keep_last})"
                yield Root(tree, told, tree=True, may_be_gone=True)


def _subjects(statement: Digest, contents: Contents) -> list[tuple[str, Digest]]:
    from casstore.store.attestations import parse_unverified

    found = parse_unverified(contents.read(to_raw(statement)))
    return found.named
