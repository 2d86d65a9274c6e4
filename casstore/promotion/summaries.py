"""Verification summaries (VSA) beside a promotion: one per archive, for consumers that know nothing of us.

Source: https://slsa.dev/spec/v1.0/verification_summary
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import quote

from attest.digests import Digest
from attest.signers import Signer
from attest.statements import statements
from attest.statements.predicates import vsa
from casstore.ledger import release_objects
from casstore.promotion.services import PromotionStore, Situation

VERIFIER = "https://casstore.dev/promotion/v1"


def sign(
    store: PromotionStore, at: Situation, signer: Signer, now: datetime, evidence: Sequence[Digest]
) -> list[bytes]:
    """One signed summary per archive: it passed the channel's signed policy on this evidence."""
    root = at.state.require_trust_root()
    made = release_objects.parse(store.read(at.release.digest))
    raws = []
    for key, item in sorted(made.builds.items()):
        predicate = vsa.VerificationSummary(
            verifier_id=VERIFIER,
            time_verified=now,
            resource_uri=resource_uri(key, made.version, at.channel.name),
            policy_uri=f"urn:casstore:{root.store}:trust-root:{root.version}",
            policy=root.digest,
            result="PASSED",
            input_attestations=evidence,
        )
        statement = statements.of_digests({item.archive.name: item.archive.digest}, vsa.TYPE, predicate.to_json())
        raws.append(signer.sign_statement(statement.to_bytes()))
    return raws


def resource_uri(key: str, version: str, channel: str) -> str:
    """`pkg:generic/<product>@<version>?channel=<channel>`, with `build=<build>&` for one of several builds."""
    product, build = release_objects.split_key(key)
    which = "" if build == release_objects.DEFAULT else f"build={quote(build, safe='')}&"
    return f"pkg:generic/{quote(product, safe='')}@{quote(version, safe='')}?{which}channel={quote(channel, safe='')}"
