"""`python -m veleta_local.clean_exec FOLDER COMMAND...`: removes what a part's previous process left, and runs COMMAND.

The child processes of a killed parent survive it and may still use its port: those of inference, or the
process in which the trainer fits a model. They are killed. FOLDER is for temporary files, which a killed process leaves
behind too: it is emptied. A line in the log of the part marks where the output of COMMAND begins.
"""

import os
import shutil
import sys
from pathlib import Path

from veleta_local import processes


def main(folder: str, command: list[str]) -> None:
    """Does not return."""
    part = os.environ[processes.PART_MARK]
    processes.kill_part(Path(os.environ[processes.HOME_MARK]), part)
    shutil.rmtree(folder, ignore_errors=True)
    Path(folder).mkdir(mode=0o700, parents=True)
    print(processes.start_mark(part, os.getpid()), flush=True)
    os.execvpe(command[0], command, {**os.environ, "TMPDIR": folder})  # noqa: S606 - the run's own command


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
