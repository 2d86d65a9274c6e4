"""The kinds of cases that sigstore's conformance suite has, made from bundles of a private instance.

Each is named as the suite names it, and says why it is refused: `made(instance)["wrong-material_fail"].why`.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import bare_envelopes
from private_sigstore import PrivateSigstore
from private_sigstore.stamping import StampingAuthority
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

from attest.digests import sha256
from attest.signers import keyless as signing
from attest.sigstore import rekor_answers
from attest.statements import statements

ANN, ISSUER, FILE = "ann@example.com", "https://issuer.example", b"artifact\n"
V02, V03 = (f"application/vnd.dev.sigstore.bundle+json;version=0.{n}" for n in (2, 3))
Json = dict[str, Any]


def made(instance: PrivateSigstore) -> dict[str, Case]:
    """All of them, by their names."""
    lab = Lab(instance)
    return {**simple(lab), **logs(lab), **stamps(lab)}


class Lab:
    """A private instance and what it signed: one file, and one statement about it, at Rekor v1 and v2."""

    def __init__(self, instance: PrivateSigstore) -> None:
        self.instance = instance
        digest = {"sha256": hashlib.sha256(FILE).hexdigest()}
        statement = {"_type": statements.STATEMENT_V1, "subject": [{"name": "f", "digest": digest}],
                     "predicateType": "https://example.com/p/v1", "predicate": {}}  # fmt: skip
        self.statement = json.dumps(statement).encode()
        self.other = self.blob(1, b"another")  # so that later proofs have hashes
        self.v1, self.v2 = self.blob(1), self.blob(2)
        self.dsse, self.dsse2 = self.envelope(1), self.envelope(2)
        self.v1_other, self.v2_other, self.dsse_other = self.blob(1), self.blob(2, b"another"), self.envelope(1)

    def session(self, rekor: int, *, stamps: bool) -> Any:
        raw = self.instance.trust_config(rekor, stamps=stamps)
        config = signing.open_config(raw, staging=False, network=None)
        return signing.open_session(config, self.instance.token(email=ANN), network=None)

    def blob(self, rekor: int, content: bytes = FILE) -> Json:
        return dict(json.loads(self.session(rekor, stamps=rekor == 2).sign_artifact(sha256(content))))

    def envelope(self, rekor: int) -> Json:
        return dict(json.loads(self.session(rekor, stamps=rekor == 2).sign_statement(self.statement)))

    def stamp(self, bundle: Json, authority: StampingAuthority) -> Json:
        """The bundle with a stamp of this authority alone."""
        held = bundle.get("messageSignature") or bundle["dsseEnvelope"]["signatures"][0]
        signature = base64.b64decode(held.get("signature") or held["sig"])
        request = TimestampRequestBuilder().hash_algorithm(HashAlgorithm.SHA256).data(signature).nonce(nonce=True)
        raw = authority.stamp(request.build().as_bytes(), {})
        return stamped(bundle, raw)


@dataclass
class Case:
    """What is judged by which root, and when; and why it is refused, or not."""

    bundle: Json | bytes
    why: str = ""
    root: Callable[[Json], object] = field(default=lambda root: None)
    root_json: bytes | None = None
    content: bytes = FILE
    at: datetime | None = None


def material(bundle: Json) -> Json:
    return dict(bundle["verificationMaterial"])


def of(bundle: Json, **changes: Any) -> Json:
    """A copy with other verification material."""
    return {**copy.deepcopy(bundle), "verificationMaterial": {**material(copy.deepcopy(bundle)), **changes}}


def entry(bundle: Json, **changes: Any) -> Json:
    """A copy with another log entry, or with changes in it."""
    (found,) = material(bundle)["tlogEntries"]
    return of(bundle, tlogEntries=[{**copy.deepcopy(found), **changes}])


def proof(bundle: Json, **changes: Any) -> Json:
    return entry(bundle, inclusionProof={**material(bundle)["tlogEntries"][0]["inclusionProof"], **changes})


def note(bundle: Json, change: Callable[[list[str]], list[str]]) -> Json:
    """A copy whose checkpoint has other lines."""
    text = material(bundle)["tlogEntries"][0]["inclusionProof"]["checkpoint"]["envelope"]
    return proof(bundle, checkpoint={"envelope": "\n".join(change(text.split("\n")))})


def line(name: str, key_id: bytes = b"\1\2\3\4", signature: bytes = bytes(64)) -> str:
    return f"— {name} {base64.b64encode(key_id + signature).decode()}"


def flipped(lines: list[str], at: int) -> list[str]:
    """The last line of a note that is no end of line is the log's signature: one byte of it changed."""
    head, _, text = lines[4].rpartition(" ")
    raw = bytearray(base64.b64decode(text))
    raw[at] ^= 1
    return [*lines[:4], f"{head} {base64.b64encode(raw).decode()}", *lines[5:]]


