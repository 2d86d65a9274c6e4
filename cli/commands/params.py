"""The options that many commands share, each said once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from attest import digests
from attest.digests import Digest
from attest.errors import BadInput
from cli.drawing import render
from cli.session import Session, check_no_key, read_file

if TYPE_CHECKING:
    from bundlers.consuming.service import TrustSettings

T = TypeVar("T")

json_option: Callable[[Any], Any] = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")

key_option: Callable[[Any], Any] = click.option(
    "--key", metavar="URI", help="The signer: a PEM file, hsm:..., a KMS URI, keyless: (or CASSTORE_KEY)."
)

clock_option: Callable[[Any], Any] = click.option(
    "--clock-checked", is_flag=True, help="This machine's clock is right: seal with it without comparing it."
)

strict_option: Callable[[Any], Any] = click.option(
    "--strict", is_flag=True, help="Whatever is dropped, changed or left out is an error, not a warning."
)

confirm_option: Callable[[Any], Any] = click.option(
    "--confirm", is_flag=True, help="Do it; without this it only says what it would do."
)

Days = click.IntRange(1, 36500)
"""A life in days: a hundred years are enough, and no clock runs over."""


class Finite(click.FloatRange):
    """A range that `nan` is not in, though no comparison says so."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number. Fails as a usage error."""
        number: float = super().convert(value, param, ctx)
        return number if number == number else self.fail(f"{value!r} is no number", param, ctx)


class Percent(click.ParamType):  # type: ignore[type-arg]
    """`5%`, or `5`: a part of a channel's consumers."""

    name = "percentage"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """1 to 99. Fails as a usage error."""
        digits = str(value).removesuffix("%")
        if not (digits.isascii() and digits.isdigit() and 1 <= int(digits[:3]) <= 99):
            return self.fail(f"{value!r} is no share: write 5%, a whole percentage from 1 to 99", param, ctx)
        return int(digits[:3])


share_option: Callable[[Any], Any] = click.option(
    "--share", type=Percent(), metavar="PERCENT", help="Only so many of the channel's consumers get it: 5%."
)


def component_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """For the tab key: the components of the casstore.toml that is named, or of the nearest one."""
    from casstore.machine import config_files

    path = ctx.find_root().params.get("config_path") or config_files.find_config(os.getcwd())
    few = config_files.few_settings(path) if path else None
    return [name for name in few.components if name.startswith(incomplete)] if few else []


def topic_names(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """For the tab key: what `casstore help` shows."""
    from cli.pages.topics import topics as known

    return [name for name in known() if name.startswith(incomplete)]


pass_session: Callable[[Any], Any] = click.make_pass_decorator(Session)


def digest_of_file(path: str) -> Digest:
    """The digest of a file of any size. Raises BadInput."""
    import hashlib

    check_no_key(path)
    try:
        with open(path, "rb") as file:
            return digests.from_raw(hashlib.file_digest(file, "sha256").digest())
    except OSError as exc:
        raise BadInput(f"{path}: cannot be read: {exc.strerror}", hint="give a file or NAME=sha256:...") from exc


def once(pairs: Iterable[tuple[str, T]], option: str) -> dict[str, T]:
    """What was given under each name; nothing that was given is lost. Raises BadInput for a second, other value."""
    found: dict[str, T] = {}
    for name, value in pairs:
        if found.setdefault(name, value) != value:
            raise BadInput(f"{option} {name}=... is given twice, with two values", hint="give the one that is meant")
    return found


def without_secrets(_ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """For texts that are signed and shown to everyone: a secret in one is taken out, and told.

    One that must be given says something.
    """
    if value is None or not value.strip():
        if param.required:
            raise click.BadParameter("it says nothing")
        return value
    from bundlers.inspection.secret_forms import redacted

    if (clean := redacted(value)) != value:
        render.warning(f"a secret in the text was taken out, for it would be signed and shown: {clean}")
    return clean


def _go_offline(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.find_object(Session).offline = True  # type: ignore[union-attr]


_TRUST_OPTIONS = (
    click.option("--offline", is_flag=True, expose_value=False, callback=_go_offline, help="Open no socket."),
    click.option("--trust-root", metavar="DIGEST", help="Digest of trust root 1; without it the first use is pinned."),
    click.option("--tuf-root", metavar="DIGEST", help="Digest of metadata/1.root.json; the trust root is enough."),
    click.option("--sigstore-root", metavar="FILE", help="trusted_root.json, to judge keyless signers by."),
    click.option("--state", metavar="FOLDER", help="Where pins are kept; default: ~/.local/state/casstore."),
)


def trust_options(function: Any) -> Any:
    """What a consumer knows beforehand, and where the rest is remembered."""
    for option in reversed(_TRUST_OPTIONS):
        function = option(function)
    return function


def trust_settings(
    trust_root: str | None, tuf_root: str | None, sigstore_root: str | None, state: str | None
) -> TrustSettings:
    """The values of `trust_options`. Raises BadInput."""
    from bundlers.consuming.service import TrustSettings

    base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return TrustSettings(
        state or os.path.join(base, "casstore"),
        digests.parse(trust_root) if trust_root else None,
        digests.parse(tuf_root) if tuf_root else None,
        read_file(sigstore_root) if sigstore_root else None,
    )
