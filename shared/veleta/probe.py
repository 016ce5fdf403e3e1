"""`python -m veleta.probe URL`: exits 0 when a GET of it answers 2xx within 5 s, or 1, with what it says instead."""

import sys
import urllib.request

SECONDS = 5


def main() -> None:
    """Ask once."""
    try:
        with urllib.request.urlopen(sys.argv[1], timeout=SECONDS):  # noqa: S310 - the address is our own
            pass
    except OSError as error:
        sys.exit(f"{error}: {error.read(2000).decode(errors='replace')}" if hasattr(error, "read") else str(error))


if __name__ == "__main__":
    main()
