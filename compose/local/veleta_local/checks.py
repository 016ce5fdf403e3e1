"""Looks before the start, so that what is missing is said in one line and not found in a log."""

import re
import shutil
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

from veleta_local.addresses import HOST
from veleta_local.errors import LocalError

_FREE_GIB = 2
_JAVA = 17


def disk(folder: Path) -> None:
    """Data and downloads need room before they begin to write."""
    free = shutil.disk_usage(folder).free / 2**30
    if free < _FREE_GIB:
        raise LocalError(f"{free:.1f} GiB are free at {folder}: {_FREE_GIB} GiB are needed")


def tool(name: str) -> str:
    """The path of a program."""
    found = shutil.which(name)
    if not found:
        raise LocalError(f"{name} is not on the PATH: compose/local/install.sh brings it")
    return found


def java() -> str:
    """A Java that Kafka runs on."""
    found = tool("java")
    said = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', said)
    if not version or int(version[1]) < _JAVA:
        raise LocalError(f"{found} is Java {version[1] if version else 'of no known version'}: {_JAVA} is needed")
    return found


def ports_free(wanted: Mapping[str, int]) -> None:
    """Nobody else listens where a part of ours is about to."""
    for part, port in wanted.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                raise LocalError(f"port {port}, needed for {part}, is in use: give PORT_BASE=, as 21000") from None


def readable_file(path: Path) -> None:
    """The file that our own source hands out."""
    if not path.is_file():
        raise LocalError(f"CSV={path}: there is no such file")
