"""The artifacts that retention deletes, on a registry in memory."""

import pytest
from prometheus_client import REGISTRY

from veleta.errors import Retry
from veleta.service.health import ServiceHealth
from veleta_retention.domain.kept_versions import Artifacts
from veleta_retention.version_sweeper import VersionSweeper


class MemoryDecisions:
    """`DecisionTable`, of versions that were all rejected."""

    def __init__(self, versions: int) -> None:
        self.rows = [(number, number, "rejected") for number in range(1, versions + 1)]
        self.read: list[int] = []

    def after(self, seq: int) -> list[tuple[int, int, str]]:
        found = [row for row in self.rows if row[0] > seq]
        self.read.append(len(found))
        return found


class MemoryArtifacts:
    """`ModelArtifacts`. Versions without an entry have artifacts."""

    def __init__(self) -> None:
        self.states: dict[int, Artifacts] = {}
        self.asked: list[int] = []
        self.deleted: list[int] = []
        self.fails_at = 0

    def state(self, version: int) -> Artifacts:
        self.asked.append(version)
        return self.states.get(version, "present")

    def delete(self, version: int) -> None:
        if version == self.fails_at:
            raise Retry("mlflow", "unavailable")
        self.states[version] = "deleted"
        self.deleted.append(version)


@pytest.fixture
def artifacts() -> MemoryArtifacts:
    return MemoryArtifacts()


def sweeper(table: MemoryDecisions, artifacts: MemoryArtifacts, keep: int) -> VersionSweeper:
    return VersionSweeper(table, artifacts, keep, ServiceHealth("retention"))


async def test_the_oldest_rejected_versions_lose_their_artifacts_first(artifacts: MemoryArtifacts) -> None:
    """So that all versions below a deleted one are deleted, also after a kill."""
    before = REGISTRY.get_sample_value("veleta_versions_deleted_total") or 0
    await sweeper(MemoryDecisions(5), artifacts, keep=2).sweep()
    assert artifacts.deleted == [1, 2, 3]
    assert REGISTRY.get_sample_value("veleta_versions_deleted_total") == before + 3


async def test_a_sweep_reads_only_new_decisions_and_asks_only_for_due_versions(artifacts: MemoryArtifacts) -> None:
    """Its work does not grow with the history."""
    table = MemoryDecisions(5)
    swept = sweeper(table, artifacts, keep=2)
    await swept.sweep()
    table.rows.append((6, 6, "rejected"))
    artifacts.asked.clear()
    await swept.sweep()
    assert (table.read, artifacts.asked, artifacts.deleted) == ([5, 1], [4], [1, 2, 3, 4])


async def test_a_new_process_stops_at_the_first_deleted_version(artifacts: MemoryArtifacts) -> None:
    """It asks the registry for no version below it."""
    artifacts.states = {1: "deleted", 2: "deleted", 3: "deleted"}
    await sweeper(MemoryDecisions(6), artifacts, keep=2).sweep()
    assert (artifacts.asked, artifacts.deleted) == ([4, 3], [4])


async def test_a_version_with_an_alias_keeps_its_artifacts(artifacts: MemoryArtifacts) -> None:
    """The versions below it do not. It is asked for again, because an alias may be removed."""
    artifacts.states[2] = "aliased"
    swept = sweeper(MemoryDecisions(4), artifacts, keep=1)
    await swept.sweep()
    assert artifacts.deleted == [1, 3]
    del artifacts.states[2]
    await swept.sweep()
    assert artifacts.deleted == [1, 3, 2]


async def test_a_version_that_a_person_deleted_is_skipped(artifacts: MemoryArtifacts) -> None:
    """The versions below it are still found."""
    artifacts.states[2] = "unknown"
    await sweeper(MemoryDecisions(3), artifacts, keep=1).sweep()
    assert artifacts.deleted == [1]


async def test_an_unavailable_registry_deletes_the_rest_later(artifacts: MemoryArtifacts) -> None:
    """No version is skipped or deleted twice."""
    swept = sweeper(MemoryDecisions(4), artifacts, keep=1)
    artifacts.fails_at = 2
    with pytest.raises(Retry):
        await swept.sweep()
    artifacts.fails_at = 0
    await swept.sweep()
    assert artifacts.deleted == [1, 2, 3]


async def test_without_a_limit_nothing_is_read(artifacts: MemoryArtifacts) -> None:
    """Neither decisions nor versions."""
    table = MemoryDecisions(9)
    await sweeper(table, artifacts, keep=0).sweep()
    assert (table.read, artifacts.asked) == ([], [])
