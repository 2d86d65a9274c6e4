"""A release told as in-toto layout and links, for `in-toto-verify` (plain values in, bytes out).

Steps: `put-<component>` has the component's files as products; `bundle-<product>` takes only files
of its own components as materials and gives the archive. Rules end in DISALLOW, so a file of
another product in a bundle step is refused. The final product is tied to the links by an
inspection: without one, `in-toto-verify` would accept a changed archive.

Source: https://github.com/in-toto/specification/blob/master/in-toto-spec.md
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attest.core import times
from attest.core.values import dataclass
from attest.digests import Digest, hex_of
from attest.errors import SignerError
from attest.signers import Signer

LAYOUT = "root.layout"
COMMAND = "in-toto-verify --layout {layout} --verification-keys KEY.pub --link-dir {links}"


@dataclass(frozen=True, slots=True)
class ProductStep:
    """One product: the components that it is made of, and its archive."""

    archive: str
    digest: Digest
    components: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReleaseSteps:
    """A release in in-toto's terms."""

    components: Mapping[str, Mapping[str, Digest]]
    """Component -> path -> digest."""
    products: Mapping[str, ProductStep]


def export(steps: ReleaseSteps, *, owner: Signer, functionary: Signer, expires: datetime) -> dict[str, bytes]:
    """File name -> bytes: the layout signed by the owner, one link per step signed by the functionary."""
    public = functionary.as_securesystemslib().public_key
    files = {LAYOUT: _signed(_layout(steps, public, expires), owner)}
    for name, contents in sorted(steps.components.items()):
        artifacts = _artifacts(name, contents)
        files[_link_name(f"put-{name}", public)] = _link(f"put-{name}", {}, artifacts, functionary)
    for name, product in sorted(steps.products.items()):
        materials: dict[str, Any] = {}
        for component in product.components:
            materials |= _artifacts(component, steps.components[component])
        archive = {product.archive: {"sha256": hex_of(product.digest)}}
        files[_link_name(f"bundle-{name}", public)] = _link(f"bundle-{name}", materials, archive, functionary)
    return files


def _layout(steps: ReleaseSteps, public: Any, expires: datetime) -> Any:
    from in_toto.models.layout import Inspection, Layout, Step

    rows = [
        Step(
            name=f"put-{name}",
            pubkeys=[public.keyid],
            expected_materials=[["DISALLOW", "*"]],
            expected_products=[["CREATE", f"components/{name}/*"], ["DISALLOW", "*"]],
        )
        for name in sorted(steps.components)
    ]
    rows += [_bundle_step(Step, name, product, public.keyid) for name, product in sorted(steps.products.items())]
    inspection = Inspection(
        name="archives",
        run=["true"],
        expected_materials=[
            *(
                ["MATCH", product.archive, "WITH", "PRODUCTS", "FROM", f"bundle-{name}"]
                for name, product in sorted(steps.products.items())
            ),
            *(["DISALLOW", product.archive] for _, product in sorted(steps.products.items())),
            ["ALLOW", "*"],
        ],
        expected_products=[["ALLOW", "*"]],
    )
    key = {**public.to_dict(), "keyid": public.keyid}
    return Layout(steps=rows, inspect=[inspection], keys={public.keyid: key}, expires=times.format(expires))


def _bundle_step(step: Any, name: str, product: ProductStep, keyid: str) -> Any:
    matches = [
        ["MATCH", f"components/{component}/*", "WITH", "PRODUCTS", "FROM", f"put-{component}"]
        for component in product.components
    ]
    return step(
        name=f"bundle-{name}",
        pubkeys=[keyid],
        expected_materials=[*matches, ["DISALLOW", "*"]],
        expected_products=[["CREATE", product.archive], ["DISALLOW", "*"]],
    )


def _link(name: str, materials: Mapping[str, Any], products: Mapping[str, Any], signer: Signer) -> bytes:
    from in_toto.models.link import Link

    return _signed(Link(name=name, materials=dict(materials), products=dict(products)), signer)


def _signed(signable: Any, signer: Signer) -> bytes:
    from in_toto.models.metadata import Envelope
    from securesystemslib.exceptions import Error

    envelope = Envelope.from_signable(signable)
    try:
        envelope.create_signature(signer.as_securesystemslib())
    except Error as exc:
        raise SignerError(f"in-toto metadata cannot be signed: {exc}") from exc
    return json.dumps(envelope.to_dict(), sort_keys=True).encode()


def _link_name(step: str, public: Any) -> str:
    return f"{step}.{public.keyid[:8]}.link"


def _artifacts(component: str, contents: Mapping[str, Digest]) -> dict[str, Any]:
    return {f"components/{component}/{path}": {"sha256": hex_of(digest)} for path, digest in contents.items()}
