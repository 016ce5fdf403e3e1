"""Which epochs are so old that their rows need not be loaded."""

from collections import deque

from veleta.batches import BatchReader, decoded
from veleta.errors import Reject
from veleta.events.catalogue import BatchClosed
from veleta.ports import EventLog
from veleta.topics import topic

LOADED_EPOCHS = 2
"""The newest epochs, whose rows are loaded in any case: a loader that is behind by one must not skip rows."""
LAST_RECORDS = 100
"""Records at the end of `batches` among which the newest epoch is sought."""


class NewestEpoch:
    """Compares epochs with the newest one in `batches`. It looks there once for each epoch that the loader reaches."""

    def __init__(self, event_log: EventLog, reader: BatchReader, dataset: str) -> None:
        self._event_log = event_log
        self._reader = reader
        self._topic = topic(dataset, "batches")
        self._newest = 0
        self._sought_at = 0

    def is_outdated(self, epoch: int) -> bool:
        """Whether rows of this epoch would soon be deleted. Blocks. Raises Retry."""
        if epoch > self._sought_at and epoch > self._newest - LOADED_EPOCHS:
            self._newest, self._sought_at = self._seek(epoch + LOADED_EPOCHS), epoch
        return epoch <= self._newest - LOADED_EPOCHS

    def _seek(self, first: int) -> int:
        """The newest epoch from `first` on among the last manifests, or 0.

        One that skips others, or has a manifest without its rows, is not the poller's.
        """
        manifests: dict[int, BatchClosed] = {}
        for partition, (begin, end) in self._event_log.bounds(self._topic).items():
            records = self._event_log.read(self._topic, partition, max(begin, end - LAST_RECORDS), end - 1)
            manifests |= {e.payload.epoch: e.payload for e in decoded(records) if isinstance(e.payload, BatchClosed)}
        later = sorted((epoch for epoch in manifests if epoch >= first and epoch - 1 in manifests), reverse=True)
        return next((epoch for epoch in later if self._has_rows(manifests[epoch])), 0)

    def _has_rows(self, manifest: BatchClosed) -> bool:
        try:
            deque(self._reader.chunks(manifest), maxlen=0)
        except Reject:
            return False
        return True
