"""The stages of the loop: whether each is ready, what it does, what it did last, how far it is behind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from veleta.topics import FOLLOWS
from veleta_monitor.domain.words import NOTHING, Cell, Head, Table, figure, moment

STAGES = {
    "source": "hands out batches",
    "poller": "fetches each batch and publishes it",
    "loader": "brings it into MySQL",
    "drift": "judges it against the one before",
    "trainer": "trains a challenger, promotes the better",
    "inference": "answers with the champion",
}
"""The services in the order of the way of the data, each with what it is for."""
HEADS = (Head("Stage"), Head("State"), Head("Doing now"), Head("Last result"), Head("When"), Head("Lag", numeric=True))


@dataclass(frozen=True)
class Health:
    """What a service said on /readyz; `trouble` says why it said nothing."""

    ready: bool = False
    doing: str = ""
    waits_for: Mapping[str, str] = field(default_factory=dict)
    trouble: str = ""


@dataclass(frozen=True)
class Deed:
    """The last thing that a stage did: an event's type, its id and its time."""

    what: str
    id: str
    at: datetime | None


def health(body: Mapping[str, Any]) -> Health:
    """The health that the JSON of /readyz tells."""
    waits = {str(what): str(reason) for what, reason in (body.get("waits_for") or {}).items()}
    return Health(ready=body.get("ready") is True, doing=str(body.get("doing") or ""), waits_for=waits)


def newest(deeds: Sequence[Deed]) -> Deed:
    """The latest of some deeds; one without a time counts as the oldest."""
    return max(deeds, key=lambda deed: deed.at.timestamp() if deed.at else 0.0)


def stage_table(
    healths: Mapping[str, Health], deeds: Mapping[str, Deed], lags: Mapping[str, int | None], now: datetime
) -> Table:
    """All stages. A stage without a health is not part of this deployment."""
    return Table(HEADS, [_row(name, healths.get(name), deeds.get(name), lags, now) for name in STAGES])


def _row(
    name: str, found: Health | None, deed: Deed | None, lags: Mapping[str, int | None], now: datetime
) -> list[Cell]:
    last = Cell(deed.what, note=deed.id) if deed else Cell(NOTHING)
    return [
        Cell(name, note=STAGES[name]),
        _state(found),
        _doing(found),
        last,
        moment(deed.at if deed else None, now),
        _lag(name, lags),
    ]


def _state(found: Health | None) -> Cell:
    if found is None:
        return Cell("not in this run", tone="quiet")
    if found.trouble:
        return Cell("no answer", tone="bad")
    return Cell("ready", tone="good") if found.ready else Cell("not ready", tone="warn")


def _doing(found: Health | None) -> Cell:
    if found is None:
        return Cell(NOTHING)
    if found.trouble:
        return Cell(found.trouble)
    waits = "; ".join(f"waits for {what}: {reason}" for what, reason in found.waits_for.items())
    return Cell(found.doing or NOTHING, note=waits)


def _lag(name: str, lags: Mapping[str, int | None]) -> Cell:
    if name not in FOLLOWS:
        return Cell(NOTHING, hint="follows no consumer group")
    lag = lags.get(name)
    if lag is None:
        return Cell("unknown", hint="the group has committed nothing yet, or Kafka does not answer")
    return Cell(figure(lag), hint=f"{figure(lag)} records of its topic not yet handled", tone="warn" if lag else "")
