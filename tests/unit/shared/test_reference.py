"""The file of a reference, and its profile."""

from pathlib import Path

import numpy as np
import pytest

from support.trainer import REFERENCE
from veleta.reference import MAX_ROWS, MOST_FREQUENT, Reference

QUANTILES = (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)
MAX_BYTES = 10_000


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    """A missing number is None, and texts may have any character."""
    path, written = tmp_path / "reference.json", REFERENCE.model_copy(update={"numbers": {"bed": [1.5, None]}})
    written.write(path)
    assert Reference.read(path) == written


def test_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    """So is one without errors, or with more rows than a reader expects."""
    path, content = tmp_path / "reference.json", REFERENCE.model_dump_json().encode()
    others = [REFERENCE.model_copy(update={"signed": signed}) for signed in ([], [0.0] * (MAX_ROWS + 1))]
    damaged = [b"", content[:-10], content.replace(b"signed", b"singed"), b"\xff" + content]
    for text in [*damaged, *(other.model_dump_json().encode() for other in others)]:
        path.write_bytes(text)
        with pytest.raises(ValueError, match="Reference"):
            Reference.read(path)


def test_the_quantiles_of_a_profile_are_those_of_its_numbers() -> None:
    """From the lowest to the highest, without missing ones. One number alone has none."""
    numbers = np.random.default_rng(0).lognormal(size=101).tolist()
    reference = REFERENCE.model_copy(update={"numbers": {"bed": [*numbers, None], "bath": [None, 3.0]}})
    profile = reference.profile()
    assert profile.numbers.keys() == {"bed"}
    assert profile.numbers["bed"].rows == 101
    assert profile.numbers["bed"].quantiles == pytest.approx(np.quantile(numbers, QUANTILES), rel=1e-6)


def test_a_profile_has_the_most_frequent_categories() -> None:
    """And the number of all."""
    texts = [f"city {number}" for number in range(30) for _ in range(number + 1)]
    found = REFERENCE.model_copy(update={"texts": {"city": texts}}).profile().categories["city"]
    assert (found.rows, found.categories) == (len(texts), 30)
    assert len(found.shares) == MOST_FREQUENT
    assert found.shares["city 29"] == pytest.approx(30 / len(texts), rel=1e-3)
    assert min(found.shares) == "city 10"


def test_a_profile_has_the_errors_and_the_importance() -> None:
    """Of the sample of the holdout."""
    profile = REFERENCE.profile()
    errors = profile.errors
    assert (errors.rows, errors.bias, errors.deviation, errors.median) == (2, 0.25, 0.5, 0.5)
    assert profile.importance == {"bed": 0.75, "city": 0.25}
    assert profile.train_rows == 4


def test_a_profile_is_small() -> None:
    """With a dozen columns. It is part of events and of a row."""
    chance = np.random.default_rng(0)
    reference = REFERENCE.model_copy(
        update={
            "numbers": {f"number_{i}": chance.lognormal(9, 1, MAX_ROWS).tolist() for i in range(12)},
            "texts": {f"text_{i}": [f"San Juan Capistrano {n % 500}" for n in range(MAX_ROWS)] for i in range(6)},
        }
    )
    assert len(reference.profile().model_dump_json()) < MAX_BYTES
