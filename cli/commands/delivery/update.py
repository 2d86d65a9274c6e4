"""update: what the consumer's own consumer.toml says is brought to where its channels are."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from attest.errors import BadInput
from cli.commands.params import json_option, pass_session
from cli.drawing import render
from cli.session import Session, read_file

if TYPE_CHECKING:
    from bundlers.installing.updating import Update, Updated
    from casstore.config.consumer import Installed, Loaded


@click.command()
@click.argument("names", nargs=-1, metavar="[PRODUCT]...")
@click.option("--all", "every", is_flag=True, help="Every product of consumer.toml.")
@click.option("--file", "path", metavar="FILE", help="consumer.toml; default: here, ~/.config/casstore, /etc/casstore.")
@click.option("--dry-run", is_flag=True, help="Verify, and say what would be done; nothing changes.")
@click.option("--again", is_flag=True, help="Also a version whose health check failed before.")
@json_option
@pass_session
def update(
    session: Session, names: tuple[str, ...], every: bool, path: str | None, dry_run: bool, again: bool, as_json: bool
) -> None:
    """Bring what consumer.toml names to where its channels are; each product by itself.

    A version whose health check fails leaves force at once, for the version before; where that was revoked, or is
    not there, nothing stays in force. Commands are run only where consumer.toml names them.

    \b
    Examples:
      casstore update core
      casstore update --all --file /etc/casstore/consumer.toml
    Exit status: 0 all in force, else of the first kind that occurred: 3 does not verify, 10 a health check failed,
    8 no such product, 9 another install is running, 12 unreachable.
    """
    from bundlers.audit.values import PRECEDENCE
    from casstore.config import consumer

    loaded = consumer.load(path)
    rows = [_update(session, loaded, name, dry_run, again).run() for name in _chosen(loaded, names, every)]
    if as_json:
        render.json_object({"file": os.path.abspath(loaded.path), "products": [row.to_json() for row in rows]})
    else:
        for row in rows:
            _tell(row)
    codes = {row.exit_code for row in rows} - {0}
    if codes:
        raise click.exceptions.Exit(next((code for code in PRECEDENCE if code in codes), max(codes)))


def _chosen(loaded: Loaded, names: tuple[str, ...], every: bool) -> list[str]:
    known = loaded.settings.products
    if bool(names) == every:
        raise click.UsageError("name products of consumer.toml, or give --all")
    for name in names:
        if name not in known:
            raise BadInput(f"{loaded.path} names no product {name!r}", hint=f"it has: {', '.join(known)}")
    return list(known) if every else list(dict.fromkeys(names))


def _update(session: Session, loaded: Loaded, name: str, dry_run: bool, again: bool) -> Update:
    from bundlers.consuming.service import TrustSettings
    from bundlers.installing.updating import Plan, Update, with_absolute
    from casstore.network.network import NetworkGuard

    table = loaded.settings.products[name]
    plan = Plan(
        table.source,
        table.product or name,
        table.channel,
        table.into,
        platform=table.platform or None,
        link_bin=table.link_bin or None,
        keep=table.keep,
        fresh=table.fresh,
        share=table.share,
        after=tuple(table.after),
        check=tuple(table.check),
        stop=tuple(table.stop),
        after_timeout=table.after_timeout,
        check_timeout=table.check_timeout,
        check_tries=table.check_tries,
    )
    base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    state = loaded.absolute(loaded.settings.state) if loaded.settings.state else os.path.join(base, "casstore")
    trust = TrustSettings(state, *_roots(loaded, table))
    network = NetworkGuard(loaded.settings.network.allow, offline=session.offline)
    return Update(
        name, with_absolute(plan, loaded.absolute), trust, session.now, network, session.offline, dry_run, again
    )


def _roots(loaded: Loaded, table: Installed):  # type: ignore[no-untyped-def]
    from attest import digests

    first, tuf = (digests.parse(text) if text else None for text in (table.trust_root, table.tuf_root))
    return first, tuf, read_file(loaded.absolute(table.sigstore_root)) if table.sigstore_root else None


def _tell(row: Updated) -> None:
    before = f" (was {row.before})" if row.before and row.before != row.version else ""
    render.line(f"{row.name}: {row.outcome}{', ' + row.version if row.version else ''}{before}")
    if row.share:
        render.say(f"  {row.share}")
    for name in row.pruned:
        render.say(f"  taken away: {name}")
    if row.why:
        render.error(f"{row.name}: {row.why}", hint=row.hint)


COMMANDS = {"update": update}
