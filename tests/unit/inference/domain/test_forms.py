"""Which path takes a body, and what to send instead."""

import json

import pandas as pd
import pytest

from veleta_inference.domain.forms import Form, advice

ROW = {"bed": 4, "city": "A"}
FRAME = pd.DataFrame([ROW, ROW])
TENSOR = {"name": "bed", "shape": [1], "datatype": "FP64", "data": [4]}
PREDICT, INVOCATIONS, INFER = "for /predict;", "for /invocations ", "for /v2/models/<name>/infer "


def advised(body: object, expected: Form = "rows") -> str | None:
    return advice(body, ["bed", "city", "price"], expected)


@pytest.mark.parametrize(
    ("body", "form"),
    [
        (ROW, "rows"),
        ([ROW], "rows"),
        ([], "rows"),
        (3, "rows"),
        ({}, "rows"),
        ({"beds": 4}, "rows"),
        ({"bed": [4], "city": "A"}, "rows"),
        ({"dataframe_split": {}}, "mlflow"),
        ({"instances": [ROW], "bed": 4}, "mlflow"),
        ({"inputs": {"bed": [4]}}, "mlflow"),
        ({"inputs": [TENSOR]}, "tensors"),
        ({"inputs": []}, "mlflow"),
        ({}, "tensors"),
    ],
)
def test_a_body_of_the_expected_form_gets_no_advice(body: object, form: Form) -> None:
    """Nor one in no form that is known: its values are checked."""
    assert advised(body, form) is None


@pytest.mark.parametrize(
    ("body", "form", "path"),
    [
        ({"dataframe_split": {"columns": ["bed"], "data": [[4]]}}, "rows", INVOCATIONS),
        ({"dataframe_records": [ROW]}, "rows", INVOCATIONS),
        ({"instances": [ROW]}, "rows", INVOCATIONS),
        ({"inputs": {"bed": [4]}}, "rows", INVOCATIONS),
        ({"inputs": [TENSOR]}, "rows", INFER),
        ({"inputs": [TENSOR]}, "mlflow", INFER),
        (ROW, "mlflow", PREDICT),
        ([ROW], "mlflow", PREDICT),
        (ROW, "tensors", PREDICT),
        ({"instances": [ROW]}, "tensors", INVOCATIONS),
    ],
)
def test_a_body_of_another_path_is_sent_there(body: object, form: Form, path: str) -> None:
    """The message names the path, and what this one takes."""
    message = advised(body, form)
    assert message
    assert path in message
    assert message.endswith(" here")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"data": [ROW]}, "send an object with the columns, or a list of such objects, without `data` around it"),
        ({"data": ROW, "id": 3}, "without `data` around it"),
        ({"x" * 1_000: [ROW]}, f"without `{'x' * 64}` around it"),
        (json.dumps(ROW), "it was encoded twice"),
        (
            {"bed": [4, 5], "city": ["A", "B"]},
            "each column has several values: send a list with an object for each row",
        ),
        (json.loads(FRAME.to_json()), "each column has several values"),
        (json.loads(FRAME.to_json(orient="split")), "columns and data are apart"),
        (json.loads(FRAME.to_json(orient="index")), "without `0` around it"),
        (json.loads(FRAME.to_json(orient="table")), "without `data` around it"),
    ],
)
def test_rows_in_another_form_get_advice(body: object, message: str) -> None:
    """As other services and pandas write them."""
    assert message in (advised(body) or "")
