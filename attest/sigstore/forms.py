"""The forms in which attestations lie about, each taken apart into sigstore bundles.

A registry, a forge and a build service each wrap the same signature in another JSON. Here every one becomes
the bundle that all our readers know, or a reason why it holds none; nothing is verified.

    for piece in read(raw):
        piece.form, piece.place, piece.raw or piece.problem

| form | from |
|---|---|
| sigstore bundle; several, one a line | cosign, sigstore's clients, `gh attestation download`, GitLab, Homebrew |
| list of `attestations` | npm's registry, GitHub's API, `gh attestation verify --format json` |
| PEP 740 attestation and provenance | PyPI |
| DSSE envelope, bare, with or without certificate | SLSA generators, in-toto, GCB |
| cosign's own blob bundle | cosign before 3 |
| in-toto link or layout | in-toto's classic tools |

What a conversion leaves out is nothing that is signed. Each signature of an envelope with several becomes a
bundle of its own: who signed is counted one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import groupby
from typing import Any

from attest import canonical
from attest.core.values import dataclass
from attest.errors import CasstoreError, FormatError
from attest.log.logged_texts import b64
from attest.sigstore import promises
from attest.sigstore.sigstore_bundles import MEDIA_TYPE, V01, SigstoreBundle
from attest.statements import statements

MAX_PIECES = 4096

BUNDLE, DSSE, PEP740, COSIGN, LINK, BROKEN, JSON = (
    "sigstore bundle",
    "DSSE envelope",
    "PEP 740 attestation",
    "cosign blob bundle",
    "in-toto metadata",
    "broken attestation",
    "JSON",
)
_MARKS = (b'"dsseEnvelope"', b'"payloadType"', b'"messageSignature"', b'"verification', b'"base64Signature"')


@dataclass(frozen=True, slots=True)
class Piece:
    """One signature that was found, or why what stands there is none."""

    form: str
    place: str
    """Where in the file; empty where it is all of it."""
    raw: bytes | None = None
    """The bundle's bytes."""
    problem: str = ""
    hint: str = ""


def read(raw: bytes) -> list[Piece]:
    """All that a file holds, in its order; a part that cannot be read does not hide the others. Raises FormatError."""
    pieces = list(_read(raw))
    if len(pieces) > MAX_PIECES:
        raise FormatError(f"{len(pieces)} attestations in one file, more than the limit of {MAX_PIECES}")
    if not pieces:
        raise FormatError("it holds no attestation", hint="a sigstore bundle, an envelope or a list of them is wanted")
    return pieces


def _read(raw: bytes) -> Iterator[Piece]:
    lines = [(number, line.strip()) for number, line in enumerate(raw.split(b"\n"), 1) if line.strip()]
    try:
        value = canonical.loads(raw, what="attestation")
    except CasstoreError:
        found = [piece for number, line in lines[: MAX_PIECES + 1] for piece in _of_line(line, f"line {number}")]
        if len(lines) == 1 or all(piece.form in (JSON, BROKEN) for piece in found):
            raise
        yield from _told_once(found)
        return
    yield from _kept(value, "", raw)


def _told_once(pieces: list[Piece]) -> Iterator[Piece]:
    """Lines that are no JSON and follow each other are one piece: a text between attestations, a document cut up."""
    for noise, group in groupby(pieces, lambda piece: piece.form == JSON):
        rows = list(group)
        if noise and len(rows) > 1:
            yield replace(rows[0], place=f"{rows[0].place} to {rows[-1].place.removeprefix('line ')}")
        else:
            yield from rows


def _of_line(line: bytes, place: str) -> Iterator[Piece]:
    """One a line: a broken or cut one is told and hides no other."""
    try:
        value = canonical.loads(line, what="attestation")
    except CasstoreError as exc:
        yield Piece(form_of_broken(line), place, problem=exc.message)
        return
    yield from _kept(value, place, line)


def form_of_broken(raw: bytes) -> str:
    """What bytes that are no JSON were: `BROKEN` where they have the words of an attestation."""
    return BROKEN if any(mark in raw for mark in _MARKS) else JSON


