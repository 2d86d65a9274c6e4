"""The matrix is well-formed whatever things are called, says what is shared, and is the same each time."""

from __future__ import annotations

from xml.dom import minidom

from hypothesis import given
from hypothesis import strategies as st

from attest.digests import sha256
from bundlers.isolation import Finding, IsolationReport, Settings, pictures
from bundlers.isolation.reports import Common, Stretch


def report(names: list[str], path: str = "a/b") -> IsolationReport:
    digest = sha256(b"x")
    leak = Finding("copy", names[0], path, names[-1], path, digest, 700, stretches=(Stretch(1, 2, 700, digest),))
    common = Common(names[0], names[1], "licences", path, 3, 4000)
    return IsolationReport(
        {name: {"default": digest} for name in names},
        Settings(),
        {},
        (leak,),
        9,
        (),
        (common,),
        dict.fromkeys(names, (2, 99)),
    )


@given(names=st.lists(st.text(min_size=1, max_size=40), min_size=3, max_size=5, unique=True), path=st.text())
def test_any_names_make_a_well_formed_picture(names: list[str], path: str) -> None:
    drawn = pictures.matrix(report(names, path)).encode("utf-8")
    assert len(minidom.parseString(drawn).getElementsByTagName("g")) == len(names) ** 2


def test_it_tells_leaks_reasons_and_nothing() -> None:
    drawn = pictures.matrix(report(["agent", "core", "probe"]))
    assert drawn == pictures.matrix(report(["agent", "core", "probe"]))
    for told in ("1 leaks", "licences: 3 files, 4000 bytes", "nothing", "copied in all", "3.9 KiB"):
        assert told in drawn
