"""The rules of a dataset file for what the model learns from: derived features, places and training."""

import math
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from veleta.places import PLACE_PREFIX, missing_table
from veleta.valid_values import did_you_mean, repeated, unknown

if TYPE_CHECKING:
    from veleta.dataset import Column, Dataset, DerivedFeature


def feature_faults(dataset: "Dataset", declared: Sequence[str]) -> Iterator[str]:
    """A line for each fault of the parts that only the model uses. `declared` has the names of all columns."""
    names = [*declared, *(each.name for each in dataset.features)]
    for feature in dataset.features:
        where = f"[[features]] {feature.name}:"
        if names.count(feature.name) > 1:
            yield f"{where} the name is there twice: use another"
        yield from (f"{where} {fault}" for fault in _faults_of_feature(feature))
        yield from _faults_of_numbers(where, feature.inputs, dataset, declared)
    yield from _places_faults(dataset, declared)
    yield from _training_faults(dataset, declared)
    yield from _evaluation_faults(dataset, declared)


def _faults_of_feature(feature: "DerivedFeature") -> Iterator[str]:
    if not feature.title.strip():
        yield "title is empty: use words for people"
    if (feature.divide is None) == (feature.add is None):
        yield 'use one of divide = ["dividend", "divisor"] or add = ["first", "second"]'
    if feature.add is not None and len(set(feature.add)) < max(2, len(feature.add)):
        yield "add: name two or more columns, each once"


def _places_faults(dataset: "Dataset", declared: Sequence[str]) -> Iterator[str]:
    if (rule := dataset.places) is None:
        return
    if fault := missing_table(rule.table):
        yield f"[places] table = {rule.table!r}: {fault}"
    named = (*declared, *(each.name for each in dataset.features))
    taken = [each for each in named if each.startswith(PLACE_PREFIX)]
    yield from (f"{each}: features of places begin with {PLACE_PREFIX}: use another name" for each in taken)
    names = {"key": rule.key, "city": rule.city, "state": rule.state}
    for key, name in names.items():
        column, where = dataset.by_name.get(name or ""), f'[places] {key} = "{name}":'
        if name and name not in declared:
            yield f"{where} this is no column: {did_you_mean(name, declared)}"
        elif column and not _is_place(column, is_key=key == "key"):
            wanted = "a category, or an identifier with digits" if key == "key" else "a category"
            yield f"{where} its kind is {column.kind}: name {wanted}"


def _is_place(column: "Column", *, is_key: bool) -> bool:
    return column.kind == "category" or (is_key and column.kind == "identifier" and column.digits > 0)


def _training_faults(dataset: "Dataset", declared: Sequence[str]) -> Iterator[str]:
    cap, low = dataset.training.cap, dataset.cleaning.get(dataset.target, (0.0, 0.0))[0]
    if cap is not None and not (math.isfinite(cap) and cap > low):
        yield f"[training] cap = {cap:.15g}: use a number above {low:.15g}, the lowest {dataset.target} of [cleaning]"
    increasing = dataset.training.increasing
    yield from (f"[training] increasing: {name} is there twice: remove one" for name in repeated(increasing))
    yield from _faults_of_numbers("[training] increasing:", increasing, dataset, declared)


def _evaluation_faults(dataset: "Dataset", declared: Sequence[str]) -> Iterator[str]:
    where, slices, bands = "[evaluation] slices:", dataset.evaluation.slices, dataset.evaluation.bands
    yield from unknown(where, slices, declared)
    yield from (f"{where} {name} is there twice: remove one" for name in repeated(slices))
    for column in (dataset.by_name[name] for name in slices if name in dataset.by_name):
        if not (column.kind in ("category", "boolean") and column.is_feature):
            yield f"{where} {column.name} is no category of the model: name categories"
    if not all(map(math.isfinite, bands)) or any(low >= high for low, high in pairwise(bands)):
        yield f"[evaluation] bands = {bands}: use finite numbers, each above the one before"


def _faults_of_numbers(
    where: str, names: Collection[str], dataset: "Dataset", declared: Sequence[str]
) -> Iterator[str]:
    """A fault for each name that is not a number of a row without its target."""
    yield from unknown(where, names, declared)
    for column in (dataset.by_name[name] for name in names if name in dataset.by_name):
        if column.name == dataset.target:
            yield f"{where} {column.name} is the target: name other columns"
        elif column.kind != "number":
            yield f"{where} {column.name} is no number, its kind is {column.kind}: name numbers"
