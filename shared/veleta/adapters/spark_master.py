"""Asks whether a master of Apache Spark answers. It needs no PySpark, so a start can ask before it installs that."""

import socket

from veleta.errors import Retry
from veleta.timeouts import SPARK_MASTER_SECONDS


def on_cluster(master: str) -> bool:
    """Whether executors are elsewhere, and not threads of the session's own Java process."""
    return master.startswith("spark://")


def require_master(master: str) -> None:
    """Raise Retry if there is a cluster, and no master of it answers.

    Spark itself would look for it for a minute, and report another error.
    """
    if not on_cluster(master):
        return
    addresses = master.removeprefix("spark://").split(",")
    faults = []
    for address in addresses:
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), SPARK_MASTER_SECONDS / len(addresses)).close()
        except OSError as error:
            faults.append(f"{address} ({error.strerror or error})")
        else:
            return
    raise Retry("spark", f"no master answers at {', '.join(faults)}")
