"""A champion that was deleted in the registry is shown."""

import pytest

from support.trainer import TrainerHarness, request
from veleta.service.health import ServiceHealth
from veleta_trainer.champion_watch import ChampionWatch


@pytest.mark.failure("F145")
async def test_a_deleted_champion_is_a_warning_until_another_is_promoted() -> None:
    """On /readyz. Without a champion there is none."""
    harness, health = TrainerHarness(50.0, 40.0), ServiceHealth("trainer")
    watch = ChampionWatch(harness.registry, harness.transactions, health)
    await watch.check()
    await harness.add_request(request(0))
    await harness.finish()
    await watch.check()
    assert health.warnings == {}
    harness.registry.delete(1)
    await watch.check()
    assert health.warnings == {"champion": "version 1 was deleted in the registry"}
    await harness.add_request(request(1))
    await harness.finish()
    await watch.check()
    assert health.warnings == {}
