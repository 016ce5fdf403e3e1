"""The passwords of a deployment in containers: each made once, each part has its own and no other's."""

from pathlib import Path

import pytest

from veleta_prepare.passwords import ADMIN, HOLDERS, KEEPER, USERS, make_passwords, own_password


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The empty volumes, one for each part."""
    for part in HOLDERS:
        (tmp_path / "all" / part).mkdir(parents=True)
    return tmp_path / "all"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """What somebody brings: nothing yet."""
    path = tmp_path / "own"
    path.mkdir()
    return path


def found(folder: Path) -> dict[str, dict[str, str]]:
    """By part: its files and what they hold."""
    return {part.name: {path.name: path.read_text() for path in part.iterdir()} for part in folder.iterdir()}


def test_each_part_gets_its_own_and_no_others(folder: Path, own: Path) -> None:
    """Those of one user agree, those of two differ, and only the job that makes the users knows all."""
    make_passwords(folder, own)
    made = found(folder)
    assert made["mysql"] == {"mysql_root_password": made[KEEPER][ADMIN]}
    for part in USERS:
        assert made[part]["mysql_password"] == made[KEEPER][own_password(part)]
    assert made.keys() == HOLDERS.keys()
    assert {part: set(files) for part, files in made.items() if part not in (KEEPER, "mysql", "notebooks")} == {
        part: {"mysql_password"} for part in USERS if part != "notebooks"
    }
    words = set(made[KEEPER].values())
    assert len(words) == len(made[KEEPER])
    assert min(map(len, words)) == 32


def test_a_second_run_changes_nothing(folder: Path, own: Path) -> None:
    """The parts that run have read theirs."""
    make_passwords(folder, own)
    before = found(folder)
    make_passwords(folder, own)
    assert found(folder) == before


def test_a_volume_that_was_lost_is_filled_again(folder: Path, own: Path) -> None:
    """From what the job keeps."""
    make_passwords(folder, own)
    before = found(folder)
    (folder / "loader/mysql_password").unlink()
    make_passwords(folder, own)
    assert found(folder) == before


def test_ones_own_replace_them(folder: Path, own: Path) -> None:
    """Also later, apart from the administrator's; a line's end does not count."""
    make_passwords(folder, own)
    (own / own_password("drift")).write_text("mine\n")
    make_passwords(folder, own)
    made = found(folder)
    assert made["drift"] == {"mysql_password": "mine"}
    assert made[KEEPER][own_password("drift")] == "mine"


def test_the_administrators_is_for_the_first_start(folder: Path, own: Path) -> None:
    """MySQL reads it once; another one later would lock the job out."""
    (own / ADMIN).write_text("mine")
    make_passwords(folder, own)
    make_passwords(folder, own)
    assert found(folder)["mysql"] == {"mysql_root_password": "mine"}
    (own / ADMIN).write_text("another")
    with pytest.raises(ValueError, match="cannot be replaced once MySQL has it"):
        make_passwords(folder, own)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [("mysql_lodaer_password", "x", "no such secret; known are mysql_password"), (ADMIN, "\n", "the file is empty")],
)
def test_what_cannot_be_meant_is_refused(folder: Path, own: Path, name: str, text: str, said: str) -> None:
    """Before anything is written."""
    (own / name).write_text(text)
    with pytest.raises(ValueError, match=f"{name}: {said}"):
        make_passwords(folder, own)
    assert not any(found(folder).values())
