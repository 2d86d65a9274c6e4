"""Rules about time and vulnerabilities: soak, freeze, limits of findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from attest.digests import Digest
from attest.judging import requirements, vex
from attest.judging.evidence import Evidence
from attest.judging.values import MISSING, REFUSED, SATISFIED, MoveRequest, Rule
from attest.statements.predicates import vulns
from attest.statements.predicates.vulns import SEVERITIES
from attest.trust.policies import REFUSE, ChannelPolicy

NEVER_ROLLED_BACK = "no channel was rolled back from it"


def soak(policy: ChannelPolicy, request: MoveRequest) -> Rule | None:
    """Whether it stayed long enough in the channel before; a rollback need not."""
    if not policy.soak or policy.from_channel is None or request.action != "promote":
        return None
    stayed, told = request.stayed.get(policy.from_channel, 0), requirements.told
    if stayed >= policy.soak:
        return Rule("soak", SATISFIED, f"it stayed {told(stayed)} in {policy.from_channel}")
    message = f"it stayed {told(stayed)} of {told(policy.soak)} in {policy.from_channel}"
    return Rule("soak", MISSING, message, action="wait", count_missing=policy.soak - stayed)


def rolled_back(policy: ChannelPolicy, request: MoveRequest) -> Rule | None:
    """Whether a channel was rolled back from it, and with what reason; told also where it is allowed.

    Asked by whoever folds the ledger: a consumer, who knows no other channel's moves, hears of it by the void entry.
    """
    known, refused = request.rolled_back, policy.rolled_back == REFUSE
    if request.action != "promote" or known is None or not (known or refused):
        return None
    if not known:
        return Rule("rolled-back", SATISFIED, NEVER_ROLLED_BACK)
    where = "; ".join(f"{name}: {why}" for name, why in sorted(known.items()))
    message = f"it was rolled back in {where}"
    if refused:
        return Rule("rolled-back", REFUSED, message, action="new-release")
    return Rule("rolled-back", SATISFIED, f"{message}; the policy allows that")


def freeze(policy: ChannelPolicy, request: MoveRequest) -> Rule | None:
    """Whether nothing is promoted now; a rollback is always possible."""
    if not policy.freeze or request.action != "promote":
        return None
    window = next((item for item in policy.freeze if item.holds(request.now)), None)
    if window is None:
        return Rule("freeze", SATISFIED, "no freeze window holds now")
    why = f": {window.reason}" if window.reason else ""
    return Rule("freeze", REFUSED, f"{request.channel} is frozen {window.told}{why}", action="wait")


@dataclass
class _Findings:
    """Of one archive: vulnerability -> severity, and those that do not affect it."""

    worst: dict[str, str] = field(default_factory=dict)
    harmless: set[str] = field(default_factory=set)

    def add(self, finding: vulns.Finding) -> None:
        order = [*SEVERITIES, "none"].index
        self.worst[finding.id] = min(finding.worst, self.worst.get(finding.id, "none"), key=order)

    def counts(self) -> dict[str, int]:
        left = [severity for name, severity in self.worst.items() if name not in self.harmless]
        return {severity: left.count(severity) for severity in SEVERITIES}


def vulnerabilities(policy: ChannelPolicy, evidence: Evidence) -> Rule | None:
    """Whether each archive has few enough findings. Every scan that counts is judged, not the best one."""
    if not policy.vulnerabilities:
        return None
    request, used = evidence.request, set()
    found = {digest: _Findings() for digest in request.archives.values()}
    for scan in requirements.fitting("vulns", policy, evidence):
        for digest in scan.statement.digests & found.keys():
            used.add(scan.bundle)
            for finding in vulns.findings_of(scan.statement.predicate):
                found[digest].add(finding)
    spoke, dropped = _explained(policy, evidence, found)
    used |= spoke
    over = _over(policy.vulnerabilities, request, found)
    if not over:
        limits = ", ".join(f"{name} {limit}" for name, limit in policy.vulnerabilities.items())
        return Rule("vulnerabilities", SATISFIED, f"within the limits ({limits})", tuple(sorted(used)))
    who = evidence.holders("auditor")
    message = f"too many findings: {'; '.join(over[:3])}" + (f" and {len(over) - 3} more" if len(over) > 3 else "")
    message += f"; OpenVEX passed over: {vex.told(dropped)}" if dropped else ""
    return Rule("vulnerabilities", REFUSED, message, tuple(sorted(used)), "auditor", who, "new-release", len(over))


def _explained(
    policy: ChannelPolicy, evidence: Evidence, found: Mapping[Digest, _Findings]
) -> tuple[set[Digest], list[str]]:
    """Take off what OpenVEX statements call harmless: the attestations that spoke, and what was passed over."""
    used: set[Digest] = set()
    dropped: list[str] = []
    request, fitting = evidence.request, requirements.fitting("openvex", policy, evidence)
    for name, digest in sorted(request.archives.items()):
        said = [item for item in fitting if digest in item.statement.digests]
        documents = [(item.bundle, item.statement.predicate) for item in said]
        names = {subject for item in said for subject, about in item.statement.named if about == digest}
        artifact = vex.Artifact.of_archive(name, request.version, digest, names)
        judged = vex.judge(documents, artifact, found[digest].worst, now=request.now)
        found[digest].harmless |= judged.harmless
        used |= judged.used
        dropped += judged.dropped
    for item in fitting:
        if item.bundle not in used and dropped:
            evidence.ignore(item, "none of its statements takes a finding away")
    return used, list(dict.fromkeys(dropped))


def _over(limits: Mapping[str, int], request: MoveRequest, found: Mapping[Digest, _Findings]) -> list[str]:
    rows = []
    for name, digest in sorted(request.archives.items()):
        counts = found[digest].counts()
        rows += [
            f"{name} has {counts[severity]} {severity} ({limit} allowed)"
            for severity, limit in limits.items()
            if counts[severity] > limit
        ]
    return rows
