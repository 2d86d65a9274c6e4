"""SLSA verification summary v1: an archive may be used as this resource, by this policy.

Source: https://slsa.dev/spec/v1.0/verification_summary
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from attest.core import times
from attest.core.values import dataclass
from attest.digests import Digest, hex_of
from attest.errors import FormatError

TYPE = "https://slsa.dev/verification_summary/v1"

CHANNEL_POLICY = "CASSTORE_CHANNEL_POLICY"
"""What was verified is a channel's policy, and no level of SLSA: slsa-verifier refuses a whole summary that names one
without a number, such as SLSA_BUILD_LEVEL_UNEVALUATED."""


@dataclass(frozen=True, slots=True)
class VerificationSummary:
    """Who verified which resource when, by which policy, on which attestations."""

    verifier_id: str
    time_verified: datetime
    resource_uri: str
    policy_uri: str
    policy: Digest
    result: str
    input_attestations: Sequence[Digest] = ()
    verified_levels: Sequence[str] = (CHANNEL_POLICY,)

    def to_json(self) -> dict[str, Any]:
        """The predicate."""
        return {
            "verifier": {"id": self.verifier_id},
            "timeVerified": times.format(self.time_verified),
            "resourceUri": self.resource_uri,
            "policy": {"uri": self.policy_uri, "digest": {"sha256": hex_of(self.policy)}},
            "inputAttestations": [
                {"uri": f"urn:{item}", "digest": {"sha256": hex_of(item)}} for item in sorted(self.input_attestations)
            ],
            "verificationResult": self.result,
            "verifiedLevels": list(self.verified_levels),
            "slsaVersion": "1.0",
        }


def result_of(predicate: object) -> str:
    """PASSED or FAILED. Raises FormatError."""
    found = predicate.get("verificationResult") if isinstance(predicate, dict) else None
    if found not in ("PASSED", "FAILED"):
        raise FormatError("verification summary: verificationResult is neither PASSED nor FAILED")
    return str(found)


def about(predicate: Mapping[str, Any]) -> tuple[str, str]:
    """(verifier id, resource URI). Raises FormatError."""
    verifier, resource = predicate.get("verifier"), predicate.get("resourceUri")
    name = verifier.get("id") if isinstance(verifier, Mapping) else None
    if not isinstance(name, str) or not isinstance(resource, str):
        raise FormatError("verification summary: verifier.id or resourceUri is missing")
    return name, resource
