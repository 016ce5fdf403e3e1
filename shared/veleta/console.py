"""What the programs of make have in common: lines on stdout, and errors that are one line on stderr."""

import sys
from collections.abc import Callable

from veleta.errors import Reject, Stop


def show(line: str) -> None:
    """Print a line at once, also into a pipe."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def run(main: Callable[[], None]) -> None:
    """Run a program. Stop and Reject end it with their text and the exit code 1."""
    try:
        main()
    except (Stop, Reject) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
