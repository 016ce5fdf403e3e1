"""Counts the rows that came since the training of a version."""

from dataclasses import dataclass

from veleta.batches import MAX_BATCHES
from veleta.dataset import Dataset
from veleta.events.catalogue import BatchClosed, Growth
from veleta.processing.manifests import Manifests
from veleta_drift.domain.growth import growth_of
from veleta_drift.ports import Model

MAX_NUMBER = 2**31 - 1


@dataclass
class GrowthMeter:
    """More data as a reason for a training. The policy `seed` has none, because it looks at no model."""

    _dataset: Dataset
    _manifests: Manifests

    async def growth(self, manifest: BatchClosed, champion: Model | None, known: Growth | None) -> Growth | None:
        """The rows up to this batch since the champion's training. `known` is what the report before has.

        None without a champion, or if it does not say what it learnt. Raises Retry.
        """
        reference = champion.reference if champion and self._dataset.drift.policy != "seed" else None
        if champion is None or reference is None or not reference.received or reference.last is None:
            return None
        batches = await self._manifests.newest(manifest.epoch, manifest.number, MAX_BATCHES)
        if manifest.epoch > 1:
            batches = [*await self._manifests.newest(manifest.epoch - 1, MAX_NUMBER, MAX_BATCHES), *batches]
        return growth_of(champion.number, reference.received, reference.last, batches, known)
