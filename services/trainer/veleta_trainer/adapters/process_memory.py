"""How much memory a process uses, and how much there is."""

import os
from pathlib import Path

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
SHARE = 0.9
"""The share of all memory that one training may use, if no setting limits it: the rest of the machine must work on."""
CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")
"""Linux (cgroups 2): the limit of this container in bytes, or `max`."""


def resident_bytes(pid: int) -> int:
    """The memory of a process in RAM. 0 if it has ended."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * PAGE_BYTES


def default_limit() -> int:
    """SHARE of the memory of the machine or of the container, in bytes."""
    machine = os.sysconf("SC_PHYS_PAGES") * PAGE_BYTES
    try:
        limit = CONTAINER_LIMIT.read_text().strip()
    except OSError:
        limit = ""
    return int(SHARE * min(machine, int(limit) if limit.isdigit() else machine))
