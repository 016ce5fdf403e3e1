"""Reads the rows of a recipe once. A batch that cannot be read is left out of the recipe, and named in it."""

from collections.abc import Callable, Mapping, Sequence
from itertools import islice

from veleta.dataset import Dataset
from veleta.errors import MAX_REASON_LENGTH, Reject
from veleta.events.catalogue import BatchClosed
from veleta_trainer.clean_batch_reader import CleanBatchReader
from veleta_trainer.domain.recipe import Recipe
from veleta_trainer.domain.training_data import TrainingData

REPORTS = 20
"""How often the progress of reading is reported, whatever the number of batches."""
NAMED_FAULTS = 3
"""Unreadable batches that an error names."""


class RecipeReader:
    """The rows of one recipe. `data` has them after `read`."""

    def __init__(self, dataset: Dataset, reader: CleanBatchReader, report: Callable[[int, int], None]) -> None:
        """`report` gets the number of batches that were read, and that of all batches."""
        self.data = TrainingData(dataset)
        self._reader = reader
        self._report = report
        self._done = 0
        self._unreadable: dict[str, str] = {}

    def read(self, recipe: Recipe) -> Recipe:
        """Read all rows: the recipe with the batches that were read.

        Raises:
            Reject: no batch to train on can be read.
            Retry: Kafka is unreachable.
        """
        total = len(recipe.batches) + len(recipe.more_holdout)
        self._reader.find_deleted([*recipe.batches, *recipe.more_holdout])
        batches = self._read(recipe.batches, total, holdout_only=False)
        if not batches:
            raise Reject("no batch can be read", describe_faults(self._unreadable))
        more_holdout = self._read(recipe.more_holdout, total, holdout_only=True)
        changes = {"batches": batches, "more_holdout": more_holdout, "unreadable": self._unreadable}
        return recipe.model_copy(update=changes)

    def _read(self, manifests: Sequence[BatchClosed], total: int, *, holdout_only: bool) -> list[BatchClosed]:
        """Read batches: those that are readable."""
        return [manifest for manifest in manifests if self._append(manifest, total, holdout_only=holdout_only)]

    def _append(self, manifest: BatchClosed, total: int, *, holdout_only: bool) -> bool:
        if self._done % max(1, total // REPORTS) == 0:
            self._report(self._done, total)
        self._done += 1
        try:
            self.data.append(self._reader.read(manifest), manifest.number, holdout_only=holdout_only)
        except Reject as error:
            self._unreadable[manifest.batch] = str(error)[:MAX_REASON_LENGTH]
            return False
        return True


def describe_faults(unreadable: Mapping[str, str]) -> str:
    """The reasons why batches could not be read, by their ids: the first NAMED_FAULTS of them."""
    named = [f"{batch}: {fault}" for batch, fault in islice(unreadable.items(), NAMED_FAULTS)]
    more = len(unreadable) - len(named)
    return "; ".join([*named, *([f"and {more} more"] if more else [])])