def stamped(bundle: Json, raw: bytes) -> Json:
    stamp = {"signedTimestamp": base64.b64encode(raw).decode()}
    return of(bundle, timestampVerificationData={"rfc3161Timestamps": [stamp]})


def message(bundle: Json, **changes: Any) -> Json:
    return {**copy.deepcopy(bundle), "messageSignature": {**bundle["messageSignature"], **changes}}


def chain(bundle: Json, media_type: str, certificates: list[Json] | None = None) -> Json:
    """The bundle as version 0.1 or 0.2 has it."""
    rest = {name: value for name, value in material(bundle).items() if name != "certificate"}
    rows = [material(bundle)["certificate"]] if certificates is None else certificates
    whole = {**rest, "x509CertificateChain": {"certificates": rows}}
    return {**copy.deepcopy(bundle), "mediaType": media_type, "verificationMaterial": whole}


def sig(bundle: Json, text: str) -> Json:
    envelope = {**bundle["dsseEnvelope"], "signatures": [{"sig": text, "keyid": ""}]}
    return {**copy.deepcopy(bundle), "dsseEnvelope": envelope}


def root_parts(name: str, change: Callable[[Json], object]) -> Callable[[Json], object]:
    return lambda root: [change(part) for part in root[name]]


def no_start(part: Json) -> None:
    part["publicKey"]["validFor"].pop("start")


OTHER = "the log entry is about something else than this signature"
LINES = "checkpoint: origin, size and root hash are wanted, one a line"
NO_TIME = "no proven signing time"
LATE = "the certificate chain does not hold at"


def simple(lab: Lab) -> dict[str, Case]:
    """The form of a bundle, its certificate and its signature."""
    with PrivateSigstore() as elsewhere:
        strange = elsewhere.trusted_root()
    lab.instance.fulcio.sct_extensions = b"\0\0\5more!"
    extended = lab.blob(1)
    lab.instance.fulcio.sct_extensions = b""
    wrong = base64.b64encode(bytes(32)).decode()
    sig_of_other = lab.dsse_other["dsseEnvelope"]["signatures"][0]["sig"]
    bent = sig_of_other[:20] + ("A" if sig_of_other[20] != "A" else "B") + sig_of_other[21:]
    tlog = material(lab.v1_other)["tlogEntries"]
    other = (lab.other["messageSignature"]["signature"], material(lab.other))
    return {
        "bundle-empty-certificate-chain_fail": Case(chain(lab.v1, V02, []), "the certificate chain is empty"),
        "bundle-from-wrong-instance_fail": Case(lab.v1, NO_TIME, root_json=strange),
        "bundle-invalid-base64-signature_fail": Case(message(lab.v1, signature="@@@@"), "signature is not base64"),
        "bundle-malformed-json_fail": Case(json.dumps(lab.v1).encode()[:-9], "attestation: "),
        "bundle-negative-log-index_fail": Case(entry(lab.v1, logIndex="-1"), "logIndex is no number"),
        "bundle-unknown-version_fail": Case({**lab.v1, "mediaType": V03.replace("0.3", "99.9")}, "mediaType is"),
        "bundle-with-sct-with-extensions": Case(extended),
        "dsse-invalid-sig_fail": Case(sig(lab.dsse, bent), OTHER),
        "dsse-mismatch-envelope_fail": Case({**lab.dsse, "dsseEnvelope": lab.dsse_other["dsseEnvelope"]}, OTHER),
        "dsse-mismatch-sig_fail": Case(sig(lab.dsse, sig_of_other), OTHER),
        "happy-path-intoto-in-dsse-v3": Case(lab.dsse),
        "happy-path-v0.2": Case(chain(lab.v1, V02)),
        "happy-path-v0.3": Case({**lab.v1, "mediaType": V03}),
        "happy-path-v0.3-new-mediaType": Case(lab.v1),
        "incorrect-public-key_fail": Case(of(lab.v1, certificate=material(lab.v1_other)["certificate"]), OTHER),
        "invalid-ct-key_fail": Case(
            lab.v1, "has no certificate log", root_parts("ctlogs", lambda log: log["logId"].update(keyId=wrong))
        ),
        "message-digest-mismatch_fail": Case(
            message(lab.v1, messageDigest={"algorithm": "SHA2_256", "digest": wrong}), "signs another artifact"
        ),
        "signature-mismatch_fail": Case(message(lab.v1, signature=other[0]), OTHER),
        "wrong-hashedrekord-artifact_fail": Case(of(lab.v1, tlogEntries=other[1]["tlogEntries"]), OTHER),
        "wrong-hashedrekord-cert-and-sig_fail": Case(of(lab.v1, tlogEntries=tlog), OTHER),
        "wrong-material_fail": Case(lab.v1, "signs another artifact", content=b"different"),
    }


