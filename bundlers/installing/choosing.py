"""Which build of a product is the one for a machine.

Promises: a build that needs what the machine has not is never taken by itself; one for another
machine, emulated or not, is taken when it is named. Of several that fit, the nearest one goes first:
a named machine before `universal2`, a named system before `any`.

    choose("acme", found.builds("acme"), None).key        # acme/linux-x86_64
"""

from __future__ import annotations

import platform as system
import sys
from collections.abc import Mapping

from attest.core.values import dataclass
from attest.errors import BadInput
from bundlers.consuming.verified import VerifiedBuild
from casstore.errors import NoSuchObject
from casstore.objects.platforms import Platform, numbers

_SYSTEMS = {"linux": "linux", "darwin": "macos", "win32": "windows"}


@dataclass(frozen=True, slots=True)
class Machine:
    """What we run on; `version` is that of the C library (Linux) or of the system."""

    platform: Platform
    version: tuple[int, ...] = ()


def here() -> Machine:
    """This machine, by what the interpreter says of it."""
    name = "freebsd" if sys.platform.startswith("freebsd") else _SYSTEMS.get(sys.platform, "any")
    try:
        arch = Platform.of_table({"os": name, "arch": system.machine()}).arch if name != "any" else ""
    except BadInput:
        arch = ""
    if name == "linux":
        library, version = system.libc_ver()
        return Machine(Platform(name, arch, "gnu" if library == "glibc" else "musl"), _numbers(version))
    return Machine(Platform(name, arch), _numbers(system.mac_ver()[0] if name == "macos" else system.version()))


def choose(
    product: str, builds: Mapping[str, VerifiedBuild], wanted: str | None, machine: Machine | None = None
) -> VerifiedBuild:
    """The build for a machine, or the one that is `wanted` by its name or platform. Raises NoSuchObject."""
    if wanted is not None:
        return _named(product, builds, wanted)
    machine = machine or here()
    fitting = sorted((build for build in builds.values() if fits(build.manifest.platform, machine)), key=_distance)
    if not fitting:
        raise NoSuchObject(
            f"{product} has no build for {machine.platform}",
            hint=f"--platform takes another: {', '.join(map(told, builds.values()))}",
        )
    if len(fitting) > 1 and _distance(fitting[0])[:-1] == _distance(fitting[1])[:-1]:
        both = ", ".join(build.manifest.build for build in fitting)
        raise NoSuchObject(f"{product} has several builds for {machine.platform}: {both}", hint="--platform BUILD")
    return fitting[0]


def told(build: VerifiedBuild) -> str:
    """A build and what it is for, in one word where they are the same."""
    name, platform = build.manifest.build, build.manifest.platform
    if platform is None:
        return f"{name} (any machine)"
    return platform.told if str(platform) == name else f"{name} ({platform.told})"


def fits(platform: Platform | None, machine: Machine) -> bool:
    """Whether a machine has all that a build asks for."""
    if platform is None or platform.os == "any":
        return True
    have = machine.platform
    machines = {"x86_64", "aarch64"} if platform.arch == "universal2" else {platform.arch or have.arch}
    if platform.os != have.os or have.arch not in machines or platform.libc not in ("", have.libc):
        return False
    return not platform.least or machine.version >= platform.least


def _named(product: str, builds: Mapping[str, VerifiedBuild], wanted: str) -> VerifiedBuild:
    by_name = {build.manifest.build: build for build in builds.values()}
    if wanted in by_name:
        return by_name[wanted]
    try:
        asked = Platform.of_text(wanted)
    except BadInput:
        asked = None
    found = [build for build in builds.values() if asked and _is_for(build.manifest.platform, asked)]
    if len(found) == 1:
        return found[0]
    hint = f"it has: {', '.join(map(told, builds.values()))}"
    if found:
        raise NoSuchObject(f"{product}: several builds are for {wanted}", hint=hint)
    raise NoSuchObject(f"{product} has no build for {wanted}", hint=hint)


def _is_for(platform: Platform | None, asked: Platform) -> bool:
    if platform is None or platform.os == "any":
        return True
    return all(
        want in ("", have)
        for have, want in ((platform.os, asked.os), (platform.arch, asked.arch), (platform.libc, asked.libc))
    )


def _distance(build: VerifiedBuild) -> tuple[int, int, int, str]:
    platform = build.manifest.platform
    if platform is None or platform.os == "any":
        return 2, 0, 0, build.key
    return int(platform.arch in ("", "universal2")), int(not platform.libc), 0, build.key


def _numbers(version: str) -> tuple[int, ...]:
    parts = [part for part in version.split(".")[:3] if part.isdecimal()]
    return numbers(".".join(parts))
