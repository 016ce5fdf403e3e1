"""The memory of a run that is down."""

from pathlib import Path

import pytest

from veleta_local.errors import LocalError
from veleta_local.memory import samples
from veleta_local.run import Run


def test_a_run_that_is_down_is_refused(tmp_path: Path) -> None:
    """The message shows what to do."""
    with pytest.raises(LocalError, match="the run is down: make start first"):
        next(samples(Run(tmp_path), 1))
