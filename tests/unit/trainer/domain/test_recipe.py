"""The batches of a recipe."""

import pytest

from support.batches import publish_batch
from support.listings import api_rows
from support.trainer import DATASET
from support.twins.shared import MemoryLog
from veleta_trainer.domain.recipe import batches_with_other_rows


@pytest.mark.failure("F105")
def test_rows_that_a_new_epoch_repeats_count_once() -> None:
    """Batches with the same digest have the same rows. The order stays."""
    log = MemoryLog()
    rows = api_rows(0, 30, 1)
    first, again = (publish_batch(log, DATASET, epoch, 0, rows) for epoch in (1, 2))
    other, third = (publish_batch(log, DATASET, 1, number, api_rows(number, 30, 1)) for number in (1, 2))
    assert batches_with_other_rows([again], [first, other, third, other]) == [other, third]
