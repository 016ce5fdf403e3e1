"""`python -m veleta_retention.purge ID`: deletes all that is kept of a request.

ID is the request's id, or what its client called it (X-Request-ID). Exits 0 and says how many rows it deleted, or 1
with one clear line.
"""

import sys

from veleta.clock import utc_now
from veleta.errors import Retry, Stop
from veleta.settings import read_settings
from veleta.tables import MAX_CLIENT_REQUEST_ID
from veleta_retention.bootstrap import tables
from veleta_retention.handlers import purge
from veleta_retention.settings import RetentionSettings


def main(name: str) -> str:
    """Purge, and say what was deleted. Raises Stop when nothing was, and Retry when the database is away."""
    if not 0 < len(name) <= MAX_CLIENT_REQUEST_ID:
        raise Stop(f"an id has 1 to {MAX_CLIENT_REQUEST_ID} characters")
    deleted = purge(name, *tables(read_settings(RetentionSettings)), utc_now)
    if not any(deleted.values()):
        raise Stop(f"no request in MySQL is called {name}; one that still waits in a journal is deleted when it comes")
    return f"rows deleted: {', '.join(f'{rows} of {table}' for table, rows in deleted.items())}"


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{main(' '.join(sys.argv[1:]))}\n")
    except (Retry, Stop) as error:
        sys.exit(f"purge: {error}")