def _kept(value: Any, place: str, raw: bytes) -> list[Piece]:
    """A bundle with one signature stays the very bytes that it was."""
    found = list(_of_value(value, place))
    one = _is_bundle(value) and len(found) == 1 and found[0].raw is not None
    return [replace(found[0], raw=raw)] if one else found


def _is_bundle(value: Any) -> bool:
    return isinstance(value, dict) and str(value.get("mediaType")).startswith("application/vnd.dev.sigstore.bundle")


def _of_value(value: Any, place: str) -> Iterator[Piece]:
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _of_value(item, f"{place}[{number}]")
        return
    if not isinstance(value, dict):
        yield Piece(JSON, place, problem="no attestation stands here")
        return
    for form, fits, convert in _FORMS:
        if fits(value):
            yield from _converted(form, value, place, convert)
            return
    holders = [name for name in _HOLDERS if isinstance(value.get(name), dict | list)]
    for name in holders:
        yield from _of_value(value[name], f"{place}.{name}" if place else name)
    if holders:
        return
    if "bundle_url" in value:
        hint = "gh attestation download writes the bundles themselves"
        yield Piece(BUNDLE, place, problem="its bundle is not here, only where it lies (bundle_url)", hint=hint)
        return
    yield Piece(_document(value), place, problem=_UNSIGNED.get(_document(value), "no attestation stands here"))


_HOLDERS = (
    "attestation_bundles",
    "attestations",
    "bundle",
    "attestation",
    "provenance_summary",
    "provenance",
    "envelope",
)
"""Where lists of registries and forges keep what they hold, from the outside in."""


def _converted(form: str, value: dict[str, Any], place: str, convert: Any) -> Iterator[Piece]:
    try:
        found = convert(value)
        for number, bundle in enumerate(found):
            SigstoreBundle.parse(bundle)
            where = f"{place} signature {number + 1}".strip() if len(found) > 1 else place
            yield Piece(form, where, bundle)
    except CasstoreError as exc:
        yield Piece(form, place, problem=exc.message, hint=exc.hint)


def _of_bundle(value: dict[str, Any]) -> list[bytes]:
    envelope = value.get("dsseEnvelope")
    if isinstance(envelope, dict) and len(_signatures(envelope)) > 1:
        rows = _signatures(envelope)
        return [canonical.dumps({**value, "dsseEnvelope": {**envelope, "signatures": [row]}}) for row in rows]
    return [canonical.dumps(value)]


def _of_envelope(value: dict[str, Any]) -> list[bytes]:
    rows = _signatures(value)
    if not rows:
        raise FormatError("envelope: no signature")
    return [_one_signature(value, row) for row in rows]


