"""casstore.toml: read whole, checked whole, errors with file, line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from attest.digests import sha256
from attest.errors import BadInput
from casstore import config
from casstore.config import cases, consumer, mistakes
from casstore.config.lines import line_of
from casstore.errors import ConfigError
from casstore.machine import config_files
from casstore.storage import open_storage

GOOD = """\
[store]
url = "./store"

[components.core-bin]
include = ["build/**"]

[products.core]
components = ["core-bin"]
format = "tar.gz"

[gates]
secrets = {}

[channels.prod]
from = "dev"
approvals = 2
require = ["slsa-provenance", "gate:unit-tests"]
gates = { unit-tests = "any" }
[channels.dev]
approvals = 0
"""


def test_a_whole_file() -> None:
    found = config.parse(GOOD.encode(), "/where/casstore.toml")
    assert found.store_url == "/where/store"
    assert found.products["core"].components == ["core-bin"]
    assert list(found.channels) == ["dev", "prod"]
    assert found.channels["prod"].approvals == 2
    assert found.digest == sha256(GOOD.encode())


def test_an_absolute_url_stays() -> None:
    found = config.parse(b'[store]\nurl = "s3://bucket/x"\n', "/where/casstore.toml")
    assert found.store_url == "s3://bucket/x"


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("[stor]\nurl = 'x'\n", 1, "stor"),
        ("[store]\nurl = 3\n", 2, "store.url"),
        ("\n\n[components.a]\ninclude = []\n", 4, "components.a.include"),
        ("[components.a]\ninclude = ['x']\nbuild = 'make'\n", 3, "components.a.build"),
        ("[components.a]\n", 1, "components.a.include"),
        ("[products.p]\ncomponents = ['a']\nformat = 'rar'\n", 3, "products.p.format"),
        (
            "[components.a]\ninclude = ['x']\n[products.p]\nformat = 'zip'\ncomponents = ['b']\n",
            5,
            "products.p.components",
        ),
        ("[components.'../x']\ninclude = ['x']\n", 1, "components.../x"),
        ("[components.a]\ninclude = ['x']\nbuild_timeout = inf\n", 3, "components.a.build_timeout"),
        ("[network]\nallow = ['https://host']\n", 2, "network.allow.0"),
        (
            "[destinations.d]\nurl = 'x'\n[destinations.d.expires_days]\nroot = 0\n",
            4,
            "destinations.d.expires_days.root",
        ),
        ("[channels.prod]\n", 1, "channels.prod'"),
        ("[channels.prod]\napprovals = 1\nfrom = 'dev'\n", 3, "channels.prod.from"),
        ("[channels.prod]\napprovals = -1\n", 2, "channels.prod.approvals"),
        ("[channels.prod]\napprovals = 1\nrequire = ['magic']\n", 3, "channels.prod.require"),
        ("[channels.prod]\napprovals = 1\nappprovals = 2\n", 3, "channels.prod.appprovals"),
        ("[channels.prod]\napprovals = 1\nseparateDuties = true\n", 3, "channels.prod.separateDuties"),
        ("[channels.prod]\napprovals = 1\nrollback_approvals = 'x'\n", 3, "channels.prod.rollback_approvals"),
        (
            "[channels.dev]\napprovals = 0\n[channels.prod]\nfrom = 'dev'\napprovals = 1\nsoak = '2x'\n",
            6,
            "channels.prod.soak",
        ),
        ("[channels.prod]\napprovals = 1\n[[channels.prod.freeze]]\nfrom = 2026-12-20\n", 3, "channels.prod.freeze"),
        ("[channels]\nprod = 3\n", 2, "channels.prod"),
        ("channels = 3\n", 1, "channels"),
    ],
)
def test_an_error_names_file_line_and_key(text: str, line: int, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.parse(text.encode(), "casstore.toml")
    assert caught.value.message.startswith(f"casstore.toml:{line}: key '{key}")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"\n\xff", 2),
        (b"[store\n", 1),
        (b"a = 1\na = 2\n", 2),
        (b"[a]\nb = 'x\n", 2),
        (b"[a]\nb = [1,\n", 2),
        (b"a = " + b"[" * 200_000, 1),
    ],
)
def test_what_is_no_toml(data: bytes, line: int) -> None:
    with pytest.raises(ConfigError) as caught:
        config.parse(data, "casstore.toml")
    assert caught.value.message.startswith(f"casstore.toml:{line}:")


@pytest.mark.parametrize("sign", ["\x0b", "\x0c", "\x1c", "\u2028"])
def test_a_line_ends_where_toml_ends_it(sign: str) -> None:
    """Others have more signs that end one: `config check` found nothing wrong, and each command refused the file."""
    (found,) = mistakes.read_all(f"[store]\n{sign}\n".encode(), "casstore.toml").mistakes
    assert found.line == 2
    (other,) = mistakes.read_all(b"[store]\nurl = 'a' # \xe2\x80\xa8\nx = 1\n", "casstore.toml").mistakes
    assert other.line == 3


def test_policies_as_people_write_them() -> None:
    text = """
