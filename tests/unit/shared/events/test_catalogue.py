"""The bounds of events: what readers accept fits the tables, and costs little."""

import tracemalloc
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

import pytest
import sqlalchemy as sa
from pydantic import BaseModel, TypeAdapter, ValidationError

from veleta import tables
from veleta.events import catalogue
from veleta.events.catalogue import MAX_ITEMS, MAX_TEXT_BYTES, PAYLOADS, BatchRows, Payload


class Stored(NamedTuple):
    """A field whose value is written to a column."""

    payload: type[BaseModel]
    field: str
    column: sa.Column[Any]


STORED = [
    *(
        Stored(catalogue.BatchClosed, field, tables.batches.c[column])
        for field, column in {"epoch": "epoch", "number": "number", "rows": "received", "digest": "digest"}.items()
    ),
    *(
        Stored(catalogue.DatasetDeclared, field, tables.datasets.c[column])
        for field, column in {"digest": "digest", "dataset": "name", "toml": "file"}.items()
    ),
    *(
        Stored(catalogue.DriftAssessed, field, tables.drift_reports.c[field])
        for field in ("epoch", "number", "previous", "verdict", "reason", "policy")
    ),
    *(
        Stored(catalogue.Statistic, field, tables.drift_metrics.c[column])
        for field, column in {"column": "column_name", "statistic": "statistic", "note": "note"}.items()
    ),
    Stored(catalogue.TrainingMerged, "request_id", tables.trainings.c.request_id),
    Stored(catalogue.TrainingMerged, "into", tables.trainings.c.merged_into),
    Stored(catalogue.TrainingFailed, "reason", tables.trainings.c.failure),
    Stored(catalogue.TrainingFinished, "run_id", tables.trainings.c.run_id),
    Stored(catalogue.TrainingFinished, "version", tables.trainings.c.version),
    *(
        Stored(catalogue.ModelPromoted, field, tables.promotions.c[field])
        for field in ("seq", "version", "previous", "reason")
    ),
    Stored(catalogue.Causes, "request", tables.promotions.c.cause),
]


@pytest.mark.failure("F360")
@pytest.mark.parametrize("stored", STORED, ids=lambda stored: f"{stored.payload.__name__}.{stored.field}")
def test_what_an_event_may_hold_fits_its_column(stored: Stored) -> None:
    """The longest text, in characters of four bytes too, and the greatest number."""
    info = stored.payload.model_fields[stored.field]
    annotated: Any = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
    field = TypeAdapter[Any](annotated)
    size, kind = field.json_schema(), stored.column.type
    bounds = next((each for each in size.get("anyOf", []) if each["type"] != "null"), size)
    if isinstance(kind, sa.Integer):
        assert 0 <= bounds["minimum"] < bounds["maximum"] < 2**31 - 1
    elif isinstance(kind, sa.Text):
        field.validate_python("x" * MAX_TEXT_BYTES)
        for text in ("x" * (MAX_TEXT_BYTES + 1), "🏠" * (MAX_TEXT_BYTES // 4 + 1)):
            with pytest.raises(ValidationError):
                field.validate_python(text)
    else:
        assert isinstance(kind, sa.String)
        longest = bounds.get("maxLength") or max(map(len, bounds["enum"]))
        assert kind.length
        assert longest <= kind.length


CHUNK = {"dataset": "d", "epoch": 1, "number": 0, "chunk": 0, "first_row": 0}
"""An event of rows, without the rows."""
UNBOUNDED = {
    "BatchRows.rows.*",
    "TrainingStarted.recipe",
    "ModelRegistered.recipe",
    "RecordDeadlettered.headers.*",
    "RecordDeadlettered.value",
}
"""Documents that are as large as a record may be."""


@pytest.mark.failure("F360")
@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=lambda payload: payload.TYPE)
def test_each_field_has_bounds(payload: type[Payload]) -> None:
    """Numbers have a least and a greatest value, texts and lists a length."""
    schema = payload.model_json_schema()
    unbounded = {path for path, node in _nodes(schema, schema, payload.__name__) if not _is_bounded(node)}
    assert unbounded <= UNBOUNDED


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({}, "Input should be a valid list"),
        ([{}, 1], "Input should be a valid dictionary"),
        ([{}, [("a", 1)]], "Input should be a valid dictionary"),
        ([{1: 2}, None], "Input should be a valid string"),
        ([{}] * (MAX_ITEMS + 1), f"Value error, more than {MAX_ITEMS} entries"),
    ],
)
def test_rows_are_objects(rows: object, message: str) -> None:
    """A chunk with anything else is refused, with the place of the first fault."""
    with pytest.raises(ValidationError) as caught:
        BatchRows.model_validate({**CHUNK, "rows": rows})
    assert caught.value.errors()[0]["msg"] == message


def test_the_rows_of_a_chunk_are_not_copied() -> None:
    """There are hundreds of thousands."""
    rows = [{"a": 1}, {}, {"a": [None]}]
    assert BatchRows.model_validate({**CHUNK, "rows": rows}).rows is rows


@pytest.mark.failure("F360")
@pytest.mark.parametrize(
    "fields",
    [{"rows": [1] * 1_000_000}, {"rows": [{}] * 1_000_000}],
    ids=["of another type", "too many"],
)
def test_a_list_of_a_million_faults_costs_no_memory(fields: dict[str, Any]) -> None:
    """Pydantic would describe each fault: 8 MB of JSON took 1.5 GB."""
    tracemalloc.start()
    with pytest.raises(ValidationError) as caught:
        BatchRows.model_validate({**CHUNK, **fields})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.error_count() == 1
    assert peak < 100_000


def _nodes(node: dict[str, Any], root: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The schemas of all values in a document, each with its path."""
    if "$ref" in node:
        node = root["$defs"][node["$ref"].rpartition("/")[2]]
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from _nodes(child, root, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            yield from _nodes(node[key], root, f"{path}.*")
    for child in node.get("anyOf", []):
        yield from _nodes(child, root, path)


def _is_bounded(node: dict[str, Any]) -> bool:
    match node.get("type"):
        case "string":
            return "maxLength" in node or "enum" in node or "const" in node or node.get("format") == "date"
        case "integer":
            return "minimum" in node and "maximum" in node
        case "array":
            return "maxItems" in node
        case "object":
            return "properties" in node or "maxProperties" in node
    return True
