"""`make stop` as root ends no process of a container, whose paths and variables may be the same."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from veleta_local import processes

CONTAINER = """\
import os, sys, time
os.chroot(sys.argv[1])
print(flush=True)
time.sleep(60)
"""
AS_ROOT = ["unshare", "--user", "--map-root-user"] if os.getuid() else []


@pytest.mark.failure("F416")
def test_a_process_with_other_files_is_not_of_this_run(tmp_path: Path) -> None:
    """It has another root folder, as in a container that shares the processes of its host."""
    command = [*AS_ROOT, sys.executable, "-c", CONTAINER, str(tmp_path)]
    marks = {processes.HOME_MARK: str(tmp_path), processes.PART_MARK: "loader"}
    with subprocess.Popen(command, env=marks, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        processes.end_run(tmp_path, timeout=0.1)
        assert process.poll() is None
        process.kill()
