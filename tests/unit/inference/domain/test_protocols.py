"""Other people's protocols: their forms become rows, and what is none of them is told."""

from typing import Any

import pytest

from support.scoring_forms import forms
from veleta.dataset import load_dataset
from veleta_inference.domain.protocols import open_inference, scoring, tensors
from veleta_inference.domain.requests import Invalid

ROWS = [{"bed": 4, "city": "A"}, {"bed": 5, "city": "B"}]


@pytest.mark.parametrize("said", [*forms(ROWS), {"dataframe_records": ROWS, "params": {"a": 1}}])
def test_each_form_of_mlflow_is_read(said: dict[str, Any]) -> None:
    """The same rows come of each."""
    assert scoring(said) == ROWS


@pytest.mark.parametrize("said", forms(ROWS[:1]))
def test_one_row_may_be_given_without_lists(said: dict[str, Any]) -> None:
    """As a value for each column."""
    assert scoring(said) == ROWS[:1]


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ([], "must be an object with one of dataframe_split, dataframe_records, instances, inputs"),
        ({}, "must be an object with one of"),
        ({"dataframe_records": ROWS, "instances": ROWS}, "must be an object with one of"),
        ({"dataframe_split": ROWS}, "dataframe_split is not what it must be: an object with columns"),
        ({"dataframe_split": {"columns": ["bed"]}}, "dataframe_split is not"),
        ({"dataframe_split": {"columns": ["bed", "bed"], "data": [[1, 2]]}}, "dataframe_split is not"),
        ({"dataframe_split": {"columns": ["bed"], "data": [[1, 2]]}}, "dataframe_split is not"),
        ({"dataframe_split": {"columns": [[1]], "data": [[1]]}}, "dataframe_split is not"),
        ({"dataframe_split": {"columns": 3, "data": 4}}, "dataframe_split is not"),
        ({"dataframe_split": {"columns": [1.0], "data": [[1]]}}, "dataframe_split is not"),
        ({"dataframe_split": {"columns": [None], "data": [[1]]}}, "dataframe_split is not"),
        ({"dataframe_records": {"bed": 4}}, "dataframe_records is not what it must be: a list of objects"),
        ({"instances": None}, "instances is not what it must be: a list of objects"),
        ({"inputs": 3}, "inputs is not what it must be"),
        ({"inputs": {"bed": [4, 5], "city": ["A"]}}, "all columns must have as many values"),
    ],
)
def test_what_is_no_form_of_mlflow_is_told(said: object, says: str) -> None:
    """With what it should have been."""
    with pytest.raises(Invalid) as told:
        scoring(said)
    assert says in told.value.detail


def tensor(**changes: object) -> dict[str, Any]:
    return {"name": "bed", "shape": [2], "datatype": "FP64", "data": [4, 5], **changes}


CITIES = {"name": "city", "shape": [2, 1], "datatype": "BYTES", "data": [["A"], ["B"]]}


def test_tensors_are_columns() -> None:
    """Flat, or with a second dimension of one."""
    assert open_inference({"inputs": [tensor(), CITIES]}) == ROWS
    assert open_inference({"inputs": [tensor(datatype="INT64"), CITIES], "id": "x", "outputs": []}) == ROWS


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (3, "`inputs` must be a list of tensors"),
        ({"inputs": []}, "`inputs` must be a list of tensors"),
        ({"inputs": [tensor()], "id": 3}, "`id` must be text"),
        ({"inputs": [3]}, "each tensor must be an object"),
        ({"inputs": [tensor(name=3)]}, "each tensor must be an object"),
        ({"inputs": [tensor(name="x" * 1_000, data="45")]}, f"the tensor {'x' * 64} must"),
        ({"inputs": [tensor(data="45")]}, "the tensor bed must have a list as its data"),
        ({"inputs": [tensor(shape=[3])]}, "the tensor bed has 2 elements: its shape must be [2] or [2, 1]"),
        ({"inputs": [tensor(shape=[1, 2])]}, "its shape must be [2] or [2, 1]"),
        ({"inputs": [tensor(datatype="BOOL")]}, "the tensor bed must have one of the datatypes FP64"),
        ({"inputs": [tensor(datatype=[])]}, "the tensor bed must have one of the datatypes"),
        ({"inputs": [tensor(), tensor()]}, "two tensors have one name"),
        ({"inputs": [tensor(), tensor(name="bath", shape=[1], data=[4])]}, "all columns must have as many values"),
    ],
)
def test_what_is_no_inference_request_is_told(said: object, says: str) -> None:
    """With the tensor that is wrong."""
    with pytest.raises(Invalid) as told:
        open_inference(said)
    assert says in told.value.detail


def test_the_metadata_are_the_datasets_columns() -> None:
    """All but the target."""
    dataset = load_dataset("real_estate")
    told = {each["name"]: each["datatype"] for each in tensors(dataset)}
    assert told == {column.name: "FP64" if column.numeric else "BYTES" for column in dataset.inputs}
