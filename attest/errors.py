"""The one root of all errors, and those that `attest` raises.

Every error says what happened, to which digest or path; `hint` says what to do next, and
`exit_code` is the process's exit code when the error reaches the command line
(the table in docs/exit-codes.md).

    raise VerificationError("sha256:ab..: signature does not match", hint="ask for the file again")
"""

from __future__ import annotations

from typing import ClassVar


class CasstoreError(Exception):
    """Anything that casstore refuses or cannot do; the message is one line."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class BadInput(CasstoreError):
    """An argument, file or configuration that cannot be taken as it is."""

    exit_code = 2


class FormatError(CasstoreError):
    """Bytes that are not what their format's page in docs/formats says."""

    exit_code = 3


class VerificationError(CasstoreError):
    """A signature, digest, type or time does not hold; nothing of the bytes may be used."""

    exit_code = 3


class TrustError(VerificationError):
    """The trust root is missing, expired, or not signed by the thresholds it needs."""


class OutOfTime(TrustError):
    """A window does not hold at the time that something is judged at; whoever shows it names this machine's clock."""


class PolicyDenied(CasstoreError):
    """The policy does not allow it; approvals or evidence are missing."""

    exit_code = 4


class TooNew(CasstoreError):
    """A format, rules or features that this program does not know; nothing was read or decided without them."""

    exit_code = 12


class NotInstalled(CasstoreError):
    """An optional library is needed and not there; nothing was decided without it, here or by calling anything void."""

    exit_code = 12

    def __init__(self, message: str, *, hint: str = "what brings it: casstore help installing") -> None:
        super().__init__(message, hint=hint)


class SignerError(CasstoreError):
    """A key cannot be opened or a signer cannot sign."""


class ServiceUnavailable(SignerError):
    """A service that signing needs does not answer, or not in time; nothing was signed."""

    exit_code = 12
