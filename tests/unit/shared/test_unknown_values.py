"""The share of rows with values that a model has not learnt."""

from collections.abc import Sequence

import numpy as np
import pytest

from support.listings import api_rows
from support.trainer import DATASET
from veleta.dataset import Row
from veleta.training_values import TrainingValues
from veleta.unknown_values import unknown_share, unknown_share_by_column
from veleta_inference.domain.value_checks import ValueChecks
from veleta_trainer.domain.clean_rows import CleanBatch, CleanRows

LEARNT = TrainingValues(ranges={"bed": (1.0, 4.0), "acre_lot": (0.07, 0.17)}, texts={"city": ["Añasco", "Zion"]})
BEDS, CITIES = np.array([1.0, 4.0, 5.0, np.nan]), np.array(["Zion", "zion", "Añasco", "Zion"], dtype=object)


def test_a_row_counts_once() -> None:
    """With a number outside the range, without a number, or with another text. The bounds themselves are learnt."""
    assert unknown_share_by_column(LEARNT, {"bed": BEDS}, {}) == 2 / 4
    assert unknown_share_by_column(LEARNT, {}, {"city": CITIES}) == 1 / 4
    assert unknown_share_by_column(LEARNT, {"bed": BEDS}, {"city": CITIES}) == 3 / 4


def test_a_learnt_gap_is_not_unknown() -> None:
    """The training rows had such gaps."""
    learnt = LEARNT.model_copy(update={"gaps": ["bed"]})
    assert unknown_share_by_column(learnt, {"bed": BEDS}, {}) == 1 / 4


def test_only_columns_that_were_learnt_count() -> None:
    """A model's file has no texts of a column with very many of them."""
    assert unknown_share_by_column(LEARNT, {"bath": BEDS}, {"state": CITIES}) == 0
    assert unknown_share_by_column(LEARNT, {"bath": BEDS, "bed": BEDS}, {}) == 2 / 4


def test_no_rows_have_no_unknown_values() -> None:
    """The share is a number nevertheless."""
    assert unknown_share_by_column(LEARNT, {"bed": np.empty(0)}, {}) == unknown_share_by_column(LEARNT, {}, {}) == 0
    assert unknown_share(DATASET, LEARNT, []) == 0


def test_a_column_that_the_dataset_file_no_longer_has_does_not_count() -> None:
    """The model learnt from it under an earlier dataset file."""
    earlier = TrainingValues(ranges={"bed": (1.0, 100.0), "floors": (1.0, 2.0)}, texts={})
    assert unknown_share(DATASET, earlier, [DATASET.convert(DATASET.example)[0]]) == 0


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_bound_is_learnt_in_either_precision(kind: type[np.floating]) -> None:
    """As float32, 0.17 is above 0.17."""
    assert unknown_share_by_column(LEARNT, {"acre_lot": np.array([0.07, 0.1, 0.17], dtype=kind)}, {}) == 0
    assert unknown_share_by_column(
        LEARNT, {"acre_lot": np.array([0.069, 0.1, 0.171], dtype=kind)}, {}
    ) == pytest.approx(2 / 3)


def test_the_rows_are_those_of_which_inference_warns() -> None:
    """For all columns together, and for each: numbers, dates, categories and prefixes."""
    rows = api_rows(0, 400, 3)
    learnt, frame = _clean(rows[:40]).training_values(), _clean(rows).frame()
    numbers = {name: frame[name].to_numpy() for name in learnt.ranges}
    texts = {name: frame[name].to_numpy() for name in learnt.texts}
    typed = [DATASET.convert(row)[0] for row in rows]
    shares = []
    for names in ({*numbers, *texts}, *({name} for name in [*numbers, *texts])):
        some = TrainingValues(
            ranges={name: found for name, found in learnt.ranges.items() if name in names},
            texts={name: found for name, found in learnt.texts.items() if name in names},
        )
        warned = {problem.item for problem in ValueChecks(DATASET, some).unusual(typed)}
        shares.append(unknown_share_by_column(some, numbers, texts))
        assert shares[-1] == unknown_share(DATASET, some, typed) == len(warned) / len(rows)
    assert max(shares[1:]) < shares[0] < 1


def _clean(rows: Sequence[Row]) -> CleanRows:
    return CleanRows(DATASET, [CleanBatch.of_rows(DATASET, [rows]).table])