def logs(lab: Lab) -> dict[str, Case]:
    """Entries, proofs and checkpoints."""
    v1, v2, instance = lab.v1, lab.v2, lab.instance
    cosigned = line("witness.example")
    older = material(lab.other)["tlogEntries"][0]["inclusionProof"]
    hashes = [base64.b64encode(bytes(32)).decode(), *material(v1)["tlogEntries"][0]["inclusionProof"]["hashes"][1:]]
    bare = {k: v for k, v in material(v2)["tlogEntries"][0].items() if k != "inclusionProof"}
    sig2 = lab.dsse["dsseEnvelope"]["signatures"][0]["sig"]

    def again(name: str, text: list[str]) -> list[str]:
        return [*text[:4], line(name.partition(" ")[0]), *text[4:]]

    later = bare_envelopes.line_of(json.dumps(lab.dsse).encode())
    instance.clock.move(days=400)
    promised = bare_envelopes.logged(instance, later, bare_envelopes.pem_of(lab.dsse), ("intoto", "0.0.2"))
    instance.clock.move(days=-400)
    future = of(lab.dsse, tlogEntries=[rekor_answers.entry_of(json.loads(promised))])
    return {
        "checkpoint-bad-keyhint_fail": Case(note(v1, lambda t: flipped(t, 0)), "is not signed by the log"),
        "inclusion-proof-corrupted-hash_fail": Case(proof(v1, hashes=hashes), "inclusion proof: it does not lead"),
        "integrated-time-in-future_fail": Case(future, LATE),
        "invalid-checkpoint-signature_fail": Case(note(v1, lambda t: flipped(t, 9)), "checkpoint does not hold"),
        "invalid-inclusion-proof_fail": Case(entry(v1, inclusionProof=older), "inclusion proof"),
        "rekor2-checkpoint-cosigned": Case(note(v2, lambda t: [*t[:5], cosigned, *t[5:]])),
        "rekor2-checkpoint-missing-log-signature_fail": Case(note(v2, lambda t: [*t[:4], *t[5:]]), "signed note"),
        "rekor2-checkpoint-missing-origin_fail": Case(note(v2, lambda t: t[1:]), LINES),
        "rekor2-checkpoint-missing-root-hash_fail": Case(note(v2, lambda t: [*t[:2], *t[3:]]), LINES),
        "rekor2-checkpoint-missing-size_fail": Case(note(v2, lambda t: [t[0], *t[2:]]), LINES),
        "rekor2-checkpoint-multiple-cosigs": Case(note(v2, lambda t: [*t[:5], cosigned, line("w2"), *t[5:]])),
        "rekor2-checkpoint-no-matching-signature_fail": Case(
            note(v2, lambda t: [*t[:4], line(t[0]), *t[5:]]), "is not signed by the log"
        ),
        "rekor2-checkpoint-origin-not-first": Case(note(v2, lambda t: [*t[:4], cosigned, *t[4:]])),
        "rekor2-checkpoint-two-sigs-cosigned": Case(note(v2, lambda t: [*again(t[0], t)[:6], cosigned, *t[5:]])),
        "rekor2-checkpoint-two-sigs-from-origin": Case(note(v2, lambda t: again(t[0], t))),
        "rekor2-dsse-invalid-sig_fail": Case(sig(lab.dsse2, sig2), OTHER),
        "rekor2-dsse-mismatch-envelope_fail": Case({**lab.dsse2, "dsseEnvelope": lab.dsse["dsseEnvelope"]}, OTHER),
        "rekor2-happy-path": Case(v2),
        "rekor2-no-inclusion-proof_fail": Case(of(v2, tlogEntries=[bare]), "inclusionProof is missing"),
        "trust-root-tlog-missing-validity-start_fail": Case(
            v2, "no entry of a transparency log", root_parts("tlogs", no_start)
        ),
    }


