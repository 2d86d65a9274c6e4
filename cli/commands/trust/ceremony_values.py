"""What people type for a trust root, as values: NAME=VALUE, times, keys and identities, roles with thresholds."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from cli.session import read_file

if TYPE_CHECKING:
    from attest.digests import Digest
    from attest.trust.certificate_conditions import CertificateConditions
    from casstore.promotion.trust import RoleChange


def gathered(pairs: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Values by name; a name may stand several times."""
    found: dict[str, tuple[str, ...]] = {}
    for name, value in map(pair, pairs):
        found[name] = (*found.get(name, ()), value)
    return found


def pair(text: str) -> tuple[str, str]:
    """`NAME=VALUE`. Raises UsageError, as all of these do."""
    name, separator, value = text.partition("=")
    if not separator or not name or not value:
        raise click.UsageError(f"not of the form NAME=VALUE: {text!r}")
    return name, value


def time(text: str) -> datetime:
    """A day, or a time in UTC."""
    from attest.core import times
    from attest.errors import FormatError

    try:
        return times.parse(text if "T" in text else f"{text}T00:00:00Z")
    except FormatError as exc:
        raise click.UsageError(f"not a time: {text!r} (write 2026-12-31 or 2026-12-31T12:00:00Z)") from exc


def gap(text: str) -> timedelta:
    """A length of time between seals."""
    from casstore.config.channels import duration

    seconds = duration(text, "--clock-gap")
    return timedelta(seconds=int(seconds))


def _entry(text: str) -> tuple[int, str]:
    entry, value = pair(text)
    if not entry.isdigit():
        raise click.UsageError(f"not the number of a ledger entry: {entry!r}")
    return int(entry), value


def set_clock(text: str) -> tuple[int, datetime]:
    """`ENTRY=TIME`."""
    entry, value = _entry(text)
    return entry, time(value)


def settlement(text: str) -> tuple[int, Digest]:
    """`ENTRY=DIGEST`."""
    from attest import digests

    entry, value = _entry(text)
    return entry, digests.parse(value)


def identity(value: str) -> bytes | str | CertificateConditions:
    """A keyless subject, or a file: a public key, or the conditions of a certificate as JSON."""
    if value.startswith("oidc:"):
        return value
    raw = read_file(value)
    if not raw.lstrip().startswith(b"{"):
        return raw
    from attest import canonical
    from attest.trust import certificate_conditions

    return certificate_conditions.parse(canonical.loads_object(raw, what=value), value)


def role(value: str) -> RoleChange:
    """`NAME[,NAME][:N]`."""
    from casstore.promotion.trust import RoleChange

    names, separator, threshold = value.partition(":")
    if separator and not (threshold.isdigit() and int(threshold)):
        raise click.UsageError(f"not a threshold: {threshold!r}")
    return RoleChange(tuple(name for name in names.split(",") if name), int(threshold) if separator else None)


def named_witness(text: str) -> tuple[str, tuple[str, bytes] | None]:
    """`NAME=` as `witness`, or the NAME+ID+KEY of a public one, which compares histories alone."""
    from attest.keys import keys
    from attest.log import cosignatures
    from attest.log.cosignatures import WitnessKey
    from attest.trust.witnesses import CONSISTENCY

    if cosignatures.is_verifier_text(text):
        key = WitnessKey.of_verifier_text(text)
        return key.name, (CONSISTENCY, keys.public_to_pem(key.public))
    name, value = pair(text)
    return name, witness(value)


def witness(value: str) -> tuple[str, bytes] | None:
    """`PUBKEY[:KIND]`, a .pub file and `fold` or `consistency`; `-` takes a witness out."""
    from attest.trust.witnesses import CONSISTENCY, FOLD

    if value == "-":
        return None
    path, separator, kind = value.rpartition(":")
    if not separator or kind not in (CONSISTENCY, FOLD):
        path, kind = value, FOLD
    return kind, read_file(path)
