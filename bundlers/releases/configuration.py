"""Every mistake of a casstore.toml: those that the store's own reading knows, and those that only a release would meet.

mistakes = every_mistake(data, "casstore.toml")     # sorted by line; empty when a release can begin
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from attest.errors import CasstoreError
from bundlers import gates
from bundlers.gates import running
from bundlers.gates.forges import NoToken, open_forge
from bundlers.isolation.settings import Settings
from bundlers.products.products import construction_problems
from casstore import config
from casstore.config.mistakes import Mistake, Reading, read_all
from casstore.errors import ConfigError
from casstore.ingest.globs import Selection
from casstore.network.network import NetworkGuard
from casstore.storage import check_url


def every_mistake(data: bytes, path: str) -> list[Mistake]:
    """What is wrong with a file's bytes; raises nothing for what stands in them."""
    reading = read_all(data, path)
    found = [*reading.mistakes, *_gates(reading), *_isolation(reading), *_patterns(reading), *_places(reading)]
    if not reading.broken:  # what explains a component in two products may be what could not be read
        found += _construction(reading)
    if not reading.mistakes:
        found += _unknown(data, reading)
    return sorted(found)


def _gates(reading: Reading) -> Iterator[Mistake]:
    for name, table in _tables(reading, "gates").items():
        if isinstance(table, Mapping):
            yield from _gate(reading, name, table)


def _gate(reading: Reading, name: str, table: Mapping[str, Any]) -> Iterator[Mistake]:
    try:
        gate = gates.find(name, table)
    except CasstoreError as exc:
        yield reading.mistake(("gates", name), exc.message, exc.hint)
        return
    wrong = list(running.mistakes(name, gate, table))
    for key, error in wrong:
        yield reading.mistake(("gates", name, *([key] if key else [])), error.message, error.hint)
    if not wrong:
        try:
            gates.phase_of(gate, running.prepare(name, gate, table).settings)
        except CasstoreError as exc:
            yield reading.mistake(("gates", name, "phase"), exc.message, exc.hint)


def _isolation(reading: Reading) -> Iterator[Mistake]:
    """Each setting by itself, each item of a table or list of tables by itself, then all of them together."""
    table = _tables(reading, "isolation")
    parts: list[dict[str, Any]] = []
    for key, value in table.items():
        if isinstance(value, Mapping):
            parts += [{key: {name: item}} for name, item in value.items()]
        elif isinstance(value, list):
            parts += [{key: [item]} for item in value]
        else:
            parts.append({key: value})
    wrong = [(tuple(part), error) for part in parts if (error := _refused(part))]
    whole = _refused(table) if not wrong else None
    for keys, error in [*wrong, *([((), whole)] if whole else [])]:
        yield reading.mistake(("isolation", *keys), error.message, error.hint)


def _refused(table: Mapping[str, Any]) -> CasstoreError | None:
    try:
        Settings.parse(table)
    except CasstoreError as exc:
        return exc
    return None


def _patterns(reading: Reading) -> Iterator[Mistake]:
    """Globs that no path can be compared with."""
    for name, table in _tables(reading, "components").items():
        for key in ("include", "exclude", "inputs") if isinstance(table, Mapping) else ():
            patterns = table.get(key)
            for pattern in patterns if isinstance(patterns, list) else ():
                if isinstance(pattern, str):
                    yield from _told(reading, ("components", name, key), partial(Selection, (pattern,)))


def _places(reading: Reading) -> Iterator[Mistake]:
    """URLs that are none, and forges that nobody knows."""
    urls: list[tuple[tuple[str, ...], Any]] = [(("store", "url"), _tables(reading, "store").get("url"))]
    for name, table in _tables(reading, "destinations").items():
        for key in ("url", "fallback") if isinstance(table, Mapping) else ():
            urls.append((("destinations", name, key), table.get(key)))
    for where, url in urls:
        if isinstance(url, str) and (url or where[-1] == "url"):
            yield from _told(reading, where, partial(check_url, url))
    rows = reading.value.get("consumers")
    for at, row in enumerate(rows) if isinstance(rows, list) else ():
        if isinstance(row, Mapping) and isinstance(forge := row.get("forge"), str):
            yield from _told(reading, ("consumers", at, "forge"), partial(_known_forge, forge))


def _known_forge(name: str) -> None:
    with suppress(NoToken):  # who checks a file need not have one
        open_forge(name, NetworkGuard((), offline=True))


def _told(reading: Reading, key: tuple[str | int, ...], act: Callable[[], object]) -> Iterator[Mistake]:
    try:
        act()
    except CasstoreError as exc:
        yield reading.mistake(key, exc.message, exc.hint)


def _construction(reading: Reading) -> Iterator[Mistake]:
    """Components that are carried as they must not be; what has no form is another mistake."""
    named: dict[tuple[str, ...], list[str]] = {}
    for product, table in _tables(reading, "products").items():
        builds = table.get("builds") if isinstance(table, Mapping) else None
        below = builds.items() if isinstance(builds, Mapping) else ()
        for key, one in (((product,), table), *(((product, "builds", name), build) for name, build in below)):
            components = one.get("components") if isinstance(one, Mapping) else None
            if isinstance(components, list):
                named[key] = [name for name in components if isinstance(name, str)]
    known = _tables(reading, "components")
    shared = {name for name, one in known.items() if isinstance(one, Mapping) and str(one.get("shared", "")).strip()}
    for key, error in construction_problems(named, shared):
        if key[0] == "products" or key[1] in known:
            yield reading.mistake(key, error.message, error.hint)


def _unknown(data: bytes, reading: Reading) -> Iterator[Mistake]:
    try:
        config.parse(data, reading.path)
    except ConfigError as exc:  # what `read_all` does not know is not kept quiet
        yield Mistake(1, reading.path, "", exc.message, exc.hint)


def _tables(reading: Reading, name: str) -> Mapping[str, Any]:
    found = reading.value.get(name, {})
    return found if isinstance(found, Mapping) else {}
