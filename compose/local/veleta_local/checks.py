"""Checks before a start, so that a missing requirement is one clear line and not an error in a log."""

import re
import shutil
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

from veleta_local import disk_space
from veleta_local.addresses import DEFAULT_PORTS, HOST, MAX_PORT_BASE, MIN_PORT_BASE
from veleta_local.addresses import ports as port_numbers
from veleta_local.errors import LocalError

_JAVA = 17
_FIRST_BASE = 21_000


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
    if faults := busy_ports(ports):
        raise LocalError("\n".join(faults))


def busy_ports(ports: Mapping[str, int]) -> list[str]:
    """A line for each port on which a process listens."""
    busy = {part: port for part, port in ports.items() if not _is_free(port)}
    choice = f"pass PORT_BASE=, for example {usable_base()}" if busy else ""
    return [f"port {port}, needed for {part}, is in use: {choice}" for part, port in busy.items()]


def overlap(base: int) -> str:
    """The fault of a PORT_BASE whose ports the kernel also uses for outgoing connections; empty if there is none."""
    low, high = outgoing_ports()
    last = base + len(DEFAULT_PORTS) - 1
    if last < low or base > high:
        return ""
    return (
        f"PORT_BASE={base}: the ports {base} to {last} overlap those of outgoing connections ({low} to {high}): "
        f"use PORT_BASE={usable_base()}"
    )


def usable_base() -> int:
    """A PORT_BASE whose ports are free and not used for outgoing connections; the default if there is none."""
    candidates = (*range(_FIRST_BASE, MAX_PORT_BASE, 1_000), *range(MIN_PORT_BASE, _FIRST_BASE, 1_000))
    low, high = outgoing_ports()
    outside = (base for base in candidates if base + len(DEFAULT_PORTS) <= low or base > high)
    return next((base for base in outside if all(map(_is_free, port_numbers(base).values()))), _FIRST_BASE)


def outgoing_ports() -> tuple[int, int]:
    """The first and the last port that the kernel uses for outgoing connections."""
    low, high = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    return int(low), int(high)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
