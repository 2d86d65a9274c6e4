"""init: a store, the starter casstore.toml that it offers where there is none, and a trust root of one key."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from cli.commands.params import Days, json_option, key_option, pass_session
from cli.drawing import render
from cli.session import Session, write_new

if TYPE_CHECKING:
    from casstore.config import Config


@click.command()
@key_option
@click.option(
    "--expires-days", type=Days, default=365, show_default=True, help="With --key: how long the trust root is valid."
)
@click.option("--yes", is_flag=True, help="Write a starter casstore.toml where there is none, without asking.")
@json_option
@pass_session
def init(session: Session, key: str | None, expires_days: int, yes: bool, as_json: bool) -> None:
    """Make a store at --store (or [store] url), after proving that it creates exclusively.

    Where no casstore.toml is here or above, a starter is offered: a commented one, made from the
    folders with build outputs that lie here. It is asked for on a terminal; in a pipe, say --yes.

    With --key, also makes a trust root in which this one key holds every role, and starts the
    ledger with it: enough to begin alone. Its policies are those of casstore.toml, or the
    starter's. Teams use `casstore keys ceremony` instead.

    \b
    Examples:
      casstore init --key key.pem --yes
      casstore --store ./store init
    Exit status: 0 made, 2 no store is named and no starter wanted, 9 there is a store already,
    12 the storage cannot be reached or overwrites.
    """
    from casstore.objects.packs import Durability
    from casstore.storage import open_storage
    from casstore.storage.probe import probe
    from casstore.store.store import Store, StoreOptions

    if key:
        _check_alone(session, key)
    wrote = _offer(session, yes=yes)
    url, config = session.store_url, session.optional_config
    options = StoreOptions(config.store.compress, Durability(config.store.durability)) if config else StoreOptions()
    probe(open_storage(url, network=session.network, create=True)).require()
    with Store.init(url, network=session.network, options=options) as store:
        result = {"store": store.url, "id": store.store_id, **({"config": wrote} if wrote else {})}
    if key:
        result["trustRoot"] = _start_alone(session, key, expires_days)
    if as_json:
        render.json_object(result)
    else:
        render.line(f"store {result['id']} at {result['store']}")
        render.say(f"next: casstore {_next(session, key)}")


def _next(session: Session, key: str | None) -> str:
    """What to type after `init`."""
    if not key:
        return "keys ceremony draft --help"
    config = session.optional_config
    if config is None or not config.components:
        return (
            "put --help, once casstore.toml names what is put under [components.NAME] and shipped under [products.NAME]"
        )
    return f"put --all --release-version 1.0.0 --key {key}"


def _offer(session: Session, *, yes: bool) -> str | None:
    """Write the starter if it is wanted; returns its path. None where there is a casstore.toml, or none is wanted."""
    if session.optional_config is not None:
        return None
    path, text = _path(), _text(session)
    if not yes and not (render.interactive() and _agreed(path, text)):
        return None
    write_new(path, text.encode())
    render.say(f"wrote {path}")
    return path


def _offered(session: Session) -> Config:
    """The starter as configuration, though nobody wrote it."""
    from casstore import config

    return config.parse(_text(session).encode(), _path())


def _path() -> str:
    from casstore.machine.config_files import NAME

    return os.path.join(os.getcwd(), NAME)


def _text(session: Session) -> str:
    from casstore.config.starter import starter

    return starter(os.getcwd(), store_url=session.named_store or "./store")


def _agreed(path: str, text: str) -> bool:
    render.say("no casstore.toml is here or above; this one fits what lies here:")
    for line in ("", *text.split("\n")):
        render.say(line)
    return render.ask(f"write it to {path}?")


def _check_alone(session: Session, key: str) -> None:
    """Whether `_start_alone` can work, before anything is made. Raises BadInput, SignerError."""
    from attest.errors import BadInput
    from attest.keys import keys as pairs

    if ":" not in key and not os.path.exists(key):
        raise BadInput(f"{key}: no such file", hint=f"make a key first: casstore keys generate {key}")
    public = session.signer(key).public_pem
    if public is None or pairs.algorithm_of(pairs.public_from_pem(public)) != "ed25519":
        raise BadInput(
            f"{key}: one key for every role must be an Ed25519 key, since checkpoints are signed by it",
            hint="make one: casstore keys generate FILE; or give each role its own: casstore keys ceremony draft",
        )
    config = session.optional_config
    if config is not None and not config.channels:
        raise BadInput(
            "a trust root needs channel policies", hint="write [channels.NAME] with approvals = N in casstore.toml"
        )


def _start_alone(session: Session, key: str, expires_days: int) -> str:
    """A first trust root in which one key holds every role; returns its digest.

    Without a casstore.toml its policies are those that `init` offers.
    """
    from attest.ceremony import ceremony as steps
    from attest.trust.trust_roots import ROLES
    from casstore.promotion import trust

    signer = session.signer(key)
    config = session.optional_config or _offered(session)
    change = trust.TrustChange(
        {"owner": signer.public_pem or signer.identity},
        {role: trust.RoleChange(("owner",)) for role in ROLES},
        expires_days=expires_days,
    )
    store = session.open_store()
    payload = trust.propose(change, store_id=store.store_id, previous=None, channels=config.channels, now=session.now)
    signed = steps.combine(payload, [steps.sign(payload, signer)], at=session.now)
    trust.adopt(store, session.ledger(), signed, now=session.now)
    return session.trust_root().digest


COMMANDS = {"init": init}