[channels.dev]
approvals = 0
[channels.prod]
from = "dev"
approvals = 1
require = ["vulns"]
soak = "48h"
max_age = { vulns = "7d" }
separate_duties = false
rollback_approvals = 1
[[channels.prod.freeze]]
from = 2026-12-20T01:00:00+01:00
until = 2027-01-04T00:00:00Z
"""
    prod = config.parse(text.encode(), "casstore.toml").channels["prod"]
    assert (prod.soak, prod.max_age, prod.separate_duties, prod.rollback_approvals) == (
        172_800,
        {"vulns": 604_800},
        False,
        1,
    )
    assert prod.to_json()["freeze"] == [{"from": "2026-12-20T00:00:00Z", "until": "2027-01-04T00:00:00Z"}]


def test_a_near_miss_is_suggested() -> None:
    with pytest.raises(ConfigError, match="did you mean 'include'"):
        config.parse(b"[components.a]\ninclud = ['x']\n", "casstore.toml")


def _steps(value: str) -> str:
    return f"[channels.prod]\napprovals = 0\nsteps = {value}\n"


def test_steps_as_people_write_them() -> None:
    text = _steps('[{ share = "5%", soak = "24h" }, { share = 25 }]')
    prod = config.parse(text.encode(), "casstore.toml").channels["prod"]
    assert [(step.share, step.soak) for step in prod.steps] == [(5, 86_400), (25, 0)]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ('[{ share = "5" }]', "not a percentage: '5'"),
        ('[{ share = "0%" }]', "a whole percentage from 1 to 99"),
        ('[{ share = "5%", soak = "x" }]', "not a length of time: 'x'"),
        ('[{ share = "25%" }, { share = "5%" }]', "each with a greater share than the one before"),
        ('["5%"]', "not a list of objects"),
        ('[{ share = "5%", until = 3 }]', "unknown field 'until'"),
    ],
)
def test_what_is_no_step_is_told_with_its_place(value: str, told: str) -> None:
    with pytest.raises(ConfigError, match=rf"casstore\.toml:3: key 'channels\.prod\.steps'.*{told}"):
        _ = config.parse(_steps(value).encode(), "casstore.toml").channels


def test_channels_in_a_circle() -> None:
    text = "[channels.a]\nfrom = 'b'\napprovals = 0\n[channels.b]\nfrom = 'a'\napprovals = 0\n"
    with pytest.raises(ConfigError, match="after itself"):
        config.parse(text.encode(), "casstore.toml")


def test_the_nearest_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "casstore.toml").write_text(GOOD)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert config.find_config(str(below)) == str(tmp_path / "casstore.toml")
    assert config.load(None, str(below)).folder == str(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(str(tmp_path / "other.toml"), str(below))


def test_lines_of_dotted_and_quoted_keys() -> None:
    text = '[a."b.c"]\nx.y = 1\n[[d]]\nz = 2\n'
    assert line_of(text, ("a", "b.c", "x", "y")) == 2
    assert line_of(text, ("d", 0, "z")) == 4
    assert line_of(text, ("nothing",)) == 1


@pytest.mark.parametrize("place", ["$HOME/store", "${HOME}", "./$CI_PROJECT_DIR/x", "a/${x}/b"])
def test_a_variable_of_a_shell_is_no_folder(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "casstore.toml").write_text(f'[store]\nurl = "{place}"\n')
    monkeypatch.chdir(tmp_path)
    for found in (
        lambda: config_files.few_settings(str(tmp_path / "casstore.toml")),
        lambda: config.load(str(tmp_path / "casstore.toml"), ".").store_url,
        lambda: open_storage(place, create=True),
        lambda: consumer.Loaded.model_construct(path="c.toml").absolute(place),
    ):
        with pytest.raises(BadInput, match=r"\$.* is not replaced here"):
            found()
    assert [path.name for path in tmp_path.iterdir()] == ["casstore.toml"]


@pytest.mark.parametrize("place", ["a$b", "$lower/x", "$RECYCLE.BIN", "az://$web/x", "x$HOME"])
def test_other_names_with_a_dollar_are_folders(place: str) -> None:
    assert config_files.absolute(place, "/f").endswith(place)


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_bytes(b'\xef\xbb\xbf[products.p]\nfrom = "x"\nchannel = "dev"\ninto = "y"\n')
    assert consumer.load(str(tmp_path / "c.toml")).settings.products["p"].into == "y"
    assert (
        cases.read_table(b'\xef\xbb\xbfa = "1"\n', "c")
        == cases.read_table(b'\xef\xbb\xbf{"a": "1"}', "c")
        == {"a": "1"}
    )
