"""The disks of the other parts, as the poller sees them."""

import asyncio
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from prometheus_client import REGISTRY

from veleta.errors import Retry
from veleta.service.health import ServiceHealth
from veleta_poller.adapters.disks import Disks

MIB = 2**20


@pytest.fixture
def free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The free bytes of the folders of Kafka and MySQL. MLflow has no folder yet."""
    bytes_of = {"kafka": 900 * MIB, "mysql": 900 * MIB}
    for part in bytes_of:
        (tmp_path / part).mkdir()
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=bytes_of[folder.name]))
    return bytes_of


@pytest.fixture
def disks(tmp_path: Path) -> Disks:
    return Disks({part: tmp_path / part for part in ("kafka", "mysql", "mlflow")})


@pytest.mark.failure("F254")
def test_a_disk_without_space_is_named(disks: Disks, free: dict[str, int]) -> None:
    """With what is free and what is wanted, for each part. A byte more is enough."""
    free["kafka"] = 512 * MIB - 1
    with pytest.raises(Retry, match=r"disk: no batch is fetched until each disk has 512 MiB free: kafka 511 MiB$"):
        disks.require_free_space(512 * MIB)
    free["mysql"] = 0
    with pytest.raises(Retry, match="kafka 511 MiB, mysql 0 MiB"):
        disks.require_free_space(512 * MIB)
    free["kafka"] = free["mysql"] = 512 * MIB
    disks.require_free_space(512 * MIB)


@pytest.mark.failure("F321")
async def test_a_full_disk_is_a_warning_whatever_the_poller_waits_for(disks: Disks, free: dict[str, int]) -> None:
    """It goes when there is room."""
    health = ServiceHealth("poller")
    free["kafka"] = 0
    watch = asyncio.create_task(disks.watch(health))
    await asyncio.sleep(0)
    assert health.warnings["disks"].endswith("kafka 0 MiB")
    free["kafka"] = 512 * MIB
    watch.cancel()
    watch = asyncio.create_task(disks.watch(health))
    await asyncio.sleep(0)
    assert "disks" not in health.warnings
    watch.cancel()


def test_each_disk_has_metrics(disks: Disks, free: dict[str, int]) -> None:
    """The free bytes, and the days until it is full."""
    disks.measure(0.0)
    free["kafka"] = 600 * MIB
    disks.measure(86_400.0)
    assert REGISTRY.get_sample_value("veleta_disk_free_bytes", {"part": "kafka"}) == 600 * MIB
    assert REGISTRY.get_sample_value("veleta_disk_days_until_full", {"part": "kafka"}) == 2.0
    assert REGISTRY.get_sample_value("veleta_disk_days_until_full", {"part": "mysql"}) == float("inf")
    assert REGISTRY.get_sample_value("veleta_disk_free_bytes", {"part": "mlflow"}) is None
