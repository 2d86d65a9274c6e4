"""attest sbom: a CycloneDX bill of materials of what is in the store."""

from __future__ import annotations

import click

from cli.commands.params import json_option, pass_session, strict_option
from cli.drawing import render
from cli.session import Session, read_file, write_new


@click.command()
@click.argument("ref")
@click.option("--out", required=True, metavar="FILE", help="The CycloneDX document to write.")
@click.option("--lock", "locks", multiple=True, metavar="FILE", help="A Cargo.lock whose packages belong to it too.")
@strict_option
@json_option
@pass_session
def sbom(session: Session, ref: str, out: str, locks: tuple[str, ...], strict: bool, as_json: bool) -> None:
    """Write a CycloneDX document of REF: COMPONENT@VERSION, RELEASE/PRODUCT, or a tree's digest.

    It names every file with its sha256, the Python and npm packages in it, and what programs say was
    linked into them: Rust crates (cargo-auditable), Go modules (build info). Of a Cargo.lock, in it or
    given, all packages of others are named, used or not.
    Sign it with `casstore attest sign ARCHIVE --type cyclonedx --predicate FILE --hand-in`.

    \b
    Example:
      casstore attest sbom 1.4.0/core --out core.cdx.json
    Exit status: 0 written, 1 a package is left out and --strict was given, 8 no such thing, 9 FILE exists.
    """
    from bundlers.inspection import sbom as documents
    from bundlers.products import references
    from casstore.errors import UnsupportedInput

    store, given = session.open_store(), {path: read_file(path) for path in locks}
    target = references.resolve(store, session.state, ref)
    name, _, version = ref.partition("@") if "@" in ref else ref.partition("/")
    if "@" not in ref and version:
        name, version = version, name
    made = documents.of_tree(store, references.tree_of(store, target), name=name, version=version, locks=given)
    if strict and made.unread:
        more = f" (and {len(made.unread) - 1} more)" if len(made.unread) > 1 else ""
        raise UnsupportedInput(
            f"{made.unread[0]}: is a package's metadata that cannot be read{more}; nothing was written"
        )
    write_new(out, documents.to_bytes(made.document))
    result = {"file": out, "components": len(made.document.get("components", [])), "unread": list(made.unread)}
    for path in made.unread:
        render.warning(f"{path}: is a package's metadata that cannot be read; the package is left out")
    render.json_object(result) if as_json else render.line(f"{out}: {result['components']} components")
