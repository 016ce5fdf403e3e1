"""Generates hostile records from the committed schemas of the events."""

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.contracts import SCHEMAS, file_name
from support.records import NOON, message
from veleta.events.envelope import Message
from veleta.topics import TopicName, declared_topics, topic

DEEP = json.loads("[" * 500 + "]" * 500)
WRONG: Sequence[Any] = (
    None, True, -1, 0, 2**31 - 1, 2**31, 10**12, 2**63, 2**64, 1e308, 0.5, "", "x" * 100_000, "\x1b[2J\0", "NaN", [],
    [None] * 20_000, {}, {"x" * 1_000: 1}, DEEP,
)  # fmt: skip
"""Values that no field, or almost none, may have."""
Json = dict[str, Any]


def values(schema: Json, root: Json) -> st.SearchStrategy[Any]:
    """The values that a JSON Schema of pydantic accepts, small ones."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        return st.one_of(*(values(each, root) for each in schema["anyOf"]))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kind = schema["type"]
    if kind == "object":
        return _objects(schema, root)
    if kind == "array":
        return st.lists(values(schema["items"], root), max_size=3)
    return _texts(schema) if kind == "string" else _scalars(schema)


def _scalars(schema: Json) -> st.SearchStrategy[Any]:
    if schema["type"] == "integer":
        least, greatest = schema["minimum"], schema["maximum"]
        return st.integers(least, least + 3) | st.integers(least, greatest)
    others = {"boolean": st.booleans(), "null": st.none(), "number": st.floats(allow_nan=False, allow_infinity=False)}
    return others[schema["type"]]


def _objects(schema: Json, root: Json) -> st.SearchStrategy[Any]:
    if properties := schema.get("properties"):
        return st.fixed_dictionaries({name: values(each, root) for name, each in properties.items()})
    content = schema.get("additionalProperties")
    entry = values(content, root) if isinstance(content, dict) else st.sampled_from(WRONG)
    return st.dictionaries(st.text(max_size=10), entry, max_size=3)


def _texts(schema: Json) -> st.SearchStrategy[Any]:
    if "pattern" in schema:
        return st.text("0123456789abcdef", min_size=64, max_size=64)
    return st.text(st.characters(codec="utf-8"), max_size=min(schema.get("maxLength", 20), 20))


def json_text(value: object) -> bytes:
    """As JSON; a surrogate becomes a question mark."""
    return json.dumps(value).encode(errors="replace")


def hostile_messages(dataset: str, name: TopicName, known: Sequence[Message]) -> st.SearchStrategy[Message]:
    """Events of a topic with wrong fields and headers, and copies of known records with another value."""
    (declared,) = (each for each in declared_topics(dataset) if each.name == topic(dataset, name))
    ids = [dict(each.headers).get("ce_id", b"").decode(errors="replace") for each in known]

    # It has no arguments of its own: Hypothesis prints them in its warnings, and `known` is large.
    @st.composite
    def events(draw: st.DrawFn) -> Message:
        def mostly(usual: Any, *others: Any) -> Any:
            return draw(st.sampled_from([usual] * 9 + [*others]))

        kind = draw(st.sampled_from(declared.events))
        schema = json.loads((SCHEMAS / file_name(f"{kind.TYPE}/{kind.VERSION}")).read_text())
        value = draw(values(schema, schema))
        for field in draw(st.lists(st.sampled_from(sorted(value)), max_size=2)):
            value[field] = draw(st.sampled_from(WRONG))
        for field in ("dataset", "model"):
            if field in value:
                value[field] = mostly(dataset, value[field])
        headers = {
            "ce_id": mostly(draw(st.sampled_from([*ids, f"{dataset}/9/9/x"])), "x" * 300, "\x1b[2J"),
            "ce_type": kind.TYPE,
            "ce_source": mostly("veleta/poller", "x" * 300),
            "ce_time": mostly(NOON.isoformat(), "0001-01-01T00:00:00+14:00", "yesterday"),
            "ce_dataschema": mostly(f"{kind.TYPE}/{kind.VERSION}", "other/1"),
        }
        key = mostly(dataset, "", "x" * 1_000)
        return message(topic(dataset, name), key, json_text(value), [(k, v.encode()) for k, v in headers.items()])

    return events()


def generated(dataset: str, name: TopicName, known: Sequence[Message], count: int) -> list[Message]:
    """`count` hostile records for a topic, the same at each run; then all known ones, from the last to the first."""
    made: list[Message] = []

    @settings(max_examples=count, deadline=None, database=None, derandomize=True, suppress_health_check=[*HealthCheck])
    @given(hostile_messages(dataset, name, known))
    def generate(record: Message) -> None:
        made.append(record)

    generate()
    full = topic(dataset, name)
    return [*made, *reversed(known), message(full, value=b"\xff"), message(full, value=b"[" * 1_000_000)]
