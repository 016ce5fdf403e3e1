"""The request bodies of other protocols: each valid form becomes rows, and a message shows the fault of others."""

from typing import Any

import pytest

from support.scoring_forms import forms
from veleta.dataset import load_dataset
from veleta_inference.domain import protocols
from veleta_inference.domain.errors import InvalidRequest
from veleta_inference.domain.protocols import (
    inference_request,
    input_tensors,
    mlflow_forms,
    mlflow_rows,
    open_inference_rows,
)

ROWS = [{"bed": 4, "city": "A"}, {"bed": 5, "city": "B"}]


@pytest.fixture(autouse=True)
def types(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the types of the bodies again, so that each test covers how they are made."""
    monkeypatch.setattr(protocols, "MLFLOW_FORMS", mlflow_forms())
    monkeypatch.setattr(protocols, "INFERENCE_REQUEST", inference_request())


@pytest.mark.parametrize("body", [*forms(ROWS), {"dataframe_records": ROWS, "params": {"a": 1}}])
def test_each_form_of_mlflow_becomes_the_same_rows(body: dict[str, Any]) -> None:
    """Other fields are ignored."""
    assert mlflow_rows(body) == ROWS


@pytest.mark.parametrize("body", forms(ROWS[:1]))
def test_one_row_may_have_values_without_lists(body: dict[str, Any]) -> None:
    """One value for each column."""
    assert mlflow_rows(body) == ROWS[:1]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "must be an object with one of dataframe_split, dataframe_records, instances, inputs"),
        ({}, "must be an object with one of"),
        ({"dataframe_records": ROWS, "instances": ROWS}, "must be an object with one of"),
        ({"dataframe_split": ROWS}, "dataframe_split must be an object with columns"),
        ({"dataframe_split": {"columns": ["bed"]}}, "missing required field `data`"),
        ({"dataframe_split": {"columns": ["bed", "bed"], "data": [[1, 2]]}}, ": two columns have one name"),
        ({"dataframe_split": {"columns": ["bed"], "data": [[1, 2]]}}, ": each row must have one value for each column"),
        ({"dataframe_split": {"columns": [[1]], "data": [[1]]}}, "at `$.columns[0]`"),
        ({"dataframe_split": {"columns": 3, "data": 4}}, "at `$.columns`"),
        ({"dataframe_split": {"columns": [1.0], "data": [[1]]}}, "at `$.columns[0]`"),
        ({"dataframe_split": {"columns": [None], "data": [[1]]}}, "at `$.columns[0]`"),
        ({"dataframe_records": {"bed": 4}}, "dataframe_records must be a list of objects"),
        ({"instances": None}, "instances must be a list of objects"),
        ({"inputs": 3}, "inputs must be a list of objects"),
        ({"inputs": {"bed": [4, 5], "city": ["A"]}}, ": all columns must have the same number of values"),
    ],
)
def test_a_body_in_no_form_of_mlflow_is_refused(body: object, message: str) -> None:
    """The message shows what is expected, and what is wrong."""
    with pytest.raises(InvalidRequest) as refusal:
        mlflow_rows(body)
    assert message in refusal.value.detail
    assert refusal.value.problems == []


def tensor(**changes: object) -> dict[str, Any]:
    return {"name": "bed", "shape": [2], "datatype": "FP64", "data": [4, 5], **changes}


CITIES = {"name": "city", "shape": [2, 1], "datatype": "BYTES", "data": [["A"], ["B"]]}


def test_tensors_are_columns() -> None:
    """Flat, or with a second dimension of one. Integers may be floats, as `parse_json` reads them."""
    assert open_inference_rows({"inputs": [tensor(), CITIES]}) == ROWS
    assert open_inference_rows({"inputs": [tensor(shape=[2.0]), CITIES]}) == ROWS
    assert open_inference_rows({"inputs": [tensor(datatype="INT64"), CITIES], "id": "x", "outputs": []}) == ROWS


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (3, "`inputs` must be a list of tensors with name, shape, data and datatype (one of FP64, "),
        ({}, "missing required field `inputs`"),
        ({"inputs": []}, "at `$.inputs`"),
        ({"inputs": [tensor()], "id": 3}, "Expected `str`, got `int` - at `$.id`"),
        ({"inputs": [3]}, "Expected `object`, got `int` - at `$.inputs[0]`"),
        ({"inputs": [tensor(name=3)]}, "at `$.inputs[0].name`"),
        ({"inputs": [tensor(name="x" * 1_000, shape=[3])]}, f"the tensor {'x' * 64} has 2 elements"),
        ({"inputs": [tensor(data="45")]}, "Expected `array`, got `str` - at `$.inputs[0].data`"),
        ({"inputs": [tensor(shape=[3])]}, "the tensor bed has 2 elements, so its shape must be [2] or [2, 1]"),
        ({"inputs": [tensor(shape=[1, 2])]}, "its shape must be [2] or [2, 1]"),
        ({"inputs": [tensor(shape=[2, 1, 1])]}, "at `$.inputs[0].shape`"),
        ({"inputs": [tensor(shape=[])]}, "at `$.inputs[0].shape`"),
        ({"inputs": [tensor(datatype="BF16")]}, "Invalid enum value 'BF16' - at `$.inputs[0].datatype`"),
        ({"inputs": [tensor(datatype=[])]}, "at `$.inputs[0].datatype`"),
        ({"inputs": [tensor(), tensor()]}, ": two tensors have one name"),
        ({"inputs": [tensor(), tensor(name="x", shape=[1], data=[4])]}, ": all columns must have the same number of"),
    ],
)
def test_a_body_that_is_not_an_inference_request_is_refused(body: object, message: str) -> None:
    """The message shows what is expected, and which tensor is wrong."""
    with pytest.raises(InvalidRequest) as refusal:
        open_inference_rows(body)
    assert message in refusal.value.detail
    assert refusal.value.problems == []


def test_the_input_tensors_are_the_datasets_columns() -> None:
    """All but the target, each with any number of elements. Their kinds decide about the datatype."""
    dataset = load_dataset("real_estate")
    tensors = {tensor["name"]: (tensor["datatype"], tensor["shape"]) for tensor in input_tensors(dataset)}
    assert tensors == {c.name: ("FP64" if c.numeric else "BYTES", [-1]) for c in dataset.inputs}
    boolean = dataset.by_name["status"].model_copy(update={"kind": "boolean"})
    assert input_tensors(dataset.model_copy(update={"columns": [boolean]}))[0]["datatype"] == "BOOL"
