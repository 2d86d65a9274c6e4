"""platform: a build's programs and libraries are for the platform that it says.

    [products.agent.builds.windows-x86_64]     # or platform = "windows-x86_64" under the product
    foreign = "the installer carries a Linux agent for WSL"    # only where it must hold another platform's

    [gates]
    platform = { ignore = ["agent/tools/*"] }

Read from the headers of ELF, PE and Mach-O files. It always runs on what says its platform, so that
builds are no way around isolation; listed in casstore.toml it also fails a product that carries such
files and says no platform. A file whose machine is not known here fails. `ignore` holds globs over
PRODUCT/PATH, PRODUCT/BUILD/PATH for one of several builds.
"""

from __future__ import annotations

import fnmatch
import struct
from collections.abc import Iterator, Mapping
from typing import Any

from attest.core.values import dataclass
from bundlers.gates.base import GateResult, Phase, ReleaseView
from bundlers.products.product_manifests import ProductFile, ProductManifest
from casstore.config.gates import ALWAYS
from casstore.objects.platforms import Platform

NAME = "platform"
PHASE = Phase.INPUTS
SUMMARY = "A product's programs and libraries are for the platform that it says."

_FIX = 'take it out, say the right platform, or say why it must be there: foreign = "REASON" under the product or build'

_ELF = {3: "i686", 21: "powerpc64le", 22: "s390x", 40: "armv7", 62: "x86_64", 183: "aarch64", 243: "riscv64"}
_PE = {0x14C: "i686", 0x8664: "x86_64", 0xAA64: "aarch64", 0x1C0: "armv7", 0x1C4: "armv7"}
_MACH_O = {7: "i686", 12: "armv7", 0x1000007: "x86_64", 0x100000C: "aarch64"}
_MACH_MAGIC = {b"\xfe\xed\xfa\xce": ">", b"\xfe\xed\xfa\xcf": ">", b"\xce\xfa\xed\xfe": "<", b"\xcf\xfa\xed\xfe": "<"}
_FREEBSD = 9
NOT_LISTED: Mapping[str, Any] = ALWAYS["platform"]
"""How it runs where casstore.toml does not list it."""
ANY = "any"
"""The machine of a .NET file without native code."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Which files may be for other platforms."""

    ignore: tuple[str, ...] = ()
    required: bool = True
    """Whether a product with native files must say its platform; not so where the gate is not listed."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a file runs on; `machines` has more than one for a universal file, none when unknown."""

    system: str
    machines: frozenset[str]

    def __str__(self) -> str:
        return f"{self.system}-{'+'.join(sorted(self.machines)) or 'unknown'}"


def check(view: ReleaseView, settings: Settings) -> GateResult:
    """Every native file of every build; those of a build that did not change were looked at when it was made."""
    looked = [manifest for key, manifest in view.manifests.items() if not _looked_at(view.kept.get(key), settings)]
    found = [item for manifest in looked for item in _build(view, manifest, settings)]
    bad = [(name, told) for name, told in found if told]
    messages = tuple(f"{name}: {told}" for name, told in bad)
    warnings = tuple(f"{m.key} may hold other platforms' programs: {m.foreign}" for m in looked if m.foreign)
    return GateResult(
        not bad, messages, tuple(name for name, _ in bad), _FIX, {"native": len(found)}, warnings=warnings
    )


def _looked_at(gates: Mapping[str, Any] | None, settings: Settings) -> bool:
    """Whether the release that made a build asked the same of it."""
    if gates is None:
        return False
    table = gates.get(NAME, NOT_LISTED)
    return (
        isinstance(table, Mapping) and Settings(tuple(table.get("ignore", ())), table.get("required", True)) == settings
    )


def _build(view: ReleaseView, manifest: ProductManifest, settings: Settings) -> Iterator[tuple[str, str]]:
    wanted = manifest.platform
    if manifest.foreign or (wanted is None and not settings.required):
        return
    for file in manifest.files:
        name = f"{manifest.key}/{file.path}"
        if file.digest is None or any(fnmatch.fnmatchcase(name, glob) for glob in settings.ignore):
            continue
        target = read_target(_head(view, file))
        if target is not None:
            yield name, _problem(target, wanted)


def _head(view: ReleaseView, file: ProductFile) -> bytes:
    return next(view.store.chunks(file.content), b"")


def _problem(target: Target, wanted: Platform | None) -> str:
    if wanted is None:
        return f"is for {target}, and the product says no platform"
    machines = {"x86_64", "aarch64"} if wanted.arch == "universal2" else {wanted.arch}
    if target.system != wanted.os:
        return f"is for {target}, the build for {wanted}"
    if ANY in target.machines or not wanted.arch or machines & target.machines:
        return ""
    return f"is for {target}, the build for {wanted}"


def read_target(head: bytes) -> Target | None:
    """What a native file runs on, by its first bytes; None for any other file."""
    try:
        if head.startswith(b"\x7fELF"):
            return _elf(head)
        if head.startswith(b"MZ"):
            return _pe(head)
        if head[:4] in _MACH_MAGIC:
            (cpu,) = struct.unpack_from(f"{_MACH_MAGIC[head[:4]]}I", head, 4)
            return Target("macos", _known(_MACH_O, cpu))
        if head.startswith(b"\xca\xfe\xba\xbe"):
            return _universal(head)
    except (struct.error, IndexError):
        return Target("unknown", frozenset())
    return None


def _known(table: dict[int, str], machine: int) -> frozenset[str]:
    return frozenset({table[machine]} if machine in table else ())


def _elf(head: bytes) -> Target:
    (machine,) = struct.unpack_from("<H" if head[5] == 1 else ">H", head, 18)
    return Target("freebsd" if head[7] == _FREEBSD else "linux", _known(_ELF, machine))


def _pe(head: bytes) -> Target | None:
    if len(head) < 64:
        return None
    (at,) = struct.unpack_from("<I", head, 60)
    if head[at : at + 4] != b"PE\0\0":
        return None  # a text that begins with MZ, or a DOS program
    machine, magic = struct.unpack_from("<H", head, at + 4)[0], struct.unpack_from("<H", head, at + 24)[0]
    tables = at + 24 + (96 if magic == 0x10B else 112)
    clr = struct.unpack_from("<II", head, tables + 14 * 8)
    neutral = machine == 0x14C and all(clr)
    return Target("windows", frozenset({ANY}) if neutral else _known(_PE, machine))


def _universal(head: bytes) -> Target | None:
    (count,) = struct.unpack_from(">I", head, 4)
    if count > 20:
        return None  # a Java class: the same magic, then its version
    cpus = (struct.unpack_from(">I", head, 8 + 20 * number)[0] for number in range(count))
    return Target("macos", frozenset(_MACH_O[cpu] for cpu in cpus if cpu in _MACH_O))
