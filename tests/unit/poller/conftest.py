"""Fixtures of the poller's tests."""

from pathlib import Path

import pytest

from support.poller import Scene


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A poller with an empty inbox and empty topics."""
    monkeypatch.setattr("veleta.service.health.INITIAL_BACKOFF", 0.001)
    return Scene(tmp_path / "inbox")
