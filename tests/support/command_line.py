"""`python -m support.command_line target`: as `python -m veleta_local target`, for a run in the current folder."""

import sys
from pathlib import Path

import veleta_local.__main__ as command_line

if __name__ == "__main__":
    command_line._HOME = Path.cwd() / ".veleta"
    sys.exit(command_line.main(sys.argv[1:]))
