"""The limit of the rows of a fit."""

import numpy as np
import pytest

from support.listings import api_rows
from support.trainer import DATASET
from veleta.features import is_held_out
from veleta_trainer.domain.clean_rows import CleanBatch
from veleta_trainer.domain.row_limit import BUCKETS, bucket_limit, bucket_of
from veleta_trainer.domain.training_data import TrainingData


def data() -> TrainingData:
    """Two batches with the same properties."""
    found = TrainingData(DATASET)
    for number in range(2):
        found.append(CleanBatch.of_rows(DATASET, [api_rows(0, 2_000, 1)]), number, holdout_only=False)
    return found


@pytest.mark.parametrize("most", [0, 1, 300, 2_000])
def test_a_limited_fit_has_whole_properties(most: int) -> None:
    """As many as possible, in their order. The holdout has all of its own."""
    every, limited = data(), data()
    share = limited.limit(most)
    kept = np.isin(every.train.properties(), limited.train.properties())
    assert limited.train.properties().tolist() == every.train.properties()[kept].tolist()
    assert limited.train_numbers().tolist() == every.train_numbers()[kept].tolist()
    assert most - 2 < len(limited.train) <= most, "a property has one row in each of the two batches"
    assert share == len(limited.train) / len(every.train)
    assert len(limited.holdout) == len(every.holdout)


def test_enough_room_changes_nothing() -> None:
    """A limit is no reason to sample fewer rows than it allows."""
    every, limited = data(), data()
    assert limited.limit(len(every.train)) == 1.0
    assert limited.train.properties().tolist() == every.train.properties().tolist()


def test_a_bucket_says_nothing_about_the_holdout() -> None:
    """Each bucket has as many held-out properties as another one."""
    properties = np.random.default_rng(0).integers(2**64, size=100_000, dtype=np.uint64)
    low = bucket_of(properties) < BUCKETS // 2
    assert low.mean() == pytest.approx(0.5, abs=0.01)
    assert is_held_out(properties[low]).mean() == pytest.approx(0.2, abs=0.01)


def test_the_first_bucket_may_be_too_large() -> None:
    """A bucket is taken as a whole, so none may be."""
    assert bucket_limit(np.array([5, 0, 1]), 4) == 0
    assert bucket_limit(np.array([5, 0, 1]), 5) == 2
    assert bucket_limit(np.array([5, 0, 1]), 6) == 3
