"""What a bundle says of itself, for people: who signed, what, when. Nothing of it is verified.

of(bundle)["signer"]       # 'oidc:https://issuer#subject', 'a key (hint ...)'
"""

from __future__ import annotations

import json
from typing import Any

from attest import canonical
from attest.core import times
from attest.errors import CasstoreError, FormatError
from attest.keys import identities
from attest.log import log_entries
from attest.sigstore.sigstore_bundles import SigstoreBundle
from attest.statements import predicates, statements
from attest.statements.statements import Statement


def of(bundle: SigstoreBundle) -> dict[str, Any]:
    """Signer, claims of a CI system, log and stamps, and the statement or what else is signed."""
    shown: dict[str, Any] = {"signer": signer(bundle), "what": what(bundle), "about": about(bundle)}
    if claims := _claims(bundle):
        shown["certificate"] = claims
    shown["log"] = _log(bundle)
    shown["timeStamps"] = bundle.timestamps
    if bundle.envelope is not None:
        shown["payloadType"] = bundle.envelope.payload_type
        shown["statement"] = _payload(bundle.envelope.payload)
    return shown


def signer(bundle: SigstoreBundle) -> str:
    """The identity that the certificate names, or the hint of a key."""
    if bundle.certificate is None:
        keyid = bundle.envelope.keyid if bundle.envelope else ""
        return f"a key (hint {bundle.key_hint or keyid})" if bundle.key_hint or keyid else "a key that is not named"
    from attest.sigstore import certificates

    try:
        certificate = certificates.load(bundle.certificate)
        return identities.of_oidc(*certificates.issuer_and_subject(certificate, "unknown"))
    except CasstoreError as exc:
        return f"a certificate: {exc.message}"


def what(bundle: SigstoreBundle) -> str:
    """The predicate's short name or type, or what else is signed."""
    if bundle.envelope is None:
        return "a signature over a file"
    statement = statement_of(bundle)
    if statement is not None:
        return predicates.short_name(statement.predicate_type)
    payload = _payload(bundle.envelope.payload)
    kind = payload.get("_type") if isinstance(payload, dict) else None
    return f"in-toto {kind}" if kind in ("link", "layout") else bundle.envelope.payload_type[:80]


def about(bundle: SigstoreBundle) -> list[dict[str, Any]]:
    """Subjects with their digests; of a blob bundle the one digest that it names, if it does."""
    statement = statement_of(bundle)
    if statement is not None:
        return [{"name": subject.name, "digest": subject.digest_set} for subject in statement.subjects]
    message = bundle.message_signature
    if message is None or message.digest is None:
        return []
    return [{"name": "", "digest": {message.algorithm: message.digest.partition(":")[2]}}]


def statement_of(bundle: SigstoreBundle) -> Statement | None:
    """The in-toto statement, where it is one."""
    if bundle.envelope is None or bundle.envelope.payload_type != statements.PAYLOAD_TYPE:
        return None
    try:
        return statements.parse(bundle.envelope.payload)
    except CasstoreError:
        return None


def _claims(bundle: SigstoreBundle) -> dict[str, str]:
    if bundle.certificate is None:
        return {}
    from attest.sigstore import certificates

    try:
        return certificates.claims_of(certificates.load(bundle.certificate))
    except CasstoreError:
        return {}


def _log(bundle: SigstoreBundle) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for value in bundle.logged:
        try:
            entry = log_entries.parse(value, promise_is_enough=True)
            time = times.format(log_entries.promised_time(entry)) if entry.integrated_time else None
        except CasstoreError as exc:
            rows.append({"problem": exc.message})
            continue
        rows.append({"kind": f"{entry.kind} {entry.version}", "index": entry.log_index, "time": time})
    return rows


def _payload(raw: bytes) -> Any:
    try:
        canonical.check_count(raw, "payload")
        return json.loads(raw)
    except (FormatError, ValueError, RecursionError):
        return None
