"""The files of docker compose, read without an engine."""

from typing import Any

import yaml

from support.repository import ROOT


def compose_services(*names: str) -> dict[str, dict[str, Any]]:
    """The services of these files in compose/."""
    files = [yaml.safe_load((ROOT / f"compose/{name}.yaml").read_text()) for name in names]
    return {name: service for file in files for name, service in file["services"].items()}


ALL = compose_services("secrets", "broker", "database", "registry", "services", "tools")
"""Every container of the default files, without overlays."""
SERVICES = ("source", "poller", "loader", "drift", "trainer", "inference", "retention", "monitor")
