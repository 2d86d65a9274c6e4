"""What two releases were checked by, and what of it differs: gates, isolation and consumers of their casstore.toml.

Approvers see it before anything is signed. It follows from the two releases, which name their casstore.toml by digest
and close the list of their gates' results: whoever approves one has approved it too. A script that a gate's command
names shows by the digest that its signed result has (docs/formats/policy.md), whatever the policy asks for.

    changes(store, channel.release, release)[0].told        # ~ settings/gates.secrets.exclude  [] -> ["**"]
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attest.core import limits
from attest.core.values import dataclass
from attest.digests import Digest
from attest.errors import CasstoreError, FormatError
from attest.statements.predicates import test_result
from casstore.errors import NoSuchObject
from casstore.ledger import release_objects
from casstore.machine import toml_text
from casstore.objects.tree_changes import SIGNS, DiffRow, change_of
from casstore.store.attestations import parse_unverified
from casstore.store.store import Store

_EXPLAINS = ("references", "accepted")
"""Told by what the release object lists of them."""
_SHOWN = 400


@dataclass(frozen=True, slots=True)
class SettingChange:
    """A key, and what it was and is, as JSON; None where it is not set."""

    key: str
    was: str | None
    now: str | None

    @property
    def told(self) -> DiffRow:
        """For people."""
        change = change_of(self.was, self.now)
        was, now = ((text or "")[:_SHOWN] for text in (self.was, self.now))
        told = (
            f"{was} -> {now}" if self.was is not None and self.now is not None else now or (f"was {was}" if was else "")
        )
        return DiffRow(SIGNS[change], "settings", self.key, told)

    def to_json(self) -> dict[str, Any]:
        """A row of `settings`."""
        return {"key": self.key, "was": self.was, "now": self.now}


def changes(store: Store, before: Digest | None, after: Digest) -> tuple[SettingChange, ...]:
    """Sorted by key; without a release before everything is new. Raises NoSuchObject for a release that is not here."""
    old, new = (_of(store, before) if before else {}), _of(store, after)
    rows = (SettingChange(key, old.get(key), new.get(key)) for key in sorted(old.keys() | new.keys()))
    return tuple(row for row in rows if row.was != row.now)


def _of(store: Store, release: Digest) -> dict[str, str]:
    made = release_objects.parse(store.read(release))
    return {**_configured(store, made.config), **dict(_scripts(store, made.evidence))}


def _configured(store: Store, config: Digest | None) -> dict[str, str]:
    if config is None:
        return {}
    try:
        return {key: _text(value) for key, value in _keys(toml_text.read(store.read(config)))}
    except (ValueError, NoSuchObject):
        return {"casstore.toml": f"{config} cannot be read"}


def _scripts(store: Store, evidence: Iterable[Digest]) -> Iterator[tuple[str, str]]:
    """Of each result: gate and word of its command -> the digest of what the word named when it ran."""
    for digest in evidence:
        try:
            said = parse_unverified(store.read(digest, max_bytes=limits.ATTESTATION))
            rows = (
                test_result.parse(dict(said.predicate)).configuration if said.predicate_type == test_result.TYPE else ()
            )
        except FormatError:
            continue
        except CasstoreError:
            yield f"evidence.{digest}", "cannot be read"
            continue
        for row in rows:
            settings = _mapping(_mapping(row.get("annotations")).get("settings"))
            for word, script in _mapping(settings.get("scripts")).items():
                yield f"gates.{row.get('name')}.scripts.{word}", _text(script)


def _keys(tables: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from ((f"isolation.{key}", value) for key, value in _table(tables, "isolation") if key not in _EXPLAINS)
    for name, table in _table(tables, "gates"):
        yield f"gates.{name}", None
        yield from ((f"gates.{name}.{key}", value) for key, value in table.items()) if isinstance(table, dict) else ()
    consumers = tables.get("consumers")
    for row in consumers if isinstance(consumers, list) else ():
        if isinstance(row, dict):
            yield f"consumers.{row.get('name')}", {key: value for key, value in row.items() if key != "name"}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _table(tables: Mapping[str, Any], name: str) -> Iterator[tuple[str, Any]]:
    found = tables.get(name)
    yield from found.items() if isinstance(found, dict) else ()


def _text(value: object) -> str:
    """As JSON; a time, which JSON has not, as TOML's reader tells it. Empty for a gate that is only listed."""
    return "" if value is None else json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
