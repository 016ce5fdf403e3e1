"""docs/reference/events.md: every event by topic, from the declarations and the golden examples."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from support.repository import ROOT
from veleta.events.catalogue import PAYLOADS, Payload
from veleta.topics import Topic, declared_topics

EVENTS = ROOT / "docs/reference/events.md"
_HEAD = """# Events

Every event by topic: its fields, their types and one example. `make contracts` writes this page from
`shared/veleta/topics.py`, `shared/veleta/events/catalogue.py` and the golden examples in `tests/contract/examples`.
[Architecture](../architecture.md) explains how events travel.

An event is a Kafka record. Its value is JSON; facts about the event are headers:

| header | meaning |
|---|---|
| `ce_id` | the id, derived from what happened: a repeated publication has the same id |
| `ce_type` | the type, such as `batch.closed` |
| `ce_source` | the service that wrote it |
| `ce_time` | when it was written, UTC |
| `ce_specversion` | the version of CloudEvents |
| `ce_dataschema` | type and version of the schema, such as `batch.closed/1` |
| `content-type` | `application/json` |
| `ce_causationid` | the id of the event that caused this one; optional |
| `traceparent` | the trace of the batch; optional |
"""
_SHOWN = 3
"""Items of a list that an example shows."""


def events_page(example: Callable[[str], dict[str, Any]]) -> str:
    """The whole page; `example` gives the golden example of a schema such as `batch.closed/1`."""
    return "\n".join([_HEAD, *(line for topic in declared_topics("real_estate") for line in _topic(topic, example))])


def _topic(topic: Topic, example: Callable[[str], dict[str, Any]]) -> Iterator[str]:
    yield f"## {topic.name}\n"
    yield f"Written by {', '.join(topic.written_by)}; read by {', '.join(topic.read_by)}.\n"
    types = [payload.TYPE for payload in topic.events]
    for schema, payload in PAYLOADS.items():
        if payload.TYPE in types:
            yield from _event(payload, example(schema))


def _event(payload: type[Payload], example: dict[str, Any]) -> Iterator[str]:
    yield f"### {payload.TYPE}, version {payload.VERSION}\n"
    yield f"{(payload.__doc__ or '').strip()}\n".replace("\n    ", "\n")
    yield "| field | type |\n|---|---|"
    declared_schema = payload.model_json_schema()
    required = declared_schema.get("required", [])
    for name, kind in declared_schema["properties"].items():
        yield f"| {name}{'' if name in required else ' (may be missing)'} | {_type(kind)} |"
    headers = example["headers"]
    yield f"\nFor example `{headers['ce_id']}`, with the key `{example['key']}`:\n"
    text = json.dumps(_short(example["value"]), indent=2, ensure_ascii=False)
    yield f"```json\n{text}\n```\n"


def _type(kind: dict[str, Any]) -> str:
    if "anyOf" in kind:
        return " or ".join(_type(each) for each in kind["anyOf"])
    if "$ref" in kind:
        return str(kind["$ref"]).rpartition("/")[2]
    if "enum" in kind:
        return ", ".join(f"`{each}`" for each in kind["enum"])
    if kind.get("type") == "array":
        return f"list of {_type(kind['items'])}"
    return str(kind.get("type", "anything"))


def _short(value: Any) -> Any:
    """Long lists and texts are cut: the whole example is a file."""
    if isinstance(value, dict):
        return {name: _short(each) for name, each in value.items()}
    if isinstance(value, list):
        return [*(_short(each) for each in value[:_SHOWN]), *(["…"] if len(value) > _SHOWN else [])]
    return f"{value[:77]}…" if isinstance(value, str) and len(value) > 78 else value
