"""The chain of trust roots from the plain files of a destination: who may publish is known before TUF is asked.

Promises: version 1 is the given or pinned one; each next one holds by the thresholds of both; nothing else is read.
What cannot be followed ends the chain here: the ledger proof is the last word on which root is the newest.

    chain = follow(reader, first=digest_of_root_1, at=now)
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from attest.digests import Digest, sha256
from attest.errors import FormatError, TrustError, VerificationError
from attest.trust import trust_chain
from attest.trust.trust_roots import TrustRoot
from bundlers.publishing.layout import published_paths
from casstore.errors import NoSuchObject

MAX_ROOTS = 4096
ReadPlain = Callable[[str], bytes]


def follow(
    read: ReadPlain, *, first: Digest | None, at: datetime, sigstore_root: bytes | None = None
) -> tuple[TrustRoot, ...]:
    """The chain, oldest first. Raises NoSuchObject, TrustError, FormatError; TooNew, NotInstalled."""
    pinned = _pinned(read)
    root = trust_chain.verify_first(
        read(published_paths.trust_root_path(1)), at=at, read=pinned, sigstore_root=sigstore_root
    )
    if first is not None and root.digest != first:
        raise TrustError(
            f"trust root 1 is {root.digest}, not {first} that was given or pinned at first use",
            hint="do not trust this source; ask the owners for the digest of trust root 1",
        )
    chain = [root]
    while len(chain) < MAX_ROOTS and (raw := _next(read, chain[-1].version + 1)) is not None:
        try:
            chain.append(
                trust_chain.verify_next(raw, previous=chain[-1], at=at, read=pinned, sigstore_root=sigstore_root)
            )
        except (VerificationError, FormatError):
            break
    return tuple(chain)


def _next(read: ReadPlain, version: int) -> bytes | None:
    try:
        return read(published_paths.trust_root_path(version))
    except NoSuchObject:
        return None


def _pinned(read: ReadPlain) -> Callable[[Digest], bytes]:
    def of(digest: Digest) -> bytes:
        data = read(published_paths.sigstore_root_path(digest))
        if sha256(data) != digest:
            raise TrustError(f"{published_paths.sigstore_root_path(digest)}: other bytes than the trust root pins")
        return data

    return of
