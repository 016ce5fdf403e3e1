"""The cursors of the groups."""

from pathlib import Path

import pytest

from veleta.errors import Stop
from veleta_source.adapters.cursors import Cursors


def test_a_cursor_advances_until_the_last_batch(tmp_path: Path) -> None:
    """After that it does not move."""
    cursors = Cursors(tmp_path / "cursors.json")
    assert [cursors.advance("7", 2) for _ in range(4)] == [0, 1, None, None]
    assert cursors.advance("8", 2) == 0


def test_a_restart_moves_one_cursor(tmp_path: Path) -> None:
    """Those of other groups and days stay."""
    cursors = Cursors(tmp_path / "cursors.json")
    for name in ("7", "7/Tuesday"):
        cursors.advance(name, 6)
    cursors.restart("7")
    assert (cursors.advance("7", 6), cursors.advance("7/Tuesday", 6)) == (0, 1)


def test_cursors_survive_the_process(tmp_path: Path) -> None:
    """A restarted source does not serve a batch again."""
    Cursors(tmp_path / "cursors.json").advance("7", 6)
    assert Cursors(tmp_path / "cursors.json").advance("7", 6) == 1


def test_unreadable_cursors_stop_the_source(tmp_path: Path) -> None:
    """If they began at 0, all batches would be served twice."""
    (tmp_path / "cursors.json").write_text("{")
    with pytest.raises(Stop, match="cannot read the cursors"):
        Cursors(tmp_path / "cursors.json")
