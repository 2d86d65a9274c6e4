"""What an include or exclude cannot mean is told, never passed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from attest.errors import BadInput
from casstore.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "src/out").mkdir(parents=True)
    (tmp_path / "src/LICENSE").write_text("L")
    (tmp_path / "src/out/program").write_text("P")
    (tmp_path / "src/dist").symlink_to("out")
    return Store.init(str(tmp_path / "store"))


@pytest.mark.parametrize("include", ["dist/**", "typo/**", "LICENCE"])
def test_an_include_that_matches_nothing_beside_one_that_does(store: Store, tmp_path: Path, include: str) -> None:
    with pytest.raises(BadInput, match="nothing matches"):
        store.put_tree(str(tmp_path / "src"), include=["LICENSE", include])


@pytest.mark.parametrize("include", ["!LICENSE", "[z-a]*"])
def test_what_is_no_glob(store: Store, tmp_path: Path, include: str) -> None:
    with pytest.raises(BadInput, match="glob"):
        store.put_tree(str(tmp_path / "src"), include=["**", include])


def test_patterns_that_overlap_all_count(store: Store, tmp_path: Path) -> None:
    assert store.put_tree(str(tmp_path / "src"), include=["out/**", "out/program", "LICENSE"]).files == 2


def test_a_folder_whose_tree_has_several_pieces_comes_back(tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for number in range(14_000):
        (tmp_path / "many" / f"{number:05}{'n' * 50}").touch()
    with Store.init(str(tmp_path / "store")) as store:
        digest = store.put_tree(str(tmp_path / "many")).tree
        store.checkout(digest, str(tmp_path / "back"))
    assert len(list((tmp_path / "back").iterdir())) == 14_000
