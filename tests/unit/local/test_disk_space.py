"""The space that downloads and runs need."""

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from veleta_local import checks, disk_space
from veleta_local.disk_space import (
    CACHE_MB,
    MAVEN_MB,
    PACKAGES_MB,
    RUN_MB,
    RUNTIME_MB,
    SPARK_CACHE_MB,
    SPARK_MB,
    VENV_MB,
)
from veleta_local.errors import LocalError

usage = namedtuple("usage", "total used free")


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> int:
    """Every file system has 1 GB left."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 10**12 - 10**9, 10**9))
    return 1000


@pytest.mark.failure("F142")
def test_a_full_disk_is_refused(tmp_path: Path, free: int) -> None:
    """In one line with the folder, what it has and what it needs."""
    with pytest.raises(LocalError, match=rf"^1\.0 GB are free at {tmp_path}: 2\.1 GB are needed$"):
        checks.disk((RUN_MB, tmp_path))


def test_the_folders_of_one_file_system_share_its_space(tmp_path: Path, free: int) -> None:
    """A folder that does not exist yet counts where it will be created."""
    assert disk_space.shortage([(free, tmp_path)]) == ""
    text = disk_space.shortage([(600, tmp_path), (600, tmp_path / "a/b")])
    assert text == f"1.0 GB are free at {tmp_path}: 1.2 GB are needed"


def test_the_two_sizes_never_look_equal(tmp_path: Path, free: int) -> None:
    """What is free is rounded down, and what is needed is rounded up."""
    assert disk_space.shortage([(free + 1, tmp_path)]) == f"1.0 GB are free at {tmp_path}: 1.1 GB are needed"


def test_each_file_system_is_looked_at(tmp_path: Path, free: int) -> None:
    """The first one has enough."""
    assert disk_space.shortage([(600, tmp_path), (2000, Path("/proc"))]).startswith("1.0 GB are free at /proc")


def test_an_installation_needs_space_for_all_that_follows(tmp_path: Path) -> None:
    """Packages, .venv, Kafka and MariaDB, the run, Maven's copy; uv links the files of a cache beside .venv."""
    home = {"HOME": str(tmp_path)}
    assert disk_space.of_installation(tmp_path, home, "run", packages=True) == [
        (PACKAGES_MB["run"], Path("/usr")),
        (VENV_MB + RUNTIME_MB + RUN_MB, tmp_path),
        (MAVEN_MB, tmp_path / ".m2"),
    ]


def test_a_cache_in_another_file_system_needs_its_own_space(tmp_path: Path) -> None:
    """uv then copies."""
    environ = {"HOME": str(tmp_path), "UV_CACHE_DIR": "/proc/uv"}
    assert disk_space.of_installation(tmp_path, environ, "run", packages=False)[-1] == (CACHE_MB, Path("/proc/uv"))


def test_what_is_installed_already_is_not_counted_again(tmp_path: Path) -> None:
    """After an interrupted installation. The run's space is always needed."""
    (tmp_path / ".venv").mkdir()
    with (tmp_path / ".venv/library").open("wb") as file:
        file.truncate(10**9)
    environ = {"HOME": str(tmp_path)}
    assert disk_space.of_installation(tmp_path, environ, "run", packages=False)[0] == (
        VENV_MB + RUNTIME_MB + RUN_MB - 1000,
        tmp_path,
    )


def test_the_tests_need_only_their_packages(tmp_path: Path) -> None:
    """A browser, if it is missing."""
    assert disk_space.of_installation(tmp_path, {}, "tests", packages=True) == [(PACKAGES_MB["tests"], Path("/usr"))]
    assert disk_space.of_installation(tmp_path, {}, "tests", packages=False) == []


def test_spark_needs_space_in_the_checkout_and_in_the_cache(tmp_path: Path) -> None:
    """uv builds it in its cache."""
    environ = {"HOME": str(tmp_path), "UV_CACHE_DIR": "/proc/uv"}
    needed = [(SPARK_MB, tmp_path), (SPARK_CACHE_MB, Path("/proc/uv"))]
    assert disk_space.of_installation(tmp_path, environ, "spark", packages=False) == needed
