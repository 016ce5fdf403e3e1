"""`python -m veleta_retention.purge ID`: deletes a request from MySQL.

ID is the request's own id, or its client's id for it (X-Request-ID). Exits with 0 and the number of deleted rows, or
with 1 and a one-line reason.
"""

import sys

from veleta.clock import utc_now
from veleta.errors import Retry, Stop
from veleta.settings import read_settings
from veleta.tables import MAX_CLIENT_REQUEST_ID
from veleta_retention.bootstrap import connect
from veleta_retention.handlers import purge_requests
from veleta_retention.settings import RetentionSettings


def main(name: str) -> str:
    """Purge, and return a report. Raises Stop if there is no such request, and Retry."""
    if not 0 < len(name) <= MAX_CLIENT_REQUEST_ID:
        raise Stop(f"an id has 1 to {MAX_CLIENT_REQUEST_ID} characters")
    deleted = purge_requests(name, *connect(read_settings(RetentionSettings)), utc_now)
    if not any(deleted.values()):
        raise Stop(f"MySQL has no request with the id {name}; one that is still in a journal is deleted later")
    return f"rows deleted: {', '.join(f'{rows} of {table}' for table, rows in deleted.items())}"


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{main(' '.join(sys.argv[1:]))}\n")
    except (Retry, Stop) as error:
        sys.exit(f"purge: {error}")
