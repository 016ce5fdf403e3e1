"""The request bodies of other protocols, as rows. `RequestReader.convert` checks the rows themselves."""

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import chain
from typing import Annotated, Any, Literal

import msgspec

from veleta.dataset import Column, Dataset
from veleta.valid_values import alternatives
from veleta_inference.domain.errors import MAX_NAME, InvalidRequest
from veleta_inference.domain.responses import Tensor
from veleta_inference.domain.served_market import AS_OF

Rows = list[dict[str, Any]]
NUMERIC = ("FP64", "FP32", "FP16", "INT64", "INT32", "INT16", "INT8", "UINT64", "UINT32", "UINT16", "UINT8")
"""The datatypes of the Open Inference Protocol that a numeric column accepts. The metadata contain the first one."""
TEXT, BOOLEAN = "BYTES", "BOOL"
"""The datatypes of categories and dates, and of booleans."""
DATATYPES = (*NUMERIC, TEXT, BOOLEAN)


def mlflow_forms(name: Any = str, rows: Any = list[Any], value: Any = Any) -> dict[str, Any]:
    """The types of the forms of a request in MLflow's scoring protocol. A body has exactly one of them.

    The types of a column's name, of a list of rows and of a value can be narrowed for the OpenAPI document.
    https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally
    """
    split = msgspec.defstruct("DataframeSplit", [("columns", list[name]), ("data", list[list[value]])])
    rows_or_columns = rows | dict[str, value | list[value]]
    return {
        "dataframe_split": split,
        "dataframe_records": rows,
        "instances": rows_or_columns,
        "inputs": rows_or_columns,
    }


def inference_request(name: Any = str, integer: Any = float, *, market: bool = False) -> Any:
    """The type of an inference request in the Open Inference Protocol: a tensor for each column, one element per row.

    The types of a column's name and of an integer, which `parse_json` reads as a float, can be narrowed as above. With
    a market the document has the parameter AS_OF, which `requested_day` reads.
    https://github.com/kserve/open-inference-protocol
    """
    shape = Annotated[list[integer], msgspec.Meta(min_length=1, max_length=2)]
    datatype = Literal[DATATYPES]  # type: ignore[valid-type]  # a tuple of literals
    fields = [("name", name), ("shape", shape), ("datatype", datatype), ("data", list[Any])]
    tensor: Any = msgspec.defstruct("InputTensor", fields)
    tensors = Annotated[list[tensor], msgspec.Meta(min_length=1)]
    request_id = ("id", str | msgspec.UnsetType, msgspec.UNSET)
    output = msgspec.defstruct("RequestedOutput", [("name", str)])
    outputs = ("outputs", list[output] | msgspec.UnsetType, msgspec.UNSET)  # type: ignore[valid-type]  # made while running
    parts: list[Any] = [("inputs", tensors), request_id, outputs]
    if market:
        day = msgspec.defstruct("InferenceParameters", [(AS_OF, date | None, None)])
        parts.append(("parameters", day | msgspec.UnsetType, msgspec.UNSET))
    return msgspec.defstruct("Inference", parts)


def requested_day(parameters: object) -> object:
    """The day whose prices a request asks for in its parameters, as it was sent. None if it names none."""
    return parameters.get(AS_OF) if isinstance(parameters, dict) else None


MLFLOW_FORMS = mlflow_forms()
INFERENCE_REQUEST = inference_request()


def mlflow_rows(body: object) -> Rows:
    """The rows of a request in MLflow's scoring protocol.

    Raises:
        InvalidRequest: the body has none of the forms, several of them, or one that is malformed.
    """
    forms = [form for form in MLFLOW_FORMS if isinstance(body, dict) and form in body]
    if len(forms) != 1:
        raise InvalidRequest(f"the body must be an object with one of {', '.join(MLFLOW_FORMS)}", [])
    (form,) = forms
    try:
        value = msgspec.convert(body[form], MLFLOW_FORMS[form])  # type: ignore[index]  # without a dict there is no form
        if isinstance(value, list):
            return value
        return _split_rows(value) if form == "dataframe_split" else _columns_rows(value)
    except ValueError as error:  # msgspec.ValidationError is one
        raise InvalidRequest(f"{form} must be {_EXPECTED[form]}: {error}", []) from error


