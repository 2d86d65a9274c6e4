"""The entry point: finds a command, runs it, turns every error into one line and an exit code.

Commands are imported only when called, so that `casstore --help` stays under 100 ms: the table
below holds each command's module and its one-line help.
"""

from __future__ import annotations

import gc
import os
import sys
from collections import Counter
from typing import Any

import click
from click.shell_completion import CompletionItem

from attest.errors import CasstoreError
from cli.drawing import render, streams

COMMANDS: dict[str, tuple[str, str]] = {
    # the store
    "init": ("store.starting", "Make a store and, with a key, its trust root and ledger."),
    "put": ("store.put", "Store components, with signed provenance, or plain files and folders."),
    "get": ("store.reading", "Write a stored tree or blob to a path, every byte verified."),
    "ls": ("store.reading", "List components and releases, or the files of a tree."),
    "cat": ("store.reading", "Write one stored blob to standard output, verified."),
    "diff": ("store.reading", "Show what differs between two trees or two releases."),
    "du": ("store.reading", "Show what the store holds and what each release adds."),
    "config": ("store.configuration", "Check casstore.toml: every mistake at once."),
    # the release line
    "run": ("releases.run", "From sources to a release: gates, builds, gates, put, release."),
    "release": ("releases.release", "Gate, isolate, bundle, attest and record one version of all products."),
    "rebuild": ("releases.rebuild", "Build a release again from its recorded inputs; sign that it is the same."),
    "vouch": ("releases.vouch", "Release the bytes of a release again, under a builder who counts."),
    "gate": ("releases.gates", "List, explain and run gates."),
    "isolation": ("releases.isolation", "Show what products share, and why; accept it; name what is common."),
    "approve": ("channels.approving", "Sign an approval of one release for one channel."),
    "promote": ("channels.promotion", "Move a channel to a release, if the signed policy allows it."),
    "rollback": ("channels.promotion", "Move a channel back to an earlier release and pin it."),
    "unpin": ("channels.promotion", "Let a pinned channel be promoted to again."),
    "explain": ("channels.promotion", "Tell what a move still needs, who can give it, and how."),
    "suspend": ("channels.withdrawal", "Take an identity out at once, for 72 hours."),
    "revoke": ("channels.withdrawal", "Withdraw an artifact, attestation or identity, for every reader."),
    "affected": ("answers.affected", "Tell which releases and channels a vulnerability or package is in."),
    "whence": ("answers.whence", "Tell where a file comes from: product, release, channel, builder."),
    "channel": ("channels.standing", "Show what is in each channel, why, and who allowed it; histories, differences."),
    "status": ("channels.standing", "Tell what waits for whom, in all channels."),
    "policy": ("channels.policy", "Show the signed policy and how casstore.toml differs from it."),
    # outward
    "publish": ("delivery.publish", "Lay a channel out as a static TUF repository."),
    "verify": ("delivery.consume", "Verify a published channel, a kit or one archive; offline if you like."),
    "install": ("delivery.consume", "Verify a product, then install it atomically."),
    "update": ("delivery.update", "Bring what consumer.toml names to where its channels are."),
    "uninstall": ("delivery.consume", "Take an installed product away."),
    "export": ("delivery.kits", "Write a release with all its evidence into one file."),
    "import": ("delivery.kits", "Take in attestations or kits made elsewhere."),
    # trust
    "attest": ("evidence.attestations", "Sign, verify, show and export attestations."),
    "keys": ("trust.keys", "Make keys; make and rotate the trust root."),
    "ledger": ("trust.ledger", "Show, verify and prove the ledger."),
    "baseline": ("releases.baseline", "Capture, sign and compare measured figures."),
    "rehearse": ("channels.rehearse", "Play promotion and rollback on a clone of the ledger."),
    "audit": ("answers.audit", "Verify all there is about a channel or a release anew."),
    # upkeep
    "fsck": ("store.upkeep", "Verify every stored byte; name all damage."),
    "gc": ("store.gc", "Give up what nothing needs: condemn, wait, mark again, delete."),
    "pin": ("store.gc", "Keep objects that nothing else needs."),
    "doctor": ("store.upkeep", "Check the set-up: store, configuration, keys, trust root."),
    "help": ("learning.help", "Show a guide, a format or a table; without a topic, list them."),
    "completion": ("learning.completion", "Write the script by which a shell completes."),
    "demo": ("learning.demo", "Run a whole release of four products, one in two builds, from real files."),
}


