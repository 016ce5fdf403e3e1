"""`python -m veleta_local.afresh command...`: a part's process, begun with nothing left of the one before.

Children outlive a parent that was killed, and may hold its port: MLflow's server has a worker, the trainer its fitting.
So they are ended first; then this process becomes the command.
"""

import os
import sys
from pathlib import Path

from veleta_local import processes


def main(command: list[str]) -> None:
    """Does not return."""
    processes.end_part(Path(os.environ[processes.MARK]), os.environ[processes.PART])
    os.execvp(command[0], command)  # noqa: S606 - the run's own command


if __name__ == "__main__":
    main(sys.argv[1:])
