"""Where a passphrase comes from without a person: a variable, a file, a helper command; no error tells it.

    CASSTORE_PASSWORD           the passphrase itself
    CASSTORE_PASSWORD_FILE      a file that holds it (a mounted secret)
    CASSTORE_PASSWORD_COMMAND   a command that prints it (`pass show ci`, `op read ...`)

Another variable's name gives another key its own three. Line ends after it are no part of it.
"""

from __future__ import annotations

import os
import shlex

from attest.errors import BadInput, SignerError
from casstore.machine import runner

FILE, COMMAND = "_FILE", "_COMMAND"
_MAX = 16 * 1024
_SECONDS = 120.0


def find(variable: str) -> bytes | None:
    """The passphrase under this name, or None where none of its three variables is set.

    Raises BadInput where two are, SignerError where a file or command does not give it.
    """
    given = [name for name in (variable, variable + FILE, variable + COMMAND) if name in os.environ]
    if len(given) > 1:
        raise BadInput(f"{given[0]} and {given[1]} are both set", hint="one passphrase, one place: unset the other")
    if not given:
        return None
    value = os.environ[given[0]]
    if given[0] == variable:
        return _plain(os.fsencode(value))
    return _plain(_read(value, given[0]) if given[0].endswith(FILE) else _asked(value, given[0]))


def _plain(value: bytes) -> bytes:
    return value.rstrip(b"\r\n")


def _read(path: str, variable: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX + 1)
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "no path"
        raise SignerError(f"the file that {variable} names cannot be read: {why}") from exc
    return _bounded(data, variable)


def _asked(command: str, variable: str) -> bytes:
    try:
        words = shlex.split(command)
    except ValueError as exc:
        raise BadInput(f"{variable} is no command: {exc}") from exc
    if not words:
        raise BadInput(f"{variable} is no command: it is empty")
    names = [name for name in os.environ if not name.startswith("CASSTORE_")]
    result = runner.run(words, cwd=os.getcwd(), env_allow=names, timeout=_SECONDS, max_output=_MAX)
    if result.timed_out or not result.ok:
        why = f"did not answer in {_SECONDS:.0f} s" if result.timed_out else f"ended with {result.exit_code}"
        raise SignerError(f"the command of {variable} {why}", hint="run it by hand: it must print the passphrase alone")
    return _bounded(result.stdout, variable)


def _bounded(data: bytes, variable: str) -> bytes:
    if len(data) > _MAX or not data.strip(b"\r\n"):
        raise SignerError(f"what {variable} leads to is {'empty' if len(data) <= _MAX else 'no passphrase'}")
    return data
