"""The isolation check on four programs of one Go module: what one reference explains, and which leaks are found.

    python benchmarks/bench_isolation_go.py [--system linux/amd64]

Needs go. As `bench_isolation_workspace.py`: the programs share Go's library and a common package; a package of one
program's own is linked into another's. Prints the table of docs/isolation.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench_isolation_pairs import LEAKS, Bench, Own, found_in, leaks
from bench_isolation_workspace import shipped, told

from bundlers.isolation import Settings
from bundlers.isolation.explained import reference_sources
from casstore.store.store import Store

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.support.go_module import module

_OWN = {
    "scan": ('"strings"', "fmt.Println(strings.Contains(string(data), os.Args[0]))"),
    "serve": ('"net/http"', "if len(os.Args) > 1 { http.ListenAndServe(os.Args[1], nil) }"),
    "stat": ('"encoding/json"', "var rows []float64; json.Unmarshal(data, &rows); fmt.Println(len(rows))"),
    "sync": ('"time"', "done := make(chan int); go func() { done <- len(data) }(); fmt.Println(<-done, time.Now())"),
}


def written(folder: str, *leaking: str) -> None:
    """The module; `engine` is the package of `serve` alone, and of those that leak."""
    files = module(_OWN, ("serve", *leaking), seed=3)
    for path, text in files.items():
        os.makedirs(os.path.dirname(os.path.join(folder, path)) or folder, exist_ok=True)
        with open(os.path.join(folder, path), "w", encoding="utf-8") as file:
            file.write(text)


def go(folder: str, system: str, *words: str) -> str:
    """What go says."""
    family, _, machine = system.partition("/")
    env = {**os.environ, "GOOS": family, "GOARCH": machine, "CGO_ENABLED": "0", "GOFLAGS": "-trimpath"}
    return subprocess.run(["go", *words], cwd=folder, env=env, check=True, capture_output=True, text=True).stdout


def built(folder: str, system: str) -> dict[str, bytes]:
    """The programs."""
    found = {}
    for name in _OWN:
        go(folder, system, "build", "-ldflags=-s -w", "-o", f"bin/{name}", f"./cmd/{name}")
        with open(os.path.join(folder, "bin", name), "rb") as file:
            found[name] = file.read()
    return found


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--system", default="linux/amd64")
    system = parser.parse_args().system
    with tempfile.TemporaryDirectory() as temporary, Store.init(os.path.join(temporary, "store")) as store:
        folder = os.path.join(temporary, "house")
        written(folder)
        first = built(folder, system)
        libraries = go(
            folder, system, "list", "-export", "-deps", "-f", "{{if .Standard}}{{.Export}}{{end}}", "./cmd/..."
        )
        common = go(folder, system, "list", "-export", "-f", "{{.Export}}", "./common")
        written(folder, "scan")
        leaking = built(folder, system)["scan"]
        with reference_sources.folder_of(*libraries.split(), *common.split()) as source:
            tree = store.put_tree(source.folder).tree
        bench, settings = Bench(temporary, store), Settings(references={"Go and common": tree})
        print(go(folder, system, "version").strip())
        print(f"bytes of each program: {', '.join(f'{n} {len(d)}' for n, d in first.items())}")
        print("| | findings that stop | bytes of them | bytes told |\n|---|---|---|---|")
        print(f"| without a reference | {told(bench.compare(shipped(first), Settings()))} |", flush=True)
        began = time.process_time()
        print(f"| with it | {told(bench.compare(shipped(first), settings))} |")
        print(f"CPU of the last: {time.process_time() - began:.1f} s, and that of the cells", flush=True)
        own = Own.of("workspace")
        files = {f"planted-{n}.bin": data for n, data in enumerate(leaks(own, first["scan"]).values())}
        planted = {
            **shipped(first),
            "serve": {"bin/serve": first["serve"], **own.files()},
            "scan": {"bin/scan": first["scan"], **files},
        }
        found = found_in(bench.compare(planted, settings))
        missed = ", ".join(name for n, name in enumerate(LEAKS) if n not in found)
        print(f"leaks: {len(found)} of {len(LEAKS)}; missed: {missed}", flush=True)
        report = bench.compare({**shipped(first), "scan": {"bin/scan": leaking}}, settings)
        rows = [row for row in report.found if {row.product_a, row.product_b} == {"scan", "serve"}]
        stretches = [one.length for row in rows for one in row.stretches]
        print(f"leak: its own package linked in: {'stops' if report.findings else 'told'}, {sum(stretches)} bytes, ")
        print(f"longest {max(stretches, default=0)}")


if __name__ == "__main__":
    main()
