"""Packages that are left out."""

import subprocess
import sys

import pytest

CODE = """
import importlib, sys
from veleta.service.optional_packages import ARROW, leave_out

leave_out(ARROW)
importlib.import_module(sys.argv[1])
print([name for name in sys.modules if name.partition(".")[0] == ARROW])
"""


@pytest.mark.parametrize("service", ["drift", "inference"])
def test_a_service_without_data_frames_starts_without_arrow(service: str) -> None:
    """All that it imports at its start can do without it."""
    command = [sys.executable, "-c", CODE, f"veleta_{service}.bootstrap"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
