"""Genuine attestations with anything else in any place: each is read or refused, and never ends a reader."""

from __future__ import annotations

import base64
import contextlib
import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.errors import CasstoreError
from attest.sigstore import forms, keyless, rekor_answers, shown
from attest.sigstore.sigstore_bundles import SigstoreBundle
from attest.trust import artifact_signatures

pytestmark = pytest.mark.filterwarnings("ignore:Parsed a serial number")

DATA = Path(__file__).parents[1] / "data"
ROOTS = (DATA / "sigstore-bundles" / "trusted_root.jsonl").read_bytes()
AT = datetime(2026, 9, 1, tzinfo=UTC)


def documents() -> Iterator[Any]:
    for path in sorted([*(DATA / "forms").iterdir(), *(DATA / "sigstore-bundles").iterdir()]):
        if path.suffix in (".md", ".txt") or path.name in ("MANIFEST.json", "trusted_root.jsonl"):
            continue
        raw = path.read_bytes()
        yield from (json.loads(line) for line in (raw.splitlines() if path.suffix == ".jsonl" else [raw]))


def _entries_of(document: Any) -> list[Any]:
    material = document.get("verificationMaterial") if isinstance(document, dict) else None
    return material.get("tlogEntries") or [] if isinstance(material, dict) else []


DOCUMENTS = list(documents())
ANSWERS = [json.dumps(entry).encode() for document in DOCUMENTS for entry in _entries_of(document)]
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.text(max_size=8),
    st.binary(max_size=80).map(lambda data: base64.b64encode(data).decode()),
    st.lists(st.none(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.none(), max_size=2),
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything in a document."""
    rows = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, item in rows for place in ((value, key), *places(item))]


def judge(raw: bytes) -> None:
    """What import, show and verify-bundle do with it."""
    for piece in forms.read(raw):
        if piece.raw is None:
            assert piece.problem
            continue
        bundle = SigstoreBundle.parse(piece.raw)
        json.dumps(shown.of(bundle))
        artifact_signatures.algorithms(piece.raw)
        if rekor_answers.lacks_entry(bundle):
            rekor_answers.questions(piece.raw)
        if rekor_answers.may_be_completed(bundle):
            with contextlib.suppress(CasstoreError):
                rekor_answers.completed(piece.raw, ANSWERS)
        if bundle.message_signature and bundle.message_signature.digest:
            digest = bundle.message_signature.digest
            keyless.verify_keyless_artifact(piece.raw, digest, trusted_root_json=ROOTS, at=AT)
        keyless.verify_keyless(piece.raw, trusted_root_json=ROOTS, at=AT)


@given(st.sampled_from(range(len(DOCUMENTS))), st.data())
def test_anything_in_any_place(number: int, data: st.DataObject) -> None:
    document = copy.deepcopy(DOCUMENTS[number])
    for _ in range(data.draw(st.integers(1, 2))):
        container, key = data.draw(st.sampled_from(places(document)))
        if data.draw(st.booleans()) and isinstance(container, dict):
            container.pop(key, None)
        else:
            container[key] = data.draw(ANYTHING)
        if not places(document):
            break
    try:
        judge(json.dumps(document).encode())
    except CasstoreError as exc:
        assert "\n" not in exc.message


@given(st.sampled_from(range(len(DOCUMENTS))), st.data())
def test_any_byte_of_what_is_encoded(number: int, data: st.DataObject) -> None:
    """Certificates, stamps, log entries and proofs are DER, CMS, JSON and notes inside base64."""
    document = copy.deepcopy(DOCUMENTS[number])
    texts = [(box, key) for box, key in places(document) if isinstance(box[key], str) and len(box[key]) > 40]
    container, key = data.draw(st.sampled_from(texts))
    try:
        raw = bytearray(base64.b64decode(container[key], validate=True))
    except ValueError:
        raw = bytearray(container[key].encode())
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    container[key] = base64.b64encode(raw).decode()
    try:
        judge(json.dumps(document).encode())
    except CasstoreError as exc:
        assert "\n" not in exc.message
