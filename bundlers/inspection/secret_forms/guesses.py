"""What is no secret though it has the form of one: examples, placeholders, words, counters.

A machine draws the letters of a token; a person who writes documentation repeats, counts or spells.
Everything here errs towards "secret": a doubtful value is told, and can be allowed by its fingerprint.

    random_enough(b"x" * 36) is False
"""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import pairwise

_TELLING = re.compile(
    rb"(?i)example|placeholder|changeme|change[_-]me|dummy|redacted|replace[_-]|your[_-]|insert[_-]|todo|"
    rb"notreal|not[_-]a[_-]|fake|sample|xxxx|\.\.\.|\*\*\*|<[^>]*>|000000|123456789|abcdefgh|deadbeef|lorem"
)
_TEMPLATE = re.compile(rb"[$%#]\{|\{\{|\}\}|\$\(|^\$|^%[A-Za-z_(]|%[sdv]$|^<|>$|^\{|\}$|^@[A-Z_]+@$|^\[|^\*+$")
_WORDS = re.compile(
    rb"(?i)(?:my|the|a|an|your|some|super|very|new|old|user|db|app|admin|root|test|testing|secret|secure|password|passwd|"
    rb"passw0rd|passphrase|pass|pwd|token|key|apikey|api|auth|login|name|username|value|string|hunter2?|letmein|qwerty|"
    rb"guest|postgres|postgresql|mysql|redis|rabbitmq|minio|minioadmin|mongo|docker|default|none|null|true|false|undefined|"
    rb"foo|bar|baz|foobar|hello|world|demo|local|localhost|dev|development|prod|me|is|here|not|this|with|from|access|client|"
    rb"private|public|id|credentials?|git|oauth2?|basic|bearer|x|y|z|s3cr3t|p4ssw0rd|12345?6?|1|[_\-.!0-9]){1,12}"
)


def entropy(value: bytes) -> float:
    """Bits a byte, by Shannon's formula over the value itself."""
    total = len(value)
    return -sum(n / total * math.log2(n / total) for n in Counter(value).values()) if total else 0.0


def is_example(value: bytes) -> bool:
    """Whether it names itself an example, or is a place for a value."""
    return bool(_TELLING.search(value) or _TEMPLATE.search(value))


def counts_up(value: bytes) -> bool:
    """Whether more than half of it goes on by one, or stays: `abcdef`, `0123456789`, `aaaa`."""
    if len(value) < 8:
        return False
    steps = sum(1 for a, b in pairwise(value) if b - a in (0, 1))
    return steps * 2 > len(value)


def spelled(value: bytes) -> bool:
    """Whether it is words of one case with separators, as identifiers are."""
    return re.fullmatch(rb"[a-z]+(?:[-_.][a-z]+)+|[A-Z]+(?:[-_.][A-Z]+)+", value) is not None


def random_enough(value: bytes, bits: float = 2.5) -> bool:
    """Whether a machine may have drawn it."""
    return not (is_example(value) or counts_up(value) or spelled(value)) and entropy(value) >= bits


def is_password(value: bytes, user: bytes = b"") -> bool:
    """Whether it may be somebody's password: no template, no word that stands for one, not the name again."""
    if len(value) < 6 or value.lower() == user.lower() or is_example(value):
        return False
    return not _WORDS.fullmatch(value) and entropy(value) >= 2.0
