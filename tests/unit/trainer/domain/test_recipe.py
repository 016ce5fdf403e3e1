"""The batches of a recipe."""

import pytest

from support.batches import TIME, publish_batch
from support.listings import api_rows
from support.trainer import DATASET
from support.twins.shared import MemoryLog
from veleta.errors import MAX_REASON_LENGTH
from veleta.events.catalogue import BatchClosed, ModelRegistered, OffsetRange, TrainingStarted
from veleta.events.envelope import Event, encode
from veleta.topics import MAX_MESSAGE_BYTES
from veleta_trainer.domain.recipe import MAX_BATCHES, Recipe, batches_with_other_rows


@pytest.mark.failure("F105")
def test_rows_that_a_new_epoch_repeats_count_once() -> None:
    """Batches with the same digest have the same rows. The order stays."""
    log = MemoryLog()
    rows = api_rows(0, 30, 1)
    first, again = (publish_batch(log, DATASET, epoch, 0, rows) for epoch in (1, 2))
    other, third = (publish_batch(log, DATASET, 1, number, api_rows(number, 30, 1)) for number in (1, 2))
    assert batches_with_other_rows([again], [first, other, third, other], []) == [other, third]


@pytest.mark.failure("F252")
def test_a_copy_in_the_last_epoch_takes_the_place_of_an_old_batch() -> None:
    """Retention deletes its rows later. A copy of no batch of the champion is not added."""
    log = MemoryLog()
    old, copy = (publish_batch(log, DATASET, epoch, 0, api_rows(0, 30, 1)) for epoch in (1, 8))
    without_copy, unused = (publish_batch(log, DATASET, epoch, 1, api_rows(1, 30, epoch)) for epoch in (1, 8))
    assert batches_with_other_rows([], [old, without_copy], [copy, unused]) == [copy, without_copy]


def manifest(number: int) -> BatchClosed:
    """A manifest with the largest numbers that are possible in practice."""
    return BatchClosed(
        dataset="d" * 64,
        epoch=10**9,
        number=number,
        rows=10**9,
        chunks=10**9,
        digest=f"{number:064x}",
        dataset_digest="d" * 64,
        ranges=[OffsetRange(partition=0, first=10**15, last=10**15)],
    )


@pytest.mark.failure("F247")
def test_only_the_newest_batches_are_added_to_the_holdout() -> None:
    """However many champions had a holdout of their own. The order stays."""
    more = [manifest(number) for number in (*range(5, MAX_BATCHES + 10), 0, 1)]
    added = [batch.number for batch in batches_with_other_rows([manifest(7)], more, [])]
    assert added == [*range(10, MAX_BATCHES + 10)]


@pytest.mark.failure("F247")
def test_the_largest_recipe_fits_into_a_record() -> None:
    """With all batches that a training may have, and a reason for each that cannot be read."""
    recipe = Recipe(
        request_id="r" * 128,
        dataset="d" * 64,
        dataset_digest="d" * 64,
        dataset_file="t" * 65_536,
        feature_version=1,
        batches=[manifest(number) for number in range(MAX_BATCHES)],
        more_holdout=[manifest(number) for number in range(MAX_BATCHES)],
        champion=1,
        params={},
        libraries={},
        unreadable={f"{'d' * 64}/{10**9}/{10**9 + n}": "r" * MAX_REASON_LENGTH for n in range(2 * MAX_BATCHES)},
    )
    document = recipe.model_dump(mode="json")
    registered = ModelRegistered(model="d", version=1, run_id="r", recipe=document, native="models:/n", metrics={})
    for payload in (TrainingStarted(request_id="r", recipe=document), registered):
        assert len(encode("d", Event("e", "trainer", TIME, payload)).value) < MAX_MESSAGE_BYTES / 2
