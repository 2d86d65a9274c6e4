"""The isolation check on four programs of one Cargo workspace: what one reference explains, and which leaks are found.

    python benchmarks/bench_isolation_workspace.py [--folder DIR]

Needs cargo, and the crates regex and serde_json of the system (Debian: librust-regex-dev, librust-serde-json-dev,
librust-aho-corasick-dev, librust-memchr-dev, librust-ryu-dev). Two releases are built, with other code in two programs
and in the common crate. Leaks of one program's own content are planted into another's product, and linked into it.
Prints the tables of docs/isolation.md.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Mapping
from glob import glob

from bench_isolation_pairs import LEAKS, Bench, Own, found_in, leaks

from bundlers.isolation import IsolationReport, Settings
from bundlers.isolation.explained import reference_sources
from bundlers.isolation.reports import distinct
from casstore.store.store import Store

PROGRAMS = ("scan", "serve", "stat", "sync")
_MANIFEST = """[package]
name = "{name}"
version = "1.0.0"
edition = "2021"
[features]
leak = []
[dependencies]
{needs}
"""
_CRATES = 'regex = "1"\nserde_json = "1"\n'
_COMMON = """use std::collections::BTreeMap;
pub fn counted(text: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for word in text.split_whitespace() { *found.entry(word.to_string()).or_insert(0) += 1; }
    found
}
pub fn report(name: &str, text: &str) -> String {
    let wanted = regex::Regex::new(r"(?i)error|warn(ing)?").unwrap();
    let rows: Vec<_> = counted(text).into_iter().filter(|row| !wanted.is_match(&row.0)).collect();
    serde_json::json!({"name": name, "rows": rows}).to_string()
}
"""
_MAIN = """use std::io::Read;
fn main() {{
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap_or(serde_json::Value::Null);
    let number = regex::Regex::new(r"-?\\d+(\\.\\d+)?").unwrap();
    {own}
    println!("{{}}", common::report("{name}", &format!("{{value}} {{}}", number.find_iter(&text).count())));
    {uses}
}}
"""
_OWN = {
    "scan": 'for line in text.lines().filter(|line| line.contains("error")) { eprintln!("{line}"); }',
    "serve": "if let Some(at) = std::env::args().nth(1) { for s in std::net::TcpListener::bind(at).unwrap().incoming()"
    " { drop(s); } }",
    "stat": "let sum: f64 = value.as_array().map(|rows| rows.iter().filter_map(|r| r.as_f64()).sum()).unwrap_or(0.0);"
    ' eprintln!("{sum}");',
    "sync": "let (send, receive) = std::sync::mpsc::channel(); for part in text.lines().map(str::to_string) { let send ="
    " send.clone(); std::thread::spawn(move || send.send(part.len())); } drop(send);"
    ' eprintln!("{}", receive.iter().sum::<usize>());',
}
_NEXT = {
    "scan": 'eprintln!("{} lines", text.lines().count());',
    "stat": 'eprintln!("{:?}", common::counted(&text).into_iter().next_back());',
}


def written(folder: str, *, later: bool) -> None:
    """The workspace's sources; `engine` is one program's own crate, and with the feature `leak` in another too."""
    chance = random.Random(3)
    table = ", ".join(str(chance.randrange(256)) for _ in range(6144))
    steps = "".join(
        f"    if value % {chance.randrange(3, 9999)} == 0 {{ value = step{n % 4}(value ^ {chance.getrandbits(32)}); }}\n"
        for n in range(300)
    )
    parts = "".join(
        f"#[inline(never)] fn step{n}(value: u64) -> u64 {{ value.rotate_left({n + 3}).wrapping_mul(0x{chance.getrandbits(63):x}) }}\n"
        for n in range(4)
    )
    engine = (
        f"pub static TABLE: [u8; 6144] = [{table}];\n{parts}"
        f"#[inline(never)] pub fn run(mut value: u64) -> u64 {{\n{steps}    value\n}}\n"
    )
    files = {
        "Cargo.toml": f'[workspace]\nresolver = "2"\nmembers = {[*PROGRAMS, "common", "engine"]}\n[profile.release]\nstrip = true\n'.replace(
            "'", '"'
        ),
        ".cargo/config.toml": '[source.crates-io]\nreplace-with = "system"\n[source.system]\ndirectory = "/usr/share/cargo/registry"\n',
        "common/Cargo.toml": _MANIFEST.format(name="common", needs=_CRATES),
        "common/src/lib.rs": _COMMON
        + ("pub fn shortened(text: &str) -> &str { text.get(..80).unwrap_or(text) }\n" if later else ""),
        "engine/Cargo.toml": _MANIFEST.format(name="engine", needs=""),
        "engine/src/lib.rs": engine,
    }
    calls = 'eprintln!("{} {}", engine::run(text.len() as u64), engine::TABLE[text.len() % 6144]);'
    for name in PROGRAMS:
        uses = {"serve": calls, "scan": f'#[cfg(feature = "leak")] {calls}'}.get(name, "")
        needs = _CRATES + 'common = { path = "../common" }\nengine = { path = "../engine" }\n'
        files[f"{name}/Cargo.toml"] = _MANIFEST.format(name=name, needs=needs)
        own = _OWN[name] + (_NEXT.get(name, "") if later else "")
        files[f"{name}/src/main.rs"] = _MAIN.format(name=name, own=own, uses=uses)
    for path, text in files.items():
        os.makedirs(os.path.dirname(os.path.join(folder, path)), exist_ok=True)
        with open(os.path.join(folder, path), "w", encoding="utf-8") as file:
            file.write(text)


def built(folder: str, *features: str) -> dict[str, bytes]:
    """The programs."""
    command = ["cargo", "build", "--release", "--offline", "--quiet", *features]
    subprocess.run(command, cwd=folder, check=True)
    return {name: _read(os.path.join(folder, "target", "release", name)) for name in PROGRAMS}


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def libraries(folder: str) -> list[str]:
    """Rust's own, and those of the common crates: not `engine`, which is one program's."""
    root = subprocess.run(["rustc", "--print", "sysroot"], check=True, capture_output=True, text=True).stdout.strip()
    own = [path for path in glob(os.path.join(folder, "target/release/deps/*.rlib")) if "libengine-" not in path]
    return sorted([*glob(os.path.join(root, "lib/rustlib/*/lib/*.rlib")), *own])


def told(report: IsolationReport) -> str:
    """Findings that stop, the bytes of theirs, and what is told."""
    quiet = [row for row in report.found if not row.fails]
    return f"{len(report.findings)} | {sum(row.size for row in report.findings)} | {distinct(quiet)}"


def shipped(programs: Mapping[str, bytes]) -> dict[str, dict[str, bytes]]:
    """Each program a product."""
    return {name: {f"bin/{name}": data} for name, data in programs.items()}


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", help="build here")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, Store.init(os.path.join(temporary, "store")) as store:
        folder = asked.folder or os.path.join(temporary, "workspace")
        os.makedirs(folder, exist_ok=True)
        bench = Bench(temporary, store)
        written(folder, later=False)
        first, leaking = built(folder), built(folder, "--features", "scan/leak")["scan"]
        with reference_sources.folder_of(*libraries(folder)) as source:
            tree = store.put_tree(source.folder).tree
        written(folder, later=True)
        later = built(folder)
        settings = Settings(references={"Rust and common crates": tree})
        print(f"bytes of each program: {', '.join(f'{n} {len(d)}' for n, d in first.items())}")
        print("| | findings that stop | bytes of them | bytes told |\n|---|---|---|---|")
        print(f"| without a reference | {told(bench.compare(shipped(first), Settings()))} |")
        began = time.process_time()
        print(f"| with it | {told(bench.compare(shipped(first), settings))} |", flush=True)
        print(f"| the next release, with the same reference | {told(bench.compare(shipped(later), settings))} |")
        print(f"CPU of the last two: {time.process_time() - began:.1f} s, and that of the cells")
        own = Own.of("workspace")
        with_own = {**shipped(first), "serve": {"bin/serve": first["serve"], **own.files()}}
        hosts = leaks(own, first["scan"])
        files = {f"planted-{n}.bin": data for n, data in enumerate(hosts.values())}
        found = found_in(bench.compare({**with_own, "scan": {"bin/scan": first["scan"], **files}}, settings))
        missed = ", ".join(name for n, name in enumerate(LEAKS) if n not in found)
        print(f"leaks: {len(found)} of {len(LEAKS)}; missed: {missed}")
        programs = (first["serve"], b"#!/bin/sh\n" + first["serve"], first["serve"][: len(first["serve"]) // 2])
        for name, data in zip(
            ("its program, renamed", "its program behind a script", "half of its program"), programs, strict=True
        ):
            report = bench.compare({**shipped(first), "scan": {"bin/scan": first["scan"], "x": data}}, settings)
            print(f"leak: {name}: {'found' if report.findings else 'missed'}")
        report = bench.compare({**shipped(first), "scan": {"bin/scan": leaking}}, settings)
        rows = [row for row in report.found if {row.product_a, row.product_b} == {"scan", "serve"}]
        shown = f"{'stops' if report.findings else 'told'}, {sum(row.size for row in rows)} bytes, longest {max((s.length for row in rows for s in row.stretches), default=0)}"
        print(f"leak: its own crate linked in (a table of 6,144 bytes, a function of some 12 KiB): {shown}")


if __name__ == "__main__":
    main()
