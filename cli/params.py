"""The options that many commands share, each said once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from cli.session import Session

json_option: Callable[[Any], Any] = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")

key_option: Callable[[Any], Any] = click.option(
    "--key", metavar="URI", help="The signer: a PEM file, hsm:..., a KMS URI, keyless: (or CASSTORE_KEY)."
)

confirm_option: Callable[[Any], Any] = click.option(
    "--confirm", is_flag=True, help="Do it; without this it only says what it would do."
)

pass_session: Callable[[Any], Any] = click.make_pass_decorator(Session)
