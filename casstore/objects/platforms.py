"""What a build runs on: system, machine, C library, least version (docs/guide/builds.md maps the words to others').

Platform.of_text("linux-x86_64-musl")        # arm64, amd64, darwin and the like are taken too
Platform.parse({"os": "linux", "arch": "x86_64", "libc": "gnu", "min": "2.28"})
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from attest.core.fields import Fields
from attest.core.values import dataclass
from attest.errors import BadInput, FormatError

SYSTEMS = ("linux", "macos", "windows", "freebsd", "any")
MACHINES = ("x86_64", "aarch64", "i686", "armv7", "riscv64", "powerpc64le", "s390x", "universal2")
LIBRARIES = ("gnu", "musl")

_SYSTEM_WORDS = {"darwin": "macos", "osx": "macos", "win": "windows", "win32": "windows"}
_MACHINE_WORDS = {
    **dict.fromkeys(("amd64", "x64"), "x86_64"),
    "arm64": "aarch64",
    **dict.fromkeys(("x86", "i386", "386"), "i686"),
    **dict.fromkeys(("arm", "armhf", "armv7l"), "armv7"),
    "riscv64gc": "riscv64",
    "ppc64le": "powerpc64le",
}
_LEAST = re.compile(r"[0-9]{1,4}(\.[0-9]{1,4}){0,2}")


@dataclass(frozen=True, slots=True)
class Platform:
    """Empty fields do not matter: no machine runs on all of them, no library links none."""

    os: str
    arch: str = ""
    libc: str = ""
    min: str = ""
    """The least version of the C library (Linux) or of the system (macOS, Windows)."""

    def __str__(self) -> str:
        return "-".join(part for part in (self.os, self.arch, self.libc) if part)

    @property
    def told(self) -> str:
        """For people, with the least version."""
        return f"{self} (from {self.min} on)" if self.min else str(self)

    @property
    def least(self) -> tuple[int, ...]:
        """`min` as numbers."""
        return numbers(self.min)

    def to_json(self) -> dict[str, str]:
        """The JSON value."""
        rows = {"os": self.os, "arch": self.arch, "libc": self.libc, "min": self.min}
        return {key: value for key, value in rows.items() if value}

    @staticmethod
    def parse(value: object) -> Platform:
        """The JSON value to a platform, in our words only. Raises FormatError."""
        f = Fields(value, "platform", required=("os",), optional=("arch", "libc", "min"))
        found = Platform(f.text("os"), f.text("arch", ""), f.text("libc", ""), f.text("min", ""))
        if problem := _problem(found):
            raise FormatError(f"platform: {problem}")
        return found

    @staticmethod
    def of_table(table: Mapping[str, str]) -> Platform:
        """As people write it, in other tools' words too. Raises BadInput."""
        if unknown := sorted(table.keys() - {"os", "arch", "libc", "min"}):
            raise BadInput(f"a platform has no {unknown[0]!r}", hint="os, arch, libc, min")
        system, machine = str(table.get("os", "")).lower(), str(table.get("arch", "")).lower()
        libc, least = str(table.get("libc", "")), str(table.get("min", ""))
        found = Platform(_SYSTEM_WORDS.get(system, system), _MACHINE_WORDS.get(machine, machine), libc, least)
        if problem := _problem(found):
            raise BadInput(problem, hint='write "linux-x86_64", or { os = "linux", arch = "x86_64", libc = "gnu" }')
        return found

    @staticmethod
    def of_text(text: str) -> Platform:
        """`linux-x86_64`, `linux/amd64`, `linux-x86_64-musl`, `windows`. Raises BadInput."""
        parts = re.split("[-/]", text.lower())
        if len(parts) > 3:
            raise BadInput(f"not a platform: {text[:60]!r}", hint='write "linux-x86_64-musl"')
        return Platform.of_table(dict(zip(("os", "arch", "libc"), parts, strict=False)))


def numbers(text: str) -> tuple[int, ...]:
    """A version's numbers, the empty text as none."""
    return tuple(int(part) for part in text.split(".")) if text else ()


def _problem(found: Platform) -> str:
    if found.os not in SYSTEMS:
        return f"no such system: {found.os[:40]!r}; known: {', '.join(SYSTEMS)}"
    if found.arch and found.arch not in MACHINES:
        return f"no such machine: {found.arch[:40]!r}; known: {', '.join(MACHINES)}"
    if found.libc and (found.libc not in LIBRARIES or found.os != "linux"):
        return f"a C library is gnu or musl, on linux alone: {found.libc[:40]!r}"
    if found.arch == "universal2" and found.os != "macos":
        return "universal2 is a machine of macos alone"
    if found.os == "any" and (found.arch or found.min):
        return "what runs on any system names no machine and no version"
    if found.min and (not _LEAST.fullmatch(found.min) or (found.os == "linux" and not found.libc)):
        return f"min is a version such as 2.28 (of libc, which is named then) or 11.0: {found.min[:40]!r}"
    return ""
