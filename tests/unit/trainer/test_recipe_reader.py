"""The rows of a recipe are read once, and what cannot be read is left out and named."""

import pytest

from support.batches import publish_batch
from support.listings import api_rows
from support.trainer import DATASET
from support.twins.shared import CountingLog
from support.twins.trainer import MemoryBatches
from veleta.batches import BatchReader
from veleta.errors import Reject
from veleta.events.catalogue import BatchClosed
from veleta.topics import topic
from veleta_trainer.clean_batch_reader import CleanBatchReader
from veleta_trainer.domain.recipe import Recipe
from veleta_trainer.recipe_reader import REPORTS, RecipeReader

ROWS = topic(DATASET.name, "rows")


def recipe(batches: list[BatchClosed], more_holdout: list[BatchClosed]) -> Recipe:
    return Recipe(
        request_id="real_estate/1/0/retrain",
        dataset=DATASET.name,
        dataset_digest=DATASET.digest,
        dataset_file=DATASET.text,
        feature_version=1,
        batches=batches,
        more_holdout=more_holdout,
        champion=None,
        params={},
        libraries={},
    )


class Reading:
    """A log with some batches, and what was reported while they are read."""

    def __init__(self) -> None:
        self.log = CountingLog()
        self.cache = MemoryBatches()
        self.reports: list[tuple[int, int]] = []

    def batch(self, number: int, **manifest: object) -> BatchClosed:
        return publish_batch(self.log, DATASET, 1, number, api_rows(0, 250, number), **manifest)

    def reader(self) -> RecipeReader:
        reader = CleanBatchReader(DATASET, BatchReader(self.log), self.cache)
        return RecipeReader(DATASET, reader, lambda done, of: self.reports.append((done, of)))


def test_each_record_is_read_once() -> None:
    """Also those of the batches whose holdout is added."""
    reading = Reading()
    batches = [reading.batch(number) for number in range(4)]
    read = reading.reader().read(recipe(batches[:2], batches[2:]))
    assert reading.log.read_records[ROWS] == len(reading.log.topics[ROWS]) == 12
    assert (read.batches, read.more_holdout, read.unreadable) == (batches[:2], batches[2:], {})


@pytest.mark.failure("F107")
def test_a_batch_that_cannot_be_read_leaves_no_row() -> None:
    """Though its fault is found at its end. It is named, and the other batches are trained on."""
    reading = Reading()
    good, bad = reading.batch(0), reading.batch(1, digest="wrong")
    both, alone = reading.reader(), reading.reader()
    read = both.read(recipe([good, bad], []))
    alone.read(recipe([good], []))
    assert read.batches == [good]
    assert read.unreadable == {"real_estate/1/1": "the manifest does not match: the rows have another digest"}
    assert both.data.train.frame().equals(alone.data.train.frame())
    assert len(both.data.holdout) == len(alone.data.holdout)
    assert (both.data.received, both.data.rejected) == (alone.data.received, alone.data.rejected)


@pytest.mark.failure("F243")
def test_lost_rows_of_the_champion_do_not_fail_the_training() -> None:
    """The champion is then measured on fewer rows."""
    reading = Reading()
    good, lost = reading.batch(0), reading.batch(1, digest="wrong")
    read = reading.reader().read(recipe([good], [lost]))
    assert (read.batches, read.more_holdout) == ([good], [])
    assert list(read.unreadable) == ["real_estate/1/1"]


@pytest.mark.failure("F252")
def test_rows_of_the_champion_that_retention_deleted_are_left_out() -> None:
    """The reason says that they were deleted on purpose."""
    reading = Reading()
    deleted, kept = reading.batch(0), reading.batch(1)
    reading.log.delete_before(ROWS, 0, kept.ranges[0].first)
    read = reading.reader().read(recipe([kept], [deleted]))
    assert (read.batches, read.more_holdout) == ([kept], [])
    assert read.unreadable == {"real_estate/1/0": "its rows were deleted by retention: real_estate/1/0"}


def test_the_error_names_some_unreadable_batches() -> None:
    """It does not grow with the number of batches."""
    reading = Reading()
    batches = [reading.batch(number, digest="wrong") for number in range(9)]
    with pytest.raises(Reject, match=r"no batch can be read: real_estate/1/0: .*; and 6 more$"):
        reading.reader().read(recipe(batches, []))


def test_the_number_of_reports_does_not_grow_with_the_number_of_batches() -> None:
    """Each report is an event of the topic `training`."""
    reading = Reading()
    manifest = reading.batch(0)
    reading.reader().read(recipe([manifest] * 3, []))
    assert reading.reports == [(0, 3), (1, 3), (2, 3)]
    reading.reports.clear()
    reading.reader().read(recipe([manifest] * 100, []))
    assert len(reading.reports) == REPORTS
