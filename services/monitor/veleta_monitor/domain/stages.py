"""The stages of the loop: whether each is ready, what it does, what it did last, how far it is behind."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from veleta.events.catalogue import BatchOpened
from veleta.topics import CONSUMED_TOPICS
from veleta_monitor.domain.formatting import Cell, figure, moment

STAGES = {
    "source": "hands out batches",
    "poller": "fetches each batch and publishes it",
    "loader": "brings it into MySQL",
    "drift": "judges it against the one before",
    "trainer": "trains a challenger, promotes the better",
    "inference": "answers with the champion",
}
"""The services in the order of the way of the data, each with what it is for."""
INTO: Mapping[str, str] = {"poller": "data API", **CONSUMED_TOPICS, "inference": "models"}
"""By stage: the topic that it takes its work from, or what else it asks."""
ASKED = Cell("asking", tone="quiet")


@dataclass(frozen=True)
class Health:
    """What a service said on /readyz; `trouble` says why it said nothing."""

    ready: bool = False
    doing: str = ""
    waits_for: Mapping[str, str] = field(default_factory=dict)
    trouble: str = ""


@dataclass(frozen=True)
class Deed:
    """The last thing that a stage did: an event's type, its id and time, and the epoch and number it is about."""

    what: str
    id: str
    at: datetime | None
    batch: tuple[int, int] | None = None


def health(body: Mapping[str, Any]) -> Health:
    """The health that the JSON of /readyz tells."""
    waits = {str(what): str(reason) for what, reason in (body.get("waits_for") or {}).items()}
    return Health(ready=body.get("ready") is True, doing=str(body.get("doing") or ""), waits_for=waits)


def newest(deeds: Sequence[Deed]) -> Deed:
    """The latest of some deeds; one without a time counts as the oldest."""
    return max(deeds, key=lambda deed: deed.at.timestamp() if deed.at else 0.0)


@dataclass(frozen=True)
class Stage:
    """A stage as the picture shows it. `into` names where its work comes from; `busy`: it is at work right now.

    The first one stands for the data API: it has no `into`, publishes no events and so has no `last`.
    """

    name: str
    purpose: str
    into: str
    state: Cell
    doing: str
    waits: str
    last: Cell | None
    lag: Cell | None
    busy: bool


def stages(
    healths: Mapping[str, Health] | None,
    deeds: Mapping[str, Deed],
    lags: Mapping[str, int | None],
    busy: Collection[str],
    now: datetime,
) -> list[Stage]:
    """All stages, in the order of STAGES.

    A stage without a health is not part of this deployment; without `healths` nobody has answered yet.
    """
    states = {name: ASKED if healths is None else _state(healths.get(name)) for name in STAGES}
    return [
        _stage(name, states[name], (healths or {}).get(name) or Health(), deeds.get(name), lags, busy, now)
        for name in STAGES
    ]


def at_work(deeds: Mapping[str, Deed], lags: Mapping[str, int | None], *, training: bool, serving: bool) -> set[str]:
    """The stages that have something in hand: by their lag, by what they said last, and by what waits for them."""
    taking = "poller" in deeds and deeds["poller"].what == BatchOpened.TYPE
    named = {"poller": taking, "trainer": training, "inference": serving}
    return {name for name, lag in lags.items() if lag} | {name for name, does in named.items() if does}


def _stage(
    name: str,
    state: Cell,
    found: Health,
    deed: Deed | None,
    lags: Mapping[str, int | None],
    busy: Collection[str],
    now: datetime,
) -> Stage:
    return Stage(
        name=name,
        purpose=STAGES[name],
        into=INTO.get(name, ""),
        state=state,
        doing=found.trouble or found.doing,
        waits="; ".join(f"waits for {what}: {reason}" for what, reason in found.waits_for.items()),
        last=_last(deed, now) if name in INTO else None,
        lag=_lag(lags.get(name)) if name in CONSUMED_TOPICS else None,
        busy=name in busy and found.ready,
    )


def _state(found: Health | None) -> Cell:
    if found is None:
        return Cell("not in this run", tone="quiet")
    if found.trouble:
        return Cell("no answer", tone="bad")
    return Cell("ready", tone="good") if found.ready else Cell("not ready", tone="warn")


def _last(deed: Deed | None, now: datetime) -> Cell:
    if deed is None:
        return Cell("nothing yet")
    when = moment(deed.at, now)
    return Cell(f"{deed.what}, {when.text}", hint=when.hint, note=deed.id)


def _lag(lag: int | None) -> Cell:
    if lag is None:
        return Cell("lag unknown", hint="the group has committed nothing yet, or Kafka does not answer", tone="quiet")
    return Cell(f"{figure(lag)} behind", hint="records of its topic not yet handled", tone="warn" if lag else "")
