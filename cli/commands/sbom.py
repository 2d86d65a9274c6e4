"""attest sbom: a CycloneDX bill of materials of what is in the store."""

from __future__ import annotations

import click

from cli.commands.params import json_option, pass_session
from cli.drawing import render
from cli.session import Session, write_new


@click.command()
@click.argument("ref")
@click.option("--out", required=True, metavar="FILE", help="The CycloneDX document to write.")
@json_option
@pass_session
def sbom(session: Session, ref: str, out: str, as_json: bool) -> None:
    """Write a CycloneDX document of REF: COMPONENT@VERSION, RELEASE/PRODUCT, or a tree's digest.

    It names every file with its sha256, and the Python and npm packages in it. Sign it with
    `casstore attest sign ARCHIVE --type cyclonedx --predicate FILE --hand-in`.

    \b
    Example:
      casstore attest sbom 1.4.0/core --out core.cdx.json
    Exit status: 0 written, 1 cyclonedx-python-lib is not installed, 8 no such thing, 9 FILE exists.
    """
    from bundlers.building import sbom as documents
    from bundlers.products import references

    store = session.open_store()
    target = references.resolve(store, session.state, ref)
    name, _, version = ref.partition("@") if "@" in ref else ref.partition("/")
    if "@" not in ref and version:
        name, version = version, name
    document = documents.of_tree(store, references.tree_of(store, target), name=name, version=version)
    write_new(out, documents.to_bytes(document))
    result = {"file": out, "components": len(document.get("components", []))}
    render.json_object(result) if as_json else render.line(f"{out}: {result['components']} components")
