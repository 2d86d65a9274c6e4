"""Which component goes into which product and build, how it lies there, and the rule that keeps products apart.

A component belongs to one product, unless it is `shared` with a reason.

    check_construction(config)
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from attest.digests import Digest
from attest.errors import BadInput, CasstoreError
from bundlers.errors import CrossProductLeak
from bundlers.products import checksums, manifest_building, platforms
from bundlers.products.layouts import Layout
from bundlers.products.manifest_building import TreeStore
from bundlers.products.product_manifests import ComponentTree, ProductManifest
from casstore.ledger.release_objects import DEFAULT, build_key, label
from casstore.objects.platforms import Platform

if TYPE_CHECKING:
    from casstore.config import Build, Component, Config

SUFFIXES = {"tar.gz": "tar.gz", "tar.zst": "tar.zst", "zip": "zip", "oci": "oci.tar"}
"""Format -> what an archive's name ends in; a finished file keeps its own."""

_PORTABLE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._+-]{0,148}[A-Za-z0-9_+-])?")
_NAMING = 'write archive = "{product}-{version}-{build}" under the product or build'


def check_construction(config: Config) -> None:
    """Raises CrossProductLeak when a component is in two products without a reason, BadInput without products."""
    if not config.products:
        raise BadInput(f"{config.path}: no product is defined", hint="write [products.NAME] with its components")
    named = {
        (product, *key): table.components
        for product, whole in config.products.items()
        for key, table in (((), whole), *((("builds", name), build) for name, build in whole.builds.items()))
    }
    for _, problem in construction_problems(
        named, {name for name, one in config.components.items() if one.shared.strip()}
    ):
        raise problem


def construction_problems(
    named: Mapping[tuple[str, ...], Sequence[str]], shared: Collection[str]
) -> Iterator[tuple[tuple[str, ...], CasstoreError]]:
    """The key and what is wrong with it, for every component that is carried as it must not be.

    `named` are components by the product, or ("acme", "builds", "linux-x86_64"), that names them.
    """
    carriers: dict[str, dict[str, None]] = defaultdict(dict)
    for place, components in named.items():
        for name in components:
            carriers[name][place[0]] = None
        if twice := sorted({name for name in components if components.count(name) > 1}):
            told = f"product {'/'.join((place[0], *place[2:]))} names the component {twice[0]} twice"
            yield ("products", *place, "components"), BadInput(told)
    for name, products in carriers.items():
        if len(products) > 1 and name not in shared:
            leak = CrossProductLeak(
                f"the component {name} is in {' and '.join(products)}, and is not shared",
                hint=f'give it to one product, or write shared = "REASON" under [components.{name}]',
            )
            yield ("components", name), leak


def manifests(
    store: TreeStore, config: Config, trees: Mapping[str, Digest], version: str, times: Mapping[str, int]
) -> tuple[dict[str, ProductManifest], dict[str, tuple[str, ...]]]:
    """The ProductManifest of every build, by its key, and the empty folders that no rule of `folders` keeps.

    Raises as `check_construction` and `manifest_building.build`.
    """
    check_construction(config)
    found, dropped = {}, {}
    for product, table in sorted(config.products.items()):
        for name, build in table.all_builds.items():
            key, lost = build_key(product, name), set[str]()
            found[key] = _manifest(store, config, (product, name), build, version, trees, times, lost)
            if lost:
                dropped[key] = tuple(sorted(lost))
    check_builds(found)
    return found, dropped


def check_builds(found: Mapping[str, ProductManifest]) -> None:
    """Builds are no way around isolation: for one platform they hold the same. Raises CrossProductLeak."""
    by_platform: dict[tuple[str, str], ProductManifest] = {}
    for manifest in found.values():
        if manifest.platform is None:
            continue
        first = by_platform.setdefault((manifest.product, str(manifest.platform)), manifest)
        if first is not manifest and (differing := _contents(first) ^ _contents(manifest)):
            path = min(path for one in (first, manifest) for path in _paths(one, differing))
            raise CrossProductLeak(
                f"product {manifest.product}: its builds {first.build} and {manifest.build} are both for"
                f" {manifest.platform}, and only one has {path}",
                hint="builds of one platform hold the same files: name another platform, or make it another product",
            )


