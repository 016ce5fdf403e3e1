"""The clock of a storm. `tests/soak/test_clock.py` tests its jumps."""

from pathlib import Path

import pytest

from support.storm import clock
from support.storm.clock import CannotJump, JumpingClock


def test_without_the_library_no_clock_jumps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the command that installs it."""
    monkeypatch.setattr(clock, "LIBRARY", tmp_path / "none")
    with pytest.raises(CannotJump, match=r"install\.sh soak"):
        JumpingClock(tmp_path / "clock")
