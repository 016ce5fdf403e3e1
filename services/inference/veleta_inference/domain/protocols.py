"""The bodies of other people's protocols, as lists of rows; what is wrong with the rows, `requests.rows` says."""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

from veleta.dataset import Column, Dataset
from veleta_inference.domain.requests import MAX_NAME, Invalid

Rows = list[dict[str, Any]]
NUMERIC = ("FP64", "FP32", "FP16", "INT64", "INT32", "INT16", "INT8", "UINT64", "UINT32", "UINT16", "UINT8")
"""The datatypes of the Open Inference Protocol that a column of numbers takes; the first is the one it is told of."""
TEXT = "BYTES"
"""The datatype of the other columns."""
DATATYPES = (*NUMERIC, TEXT)


def scoring(said: object) -> Rows:
    """The rows of a body of MLflow's scoring protocol, in one of its forms (see FORMS).

    Raises:
        Invalid: it has none of them.
    """
    given = [form for form in FORMS if isinstance(said, dict) and form in said]
    if len(given) != 1:
        raise Invalid(f"the body must be an object with one of {', '.join(FORMS)}", [])
    (form,) = given
    try:
        return FORMS[form](said[form])  # type: ignore[index]  # it is a dict, or there were no forms
    except (AttributeError, TypeError, ValueError, LookupError) as error:
        raise Invalid(f"{form} is not what it must be: {_EXPECTED[form]}", []) from error


def open_inference(said: object) -> Rows:
    """The rows of an inference request of the Open Inference Protocol: a tensor for each column, an element a row.

    https://github.com/kserve/open-inference-protocol

    Raises:
        Invalid: it is none.
    """
    request: dict[str, Any] = said if isinstance(said, dict) else {}
    tensors = request.get("inputs")
    if not isinstance(tensors, list) or not tensors:
        raise Invalid("`inputs` must be a list of tensors", [])
    if not isinstance(request.get("id", ""), str):
        raise Invalid("`id` must be text", [])
    columns = dict(map(_tensor, tensors))
    if len(columns) < len(tensors):
        raise Invalid("two tensors have one name", [])
    return _rows(columns)


def datatype(column: Column) -> str:
    """The datatype of a column's tensor."""
    return NUMERIC[0] if column.numeric else TEXT


def tensors(dataset: Dataset) -> list[dict[str, Any]]:
    """What the model takes, in the words of the Open Inference Protocol."""
    return [{"name": column.name, "datatype": datatype(column), "shape": [-1]} for column in dataset.inputs]


def _tensor(tensor: object) -> tuple[str, Sequence[Any]]:
    if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
        raise Invalid("each tensor must be an object with name, shape, datatype and data", [])
    name, data = tensor["name"], tensor.get("data")
    shown = name[:MAX_NAME]
    if not isinstance(data, list):
        raise Invalid(f"the tensor {shown} must have a list as its data", [])
    flat = list(chain.from_iterable(each if isinstance(each, list) else [each] for each in data))
    count = len(flat)
    if tensor.get("shape") not in ([count], [count, 1]):
        raise Invalid(f"the tensor {shown} has {count} elements: its shape must be [{count}] or [{count}, 1]", [])
    if tensor.get("datatype") not in DATATYPES:
        raise Invalid(f"the tensor {shown} must have one of the datatypes {', '.join(DATATYPES)}", [])
    return name, flat


def _rows(columns: Mapping[str, Sequence[Any]]) -> Rows:
    """A row for each place of the columns."""
    if len({len(values) for values in columns.values()}) > 1:
        raise Invalid("all columns must have as many values", [])
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _split(said: Any) -> Rows:
    names, data = said["columns"], said["data"]
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise ValueError("no names, or one twice")
    return [dict(zip(names, values, strict=True)) for values in data]


def _records(said: Any) -> Rows:
    if not isinstance(said, list):
        raise TypeError("no list")
    return said


def _inputs(said: Any) -> Rows:
    if isinstance(said, list):
        return said
    return _rows({name: value if isinstance(value, list) else [value] for name, value in said.items()})


FORMS: Mapping[str, Callable[[Any], Rows]] = {
    "dataframe_split": _split,
    "dataframe_records": _records,
    "instances": _inputs,
    "inputs": _inputs,
}
"""https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally"""
_ROWS_OR_COLUMNS = "a list of objects, or an object with a list of values for each column"
_EXPECTED = {
    "dataframe_split": "an object with columns (names) and data (a list of values for each row)",
    "dataframe_records": "a list of objects",
    "instances": _ROWS_OR_COLUMNS,
    "inputs": _ROWS_OR_COLUMNS,
}
