"""`python -m veleta.probe URL`: exits with 0 if a GET returns 2xx within 5 s, otherwise with 1 and the response."""

import sys
import urllib.request

TIMEOUT_SECONDS = 5


def main() -> None:
    """Send one request."""
    try:
        with urllib.request.urlopen(sys.argv[1], timeout=TIMEOUT_SECONDS):  # noqa: S310 - the URL is that of a service in the same container
            pass
    except OSError as error:
        sys.exit(f"{error}: {error.read(2000).decode(errors='replace')}" if hasattr(error, "read") else str(error))


if __name__ == "__main__":
    main()
