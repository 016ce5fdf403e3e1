"""What an image holds, and as whom it runs."""

import json
import re

import pytest

from support.house import ROOT, declared
from support.stack import SERVICES, docker, docker_json

IMAGES = {
    **{name: f"services/{name}" for name in SERVICES},
    "prepare": "compose/prepare",
    "mlflow": "compose/mlflow",
    "notebooks": "notebooks",
}
TOOLS = {"pip", "setuptools", "wheel", "uv", "hatchling"}
HELD = """
import importlib.metadata as m, json, re
from pathlib import Path
plain = lambda text: re.match(r"[\\w.-]+", text)[0].lower().replace("_", "-").replace(".", "-")
print(json.dumps({
    "code": sorted(path.name for path in Path("/app").iterdir()),
    "distributions": {plain(d.metadata["Name"]): [plain(r) for r in d.requires or ()] for d in m.distributions()},
}))
"""
"""Prints what is installed in an image, with what each distribution names as its needs, extras included."""


pytestmark = [pytest.mark.usefixtures("images"), pytest.mark.parametrize("name", sorted(IMAGES))]


def test_an_image_holds_what_its_project_asks_for_and_nothing_else(name: str) -> None:
    """Every distribution is one that the project declares, or one that such a distribution may need.

    That what is declared is imported, tests/unit/test_dependencies.py sees to.
    """
    found = json.loads(docker("run", "--rm", "--network=none", "--entrypoint=python", f"veleta/{name}", "-c", HELD))
    assert found["code"] == sorted(["veleta", f"veleta_{name}"])
    held: dict[str, list[str]] = found["distributions"]
    assert not held.keys() & TOOLS
    wanted, seen = declared(ROOT / IMAGES[name]), set[str]()
    while wanted:
        seen |= wanted
        wanted = {need for each in wanted for need in held.get(each, ())} - seen
    assert held.keys() - seen == set()


def test_an_image_does_not_run_as_root_and_knows_no_secret(name: str) -> None:
    """Nor has its history seen one."""
    config = docker_json("image", "inspect", f"veleta/{name}")["Config"]
    assert config["User"] == "10001"
    seen = f"{config['Env']} {docker('history', '--no-trunc', f'veleta/{name}')}"
    assert not re.search("password|secret=|token", seen, re.IGNORECASE)
    which = "which uv pip gcc make || true"
    assert docker("run", "--rm", "--network=none", "--entrypoint=sh", f"veleta/{name}", "-c", which) == ""
