"""Precision and recall of the `secrets` gate on tests/support/secret_table.py, beside other scanners' rules.

    python benchmarks/secrets_table.py [--gitleaks gitleaks.toml] [--detect-secrets PYTHON] [--corpus FOLDER]

gitleaks' rules are run here by RE2 (the engine of Go's regexp) with their keywords, entropies and allowlists, also on
what base64 holds, as `gitleaks dir --max-decode-depth` does. detect-secrets is run by a Python that has it.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "tests" / "support")]

import secret_table  # noqa: E402 - found by the line above

from bundlers.inspection.secret_forms.stream import scan  # noqa: E402

Found = Callable[[bytes], bool]


def ours(data: bytes) -> bool:
    return any(True for _ in scan(io.BytesIO(data)))


def gitleaks(path: str) -> Found:
    import re2

    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    table = tomllib.loads(Path(path).read_text())
    shared = table.get("allowlist", {})
    rules = []
    for row in table["rules"]:
        if "regex" in row:
            allowed = [shared, *row.get("allowlists", [])]
            patterns = [
                re2.compile(one.encode(), options)
                for item in allowed
                for one in item.get("regexes", [])
                if not item.get("paths") or item is shared
            ]
            stops = [one.lower() for item in allowed for one in item.get("stopwords", [])]
            rules.append((row, re2.compile(row["regex"].encode(), options), patterns, stops))

    def one(data: bytes) -> bool:
        low = data.lower()
        for row, pattern, patterns, stops in rules:
            if row.get("keywords") and not any(word.lower().encode() in low for word in row["keywords"]):
                continue
            for match in pattern.finditer(data):
                groups = [group for group in match.groups() if group]
                value = (
                    match.group(row["secretGroup"]) if row.get("secretGroup") else (groups or [match.group(0)])[0]
                ) or b""
                if entropy(value) < row.get("entropy", 0) or any(p.search(value) for p in patterns):
                    continue
                if not any(stop.encode() in value.lower() for stop in stops):
                    return True
        return False

    def found(data: bytes, depth: int = 5) -> bool:
        if one(data):
            return True
        plain = [
            base64.b64decode(run + b"=" * (-len(run) % 4))
            for run in re.findall(rb"[A-Za-z0-9+/]{16,}", data)
            if len(run) % 4 != 1
        ]
        texts = [text for text in plain if text and all(9 <= byte < 127 for byte in text)]
        return depth > 0 and any(found(text, depth - 1) for text in texts)

    return found


def entropy(value: bytes) -> float:
    return -sum(n / len(value) * math.log2(n / len(value)) for n in Counter(value).values()) if value else 0.0


def detect_secrets(python: str) -> Found:
    names: dict[bytes, bool] = {}

    def found(data: bytes) -> bool:
        if not names:
            rows = [*secret_table.secrets(), *secret_table.harmless()]
            with tempfile.TemporaryDirectory() as folder:
                for number, (_, content) in enumerate(rows):
                    Path(folder, f"{number}.txt").write_bytes(content)
                command = [python, "-m", "detect_secrets", "scan", "--all-files", "--no-verify", "."]
                told = json.loads(subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout)
            hit = {os.path.basename(name) for name in told["results"]}
            names.update({content: f"{number}.txt" in hit for number, (_, content) in enumerate(rows)})
        return names[data]

    return found


def measure(name: str, found: Found) -> None:
    real, none = list(secret_table.secrets()), list(secret_table.harmless())
    seen = sum(found(data) for _, data in real)
    alarms = sum(found(data) for _, data in none)
    precision = seen / (seen + alarms) if seen else 0.0
    recall = f"recall {seen:3}/{len(real)} = {seen / len(real):.1%}"
    print(f"{name:24} {recall}  alarms {alarms}/{len(none)}  precision {precision:.1%}")


def corpus(folder: str) -> None:
    begin, size, count, hits = time.process_time(), 0, 0, Counter[str]()
    for where, _, names in os.walk(folder):
        for name in names:
            path = Path(where, name)
            if path.is_file() and not path.is_symlink():
                data = path.read_bytes()
                size, count = size + len(data), count + 1
                hits.update(secret.rule for secret in scan(io.BytesIO(data)))
    took = time.process_time() - begin
    print(f"{count} files, {size / 1e6:.0f} MB, {size / 1e6 / took:.0f} MB a processor second; found {dict(hits)}")


def main() -> None:
    parser = argparse.ArgumentParser()
    for option in ("--gitleaks", "--detect-secrets", "--corpus"):
        parser.add_argument(option)
    given = parser.parse_args()
    measure("casstore", ours)
    if given.gitleaks:
        measure("gitleaks' rules", gitleaks(given.gitleaks))
    if given.detect_secrets:
        measure("detect-secrets", detect_secrets(given.detect_secrets))
    if given.corpus:
        corpus(given.corpus)


if __name__ == "__main__":
    main()
