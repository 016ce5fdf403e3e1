"""The files of docker compose, read without an engine."""

from typing import Any, cast

import yaml

from support.repository import ROOT


class _Loader(yaml.SafeLoader):
    """A loader that knows the tags of compose, which replace a value instead of merging it."""


for tag in ("!reset", "!override"):
    _Loader.add_constructor(tag, lambda loader, node: loader.construct_sequence(cast("yaml.SequenceNode", node)))


def compose_services(*names: str) -> dict[str, dict[str, Any]]:
    """The services of these files in compose/."""
    files = [yaml.load((ROOT / f"compose/{name}.yaml").read_text(), _Loader) for name in names]  # noqa: S506 - a SafeLoader
    return {name: service for file in files for name, service in file["services"].items()}


ALL = compose_services("secrets", "broker", "database", "registry", "services", "tools")
"""Every container of the default files, without overlays."""
SERVICES = ("source", "poller", "loader", "drift", "trainer", "inference", "retention", "monitor")