def archive_names(config: Config, found: Mapping[str, ProductManifest], version: str) -> dict[str, str]:
    """Build -> the name of its archive; distinct and portable. Raises BadInput."""
    names: dict[str, str] = {}
    owners: dict[str, str] = {}
    for key, manifest in found.items():
        table = config.products[manifest.product].all_builds[manifest.build]
        names[key] = name = archive_name(manifest, version, table.archive)
        if problem := _name_problem(name):
            raise BadInput(f"product {key}: its archive would be named {name!r}, {problem}", hint=_NAMING)
        if name in config.products:
            raise BadInput(f"product {key}: its archive would be named as the product {name}", hint=_NAMING)
        if (other := owners.setdefault(name.casefold(), key)) != key:
            raise BadInput(f"products {other} and {key} would both have the archive {name}", hint=_NAMING)
    labels = [label(key).casefold() for key in found]
    if twice := sorted({name for name in labels if labels.count(name) > 1}):
        raise BadInput(f"two builds are both called {twice[0]} in the names of files", hint="name one otherwise")
    return names


def archive_name(manifest: ProductManifest, version: str, template: str = "") -> str:
    """The file that a build is shipped as; `template` is `archive` of casstore.toml."""
    own = posixpath.basename(manifest.files[0].path)
    finished = manifest.archive_format == "file"
    text = template or ("{file}" if finished else "{product}-{version}-{build}")
    if manifest.build == DEFAULT:
        text = re.sub(r"[-_.+]?\{build\}", "", text)
    platform = manifest.platform or Platform("any")
    name = text.format(
        product=manifest.product,
        version=version,
        build=manifest.build,
        os=platform.os,
        arch=platform.arch or "any",
        libc=platform.libc or "any",
        file=own,
    )
    return name if finished else f"{name}.{SUFFIXES[manifest.archive_format]}"


def _manifest(
    store: TreeStore,
    config: Config,
    named: tuple[str, str],
    build: Build,
    version: str,
    trees: Mapping[str, Digest],
    times: Mapping[str, int],
    lost: set[str],
) -> ProductManifest:
    components = {
        name: ComponentTree(trees[name], config.components[name].shared.strip(), times[name])
        for name in build.components
    }
    assert build.format is not None  # noqa: S101 - casstore.toml was checked
    made = manifest_building.build(
        store,
        named[0],
        build.format,
        components,
        name=named[1],
        platform=build.platform,
        wrap=_wrap(named, build, version),
        bin=build.bin,
        config=build.config,
        foreign=build.foreign.strip(),
        never=build.never,
        layouts={name: layout_of(config.components[name]) for name in build.components},
        lost=lost,
    )
    _check_programs(made)
    return made


def layout_of(component: Component) -> Layout:
    """What casstore.toml says of how a component lies in an archive."""
    return Layout(component.to, component.strip, component.rename, component.mode, component.folders)


def _wrap(named: tuple[str, str], build: Build, version: str) -> str:
    """`{product}`, for an archive that is unpacked in a home folder should not spill; an image's root is a root."""
    text = build.wrap
    if text is None:
        text = "" if build.format in ("oci", "file") else "{product}"
    platform = build.platform or Platform("any")
    return text.format(
        product=named[0], version=version, build=named[1], os=platform.os, arch=platform.arch or "any"
    ).strip("/")


def _check_programs(manifest: ProductManifest) -> None:
    names = [posixpath.basename(path).casefold() for path in manifest.bin]
    if len(set(names)) != len(names):
        raise BadInput(f"product {manifest.key}: two programs of bin have one name")
    if manifest.platform and manifest.platform.os == "windows":
        return  # modes mean nothing there
    for path in manifest.bin:
        file = manifest.packed.get(path)
        if file is not None and file.digest is not None and not file.mode & 0o100:
            raise BadInput(
                f"product {manifest.key}: {path} of bin is not executable",
                hint=f'write mode = {{ "{path}" = "0755" }} under [components.{file.component}]',
            )


def _contents(manifest: ProductManifest) -> set[str]:
    return {file.digest or f"link:{file.link}" for file in manifest.files}


def _paths(manifest: ProductManifest, contents: set[str]) -> list[str]:
    return [file.path for file in manifest.files if (file.digest or f"link:{file.link}") in contents]


def _name_problem(name: str) -> str:
    """Why a file of this name is trouble somewhere; empty when it is none."""
    if not _PORTABLE.fullmatch(name):
        return "which is not portable: letters, digits, '.', '_', '+', '-', not more than 150, no '.' at the end"
    if platforms.reserved(name):
        return "which Windows keeps for itself"
    taken = name in (checksums.NAME, "release.json", "NOTES") or name.endswith(
        (".sigstore.json", ".product-manifest.json")
    )
    return "which is a name of the papers beside archives" if taken else ""
