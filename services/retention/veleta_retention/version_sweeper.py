"""Deletes the artifacts of versions beyond the limit."""

import asyncio

import prometheus_client
import structlog

from veleta.service.health import ServiceHealth
from veleta_retention.domain.kept_versions import Decisions
from veleta_retention.ports import DecisionTable, ModelArtifacts

DELETED = prometheus_client.Counter("veleta_versions_deleted", "versions whose artifacts retention deleted")
log = structlog.get_logger()


class VersionSweeper:
    """Keeps the artifacts of the newest versions, of the last two champions, and of each version with an alias."""

    def __init__(self, table: DecisionTable, artifacts: ModelArtifacts, keep: int, health: ServiceHealth) -> None:
        """`keep`: how many rejected and replaced versions keep their artifacts; 0: all."""
        self._table = table
        self._artifacts = artifacts
        self._keep = keep
        self._health = health
        self._decisions = Decisions()

    async def sweep(self) -> None:
        """Delete what is due, the oldest version first. Raises Retry."""
        if not self._keep:
            return
        self._decisions.add(await asyncio.to_thread(self._table.after, self._decisions.last))
        for version in reversed(await self._due()):
            if self._health.stopping.is_set():
                return
            self._health.heartbeat()
            await asyncio.to_thread(self._artifacts.delete, version)
            self._decisions.forget(version)
            DELETED.inc()
            log.info("artifacts deleted", version=version)

    async def _due(self) -> list[int]:
        """The versions whose artifacts are to be deleted, newest first.

        Artifacts are deleted in the order of the versions. So all versions below a deleted one are deleted too.
        """
        due: list[int] = []
        beyond = self._decisions.beyond(self._keep)
        for version in beyond:
            state = await asyncio.to_thread(self._artifacts.state, version)
            if state == "deleted":
                self._decisions.forget_until(version)
                break
            if state == "unknown":
                self._decisions.forget(version)
            elif state == "present":
                due.append(version)
        return due
