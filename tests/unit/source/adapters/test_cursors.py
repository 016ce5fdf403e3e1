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


@pytest.mark.failure("F443")
def test_a_restart_begins_the_next_epoch_once(tmp_path: Path) -> None:
    """One that is repeated before the first batch, because its response was lost, begins no further epoch."""
    cursors = Cursors(tmp_path / "cursors.json")
    epochs = []
    for _ in range(3):
        cursors.restart("7")
        cursors.restart("7")
        epochs.append(cursors.epoch("7"))
        cursors.advance("7", 6)
    assert (epochs, cursors.epoch("8"), cursors.newest_epoch) == ([1, 2, 3], 1, 3)


def test_cursors_survive_the_process(tmp_path: Path) -> None:
    """A restarted source does not serve a batch again, and continues the epoch."""
    path = tmp_path / "cursors.json"
    Cursors(path).advance("7", 6)
    assert Cursors(path).advance("7", 6) == 1
    Cursors(path).restart("7")
    cursors = Cursors(path)
    assert (cursors.epoch("7"), cursors.advance("7", 6)) == (2, 0)


def test_cursors_of_an_earlier_version_are_in_epoch_1(tmp_path: Path) -> None:
    """It stored only the number, and served the same rows after each restart."""
    path = tmp_path / "cursors.json"
    path.write_text('{"7": 3, "7/Tuesday": 6}')
    cursors = Cursors(path)
    assert (cursors.epoch("7"), cursors.advance("7", 6), cursors.advance("7/Tuesday", 6)) == (1, 3, None)
    cursors.restart("7/Tuesday")
    assert (Cursors(path).epoch("7/Tuesday"), Cursors(path).epoch("7")) == (2, 1)


@pytest.mark.parametrize("content", ["{", "[]", '{"7": "x"}', '{"7": {"epoch": 2, "no": 1}}'])
def test_unreadable_cursors_stop_the_source(tmp_path: Path, content: str) -> None:
    """If they began at 0, all batches would be served twice."""
    (tmp_path / "cursors.json").write_text(content)
    with pytest.raises(Stop, match="cannot read the cursors"):
        Cursors(tmp_path / "cursors.json")
