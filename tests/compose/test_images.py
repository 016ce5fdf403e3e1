"""The content of each image, and its user."""

import json
import re

import pytest

from support.repository import ROOT, declared
from support.stack import SERVICES, docker, docker_json

IMAGES = {
    **{name: f"services/{name}" for name in SERVICES},
    "prepare": "compose/prepare",
    "mlflow": "compose/mlflow",
    "notebooks": "notebooks",
}
TOOLS = {"pip", "setuptools", "wheel", "uv", "hatchling"}
LIST_CONTENT = """
import importlib.metadata as m, json, re
from pathlib import Path
plain = lambda text: re.match(r"[\\w.-]+", text)[0].lower().replace("_", "-").replace(".", "-")
print(json.dumps({
    "code": sorted(path.name for path in Path("/app").iterdir()),
    "distributions": {plain(d.metadata["Name"]): [plain(r) for r in d.requires or ()] for d in m.distributions()},
}))
"""
"""Prints the code and the distributions of an image, each with its requirements, including those of extras."""


pytestmark = [pytest.mark.usefixtures("images"), pytest.mark.parametrize("name", sorted(IMAGES))]


def test_an_image_has_only_what_its_project_requires(name: str) -> None:
    """Each distribution is declared by the project, or required by a distribution that is.

    tests/unit/test_dependencies.py checks that what is declared is imported.
    """
    content = json.loads(
        docker("run", "--rm", "--network=none", "--entrypoint=python", f"veleta/{name}", "-c", LIST_CONTENT)
    )
    assert content["code"] == sorted(["veleta", f"veleta_{name}"])
    requirements: dict[str, list[str]] = content["distributions"]
    assert not requirements.keys() & TOOLS
    wanted, seen = declared(ROOT / IMAGES[name]), set[str]()
    while wanted:
        seen |= wanted
        wanted = {need for each in wanted for need in requirements.get(each, ())} - seen
    assert requirements.keys() - seen == set()


def test_an_image_does_not_run_as_root_and_has_no_secret(name: str) -> None:
    """Its history has none either."""
    config = docker_json("image", "inspect", f"veleta/{name}")["Config"]
    assert config["User"] == "10001"
    seen = f"{config['Env']} {docker('history', '--no-trunc', f'veleta/{name}')}"
    assert not re.search("password|secret=|token", seen, re.IGNORECASE)
    which = "which uv pip gcc make || true"
    assert docker("run", "--rm", "--network=none", "--entrypoint=sh", f"veleta/{name}", "-c", which) == ""


@pytest.mark.failure("F414")
def test_everyone_in_the_image_can_read_the_code(name: str) -> None:
    """Whatever the modes in the clone are."""
    unreadable = "find /app ! -perm -o=r -o -type d ! -perm -o=x"
    assert (
        docker("run", "--rm", "--network=none", "--user=0", "--entrypoint=sh", f"veleta/{name}", "-c", unreadable) == ""
    )
