"""whence; and the digests of a feed that something here holds."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import click

from attest import digests
from attest.digests import Digest
from attest.errors import BadInput
from casstore.errors import NoSuchObject
from cli.commands.params import json_option, pass_session, trust_options, trust_settings
from cli.drawing import render
from cli.session import Session, read_file

if TYPE_CHECKING:
    from bundlers.audit.whence import Origin
    from bundlers.consuming.published_files import PublishedOrigin

_HEX = re.compile(r"(?:sha256:)?([0-9a-fA-F]{64})\b")
_PIECE = 1 << 20


@click.command()
@click.argument("what", nargs=-1, required=True)
@click.option("--from", "url", metavar="URL", help="Ask a published URL or folder, instead of a store.")
@click.option("--channel", metavar="NAME", help="With --from: the channel that is verified first.")
@trust_options
@json_option
@pass_session
def whence(
    session: Session,
    what: tuple[str, ...],
    url: str | None,
    channel: str | None,
    trust_root: str | None,
    tuf_root: str | None,
    sigstore_root: str | None,
    state: str | None,
    as_json: bool,
) -> None:
    """Tell where files come from: FILE, FOLDER (each file in it) or DIGEST.

    For each: the component and path that hold it (`outer.whl!inner` for what is packed in a file), who
    built that from which commit and inputs, the releases and products it went into, the channels that
    named them and since when, what was revoked, and what the scans that were handed in found.

    With --from no store is needed: a publisher lists the files of every release that it ever showed, with
    what was known when it published last. What the signed papers of a release say too of its files is told
    without a word; else "by the publisher's list alone".

    \b
    Examples:
      casstore whence /usr/local/bin/tool
      casstore whence /opt/core --from https://releases.example --channel prod
    Exit status: 0 all were found, 3 the source does not verify, 8 one of them is from nowhere here (named).
    """
    named = dict(pair for one in what for pair in _digests(one))
    found = _published(session, url, set(named.values()), channel, (trust_root, tuf_root, sigstore_root, state))
    if as_json:
        rows = [{"name": name, "digest": digest, **found[digest].to_json()} for name, digest in named.items()]
        render.json_object({"files": rows})
    else:
        for name, digest in named.items():
            _told(name, digest, found[digest])
    unknown = [name for name, digest in named.items() if not found[digest].known]
    if unknown:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise NoSuchObject(f"{unknown[0]}{more}: nothing here holds these bytes", hint="they changed since")


def _published(
    session: Session,
    url: str | None,
    wanted: set[Digest],
    channel: str | None,
    trust: tuple[str | None, str | None, str | None, str | None],
) -> Mapping[Digest, Origin | PublishedOrigin]:
    if url is None:
        from bundlers.audit.whence import origins

        return origins(session.open_store(read_only=True), session.state(), wanted)
    from bundlers.consuming import published_files

    return published_files.origins(
        url,
        wanted,
        channel=channel,
        trust=trust_settings(*trust),
        at=session.now,
        network=session.network,
        offline=session.offline,
    )


def known_of_feed(session: Session, path: str, *, ahead: bool) -> list[Digest]:
    """The digests of a feed's lines that something here holds, or all with `ahead`; the others are told."""
    from bundlers.audit.whence import origins
    from casstore.promotion.revocations import EMPTY

    lines = [line.strip() for line in read_file(path).decode("utf-8", "replace").splitlines()]
    wanted = [line for line in lines if line and not line.startswith("#")]
    if bad := [line for line in wanted if not _HEX.match(line)]:
        raise BadInput(f"{path}: no SHA-256 in the line {bad[0][:80]!r}", hint="one digest in hex a line; # for talk")
    asked = list(dict.fromkeys(digests.from_hex(_HEX.match(line)[1].lower()) for line in wanted))  # type: ignore[index]
    if EMPTY in asked:
        render.warning(f"{path}: the digest of an empty file is left out")
        asked.remove(EMPTY)
    if ahead:
        return asked
    found = origins(session.open_store(read_only=True), session.state(), set(asked), thorough=True)
    known = [digest for digest in asked if found[digest].known]
    render.say(f"{path}: {len(known)} of {len(asked)} digests are held here")
    return known


def _digests(what: str) -> Iterator[tuple[str, Digest]]:
    if digests.is_digest(what):
        yield what, digests.parse(what)
    elif os.path.isdir(what):
        for folder, _, names in sorted(os.walk(what)):
            for name in sorted(names):
                path = os.path.join(folder, name)
                if os.path.isfile(path) and not os.path.islink(path):
                    try:
                        yield path, _of_file(path)
                    except BadInput as exc:  # one file of many: the others are told
                        render.warning(exc.message)
    else:
        yield what, _of_file(what)


def _of_file(path: str) -> Digest:
    import hashlib

    made = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while piece := file.read(_PIECE):
                made.update(piece)
    except OSError as exc:
        raise BadInput(f"{path}: {exc.strerror}", hint="name a file, a folder or sha256:<hex>") from exc
    return digests.from_hex(made.hexdigest())


def _told(name: str, digest: Digest, found: Origin | PublishedOrigin) -> None:
    render.line(f"{name} {digest}")
    for line in found.told():
        render.line(f"  {line}")


COMMANDS = {"whence": whence}
