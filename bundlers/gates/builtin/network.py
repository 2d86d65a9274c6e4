"""network: no host outside the allowlist stands in configuration, and no build reached for one.

    [gates]
    network = { allow = ["api.example.com", "*.cdn.example.com"] }

Three things are looked at. The URLs of casstore.toml itself (store, destinations, forges) must be
allowed by `[network] allow`. In the configuration files that are shipped (`files`, globs over
COMPONENT/PATH, less `exclude`) every URL's host must be allowed by `allow`, or by `[network] allow`
where the gate names none. And with `builds` (the default) no component may come from a build that
had a network, as its provenance records it.

A host that is a template (`${HOST}`, `{{ host }}`, `%s`) is told as a warning: what will stand
there is not known. Addresses without a scheme are not found, nor are those put together by a
program.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from attest.core.values import dataclass
from attest.errors import BadInput
from bundlers.gates.base import GateResult, Phase, ReleaseView
from bundlers.gates.globs import Globs
from casstore.errors import PolicyViolation
from casstore.network.network import NetworkGuard, entry_problem

NAME = "network"
PHASE = Phase.INPUTS
SUMMARY = "Configuration names no host outside the allowlist, and builds had no network."

FILES = tuple(f"*.{end}" for end in ("conf", "cfg", "ini", "toml", "yaml", "yml", "json", "properties", "env", "xml"))
_MAX_FILE = 16 * 1024 * 1024
_URL = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]{1,20})://([^\s\"'`<>/\\?#,;|)\[\]]*(?:\[[0-9A-Fa-f:.]+\][0-9:]*)?)")
_NOT_HOSTS = frozenset({"file", "data", "about", "urn", "jar", "classpath", "memory", "unix", "cas"})
_TEMPLATE = re.compile(r"[${}%*]")
_FIX = "take the host out, or add it to the gate's allow (casstore.toml: to [network] allow)"


@dataclass(frozen=True, slots=True)
class Settings:
    """Which hosts may be named, and where it is looked."""

    allow: tuple[str, ...] = ()
    """host, host:port, *.suffix or *.suffix:port."""
    files: tuple[str, ...] = FILES
    exclude: tuple[str, ...] = ()
    builds: bool = True


@dataclass(frozen=True, slots=True)
class _Found:
    name: str
    line: int
    url: str
    """Scheme and host, no more: what follows may be secret."""
    template: bool


def check(view: ReleaseView, settings: Settings) -> GateResult:
    """casstore.toml, then every configuration file, then every build."""
    for entry in settings.allow:
        if problem := entry_problem(entry):
            raise BadInput(f"allow: {entry!r}: {problem}")
    excluded = Globs("exclude", settings.exclude)
    wanted = Globs("files", settings.files)
    shipped = list(_shipped(view, wanted, excluded))
    guard = NetworkGuard(settings.allow or view.allow)
    told = [
        *_own(view),
        *((f.name, f"line {f.line} names {f.url}") for f in shipped if not f.template and not _allows(guard, f.url)),
        *(_builds(view) if settings.builds else ()),
    ]
    warned = tuple(f"{f.name}: line {f.line}: the host of {f.url} is a template" for f in shipped if f.template)
    warned += excluded.idle + (wanted.idle if settings.files != FILES else ())
    names = tuple(dict.fromkeys(name for name, _ in told))
    return GateResult(not told, tuple(f"{name}: {what}" for name, what in told), names, _FIX, warnings=warned)


def _own(view: ReleaseView) -> Iterator[tuple[str, str]]:
    guard = NetworkGuard(view.allow)
    for key, url in view.urls.items():
        for found in _hosts_of(key, url):
            if not found.template and not _allows(guard, found.url):
                yield "casstore.toml", f"{key} names {found.url}, which [network] allow does not hold"


def _shipped(view: ReleaseView, wanted: Globs, excluded: Globs) -> Iterator[_Found]:
    for component, path, entry in view.files():
        name = f"{component}/{path}"
        if entry.kind == "file" and wanted.take(name) and not excluded.take(name):
            if entry.size > _MAX_FILE:
                raise BadInput(f"{name}: {entry.size} bytes are too many for a configuration file", hint="exclude it")
            yield from _hosts_of(name, view.store.read(entry.content, max_bytes=_MAX_FILE).decode("utf-8", "replace"))


def _hosts_of(name: str, text: str) -> Iterator[_Found]:
    seen = set()
    for number, line in enumerate(text.splitlines(), 1):
        for scheme, authority in _URL.findall(line):
            host = authority.rpartition("@")[2].rstrip(".:")
            if scheme.lower() in _NOT_HOSTS or not host or (number, host) in seen:
                continue
            seen.add((number, host))
            yield _Found(name, number, f"{scheme}://{host}", bool(_TEMPLATE.search(host)))


def _allows(guard: NetworkGuard, url: str) -> bool:
    try:
        guard.check(url)
    except PolicyViolation:
        return False
    return True


def _builds(view: ReleaseView) -> Iterator[tuple[str, str]]:
    """What nobody recorded counts as a network."""
    for component in sorted(view.trees):
        definition = view.provenance.get(component, {}).get("buildDefinition", {})
        told = definition.get("externalParameters", {}).get("components", {}).get(component, {})
        if told.get("build"):
            build = definition.get("internalParameters", {}).get("builds", {}).get(component, {})
            if (network := build.get("network", "not recorded")) != "none":
                yield component, f"its build had a network ({network})"
