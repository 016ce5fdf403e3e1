"""Bodies of MLflow's scoring protocol, valid and invalid ones."""

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def forms(rows: Sequence[Row]) -> list[Any]:
    """These rows in each form of a request."""
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    split = {"columns": list(columns), "data": [list(row.values()) for row in rows]}
    alone: list[Any] = [] if len(rows) > 1 else [{"instances": rows[0]}, {"inputs": rows[0]}]
    return [
        {"dataframe_split": split},
        {"dataframe_split": {**split, "index": [7 + i for i in range(len(rows))]}},
        {"dataframe_records": rows},
        {"instances": rows},
        {"instances": columns},
        {"inputs": rows},
        {"inputs": columns},
        *alone,
    ]


def invalid_forms(row: Row, number: str) -> list[Any]:
    """Invalid bodies. `number` is a numeric column."""
    less = {name: value for name, value in row.items() if name != number}
    ragged = {name: [value] * (1 if name == number else 2) for name, value in row.items()}
    return [
        [],
        {},
        [row],
        {"dataframe_records": [row], "instances": [row]},
        {"dataframe_split": [row]},
        {"dataframe_split": {"columns": list(row), "data": [list(less.values())]}},
        {"dataframe_split": {"columns": [1], "data": [[1]]}},
        {"dataframe_records": row},
        {"dataframe_records": []},
        {"instances": []},
        {"instances": None},
        {"inputs": 3},
        {"inputs": ragged},
        {"instances": [{**row, number: "many"}]},
        *forms([less]),
    ]


def guessed_forms(row: Row, number: str, text: str) -> list[Any]:
    """Bodies that only MLflow accepts: it ignores the unknown column, and converts null to NaN and a number to text."""
    return [{"instances": [{**row, **odd}]} for odd in ({"an unknown column": 1}, {number: None}, {text: 5})]
