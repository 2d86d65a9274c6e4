"""ledger: log, verify, proof, checkpoint, witness."""

from __future__ import annotations

import click

from attest import digests
from cli.commands.params import clock_option, json_option, key_option, pass_session
from cli.commands.trust.witness import witness
from cli.drawing import render
from cli.session import Session, write_new


@click.group()
def ledger() -> None:
    """Show, verify and prove the ledger."""


@ledger.command()
@click.option("--last", type=click.IntRange(min=1), default=20, show_default=True, help="How many entries.")
@json_option
@pass_session
def log(session: Session, last: int, as_json: bool) -> None:
    """The last entries: when, what, which statement.

    \b
    Example:
      casstore ledger log --last 5
    """
    book = session.ledger(read_only=True)
    tip = book.tip()
    entries = list(book.entries(max(0, tip.number + 1 - last))) if tip else []
    if as_json:
        render.json_object({"ledger": book.name, "entries": [{**e.to_json(), "digest": e.digest} for e in entries]})
        return
    render.table(
        ("ENTRY", "TIME", "KIND", "CHANNEL", "STATEMENT"),
        [(e.number, e.time.strftime("%Y-%m-%d %H:%M:%SZ"), e.kind, e.channel or "-", e.statement) for e in entries],
    )


@ledger.command()
@json_option
@pass_session
def verify(session: Session, as_json: bool) -> None:
    """Check the whole chain and every statement anew; void entries are told.

    Other commands go on from what this user folded before on this machine; this one believes nothing.

    \b
    Example:
      casstore ledger verify
    Exit status: 0 whole and nothing void, 3 an entry is void, 7 the chain is broken or a seal is disputed.
    """
    from casstore.ledger import checkpoints

    book = session.ledger(read_only=True)
    report, state = book.verify(), session.state(anew=True)
    kept = checkpoints.verify_all(session.open_store(read_only=True), book, state)
    void = state.void
    if as_json:
        rows = [{"number": number, "reason": reason} for number, reason in void]
        seal = state.sealed.number if state.sealed else None
        open_since = {"lastSeal": seal, "provisional": state.provisional}
        render.json_object({**report.to_json(), "checkpoints": len(kept), "void": rows, **open_since})
    else:
        render.say(f"{len(kept)} kept checkpoints agree")
        if state.provisional:
            render.say(
                f"{state.provisional} entries since the last seal are provisional: the next one bounds their times"
            )
        render.line(
            f"ledger {report.ledger}: {report.entries} entries, tip {digests.short(report.tip)}, {len(void)} void"
        )
    if state.disputed is not None:
        raise state.disputed.error()
    if void:
        raise click.exceptions.Exit(3)


@ledger.command()
@click.option("--out", metavar="FILE", help="Also write the signed checkpoint to this file.")
@clock_option
@key_option
@json_option
@pass_session
def checkpoint(session: Session, out: str | None, clock_checked: bool, key: str | None, as_json: bool) -> None:
    """Seal the ledger, and sign its size and root hash with the ledger role's Ed25519 key.

    The seal bounds the times that entries since the last one claim. One is due daily.

    \b
    Example:
      casstore ledger checkpoint --key ledger.pem
    Exit status: 0 signed, 4 not the role, or the clock is in doubt, 7 a seal is disputed.
    """
    from casstore.ledger import checkpoints

    session.check_clock(clock_checked)
    made = checkpoints.make(session.open_store(), session.ledger(), signer=session.signer(key), now=session.now)
    session.tell_void()
    if out:
        write_new(out, made.note)
    if as_json:
        render.json_object(made.to_json())
    else:
        render.line(made.note.decode().rstrip())


@ledger.command()
@click.argument("number", type=click.IntRange(min=0))
@json_option
@pass_session
def proof(session: Session, number: int, as_json: bool) -> None:
    """Prove that entry NUMBER is in the newest checkpoint (RFC 6962 inclusion proof).

    \b
    Example:
      casstore ledger proof 12 --json
    """
    from casstore.ledger import checkpoints

    made = checkpoints.prove(session.open_store(read_only=True), session.ledger(read_only=True), number)
    if as_json:
        render.json_object(made.to_json())
    else:
        render.lines(made.text)


ledger.add_command(witness)

COMMANDS = {"ledger": ledger}
