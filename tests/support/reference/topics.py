"""The table of docs/reference/topics.md."""

from support.reference.tables import table
from veleta.topics import LAG_TOPICS, declared_topics


def topics() -> str:
    """Each topic with its events, the services that write and read it, and its consumer groups."""
    head = ("topic", "events", "written by", "read by", "consumer groups")
    rows = []
    for topic in declared_topics("real_estate"):
        groups = [f"`real_estate.{service}`" for service, name in LAG_TOPICS.items() if topic.name.endswith(f".{name}")]
        events = ", ".join(payload.TYPE for payload in topic.events)
        rows.append(
            (f"`{topic.name}`", events, ", ".join(topic.written_by), ", ".join(topic.read_by), ", ".join(groups))
        )
    return table(head, rows)
