"""The batches of a recipe."""

import pytest

from support.batches import TIME
from veleta.batches import MAX_BATCHES
from veleta.errors import MAX_REASON_LENGTH
from veleta.events.catalogue import BatchClosed, ModelRegistered, OffsetRange, TrainingStarted
from veleta.events.envelope import Event, encode
from veleta.topics import MAX_MESSAGE_BYTES
from veleta_trainer.domain.recipe import Recipe, batches_of_other_numbers


def closed(epoch: int, number: int, rows: int | None = None) -> BatchClosed:
    """A batch. Batches with the same `rows` have the same rows, and without it no others have them."""
    digest = f"{epoch:032x}{number:032x}" if rows is None else f"{rows:064x}"
    return manifest(number).model_copy(update={"epoch": epoch, "digest": digest})


def places(batches: list[BatchClosed]) -> list[tuple[int, int]]:
    return [(batch.epoch, batch.number) for batch in batches]


@pytest.mark.failure("F105")
@pytest.mark.failure("F252")
def test_rows_that_a_new_epoch_repeats_count_once() -> None:
    """Batches with the same digest have the same rows, also under another number."""
    learnt = [closed(2, 0, rows=1), closed(2, 1, rows=2)]
    champion = [closed(1, 0, rows=1), closed(1, 1, rows=2), closed(1, 2, rows=1), closed(1, 3, rows=4)]
    assert places(batches_of_other_numbers(learnt, champion)) == [(1, 3)]


@pytest.mark.failure("F464")
def test_rows_of_the_champion_that_were_replaced_are_not_compared() -> None:
    """They show the market of an earlier epoch. Of other numbers the newest batches are, the oldest first."""
    learnt = [closed(3, 0), closed(3, 1)]
    champion = [closed(2, 5), closed(2, 0), closed(2, 4), closed(1, 1), closed(1, 5), closed(1, 7)]
    assert places(batches_of_other_numbers(learnt, champion)) == [(1, 7), (2, 4), (2, 5)]


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
    """However many champions had a holdout of their own."""
    more = [manifest(number) for number in (*range(5, MAX_BATCHES + 10), 0, 1)]
    added = [batch.number for batch in batches_of_other_numbers([manifest(7)], more)]
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
