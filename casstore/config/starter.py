"""A first casstore.toml, with comments, made from what lies in a folder.

Promises a file that `casstore.config` takes as it is, and with which one person and one key get from
`put` to `install`. Leaves to others: asking whether to write it (the command `init`).

    text = starter("/home/me/app", store_url="./store")
"""

from __future__ import annotations

import json
import re

from casstore.config.outputs import Found, Output, look

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_HEAD = """\
# casstore.toml: what is put, what is shipped, who has to agree. Every key: casstore help config
# Is it right? casstore config check

[store]
url = {url}  # a folder, or s3://bucket/prefix, az://..., gs://...; the one place for everything

"""
_COMPONENT = """\
[components.{key}]  # what CI puts, as one tree
root = {root}  # where its globs and its paths start
include = ["**"]
# exclude = ["**/*.tmp"]
# build = ["make"]  # a command that makes it first, without network, recorded in its provenance

"""
_PAPERS = """\
[components.licences]
include = [{include}]
shared = "every product ships the licence texts"  # the only way into more than one product

"""
_PRODUCT = """\
[products.{key}]  # what is shipped: one archive
components = [{components}]
format = "tar.gz"  # tar.gz | tar.zst | zip | oci | file

"""
_NOTHING = """\
# No folder with build outputs was found here. When there is one, take the # away and name it:
# [components.app]
# root = "build"
# include = ["**"]
#
# [products.app]
# components = ["app"]
# format = "tar.gz"

"""
_TAIL = """\
[gates]  # checks that a release must pass; all of them: casstore gate list
seal = {}
secrets = {}

# Who may move what where. The owners sign this; afterwards the signed policy counts, not this file.
[channels.dev]
approvals = 0

[channels.prod]
from = "dev"  # only what dev names, or named
approvals = 0  # one person alone; with colleagues write 1 or 2: who builds or promotes counts as nobody
require = ["slsa-provenance", "isolation", "gate:seal", "gate:secrets"]

[destinations.public]  # where a channel is published: any folder or bucket that a web server shows
url = "./public"

[network]
allow = []  # hosts that content, builds, gates and redirects may reach; what you name yourself needs no entry
"""


def starter(folder: str, *, store_url: str = "./store") -> str:
    """The text for a folder's casstore.toml."""
    found = look(folder)
    return _HEAD.format(url=json.dumps(store_url)) + (_tables(found) if found.outputs else _NOTHING) + _TAIL


def _tables(found: Found) -> str:
    parts = [_COMPONENT.format(key=_key(one.name), root=json.dumps(one.root)) for one in found.outputs]
    if found.papers:
        globs = ", ".join(json.dumps(f"{paper}**" if paper.endswith("/") else paper) for paper in found.papers)
        parts.append(_PAPERS.format(include=globs))
    return "".join([*parts, *(_product(one, found) for one in found.outputs)])


def _product(output: Output, found: Found) -> str:
    names = [output.name, *(["licences"] if found.papers else [])]
    return _PRODUCT.format(key=_key(output.name), components=", ".join(map(json.dumps, names)))


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name)
