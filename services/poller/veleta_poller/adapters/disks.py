"""The disks of all parts: the poller fetches no batch that one of them could not store."""

import shutil
import time
from collections.abc import Mapping
from pathlib import Path

import prometheus_client

from veleta.errors import Retry
from veleta.service.health import ServiceHealth
from veleta_poller.domain.disk_growth import DiskGrowth

FREE = prometheus_client.Gauge("veleta_disk_free_bytes", "free bytes of the disk of a part", ["part"])
DAYS = prometheus_client.Gauge(
    "veleta_disk_days_until_full", "days until the disk of a part is full, at the rate of the last hour", ["part"]
)
SAMPLE_SECONDS = 5.0
MIN_FREE_BYTES = 512 * 1024 * 1024
"""Bytes that must be free on each disk before a request."""


class Disks:
    """The folders of the parts, which may be on one disk or on several."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = folders
        self._growth = {part: DiskGrowth() for part in folders}
        self._required = MIN_FREE_BYTES

    def require_free_space(self, required: int) -> None:
        """Raise Retry if a disk has fewer free bytes. The message names each such part."""
        self._required = required
        if shortage := self.shortage():
            raise Retry("disk", shortage)

    def shortage(self) -> str:
        """The parts whose disk has less free than was last required; empty if there is none."""
        short = {part: free for part, free in self._free().items() if free < self._required}
        listed = ", ".join(f"{part} {free >> 20} MiB" for part, free in short.items())
        return f"no batch is fetched until each disk has {self._required >> 20} MiB free: {listed}" if short else ""

    async def watch(self, health: ServiceHealth) -> None:
        """Update the metrics and the warning until the service stops: the poller may wait for Kafka all the time."""
        running = True
        while running:
            self.measure(time.monotonic())
            health.set_warning("disks", self.shortage())
            running = await health.wait(SAMPLE_SECONDS)

    def measure(self, seconds: float) -> None:
        """Set the metrics of each disk."""
        for part, free in self._free().items():
            self._growth[part].add(seconds, free)
            FREE.labels(part).set(free)
            DAYS.labels(part).set(self._growth[part].days_until_full)

    def _free(self) -> dict[str, int]:
        """Free bytes by part. The folder of a part that has not started yet may be missing."""
        return {part: shutil.disk_usage(path).free for part, path in self._folders.items() if path.exists()}
