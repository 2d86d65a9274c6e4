"""The tools that do the same work, as shell commands; those that are not installed are left out and named.

{S} the tool's store, {T} the tree to take in, {D} an empty folder to restore into, {N} the name of this release.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Tool:
    """One way to keep trees: each phase is a shell command, or empty where the tool has no such thing."""

    needs: str
    init: str
    ingest: str
    restore: str = ""
    check: str = ""
    version: str = ""
    env: dict[str, str] = field(default_factory=dict)


def _casstore(compress: str) -> Tool:
    command = f"{sys.executable} -m cli.main --store {{S}}/store"
    toml = f'[store]\\nurl = "./store"\\ncompress = "{compress}"\\n'
    return Tool(
        needs=sys.executable,
        init=f"mkdir -p {{S}} && cd {{S}} && printf '{toml}' > casstore.toml && {command} init",
        ingest=f"{command} put {{T}} > {{S}}/{{N}}.line",
        restore=f"{command} get $(cut -d' ' -f1 {{S}}/{{N}}.line) {{D}}/t",
        check=f"{command} fsck",
    )


_RESTIC = Tool(
    needs="restic",
    init="restic -q init -r {S} --repository-version 2",
    ingest="cd {T} && restic -q -r {S} --no-cache --compression off backup --host h --tag {N} .",
    restore="restic -q -r {S} --no-cache restore latest --target {D}",
    check="restic -q -r {S} --no-cache check --read-data",
    version="restic version",
    env={"RESTIC_PASSWORD": "x"},
)
_BORG = Tool(
    needs="borg",
    init="borg init -e none {S}",
    ingest="cd {T} && borg create --noxattrs --noacls --noflags -C none {S}::{N} .",
    restore="cd {D} && borg extract {S}::{N}",
    check="borg check --verify-data {S}",
    version="borg --version",
    env={
        "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
        "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
        "BORG_BASE_DIR": "{S}.base",
    },
)
_GIT = "git -c core.bare=false --git-dir={S} --work-tree="
_SHA = "find . -type f -print0 | sort -z | xargs -0"

TOOLS = {
    "casstore none": _casstore("none"),
    "casstore fast": _casstore("fast"),
    "casstore best": _casstore("best"),
    "cp -a + sha256sum": Tool(
        needs="sha256sum",
        init="mkdir -p {S}",
        ingest=f"cp -a {{T}} {{S}}/{{N}} && cd {{T}} && {_SHA} sha256sum > {{S}}/{{N}}.sums",
        restore="cp -a {S}/{N} {D}/t",
        check="cd {S}/{N} && sha256sum --quiet -c ../{N}.sums",
        version="sha256sum --version",
    ),
    "cp -a + openssl dgst": Tool(
        needs="openssl",
        init="mkdir -p {S}",
        ingest=f"cp -a {{T}} {{S}}/{{N}} && cd {{T}} && {_SHA} openssl dgst -r -sha256 > {{S}}/{{N}}.sums",
        check=f"cd {{S}}/{{N}} && {_SHA} openssl dgst -r -sha256 | cmp - ../{{N}}.sums",
        version="openssl version",
    ),
    "tar, zstd -1 -T0": Tool(
        needs="zstd",
        init="mkdir -p {S}",
        ingest="tar -C {T} -cf - . | zstd -q -1 -T0 -o {S}/{N}.tar.zst",
        restore="zstd -qdc {S}/{N}.tar.zst | tar -C {D} -xf -",
        check="zstd -qt {S}/{N}.tar.zst",
        version="zstd --version",
    ),
    "restic off": _RESTIC,
    "restic auto": Tool(
        **{name: getattr(_RESTIC, name) for name in Tool.__slots__ if name != "ingest"},
        ingest=_RESTIC.ingest.replace("--compression off", "--compression auto"),
    ),
    "borg none": _BORG,
    "ostree": Tool(
        needs="ostree",
        init="mkdir -p {S} && ostree --repo={S} init --mode=bare-user",
        ingest="ostree --repo={S} commit -b main --no-xattrs {T}",
        restore="ostree --repo={S} checkout -U --force-copy main {D}/t",
        check="ostree --repo={S} fsck -q",
        version="ostree --version",
    ),
    "git": Tool(
        needs="git",
        init="git init -q --bare {S} && git --git-dir={S} config gc.auto 0",
        ingest=f"{_GIT}{{T}} add -A -f . && {_GIT}{{T}} commit -q --allow-empty -m x",
        restore=f"{_GIT}{{D}} checkout -q -f HEAD -- .",
        check="git --git-dir={S} fsck --full --no-progress",
        version="git --version",
        env=dict.fromkeys(
            ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"), "b@example.org"
        ),
    ),
}


def installed(wanted: list[str]) -> dict[str, Tool]:
    """The tools of these names that this machine has; the others are told."""
    found = {}
    for name in wanted:
        if shutil.which(TOOLS[name].needs):
            found[name] = TOOLS[name]
        else:
            print(f"left out, not installed: {name}")
    return found


def versions(tools: dict[str, Tool]) -> str:
    """One line."""
    lines = []
    for tool in tools.values():
        if tool.version:
            told = subprocess.run(tool.version.split(), capture_output=True, text=True, check=False).stdout
            first = [line for line in told.splitlines() if line.strip(" '")]
            lines.append(" ".join(part for part in first[:2] if "libostree" in told or part is first[0]).strip())
    return "; ".join(dict.fromkeys(lines))
