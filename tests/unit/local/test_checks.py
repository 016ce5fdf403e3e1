"""The checks before a start."""

import os
import socket
from pathlib import Path

import pytest

from veleta_local import checks
from veleta_local.addresses import DEFAULT_PORTS
from veleta_local.errors import LocalError


@pytest.mark.failure("F126")
@pytest.mark.parametrize(("version", "message"), [("11.0.2", "is Java 11: 17 is needed"), ("17.0.1", "")])
def test_an_old_java_is_refused(tmp_path: Path, version: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka 4 needs Java 17. The message names the java on the PATH."""
    java = tmp_path / "java"
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.defpath}")
    if message:
        with pytest.raises(LocalError, match=message):
            checks.java()
    else:
        assert checks.java() == str(java)


def test_a_missing_tool_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the script that installs it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalError, match=r"mvn is not on the PATH"):
        checks.tool("mvn")


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::"])  # noqa: S104 - this is the case
def test_a_listener_on_any_address_uses_the_port(address: str) -> None:
    """The parts listen on 127.0.0.1, which a listener on all addresses takes too."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family, dualstack_ipv6=family is socket.AF_INET6) as server:
        port = server.getsockname()[1]
        with pytest.raises(LocalError, match=f"port {port}, needed for kafka, is in use"):
            checks.ports_free({"kafka": port})


def test_a_port_is_free_when_its_server_has_closed_a_connection() -> None:
    """The kernel keeps the connection for a minute, and a new server may listen at once."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            server.accept()[0].close()
            client.recv(1)
    assert f":{port:04X} " in Path("/proc/net/tcp").read_text()
    checks.ports_free({"kafka": port})


def test_default_ports_are_outside_the_kernels_range_for_outgoing_connections() -> None:
    """Its default begins at 32768. A connection could take a part's port before the part starts."""
    assert max(DEFAULT_PORTS.values()) < 32768
