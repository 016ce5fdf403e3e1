"""`python -m veleta.probe URL`: exits with 0 if a GET returns 2xx within 5 s, otherwise with 1 and the response."""

import sys
import urllib.request

TIMEOUT_SECONDS = 5


def probe(url: str) -> None:
    """Send one request, without a proxy: the service is on the same machine. Raises OSError."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url, timeout=TIMEOUT_SECONDS):
        pass


def main() -> None:
    """Probe the URL in sys.argv."""
    try:
        probe(sys.argv[1])
    except OSError as error:
        sys.exit(f"{error}: {error.read(2000).decode(errors='replace')}" if hasattr(error, "read") else str(error))


if __name__ == "__main__":
    main()
