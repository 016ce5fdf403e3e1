"""A worker process of inference."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.failure("F373")
def test_a_worker_that_ends_by_itself_exits_with_its_reason(tmp_path: Path) -> None:
    """It does not abort, although its supervisor keeps the pipe to its stdin open."""
    journal = tmp_path / "file"
    journal.touch()
    environment = {
        "PATH": os.environ["PATH"],
        "INFERENCE_WORKERS": "2",
        "INFERENCE_JOURNAL": str(journal),
        "MYSQL_USER": "nobody",
        "MYSQL_PASSWORD": "nothing",
    }
    command = [sys.executable, "-m", "veleta_inference.workers", str(tmp_path), "0"]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as worker:
        assert worker.stderr
        lines = worker.stderr.read().splitlines()
        assert (worker.wait(60), lines[-1]) == (1, f"inference: INFERENCE_JOURNAL={journal}: Not a directory")
