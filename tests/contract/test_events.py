"""What is committed of the events: a schema and a golden example for each event and version, kept for ever."""

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
    """A change of what an event says is seen in review; one that breaks old events is a new version beside it."""
    assert (SCHEMAS / file_name(schema)).read_text() == schema_text(PAYLOADS[schema]), f"{schema}: {REGENERATE}"


@every_schema
def test_the_golden_example_fits_its_schema(schema: str) -> None:
    """The schema that others read says the same as our own decoder."""
    jsonschema.validate(example(schema)["value"], _schema(schema), jsonschema.Draft202012Validator)


@every_schema
def test_the_golden_example_decodes_and_encodes_to_itself(schema: str) -> None:
    """Topics are kept for ever: every version that was ever written is still read, and nothing of it gets lost."""
    golden = example(schema)
    again = encode("any", decode(_record(golden)))
    assert {name: value.decode() for name, value in again.headers} == golden["headers"]
    assert again.key == golden["key"]
    assert json.loads(again.value) == golden["value"]


@every_schema
def test_an_event_is_known_by_its_headers(schema: str) -> None:
    """Type and version of the headers are those of the class that decodes it."""
    headers = example(schema)["headers"]
    assert (headers["ce_dataschema"], headers["ce_type"]) == (schema, PAYLOADS[schema].TYPE)


@pytest.mark.parametrize("folder", [SCHEMAS, EXAMPLES], ids=["schemas", "examples"])
def test_each_event_has_its_files_and_no_file_is_an_orphan(folder: Path) -> None:
    """A class that was taken away leaves its files behind: old events could no longer be read."""
    assert {path.name for path in folder.iterdir()} == {file_name(schema) for schema in PAYLOADS}


def test_the_page_of_events_is_the_generated_one() -> None:
    """Every event stands there with its example."""
    assert EVENTS.read_text() == events_page(example), f"docs/reference/events.md: {REGENERATE}"
    assert all(
        f"### {payload.TYPE}, version {payload.VERSION}\n" in EVENTS.read_text() for payload in PAYLOADS.values()
    )


def test_a_changed_event_does_not_pass_for_the_committed_one() -> None:
    """The check can fail: a field more, a field less or another type give another schema."""

    class More(BatchClosed):
        colour: str

    committed = (SCHEMAS / file_name("batch.closed/1")).read_text()
    assert schema_text(More).replace('"More"', '"BatchClosed"') != committed
    assert schema_text(BatchClosed) == committed


def test_the_schema_refuses_an_example_with_a_field_less() -> None:
    """The check of examples can fail too."""
    value = example("batch.closed/1")["value"]
    del value["digest"]
    with pytest.raises(jsonschema.ValidationError, match="digest"):
        jsonschema.validate(value, _schema("batch.closed/1"))


def _schema(schema: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SCHEMAS / file_name(schema)).read_text())
    return found


def _record(golden: dict[str, Any]) -> Record:
    headers = tuple((name, value.encode()) for name, value in golden["headers"].items())
    return Record("any", 0, 0, golden["key"], headers, json.dumps(golden["value"]).encode())
