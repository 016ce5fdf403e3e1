"""`python -m veleta_local.clean_exec COMMAND...`: kills what is left of a part's previous process, then runs COMMAND.

The child processes of a killed parent survive it and may still use its port: the worker of the MLflow server, or the
process in which the trainer fits a model. A line in the log of the part marks where the output of COMMAND begins.
"""

import os
import sys
from pathlib import Path

from veleta_local import processes


def main(command: list[str]) -> None:
    """Does not return."""
    part = os.environ[processes.PART_MARK]
    processes.kill_part(Path(os.environ[processes.HOME_MARK]), part)
    print(processes.start_mark(part, os.getpid()), flush=True)
    os.execvp(command[0], command)  # noqa: S606 - the run's own command


if __name__ == "__main__":
    main(sys.argv[1:])
