"""Each event and version has a committed schema and a golden example, which are never deleted."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from support.contracts import EXAMPLES, REGENERATE, SCHEMAS, example, file_name, schema_text
from support.reference.events import EVENTS, events_page
from veleta.events.catalogue import PAYLOADS, BatchClosed
from veleta.events.envelope import Record, decode, encode

every_schema = pytest.mark.parametrize("schema", sorted(PAYLOADS))


@every_schema
def test_the_committed_schema_is_the_generated_one(schema: str) -> None:
    """So a review shows each change of an event. A change that breaks old events must be a new version."""
    assert (SCHEMAS / file_name(schema)).read_text() == schema_text(PAYLOADS[schema]), f"{schema}: {REGENERATE}"


@every_schema
def test_the_golden_example_matches_its_schema(schema: str) -> None:
    """The published schema agrees with our decoder."""
    jsonschema.validate(example(schema)["value"], _schema(schema), jsonschema.Draft202012Validator)


@every_schema
def test_the_golden_example_decodes_and_encodes_to_itself(schema: str) -> None:
    """Records are never deleted, so every version must be decoded without loss."""
    golden = example(schema)
    again = encode("any", decode(_record(golden)))
    assert {name: value.decode() for name, value in again.headers} == golden["headers"]
    assert again.key == golden["key"]
    assert json.loads(again.value) == golden["value"]


def test_fields_that_were_added_to_a_report_are_written_if_they_have_a_value() -> None:
    """Without one the event is that of earlier versions, which the golden example shows."""
    golden = example("drift.assessed/1")
    added = {
        "findings": ["volume: 2 rows"],
        "baseline": {
            "number": 4,
            "dataset_digest": "d",
            "rows": 2,
            "values": {"price": 2},
            "statistics": [{"column": "price", "statistic": "mean", "value": 1.5, "number": 0}],
        },
        "figures": [golden["value"]["figures"][0] | {"previous": 0}],
        "histograms": [
            {
                "column": "bed",
                "reference": "champion",
                "bins": [{"upper": 2.0, "share": 0.5, "reference_share": 0.0}, {"lower": 2.0, "share": 0.5}],
            },
            {"column": "city", "bins": [{"category": "", "share": 1.0}, {"share": 0.0}]},
        ],
        "importance": {"bed": 0.25},
    }
    golden["value"] |= added
    jsonschema.validate(golden["value"], _schema("drift.assessed/1"), jsonschema.Draft202012Validator)
    assert json.loads(encode("any", decode(_record(golden))).value) == golden["value"]


@pytest.mark.parametrize("schema", ["model.registered/1", "model.promoted/1"])
def test_the_digest_of_a_model_is_written_if_it_is_known(schema: str) -> None:
    """Without it the event is that of earlier releases, which the golden example shows."""
    golden = example(schema)
    golden["value"]["native_digest"] = "0f" * 32
    jsonschema.validate(golden["value"], _schema(schema), jsonschema.Draft202012Validator)
    assert json.loads(encode("any", decode(_record(golden))).value) == golden["value"]


def test_the_measures_of_a_version_are_written_if_there_are_some() -> None:
    """Without them the event is that of earlier releases, which the golden example shows."""
    golden = example("model.registered/1")
    measured = {"model": "champion", "slice": "state = Ohio", "rows": 212, "metrics": {"mae": 71250.5}}
    golden["value"]["measures"] = [measured]
    jsonschema.validate(golden["value"], _schema("model.registered/1"), jsonschema.Draft202012Validator)
    assert json.loads(encode("any", decode(_record(golden))).value) == golden["value"]


@pytest.mark.parametrize("schema", ["model.registered/1", "model.promoted/1"])
def test_the_profile_of_a_version_is_written_if_there_is_one(schema: str) -> None:
    """Without it the event is that of earlier releases, which the golden example shows."""
    golden = example(schema)
    golden["value"]["profile"] = {
        "train_rows": 2177,
        "numbers": {"bed": {"rows": 2177, "quantiles": [1, 1.5, 2, 3, 4, 5, 12]}},
        "categories": {"state": {"rows": 2177, "categories": 52, "shares": {"Ohio": 0.25, "Texas": 0.125}}},
        "errors": {"rows": 544, "bias": -0.0125, "deviation": 0.25, "median": 0.125},
        "importance": {"bed": 0.75, "state": 0.25},
    }
    jsonschema.validate(golden["value"], _schema(schema), jsonschema.Draft202012Validator)
    assert json.loads(encode("any", decode(_record(golden))).value) == golden["value"]


@every_schema
def test_the_headers_identify_the_event(schema: str) -> None:
    """Type and version are those of the class that decodes it."""
    headers = example(schema)["headers"]
    assert (headers["ce_dataschema"], headers["ce_type"]) == (schema, PAYLOADS[schema].TYPE)


@pytest.mark.parametrize("folder", [SCHEMAS, EXAMPLES], ids=["schemas", "examples"])
def test_each_event_has_its_files_and_each_file_its_event(folder: Path) -> None:
    """A file without an event shows that a class was deleted, and old events could not be decoded."""
    assert {path.name for path in folder.iterdir()} == {file_name(schema) for schema in PAYLOADS}


def test_the_page_of_events_is_the_generated_one() -> None:
    """It contains every event with its example."""
    assert EVENTS.read_text() == events_page(example), f"docs/reference/events.md: {REGENERATE}"
    assert all(
        f"### {payload.TYPE}, version {payload.VERSION}\n" in EVENTS.read_text() for payload in PAYLOADS.values()
    )


def test_a_changed_event_has_another_schema() -> None:
    """So the comparison with the committed schema can fail."""

    class More(BatchClosed):
        colour: str

    committed = (SCHEMAS / file_name("batch.closed/1")).read_text()
    assert schema_text(More).replace('"More"', '"BatchClosed"') != committed
    assert schema_text(BatchClosed) == committed


def test_the_schema_refuses_an_example_with_a_missing_field() -> None:
    """So the check of the examples can fail too."""
    value = example("batch.closed/1")["value"]
    del value["digest"]
    with pytest.raises(jsonschema.ValidationError, match="digest"):
        jsonschema.validate(value, _schema("batch.closed/1"))


def _schema(schema: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((SCHEMAS / file_name(schema)).read_text())
    return loaded


def _record(golden: dict[str, Any]) -> Record:
    headers = tuple((name, value.encode()) for name, value in golden["headers"].items())
    return Record("any", 0, 0, golden["key"], headers, json.dumps(golden["value"]).encode())
