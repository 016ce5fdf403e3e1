"""The section [generator] of a dataset file."""

import tomllib

import pytest

from veleta.dataset import Dataset, load_dataset, parse_dataset
from veleta.errors import Stop
from veleta_source.domain.generator import parse_generator

DATASET = load_dataset("real_estate")


def without(*keys: str) -> Dataset:
    """The dataset without this key of [generator]."""
    generator = tomllib.loads(DATASET.text)["generator"]
    *path, last = keys
    part = generator
    for key in path:
        part = part[key]
    del part[last]
    return DATASET.model_copy(update={"generator": generator})


def test_a_dataset_without_a_generator_needs_a_csv_file() -> None:
    """The message shows it."""
    plain = parse_dataset(DATASET.text.partition("\n[generator]")[0])
    with pytest.raises(Stop, match=r"no CSV is given, and .* has no \[generator\]"):
        parse_generator(plain)


def test_a_fault_in_the_section_is_named() -> None:
    """A missing key, and a column that is not generated."""
    with pytest.raises(Stop, match=r"places\.town_spread: Field required"):
        parse_generator(without("places", "town_spread"))
    with pytest.raises(Stop, match="must have each column except the target once; wrong: prev_sold_date"):
        parse_generator(DATASET.model_copy(update={"generator": {**DATASET.generator, "days": []}}))


def test_a_column_follows_only_numbers_declared_before_it() -> None:
    """So does the target."""
    numbers = list(reversed(DATASET.generator["numbers"]))
    with pytest.raises(Stop, match="follows undeclared columns"):
        parse_generator(DATASET.model_copy(update={"generator": {**DATASET.generator, "numbers": numbers}}))
    target = {**DATASET.generator["target"], "follows": {"city": 1.0}}
    with pytest.raises(Stop, match="the target follows undeclared columns: city"):
        parse_generator(DATASET.model_copy(update={"generator": {**DATASET.generator, "target": target}}))


def test_a_batch_needs_a_rule() -> None:
    """Otherwise no row would match it."""
    batches = [{**DATASET.generator["batches"][0], "place": 9}]
    with pytest.raises(Stop, match=r"places without a \[\[source\]\] rule: \[9\]"):
        parse_generator(DATASET.model_copy(update={"generator": {**DATASET.generator, "batches": batches}}))
