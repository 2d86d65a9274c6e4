"""SHA256SUMS.asc: a detached GPG signature for those who must have one.

It says something to people with that key and nothing to us: it is no identity, no evidence, and counts
in no threshold. GPG runs through the process runner, with its own agent asking for the passphrase.

    sign_checksums("dist/1.4.0", key="releases@example.org")
"""

from __future__ import annotations

import os

from attest.errors import SignerError
from bundlers.products import checksums
from casstore.errors import Conflict, NoSuchObject
from casstore.machine import runner
from casstore.machine.naming import take_name

SUFFIX = ".asc"
_SECONDS = 120.0


def sign_checksums(folder: str, *, key: str, program: str = "gpg") -> str:
    """Write `SHA256SUMS.asc` beside the checksums of a release folder; returns its path.

    Raises NoSuchObject without checksums, FormatError where they are not ours, Conflict when the
    signature is there, SignerError when GPG does not sign.
    """
    folder = os.path.abspath(folder)  # GPG runs in it
    path = os.path.join(folder, checksums.NAME)
    target = path + SUFFIX
    if not os.path.isfile(path):
        raise NoSuchObject(f"{path}: no such file", hint="name the output folder of casstore release")
    if os.path.lexists(target):
        raise Conflict(f"{target}: is there already and was not overwritten")
    with open(path, "rb") as file:
        checksums.parse(file.read())
    staged = f"{target}.{os.getpid()}.tmp"
    try:
        words = ["--batch", "--yes", "--armor", "--detach-sign", "--local-user", key, "--output", staged, path]
        result = runner.run(
            [program, *words], cwd=folder, env_allow=(*runner.ENVIRONMENT, "GNUPGHOME", "GPG_TTY"), timeout=_SECONDS
        )
        if not result.ok:
            told = " ".join(result.stderr.decode("utf-8", "backslashreplace").split())[-300:]
            raise SignerError(f"{path}: GPG did not sign: {told}", hint=f"try: {program} --list-secret-keys")
        take_name(staged, target)
    finally:
        if os.path.lexists(staged):
            os.unlink(staged)
    return target
