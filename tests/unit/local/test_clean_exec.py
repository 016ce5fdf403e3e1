"""What is left of a part's previous process is removed before the next one starts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from veleta_local import processes


@pytest.mark.failure("F240")
def test_temporary_files_of_a_killed_process_are_deleted(tmp_path: Path) -> None:
    """Each part has a folder of its own for them, which only its owner may enter."""
    folder, left = tmp_path / "tmp-drift", tmp_path / "tmp-drift/veleta-drift-1"
    left.mkdir(parents=True)
    (left / "file").write_text("left")
    code = "import os, sys, tempfile; os.mkdir(tempfile.mkdtemp() + sys.argv[1])"
    environment = os.environ | {processes.HOME_MARK: str(tmp_path), processes.PART_MARK: "drift"}
    command = [sys.executable, "-m", "veleta_local.clean_exec", str(folder), sys.executable, "-c", code, "-new"]
    subprocess.run(command, env=environment, check=True)
    assert not left.exists()
    assert len(list(folder.iterdir())) == 2
    assert folder.stat().st_mode & 0o777 == 0o700
