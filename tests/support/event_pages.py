"""docs/events.md: every event, topic by topic, for people; written from the declarations and the golden examples."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from veleta.events.catalogue import PAYLOADS, Payload
from veleta.topics import Topic, declared

EVENTS = Path(__file__).parents[2] / "docs/events.md"
_HEAD = """# Events

Topic by topic, what is said and in which words. Written by `make contracts` from `shared/veleta/topics.py`,
`shared/veleta/events/catalogue.py` and the golden examples; how events travel is in [architecture.md](architecture.md).
Every event bears the headers `ce_id`, `ce_type`, `ce_source`, `ce_specversion`, `ce_time`, `ce_dataschema` (as
`batch.closed/1`), `content-type`, and where it has them `ce_causationid` (the event that set it off) and `traceparent`.
"""
_SHOWN = 3
"""Items of a list that an example shows."""


def events_page(example: Callable[[str], dict[str, Any]]) -> str:
    """The whole page; `example` gives the golden example of a schema such as `batch.closed/1`."""
    return "\n".join([_HEAD, *(line for topic in declared("real_estate") for line in _topic(topic, example))])


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
