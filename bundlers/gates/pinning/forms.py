"""What counts as named by digest: a full revision, an image's digest, an integrity."""

from __future__ import annotations

import re

_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_IMAGE = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")
_INTEGRITY = re.compile(r"(?:sha256-[A-Za-z0-9+/]{43}=|sha384-[A-Za-z0-9+/]{64}|sha512-[A-Za-z0-9+/]{86}==)")


def is_revision(text: str) -> bool:
    """A Git revision in full."""
    return _SHA.fullmatch(text) is not None


def is_image(text: str) -> bool:
    """An image by digest."""
    return _IMAGE.fullmatch(text) is not None


def is_integrity(text: str) -> bool:
    """One or more SRI hashes, each a strong one. Source: https://www.w3.org/TR/SRI/"""
    return bool(text.split()) and all(_INTEGRITY.fullmatch(one) for one in text.split())


def is_git_source(text: str) -> bool:
    """`git+https://host/repository#<full revision>`, as npm, Cargo and uv write it."""
    return text.startswith(("git+", "git:", "git@", "github:")) and is_revision(text.rpartition("#")[2])
