"""Checks before a start, so that a missing requirement is one clear line and not an error in a log."""

import re
import shutil
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

from veleta_local import disk_space
from veleta_local.addresses import HOST
from veleta_local.errors import LocalError

_JAVA = 17


def disk(*demands: disk_space.Demand) -> None:
    """Require free space for data or downloads."""
    if text := disk_space.shortage(demands):
        raise LocalError(text)


def tool(name: str) -> str:
    """The path of a program."""
    if not (path := shutil.which(name)):
        raise LocalError(f"{name} is not on the PATH: compose/local/install.sh installs it")
    return path


def java() -> str:
    """The path of a Java that can run Kafka."""
    path = tool("java")
    output = subprocess.run([path, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', output)
    if not version or int(version[1]) < _JAVA:
        raise LocalError(f"{path} is Java {version[1] if version else 'of an unknown version'}: {_JAVA} is needed")
    return path


def ports_free(ports: Mapping[str, int]) -> None:
    """Require that no process listens on these ports; `ports` maps the part to its port."""
    for part, port in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                raise LocalError(
                    f"port {port}, needed for {part}, is in use: pass PORT_BASE=, for example 21000"
                ) from None


def readable_file(path: Path) -> None:
    """Require the file that `source` serves."""
    if not path.is_file():
        raise LocalError(f"CSV={path}: there is no such file")
