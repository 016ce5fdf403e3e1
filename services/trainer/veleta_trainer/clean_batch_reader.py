"""Reads the clean rows of batches: from Kafka once, and then from the cache."""

from collections.abc import Iterable
from hashlib import sha256

from veleta.batches import BatchReader, RowsDeleted
from veleta.dataset import Dataset
from veleta.events.catalogue import BatchClosed
from veleta.features import FEATURE_VERSION, Features
from veleta_trainer.domain.clean_rows import FORMAT, CleanBatch
from veleta_trainer.ports import BatchCache


class CleanBatchReader:
    """The clean rows of a dataset's batches, as columns.

    A process that reads a batch soon after it is closed saves the next training that work: both use the same cache.
    """

    def __init__(self, dataset: Dataset, reader: BatchReader, cache: BatchCache) -> None:
        self._dataset = dataset
        self._reader = reader
        self._cache = cache
        self._deleted: set[str] = set()
        # All that the columns depend on, beside the rows.
        self._parts = (str(FORMAT), str(FEATURE_VERSION), dataset.digest, Features(dataset).places_digest)

    def find_deleted(self, manifests: Iterable[BatchClosed]) -> None:
        """Find out which of these batches retention deleted. `read` refuses them, also if the cache has them.

        Raises Retry.
        """
        self._deleted = self._reader.deleted(self._dataset.name, manifests)

    def read(self, manifest: BatchClosed) -> CleanBatch:
        """The clean rows of a batch, which are in the cache afterwards.

        Raises:
            Reject: see `BatchReader.chunks`.
            Retry: Kafka is unreachable.
        """
        if manifest.batch in self._deleted:
            raise RowsDeleted(manifest.batch)
        key = sha256("\n".join([*self._parts, manifest.digest]).encode()).hexdigest()
        batch = self._cache.load(key)
        if batch is None:
            batch = CleanBatch.of_rows(self._dataset, self._reader.chunks(manifest))
            self._cache.store(key, batch)
        return batch
