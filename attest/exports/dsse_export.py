"""Bare DSSE envelopes out of our attestations, for tools that read no sigstore bundle (slsa-verifier's VSA).

The payload and the signature stay the very bytes; `keyid`, which no signature covers, is empty: a
reader that finds one that is not its own (slsa-verifier computes an SSH fingerprint) skips the signature.

    bare(raw)                      # {"payload":...,"payloadType":...,"signatures":[{"keyid":"","sig":..}]}
    vsa_command(raw, "x.dsse.json")

Source: https://github.com/slsa-framework/slsa-verifier#verification-of-verification-summary-attestations-vsas
"""

from __future__ import annotations

import shlex
from dataclasses import replace

from attest import canonical
from attest.errors import FormatError
from attest.sigstore.sigstore_bundles import SigstoreBundle
from attest.statements import predicates, statements
from attest.statements.predicates import vsa

SUFFIX = ".dsse.json"


def bare(raw: bytes) -> bytes:
    """The envelope of an attestation, canonical JSON. Raises FormatError."""
    envelope = SigstoreBundle.parse(raw).statement_envelope
    return canonical.dumps(replace(envelope, keyid="").to_json())


def file_name(raw: bytes) -> str:
    """`<what>-<12 digits of the attestation's digest>.dsse.json`. Raises FormatError."""
    bundle = SigstoreBundle.parse(raw)
    kind = predicates.short_name(statements.parse(bundle.statement_envelope.payload).predicate_type)
    word = kind if ":" not in kind else "statement"
    return f"{word}-{bundle.digest.removeprefix('sha256:')[:12]}{SUFFIX}"


def vsa_command(raw: bytes, file: str) -> str:
    """How slsa-verifier checks a verification summary by a managed key; empty for anything else."""
    bundle = SigstoreBundle.parse(raw)
    statement = statements.parse(bundle.statement_envelope.payload)
    if statement.predicate_type != vsa.TYPE or bundle.certificate is not None:
        return ""
    try:
        verifier, resource = vsa.about(statement.predicate)
    except FormatError:
        return ""
    words = ["slsa-verifier", "verify-vsa", "--attestation-path", file, "--subject-digest", min(statement.digests)]
    words += ["--verifier-id", verifier, "--resource-uri", resource, "--public-key-path", "PROMOTER.pub"]
    return " ".join(map(shlex.quote, words))
