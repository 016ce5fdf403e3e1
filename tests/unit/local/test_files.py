"""Files and folders that are complete or missing."""

import subprocess
from pathlib import Path

import pytest

from veleta_local.errors import LocalError
from veleta_local.files import export_lines, fresh_folder, locked, private_folder, shell_lines

SPECIAL = """it's "50 %" # of ; $HOME `x` \\ ñ"""


def test_programs_get_exported_values() -> None:
    """After `. .veleta/env` every program that the shell starts finds the variables in its environment."""
    script = export_lines({"VALUE": SPECIAL, "OTHER": "x"}) + "printenv VALUE OTHER"
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == f"{SPECIAL}\nx\n"


def test_sh_reads_any_value() -> None:
    """The scripts of the parts contain values with special characters."""
    script = shell_lines({"VALUE": SPECIAL}) + 'printf %s "$VALUE"'
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == SPECIAL


def test_a_folder_of_another_user_in_tmp_is_refused(tmp_path: Path) -> None:
    """Another user may have created the folder for the sockets first, or a link with its name."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o755)
    (tmp_path / "link").symlink_to(tmp_path / "open")
    for name in ("open", "link"):
        with pytest.raises(LocalError, match="not a private folder"):
            private_folder(tmp_path / name)


@pytest.mark.failure("F70")
def test_an_interrupted_folder_is_created_again(tmp_path: Path) -> None:
    """An existing folder is complete. The next attempt deletes what a kill left."""
    target = tmp_path / "data"
    leftover = tmp_path / "data.new/leftover"
    leftover.parent.mkdir()
    leftover.touch()
    with fresh_folder(target) as fresh:
        (fresh / "whole").touch()
    assert [path.name for path in target.iterdir()] == ["whole"]


def test_two_makes_do_not_work_on_one_home(tmp_path: Path) -> None:
    """The second one fails at once."""
    lock = tmp_path / "lock"
    with locked(lock, wait=False), pytest.raises(LocalError, match="another make"), locked(lock, wait=False):
        pytest.fail("both hold the lock")
