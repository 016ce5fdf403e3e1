"""The stages of the loop: the readiness, the current and the last activity, and the consumer lag of each."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from veleta.events.catalogue import BatchOpened
from veleta.topics import LAG_TOPICS
from veleta_monitor.domain.formatting import format_number
from veleta_monitor.domain.table import Cell, time_cell

STAGES = {
    "source": "serves batches",
    "poller": "fetches and publishes batches",
    "loader": "loads batches into MySQL",
    "drift": "compares consecutive batches",
    "trainer": "trains and promotes models",
    "inference": "serves the champion",
    "retention": "deletes old and purged requests",
}
"""The services in the order of the data flow, each with its purpose. Those of requests are last."""
INPUTS: Mapping[str, str] = {"poller": "data API", **LAG_TOPICS, "inference": "models"}
"""By stage: the topic or the API that it reads from."""


@dataclass(frozen=True)
class ServiceStatus:
    """The response of a service's /readyz. `error` is the reason if there was none."""

    ready: bool = False
    activity: str = ""
    unavailable: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    warnings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LastActivity:
    """The last activity of a stage: an event's type, id and time, and the epoch and number of its batch."""

    type: str
    id: str
    at: datetime | None
    batch: tuple[int, int] | None = None


@dataclass(frozen=True)
class Stage:
    """A stage as the page shows it. `input` names its source of work; `busy` means that it is working now.

    A stage without `input`, the first and the last one, publishes no events, so it has no `last`.
    """

    name: str
    purpose: str
    input: str
    state: Cell
    activity: str
    unavailable: str
    last: Cell | None
    lag: Cell | None
    busy: bool


def parse_status(body: Mapping[str, Any]) -> ServiceStatus:
    """The status in the JSON of /readyz."""
    unavailable, warnings = (
        {str(name): str(text) for name, text in (body.get(key) or {}).items()} for key in ("waits_for", "warnings")
    )
    return ServiceStatus(body.get("ready") is True, str(body.get("doing") or ""), unavailable, warnings=warnings)


def notices(services: Mapping[str, ServiceStatus]) -> list[str]:
    """What a person should look at: the warnings of all services, and an API that serves no batch."""
    warnings = [f"{name}: {text}" for name, status in services.items() for text in status.warnings.values()]
    api = [reason for status in services.values() for part, reason in status.unavailable.items() if part == "api"]
    return [*warnings, *(f"No batch arrives: {reason}" for reason in api)]


def latest(activities: Sequence[LastActivity]) -> LastActivity:
    """The latest of some activities; one without a time counts as the oldest."""
    return max(activities, key=lambda activity: activity.at.timestamp() if activity.at else 0.0)


def stages(
    services: Mapping[str, ServiceStatus] | None,
    activities: Mapping[str, LastActivity],
    lags: Mapping[str, int | None],
    busy: Collection[str],
    now: datetime,
) -> list[Stage]:
    """All stages, in the order of STAGES.

    A stage without a status is not deployed. `services` is None until the first responses.
    """
    shown = []
    for name, purpose in STAGES.items():
        status = (services or {}).get(name)
        found = status or ServiceStatus()
        shown.append(
            Stage(
                name=name,
                purpose=purpose,
                input=INPUTS.get(name, ""),
                state=Cell("checking", tone="neutral") if services is None else _state(status),
                activity=found.error or found.activity,
                unavailable="; ".join(f"waiting for {part}: {reason}" for part, reason in found.unavailable.items()),
                last=_last(activities.get(name), now) if name in INPUTS else None,
                lag=_lag(lags.get(name)) if name in LAG_TOPICS else None,
                busy=name in busy and found.ready,
            )
        )
    return shown


def busy_stages(
    activities: Mapping[str, LastActivity], lags: Mapping[str, int | None], *, training: bool, loading_model: bool
) -> set[str]:
    """The stages that have work: a consumer lag, an open batch, a training, or a promoted version to load."""
    fetching = "poller" in activities and activities["poller"].type == BatchOpened.TYPE
    working = {"poller": fetching, "trainer": training, "inference": loading_model}
    return {name for name, lag in lags.items() if lag} | {name for name, works in working.items() if works}


def _state(status: ServiceStatus | None) -> Cell:
    if status is None:
        return Cell("not deployed", tone="neutral")
    if status.error:
        return Cell("no response", tone="bad")
    return Cell("ready", tone="good") if status.ready else Cell("not ready", tone="warn")


def _last(activity: LastActivity | None, now: datetime) -> Cell:
    if activity is None:
        return Cell("no activity yet")
    when = time_cell(activity.at, now)
    return Cell(f"{activity.type}, {when.text}", hint=when.hint, note=activity.id)


def _lag(lag: int | None) -> Cell:
    if lag is None:
        hint = "The consumer group has not committed an offset yet, or Kafka is unavailable."
        return Cell("lag unknown", hint=hint, tone="neutral")
    return Cell(f"lag {format_number(lag)}", hint="records that are not yet processed", tone="warn" if lag else "")