def wants_intervals(body: object) -> bool:
    """Whether a request in MLflow's scoring protocol has `"params": {"interval": true}`. Other params are ignored.

    Raises:
        InvalidRequest: `params` is no object, or `interval` is neither true nor false.
    """
    params = body.get("params") if isinstance(body, dict) else None
    if params is None:
        return False
    wanted = params.get("interval", False) if isinstance(params, dict) else None
    if not isinstance(wanted, bool):
        raise InvalidRequest("params must be an object, and its interval true or false", [])
    return wanted


def requested_outputs(body: object, names: Sequence[str]) -> list[str]:
    """The names of the output tensors that an inference request wants: the first of `names` if it says nothing.

    Raises:
        InvalidRequest: `outputs` is no list of tensors with these names.
    """
    if not isinstance(body, dict) or "outputs" not in body:
        return list(names[:1])
    outputs = body["outputs"]
    tensors = outputs if isinstance(outputs, list) else []
    wanted = [str(each.get("name")) if isinstance(each, dict) else "" for each in tensors]
    if not wanted or set(wanted) - set(names):
        raise InvalidRequest(f"outputs must be a list of tensors with `name`: {alternatives(names)}", [])
    return list(dict.fromkeys(wanted))


def open_inference_rows(body: object) -> Rows:
    """The rows of an inference request of the Open Inference Protocol.

    Raises:
        InvalidRequest: the body is not an inference request, or its tensors do not fit together.
    """
    try:
        return _tensor_rows(msgspec.convert(body, INFERENCE_REQUEST).inputs)
    except ValueError as error:  # msgspec.ValidationError is one
        raise InvalidRequest(f"`inputs` must be {_EXPECTED_TENSORS}: {error}", []) from error


def input_tensors(dataset: Dataset) -> list[Tensor]:
    """The model's input tensors, for the metadata of the Open Inference Protocol."""
    return [Tensor(name=c.name, datatype=_datatype(c), shape=[-1]) for c in dataset.inputs]


def _datatype(column: Column) -> str:
    if column.numeric:
        return NUMERIC[0]
    return BOOLEAN if column.kind == "boolean" else TEXT


def _tensor_rows(tensors: Sequence[Any]) -> Rows:
    columns = dict(map(_tensor_column, tensors))
    if len(columns) < len(tensors):
        raise ValueError("two tensors have one name")
    return _columns_rows(columns)


def _tensor_column(tensor: Any) -> tuple[str, Sequence[Any]]:
    values = list(chain.from_iterable(element if isinstance(element, list) else [element] for element in tensor.data))
    count = len(values)
    if tensor.shape not in ([count], [count, 1]):
        name = tensor.name[:MAX_NAME]
        raise ValueError(f"the tensor {name} has {count} elements, so its shape must be [{count}] or [{count}, 1]")
    return tensor.name, values


def _columns_rows(columns: Mapping[str, Any]) -> Rows:
    """One row for each position of the columns. A value that is not a list is a column of one value."""
    lists = [value if isinstance(value, list) else [value] for value in columns.values()]
    if len(set(map(len, lists))) > 1:
        raise ValueError("all columns must have the same number of values")
    return [dict(zip(columns, values, strict=True)) for values in zip(*lists, strict=True)]


def _split_rows(split: Any) -> Rows:
    if len(set(split.columns)) < len(split.columns):
        raise ValueError("two columns have one name")
    if any(len(values) != len(split.columns) for values in split.data):
        raise ValueError("each row must have one value for each column")
    return [dict(zip(split.columns, values, strict=True)) for values in split.data]


_ROWS_OR_COLUMNS = "a list of objects, or an object with a list of values for each column"
_EXPECTED = {
    "dataframe_split": "an object with columns (names) and data (a list of values for each row)",
    "dataframe_records": "a list of objects",
    "instances": _ROWS_OR_COLUMNS,
    "inputs": _ROWS_OR_COLUMNS,
}
_EXPECTED_TENSORS = f"a list of tensors with name, shape, data and datatype (one of {', '.join(DATATYPES)})"
