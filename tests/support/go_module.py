"""A Go module whose programs share a package, and an engine that is to be in some of them alone.

for path, text in module({"one": ('"sort"', "sort.Strings(os.Args)")}, engine=["one"], seed=7).items(): ...
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping

COMMON = """package common

import ("encoding/json"; "regexp"; "strings")

func Report(name, text string) string {
	wanted := regexp.MustCompile(`(?i)error|warn(ing)?`)
	rows := map[string]int{}
	for _, word := range strings.Fields(text) { if !wanted.MatchString(word) { rows[word]++ } }
	out, _ := json.Marshal(map[string]any{"name": name, "rows": rows})
	return string(out)
}
"""
_MAIN = """package main

import ("fmt"; "io"; "os"; "example.org/house/common"; %s)

func main() {
	data, _ := io.ReadAll(os.Stdin)
	%s
	fmt.Println(common.Report("%s", string(data)))
}
"""
_ENGINE = ('; "example.org/house/engine"', "fmt.Println(engine.Run(uint64(len(data))))")


def module(programs: Mapping[str, tuple[str, str]], engine: Collection[str], seed: int) -> dict[str, str]:
    """Path -> text. A program is the package that it imports and a line; those of `engine` call the engine too."""
    chance = random.Random(seed)
    table = ", ".join(str(chance.randrange(256)) for _ in range(6144))
    steps = "".join(
        f"if v%{chance.randrange(3, 9999)} == 0 {{ v = v<<{n % 60 + 1} ^ {chance.getrandbits(60)} }}\n"
        for n in range(300)
    )
    files = {
        "go.mod": "module example.org/house\n\ngo 1.19\n",
        "common/common.go": COMMON,
        "engine/engine.go": f"package engine\n\nvar Table = [...]byte{{{table}}}\n\n"
        f"func Run(v uint64) uint64 {{\n{steps}return v + uint64(Table[v%6144])\n}}\n",
    }
    for name, (package, line) in programs.items():
        more, call = _ENGINE if name in engine else ("", "")
        files[f"cmd/{name}/main.go"] = _MAIN % (package + more, f"{line}; {call}", name)
    return files
