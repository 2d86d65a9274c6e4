"""rebuild."""

from __future__ import annotations

import click

from cli.commands.params import json_option, key_option, pass_session
from cli.drawing import render
from cli.session import Session


@click.command()
@click.argument("release")
@click.option("--component", "names", multiple=True, metavar="NAME", help="Only this one; again for more. No archives.")
@click.option("--build-network", is_flag=True, help="A build that had the network has it here, too.")
@click.option(
    "--build-env", "variables", multiple=True, metavar="NAME", help="A variable that it may see, if it did there."
)
@click.option("--build-tool", "tools", multiple=True, metavar="PATH", help="What it is shown here, if it was there.")
@key_option
@json_option
@pass_session
def rebuild(
    session: Session,
    release: str,
    names: tuple[str, ...],
    build_network: bool,
    variables: tuple[str, ...],
    tools: tuple[str, ...],
    key: str | None,
    as_json: bool,
) -> None:
    """Build a release again from its recorded inputs and arguments; sign that it came out the same.

    The inputs are written by digest into an empty folder, the recorded command runs there, archives
    are made again from their manifests. What is signed counts for `rebuilds` of a policy; nothing is
    signed when one byte differs. The command is what another builder recorded and runs with your rights:
    rebuild where you would build. It gets no network, no variable and no
    further tool of yours but by the options.

    \b
    Example:
      casstore rebuild 1.4.0 --key second-builder.pem
    Exit status: 0 the same, 4 this identity is no builder, 8 the inputs were not kept, 10 other bytes came out,
    2 its record asks for more of this machine than it is given.
    """
    from bundlers.releases.rebuilding import Given
    from bundlers.releases.rebuilding import rebuild as run

    report = run(
        session.open_store(),
        session.ledger(),
        release,
        names,
        signer=session.signer(key),
        now=session.now,
        given=Given(build_network, variables, tools),
    )
    if as_json:
        render.json_object(report.to_json())
        return
    for name in report.components:
        render.line(f"component {name}: the same")
    for name in report.archives:
        render.line(f"archive {name}: the same")
    for name in report.idle:
        render.warning(f"component {name}: it was put without a build, there is nothing to rebuild")


COMMANDS = {"rebuild": rebuild}
