"""Names of archives: portable, distinct, and of no product, so that a REF means one thing."""

from __future__ import annotations

import pytest

from attest.digests import sha256
from attest.errors import BadInput
from bundlers.products import products
from bundlers.products.product_manifests import ComponentTree, ProductFile, ProductManifest
from casstore import config

TOML = """\
[components.a]
include = ["**"]
shared = "for both"
[products.core]
components = ["a"]
format = "zip"
archive = "{archive}"
[products."{other}"]
components = ["a"]
format = "zip"
"""


@pytest.mark.parametrize(
    ("archive", "other", "told"),
    [
        ("core", "core.zip", "as the product core.zip"),
        ("agent-1", "agent", "would both have the archive"),
        ("AGENT-1", "agent", "would both have the archive"),
        ("a b", "agent", "not portable"),
        ("aux", "agent", "Windows keeps"),
        ("core", "agent", ""),
    ],
)
def test_what_an_archive_may_be_called(archive: str, other: str, told: str) -> None:
    found = config.parse(TOML.replace("{archive}", archive).replace("{other}", other).encode(), "c.toml")
    file = ProductFile("f", 0o644, 1, sha256(b"x"), component="a")
    made = {name: ProductManifest(name, "zip", {"a": ComponentTree(sha256(b"t"))}, (file,)) for name in ("core", other)}
    if told:
        with pytest.raises(BadInput, match=told):
            products.archive_names(found, made, "1")
    else:
        assert products.archive_names(found, made, "1") == {"core": "core.zip", "agent": "agent-1.zip"}
