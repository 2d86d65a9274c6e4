"""Asking a transparency log (Rekor v1) for the entry about a signature that came without one.

Promises: one request for each text in which the envelope may have been logged, bounded as all talk with services; of
an answer that is taken which is about this signature. Leaves to others: whether the log signed it (`keyless`).

    bundle = found(raw, "https://log.example", network=guard)      # ServiceUnavailable, FormatError, VerificationError
"""

from __future__ import annotations

from attest import canonical
from attest.errors import ServiceUnavailable, SignerError
from attest.signers import NetworkGuard
from attest.signers.services import post
from attest.sigstore import rekor_answers


def found(raw: bytes, rekor: str, *, network: NetworkGuard | None) -> bytes:
    """The bundle with the entry that this log has about it. Raises ServiceUnavailable where it gives no answer."""
    url, answers = rekor.rstrip("/") + rekor_answers.RETRIEVE, []
    for question in rekor_answers.questions(raw):
        try:
            answer = post(url, question, kind="application/json", network=network)
        except SignerError as exc:
            raise ServiceUnavailable(exc.message, hint="is it a Rekor v1 log? else hand the entry in") from exc
        answers.append(answer)
        if canonical.loads(answer, what="Rekor's answer"):
            break
    return rekor_answers.completed(raw, answers)