def _signatures(envelope: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = envelope.get("signatures")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise FormatError("envelope: signatures is no list")
    return rows


def _one_signature(value: Mapping[str, Any], row: Mapping[str, Any]) -> bytes:
    certificate = row.get("cert")
    kept = {"keyid": row.get("keyid") or "", "sig": row.get("sig")}
    envelope = {"payload": value["payload"], "payloadType": value["payloadType"], "signatures": [kept]}
    material: dict[str, Any] = {"publicKey": {"hint": ""}, "tlogEntries": []}
    if certificate:
        material = {"certificate": {"rawBytes": b64(_der(certificate))}, "tlogEntries": []}
    return canonical.dumps({"mediaType": MEDIA_TYPE, "verificationMaterial": material, "dsseEnvelope": envelope})


def _of_pep740(value: dict[str, Any]) -> list[bytes]:
    """https://packaging.python.org/en/latest/specifications/index-hosted-attestations/"""
    if value.get("version") != 1:
        raise FormatError("PEP 740: only version 1 is known")
    material, envelope = value["verification_material"], value["envelope"]
    if not isinstance(material, dict) or not isinstance(envelope, dict):
        raise FormatError("PEP 740: verification_material or envelope is no object")
    signature = {"keyid": "", "sig": promises.plain(envelope.get("signature"))}
    return [
        canonical.dumps(
            {
                "mediaType": MEDIA_TYPE,
                "verificationMaterial": {
                    "certificate": {"rawBytes": promises.plain(material.get("certificate"))},
                    "tlogEntries": material.get("transparency_entries") or [],
                },
                "dsseEnvelope": {
                    "payload": promises.plain(envelope.get("statement")),
                    "payloadType": statements.PAYLOAD_TYPE,
                    "signatures": [signature],
                },
            }
        )
    ]


def _of_cosign(value: dict[str, Any]) -> list[bytes]:
    """https://github.com/sigstore/cosign/blob/v2.4.0/specs/SIGNATURE_SPEC.md and its `LocalSignedPayload`."""
    material: dict[str, Any] = {"publicKey": {"hint": ""}}
    certificate = value.get("cert")
    if certificate:
        material = {"x509CertificateChain": {"certificates": [{"rawBytes": b64(_der(certificate))}]}}
    message: dict[str, Any] = {"signature": promises.plain(value.get("base64Signature"))}
    entries = [promises.entry_of(value["rekorBundle"])] if value.get("rekorBundle") else []
    if entries:
        message["messageDigest"] = {"algorithm": "SHA2_256", "digest": b64(_logged_digest(entries[0]))}
    return [
        canonical.dumps(
            {
                "mediaType": V01,
                "verificationMaterial": {**material, "tlogEntries": entries},
                "messageSignature": message,
            }
        )
    ]


def _logged_digest(entry: Mapping[str, Any]) -> bytes:
    """The artifact that the entry says was signed; whether the signature is over it, the verifier finds out."""
    body = canonical.loads_object(_decoded(entry["canonicalizedBody"]), what="log entry: body")
    try:
        return promises.unhexed(body["spec"]["data"]["hash"]["value"])
    except (KeyError, TypeError) as exc:
        raise FormatError("cosign bundle: the log entry names no artifact") from exc


def _of_metadata(value: dict[str, Any]) -> list[bytes]:
    """Classic in-toto: signed over its own canonical JSON, not over DSSE."""
    signed = value.get("signed")
    kind = signed.get("_type") if isinstance(signed, dict) else None
    raise FormatError(
        f"a classic in-toto {kind if kind in ('link', 'layout') else 'file'}: it is no statement about a digest",
        hint="check it with in-toto-verify; as evidence, sign a link attestation: casstore attest sign --type link",
    )


_FORMS: tuple[tuple[str, Any, Any], ...] = (
    (BUNDLE, _is_bundle, _of_bundle),
    (DSSE, lambda value: {"payload", "payloadType", "signatures"} <= value.keys(), _of_envelope),
    (PEP740, lambda value: {"verification_material", "envelope"} <= value.keys(), _of_pep740),
    (COSIGN, lambda value: "base64Signature" in value, _of_cosign),
    (LINK, lambda value: {"signed", "signatures"} <= value.keys(), _of_metadata),
)

_SIGN_IT = "it is signed by nobody: casstore attest sign FILE --type {} --predicate IT"
_UNSIGNED = {
    "OpenVEX document": _SIGN_IT.format("openvex"),
    "CycloneDX document": _SIGN_IT.format("cyclonedx"),
    "SPDX document": _SIGN_IT.format("spdx"),
    "in-toto statement": "it is signed by nobody: casstore attest sign makes and signs one",
}


def _document(value: Mapping[str, Any]) -> str:
    """What else people hand in: the predicate itself, unsigned."""
    context = str(value.get("@context"))
    if context.startswith("https://openvex.dev/"):
        return "OpenVEX document"
    if value.get("bomFormat") == "CycloneDX":
        return "CycloneDX document"
    if "spdxVersion" in value or "spdx.org/rdf/3." in context:
        return "SPDX document"
    return "in-toto statement" if str(value.get("_type")).startswith("https://in-toto.io/Statement") else JSON


def _der(certificate: Any) -> bytes:
    """The first certificate of a PEM, or of a PEM in base64."""
    text = certificate if isinstance(certificate, str) else ""
    if "-----BEGIN" not in text:
        text = _decoded(text).decode("ascii", "replace")
    _, begun, rest = text.partition("-----BEGIN CERTIFICATE-----")
    body, ended, _ = rest.partition("-----END CERTIFICATE-----")
    if not begun or not ended:
        raise FormatError("envelope: its certificate is no PEM")
    return _decoded("".join(body.split()))


def _decoded(text: Any) -> bytes:
    from attest.statements.envelopes import decode_base64

    return decode_base64(promises.plain(text), "base64 text")
