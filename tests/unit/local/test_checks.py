"""The checks before a start."""

import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from veleta_local import checks
from veleta_local.errors import LocalError


@pytest.mark.failure("F142")
def test_a_full_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The home needs two GiB."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(2**40, 2**40 - 2**29, 2**29))
    with pytest.raises(LocalError, match=r"0\.5 GiB are free"):
        checks.disk(tmp_path)


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
