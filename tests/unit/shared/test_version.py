"""The order of versions."""

import tomllib

import pytest

from support.repository import ROOT
from veleta.version import VERSION, is_newer


@pytest.mark.parametrize(("version", "newer"), [(VERSION, False), ("0.0.9", False), ("0.10.0", True), ("1.0", True)])
def test_versions_are_compared_by_their_numbers(version: str, newer: bool) -> None:
    """0.10 is newer than 0.9."""
    assert is_newer(version) == newer


def test_every_distribution_has_this_version() -> None:
    """A release changes all of them."""
    projects = [*ROOT.glob("*/pyproject.toml"), *ROOT.glob("*/*/pyproject.toml")]
    assert {tomllib.loads(path.read_text())["project"]["version"] for path in projects} == {VERSION}