def stamps(lab: Lab) -> dict[str, Case]:
    """Time stamps: whose, when, and over what."""
    instance, v2 = lab.instance, lab.v2
    now = instance.clock.now()
    with PrivateSigstore() as elsewhere:
        strange = elsewhere.tsa
    short = StampingAuthority(instance.clock, now - timedelta(minutes=1), timedelta(minutes=5))
    named = Known(short)
    good = lab.stamp(v2, short)
    instance.tsa.embeds = False
    bare = lab.stamp(v2, instance.tsa)
    instance.tsa.embeds = True
    untrusted = lab.stamp(v2, strange)
    strange.embeds = False
    untrusted_bare = lab.stamp(v2, strange)
    line_ = bare_envelopes.line_of(json.dumps(lab.dsse).encode())
    answer = bare_envelopes.logged(instance, line_, bare_envelopes.pem_of(lab.dsse), ("intoto", "0.0.2"))
    instance.clock.move(minutes=7)
    expired = lab.stamp(v2, short)
    instance.clock.move(days=2)
    late, late_intoto = lab.stamp(v2, instance.tsa), lab.stamp(with_answer(lab.dsse, answer), instance.tsa)
    instance.clock.move(days=-2, minutes=-7)
    yesterday = {"start": "2020-01-01T00:00:00Z", "end": (now - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")}
    year = datetime.now(UTC) + timedelta(days=365)
    return {
        "intoto-tsa-timestamp-outside-cert-validity_fail": Case(late_intoto, LATE, at=year),
        "rekor2-timestamp-outside-trust-root-tsa-validity_fail": Case(
            v2, NO_TIME, root_parts("timestampAuthorities", lambda part: part.update(validFor=yesterday))
        ),
        "rekor2-timestamp-outside-tsa-cert-validity_fail": Case(expired, NO_TIME, named, at=year),
        "rekor2-timestamp-untrusted-tsa-with-embedded-cert_fail": Case(untrusted, NO_TIME),
        "rekor2-timestamp-untrusted-tsa-without-embedded-cert_fail": Case(untrusted_bare, NO_TIME),
        "rekor2-timestamp-with-embedded-cert": Case(lab.stamp(v2, instance.tsa)),
        "rekor2-timestamp-with-expired-cert-chain": Case(good, root=named, at=year),
        "rekor2-timestamp-with-incorrect-time_fail": Case(late, LATE, at=year),
        "rekor2-timestamp-without-embedded-cert": Case(bare),
    }


class Known:
    """Adds a time stamp authority to a trusted root."""

    def __init__(self, authority: StampingAuthority) -> None:
        from private_sigstore.trust import KnownAuthority, Window

        window = Window(datetime(2020, 1, 1, tzinfo=UTC))
        self.part = KnownAuthority("http://short.example", authority.authority, window).to_json()

    def __call__(self, root: Json) -> None:
        root["timestampAuthorities"].append(self.part)


def with_answer(bundle: Json, answer: bytes) -> Json:
    return of(bundle, tlogEntries=[rekor_answers.entry_of(json.loads(answer))])
