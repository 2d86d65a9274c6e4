"""platform: a product's programs and libraries are for the platform that it says.

    [products.agent]
    platform = "windows-x86_64"

    [gates]
    platform = { ignore = ["agent/tools/*"] }

Read from the headers of ELF, PE and Mach-O files. A product that carries such files and names no
platform fails; so does a file whose machine is not known here. `ignore` holds globs over
PRODUCT/PATH.
"""

from __future__ import annotations

import fnmatch
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from attest.errors import BadInput
from bundlers.gates.base import GateResult, Phase, ReleaseView
from bundlers.products.product_manifests import ProductFile, ProductManifest

NAME = "platform"
PHASE = Phase.INPUTS
SUMMARY = "A product's programs and libraries are for the platform that it says."

_FIX = 'write the right platform = "linux-x86_64" under [products.NAME], or take the file out'

_SYSTEMS = {"linux": "linux", "windows": "windows", "macos": "macos", "darwin": "macos", "freebsd": "freebsd"}
_MACHINES = {
    **dict.fromkeys(("x86_64", "amd64", "x64"), "x86_64"),
    **dict.fromkeys(("aarch64", "arm64"), "aarch64"),
    **dict.fromkeys(("x86", "i386", "i686"), "x86"),
    **dict.fromkeys(("arm", "armv7", "armhf"), "arm"),
    "riscv64": "riscv64",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
}
_ELF = {3: "x86", 21: "ppc64le", 22: "s390x", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv64"}
_PE = {0x14C: "x86", 0x8664: "x86_64", 0xAA64: "aarch64", 0x1C0: "arm", 0x1C4: "arm"}
_MACH_O = {7: "x86", 12: "arm", 0x1000007: "x86_64", 0x100000C: "aarch64"}
_MACH_MAGIC = {b"\xfe\xed\xfa\xce": ">", b"\xfe\xed\xfa\xcf": ">", b"\xce\xfa\xed\xfe": "<", b"\xcf\xfa\xed\xfe": "<"}
_FREEBSD = 9
ANY = "any"
"""The machine of a .NET file without native code."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Which files may be for other platforms."""

    ignore: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """What a file runs on; `machines` has more than one for a universal file, none when unknown."""

    system: str
    machines: frozenset[str]

    def __str__(self) -> str:
        return f"{self.system}-{'+'.join(sorted(self.machines)) or 'unknown'}"


def check(view: ReleaseView, settings: Settings) -> GateResult:
    """Every native file of every product."""
    found = [item for manifest in view.manifests.values() for item in _product(view, manifest, settings)]
    bad = [(name, told) for name, told in found if told]
    messages = tuple(f"{name}: {told}" for name, told in bad)
    return GateResult(not bad, messages, tuple(name for name, _ in bad), _FIX, {"native": len(found)})


def _product(view: ReleaseView, manifest: ProductManifest, settings: Settings) -> Iterator[tuple[str, str]]:
    wanted = parse(manifest.platform) if manifest.platform else None
    for file in manifest.files:
        name = f"{manifest.product}/{file.path}"
        if file.digest is None or any(fnmatch.fnmatchcase(name, glob) for glob in settings.ignore):
            continue
        target = read_target(_head(view, file))
        if target is not None:
            yield name, _problem(target, wanted)


def _head(view: ReleaseView, file: ProductFile) -> bytes:
    return next(view.store.chunks(file.content), b"")


def _problem(target: Target, wanted: Target | None) -> str:
    if wanted is None:
        return f"is for {target}, and the product names no platform"
    if target.system != wanted.system:
        return f"is for {target}, the product for {wanted}"
    if ANY in target.machines or not wanted.machines or wanted.machines & target.machines:
        return ""
    return f"is for {target}, the product for {wanted}"


def parse(text: str) -> Target:
    """`linux-x86_64`, `linux/amd64` or `windows`. Raises BadInput."""
    system, _, machine = re.sub(r"[/]", "-", text.lower()).partition("-")
    if system not in _SYSTEMS or (machine and machine not in _MACHINES):
        known = f"{', '.join(sorted(set(_SYSTEMS)))}; {', '.join(sorted(_MACHINES))}"
        raise BadInput(f"not a platform: {text!r}", hint=f"write SYSTEM-MACHINE; known: {known}")
    return Target(_SYSTEMS[system], frozenset({_MACHINES[machine]} if machine else ()))


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