def each_once(command: click.Command) -> click.Command:
    """It and those below it refuse an option of one value that is given twice, of which click would take the last."""
    made = command.make_parser
    if "make_parser" in vars(command):  # it was asked for before
        return command

    def make_parser(ctx: click.Context) -> Any:
        parser = made(ctx)
        parse = parser.parse_args

        def parse_args(args: list[str]) -> Any:
            found = parse(args=args)
            told = () if ctx.resilient_parsing else found[2]  # at the tab key nothing is refused yet
            for option, count in Counter(one for one in told if isinstance(one, click.Option)).items():
                if count > 1 and not (option.multiple or option.is_flag or option.count):
                    ctx.fail(f"{option.opts[-1]} is given {count} times, and takes one value")
            return found

        parser.parse_args = parse_args  # type: ignore[method-assign]
        return parser

    command.make_parser = make_parser  # type: ignore[method-assign]
    for below in command.commands.values() if isinstance(command, click.Group) else ():
        each_once(below)
    return command


class LazyGroup(click.Group):
    """A group whose commands live in `cli.commands.<room>.<module>` under the command's name."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        from importlib import import_module

        module = import_module(f"cli.commands.{COMMANDS[cmd_name][0]}")
        return each_once(module.COMMANDS[cmd_name])

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, help_line) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands by the table above, without importing any; options as every command does."""
        found = [CompletionItem(name, help=told) for name, (_, told) in COMMANDS.items() if name.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in COMMANDS and not ctx.resilient_parsing:
            from difflib import get_close_matches

            near = get_close_matches(name, COMMANDS, n=1)
            ctx.fail(f"no such command: {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        return super().resolve_command(ctx, args)


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        render.line(f"casstore {version('casstore')}")
        ctx.exit(0)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--version", is_flag=True, callback=_version, expose_value=False, is_eager=True, help="Show the version.")
@click.option(
    "--store", "store_url", metavar="URL", envvar="CASSTORE_STORE", help="The store: a folder or a bucket URL."
)
@click.option("--config", "config_path", metavar="FILE", help="casstore.toml; default: the nearest one upwards.")
@click.option("--offline", is_flag=True, help="Open no socket.")
@click.pass_context
def main(ctx: click.Context, store_url: str | None, config_path: str | None, offline: bool) -> None:
    """The signed release ledger for plain files, with no server.

    The store is --store, else CASSTORE_STORE, else [store] url of the nearest casstore.toml. The
    signer is --key or CASSTORE_KEY; its passphrase is asked for, or comes from
    CASSTORE_PASSWORD, a file (CASSTORE_PASSWORD_FILE) or a command (CASSTORE_PASSWORD_COMMAND).
    Standard output is data (--json on every command), standard error is talk. Guides, formats and
    exit codes: casstore help.

    \b
    Examples:
      casstore demo
      casstore help tutorial
    """
    from cli.session import Session

    ctx.obj = Session(store_url=store_url, config_path=config_path, offline=offline)
    ctx.call_on_close(ctx.obj.close)
    if offline:
        from casstore.network.network import NetworkGuard

        ctx.with_resource(NetworkGuard((), offline=True).installed())  # libraries too, not only our clients


def invoke(args: list[str] | None = None) -> int:
    """Run one command line; returns the exit code. No traceback reaches the user."""
    if "_CASSTORE_COMPLETE" in os.environ:  # a shell asks what to offer
        from cli.pages.completion import prepare

        prepare()
    try:
        code = _main(args)
        render.flush()
        return code
    except CasstoreError as exc:
        render.error(exc.message, hint=exc.hint)
        _say_clock(exc)
        _say_decision(exc)
        return exc.exit_code
    except (click.exceptions.Abort, KeyboardInterrupt):
        render.error("interrupted; nothing half-done is visible, the same command can be run again")
        return 130
    except click.exceptions.NoArgsIsHelpError as exc:
        render.lines(exc.format_message())
        return 0
    except click.ClickException as exc:
        ctx = getattr(exc, "ctx", None)
        render.error(exc.format_message(), hint=f"see '{ctx.command_path} --help'" if ctx else "")
        return 2
    except streams.ReaderGone:
        return 1
    except OSError as exc:
        return _os_error(exc)
    except MemoryError:
        render.error("the memory that this process may use is full; nothing half-done is visible", hint=_MEMORY)
        return 12
    except Exception as exc:
        return _unexpected(exc)


_MEMORY = "give it more (ulimit -v, the job's or container's limit), or fewer workers"


def _main(args: list[str] | None) -> int:
    try:
        result = each_once(main).main(args=args, prog_name="casstore", standalone_mode=False)
    except click.exceptions.Exit as exc:
        return exc.exit_code
    return result if isinstance(result, int) else 0


def _say_clock(exc: CasstoreError) -> None:
    """A refusal by time: whether it is this machine that is wrong."""
    from attest.errors import OutOfTime

    if isinstance(exc, OutOfTime):
        from attest.core import times
        from casstore.machine import clock

        render.say(f"this machine's clock shows {times.format(clock.now())}")


def _say_decision(exc: CasstoreError) -> None:
    decision = getattr(exc, "decision", None)
    if decision is not None:
        from cli.drawing import wording

        wording.say_decision(decision, **getattr(exc, "names", {}))


def _os_error(exc: OSError) -> int:
    import errno

    try:
        render.flush()
    except streams.ReaderGone:  # help and usage are written by click, which meets these as they come
        return 1
    except streams.OutputLost as lost:
        render.error(lost.message, hint=lost.hint)
        return lost.exit_code
    if not exc.filename and _is_of_help(exc):
        render.error(f"standard output: {exc.strerror}: the result cannot be told", hint="mend it and run it again")
        return 1 if exc.errno == errno.EPIPE else 12
    if exc.errno == errno.ENOENT and not exc.filename and _is_gone():
        render.error("the folder that this runs in is gone", hint="cd to one that is there")
        return 1
    name = exc.filename if isinstance(exc.filename, str) else os.fsdecode(exc.filename or b"")
    render.error(f"{name or 'system'}: {exc.strerror or exc}", hint="nothing was half-written; mend it and run again")
    return 12 if exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS) else 1


def _is_of_help(exc: OSError) -> bool:
    """Whether click was writing: what is longer than the output's buffer meets an error there, and is dropped."""
    from traceback import walk_tb

    return any(frame.f_globals.get("__name__") == "click.utils" for frame, _ in walk_tb(exc.__traceback__))


def _is_gone() -> bool:
    """Whether the folder that this runs in was removed."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def _unexpected(exc: Exception) -> int:
    if os.environ.get("CASSTORE_DEBUG"):
        raise exc
    text = " ".join(str(exc).split())[:300]
    render.error(f"unexpected {type(exc).__name__}: {text}", hint="set CASSTORE_DEBUG=1 to see where; please report it")
    return 1


def run() -> Any:
    """Console-script entry."""
    streams.hold_places()
    code = invoke()
    gc.freeze()  # the process ends: looking for garbage once more costs a tenth of a short command
    sys.exit(code)


if __name__ == "__main__":
    run()
