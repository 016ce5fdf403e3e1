"""Which epochs are so old that their rows need not be loaded."""

from veleta.batches import decoded
from veleta.events.catalogue import BatchPayload
from veleta.ports import EventLog
from veleta.topics import topic

LOADED_EPOCHS = 2
"""The newest epochs, whose rows are loaded in any case: a loader that is behind by one must not skip rows."""
LAST_RECORDS = 100
"""Records at the end of `batches` among which the newest epoch is sought."""


class NewestEpoch:
    """Compares epochs with the newest one in `batches`. It looks there once for each epoch that the loader reaches."""

    def __init__(self, event_log: EventLog, dataset: str) -> None:
        self._event_log = event_log
        self._topic = topic(dataset, "batches")
        self._newest = 0
        self._sought_at = 0

    def is_outdated(self, epoch: int) -> bool:
        """Whether rows of this epoch would soon be deleted. Blocks. Raises Retry."""
        if epoch > self._sought_at and epoch > self._newest - LOADED_EPOCHS:
            self._newest, self._sought_at = self._seek(), epoch
        return epoch <= self._newest - LOADED_EPOCHS

    def _seek(self) -> int:
        """The epoch of the last batches. One that skips others is not theirs."""
        epochs: set[int] = set()
        for partition, (first, end) in self._event_log.bounds(self._topic).items():
            records = self._event_log.read(self._topic, partition, max(first, end - LAST_RECORDS), end - 1)
            epochs |= {e.payload.epoch for e in decoded(records) if isinstance(e.payload, BatchPayload)}
        newest = min(epochs, default=0)
        while newest + 1 in epochs:
            newest += 1
        return newest
