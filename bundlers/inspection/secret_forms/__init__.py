"""Secrets in a stream of bytes: what issuers give out, private keys, logins; in whatever they are wrapped.

In: bytes of any kind. Out: rule, fingerprint and place of each secret, never the secret.
Called by the gate `secrets` and by isolation's scan (a secret in two products joins them), which read streams
(`stream.scan`), and by all that signs or shows what others said.

`readings` gives the texts in the bytes (wide strings, base64, lines joined); `tokens`, `private_keys` and
`logins` are the rules; `guesses` tells a value that somebody made up from one that a machine drew.
"""

from bundlers.inspection.secret_forms.finding import Found, matches
from bundlers.inspection.secret_forms.redacting import cleaned, redacted

__all__ = ["Found", "cleaned", "matches", "redacted"]
