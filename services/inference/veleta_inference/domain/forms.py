"""Recognises the body of another path, and rows in another form than the path accepts."""

from collections.abc import Collection, Mapping
from typing import Literal

from veleta_inference.domain.errors import MAX_NAME
from veleta_inference.domain.protocols import MLFLOW_FORMS

Form = Literal["rows", "mlflow", "tensors"]

_PANDAS = "(pandas: orient='records'), or POST it in MLflow's protocol to /invocations"
ROWS = "an object with the columns, or a list of such objects"
_EXPECTED: Mapping[Form, str] = {
    "rows": ROWS,
    "mlflow": f"an object with one of {', '.join(MLFLOW_FORMS)}",
    "tensors": "an object with the tensors of each column in `inputs`",
}
_PATHS: Mapping[Form, str] = {
    "rows": "/predict",
    "mlflow": "/invocations (MLflow's protocol)",
    "tensors": "/v2/models/<name>/infer (the Open Inference Protocol)",
}


def advice(body: object, names: Collection[str], expected: Form) -> str | None:
    """What to send instead of a body. None if it has the expected form, or none that is known.

    `names` are those of the dataset's columns.
    """
    forms = _forms(body, names)
    if forms and expected not in forms:
        return f"this body is for {_PATHS[forms[0]]}; send {_EXPECTED[expected]} here"
    return _advice_for_rows(body, names) if expected == "rows" else None


def _forms(body: object, names: Collection[str]) -> list[Form]:
    """The forms that a body can have, by its outermost names."""
    if isinstance(body, list):
        return ["rows"] if body and isinstance(body[0], dict) else []
    if not isinstance(body, dict):
        return []
    if _are_tensors(body.get("inputs")):
        return ["tensors"]
    forms: list[Form] = ["mlflow"] if MLFLOW_FORMS.keys() & body.keys() else []
    return [*forms, "rows"] if body.keys() & names else forms


def _are_tensors(inputs: object) -> bool:
    return isinstance(inputs, list) and bool(inputs) and isinstance(inputs[0], dict) and "datatype" in inputs[0]


def _advice_for_rows(body: object, names: Collection[str]) -> str | None:
    if isinstance(body, str):
        return "the body is a text with JSON in it: it was encoded twice" if body.lstrip()[:1] in ("{", "[") else None
    if not isinstance(body, dict):
        return None
    nested = [name for name, value in body.items() if isinstance(value, list | dict)]
    if body.keys() & names:
        columns = len(nested) > 1 and set(nested) <= set(names)
        return f"each column has several values: send a list with an object for each row {_PANDAS}" if columns else None
    if {"columns", "data"} <= set(nested):
        return f"columns and data are apart: send a list with an object for each row {_PANDAS}"
    lists = [name for name in nested if isinstance(body[name], list)]
    return f"send {ROWS}, without `{[*lists, *nested][0][:MAX_NAME]}` around it" if nested else None
