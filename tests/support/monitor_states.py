"""The states of the monitor's page, made up; `python -m support.monitor_states` serves them at `/?state=...`."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import streamlit as st

from veleta.clock import utc_now
from veleta_monitor import server
from veleta_monitor.adapters.database import History, Requests
from veleta_monitor.adapters.services import Voices
from veleta_monitor.adapters.topics import Topics
from veleta_monitor.background_cache import Answer
from veleta_monitor.bootstrap import View, build
from veleta_monitor.domain.batches import Batch
from veleta_monitor.domain.stages import STAGES, Deed, Health
from veleta_monitor.domain.training_progress import Course
from veleta_monitor.domain.versions import Served, Training
from veleta_monitor.settings import MonitorSettings

T = TypeVar("T")
START = utc_now()
SHIFT = "the mean of the bed counts changed by 0.41, more than 0.25"
METRICS = {"mae": 61_234.2, "mape": 0.142, "r2": 0.777}


def ago(seconds: float) -> datetime:
    """So long before the start."""
    return START - timedelta(seconds=seconds)


def batch(number: int, verdict: str = "", reason: str = "", at: float = 0, **more: Any) -> Batch:
    """A batch of the third epoch that was loaded."""
    counts = {"received": 361_457, "cleaned": 361_103, "rejected": {"price below 1,000": 312, "no city": 42}}
    return Batch(3, number, "loaded", verdict=verdict, reason=reason, at=ago(at), **{**counts, **more})


BATCHES = [
    batch(4, "drift", SHIFT, 1),
    batch(3, "no drift", "no statistic changed by more than 0.25", 240),
    Batch(3, 2, "refused", finding="refused: the answer is no JSON (status 200)", at=ago(390)),
    batch(1, "drift", SHIFT, 600),
    batch(0, "not enough data", "first of the epoch", 720),
]
PROMOTED = Training("promoted", 3, 7, METRICS, "MAE 61,234 against 64,870 of version 2", SHIFT, "3/1", ago(540))
TRAININGS = [
    Training("planned", asked=SHIFT, batch="3/4", at=ago(60)),
    PROMOTED,
    Training("rejected", 2, 6, {"mae": 66_120.0}, "MAE 66,120 against 64,870 of version 1", SHIFT, "2/3", ago(4_000)),
    Training("failed", why="given up after 3 attempts: the child process ended with -9", batch="2/1", at=ago(7_300)),
]
CURVE = tuple((25 * step, 0.29 + 0.65 / (1 + step)) for step in range(1, 12))
RUNNING = Course("real_estate/3/4/retrain", ago(0), ago(33), "fitting", 25, 275, 500, CURVE)
ENDED = Course("real_estate/3/4/retrain", ago(20), ago(33), "fitting", 25, 500, 500, CURVE, "version 3 was promoted")
DOING = {
    "source": "serving 5 batches",
    "poller": "published batch 3/4 (8021 rows); next request in 41 s",
    "loader": "waiting for events",
    "drift": "waiting for batches",
    "trainer": "training for real_estate/3/4/retrain: fitting 275 of 500",
    "inference": "serving version 3",
}
HEALTHS = {name: Health(ready=True, doing=doing) for name, doing in DOING.items()}
RESTING = {**HEALTHS, "trainer": Health(ready=True, doing="waiting for requests")}
DEEDS = {
    "poller": Deed("batch.closed", "real_estate/3/4/closed", ago(110), (3, 4)),
    "drift": Deed("retrain.requested", "real_estate/3/4/retrain", ago(75)),
    "trainer": Deed("training.progress", "real_estate/3/4/retrain/progress/fitting/275", ago(1)),
}
LOADED = {"loader": Deed("batch loaded", "real_estate/3/4", ago(90))}
CAUSES = {
    "reason": SHIFT,
    "batches": ["real_estate/3/0", "real_estate/3/1"],
    "report": "real_estate/3/1/assessed",
    "request": "real_estate/3/1/retrain",
}
MODEL = Served(3, 7, ago(500), ago(540), METRICS, CAUSES)

TOPICS = Topics(DEEDS, {"loader": 0, "drift": 0, "trainer": 1}, 2, RUNNING)
QUIET = {"loader": 0, "drift": 0, "trainer": 0}
REQUESTS = Requests(12_408, ago(4))
UNREADABLE: Any = {"no city": "many"}


class Answers(NamedTuple):
    """What the page is told when it looks."""

    history: Answer[History]
    requests: Answer[Requests]
    topics: Answer[Topics]
    voices: Answer[Voices]


def fresh(history: History, requests: Requests, topics: Topics, voices: Voices) -> Answers:
    """All of it from now."""
    return Answers(Answer(history, START), Answer(requests, START), Answer(topics, START), Answer(voices, START))


def old(answer: Answer[T]) -> Answer[T]:
    """It has been away for a while."""
    return Answer(answer.value, ago(95), "does not answer: connection refused")


WORKING = fresh(History(BATCHES, 17, TRAININGS, LOADED), REQUESTS, TOPICS, Voices(HEALTHS, MODEL, ""))
AWAY = {
    **HEALTHS,
    "loader": Health(doing="waiting", waits_for={"mysql": "Can't connect to MySQL server on '127.0.0.1'"}),
    "trainer": Health(trouble="nobody listens there"),
}
STATES: Mapping[str, Answers] = {
    "empty": fresh(
        History([], 0, []),
        Requests(0, None),
        Topics({}, QUIET, 0, None),
        Voices({name: Health(ready=True, doing="waiting") for name in STAGES}, None, "no version was promoted yet"),
    ),
    "loading": Answers(Answer(), Answer(), Answer(), Answer()),
    "working": WORKING,
    "calm": fresh(
        History(BATCHES[1:], 16, [PROMOTED], LOADED), REQUESTS, Topics({}, QUIET, 0, ENDED), Voices(RESTING, MODEL, "")
    ),
    "stale": Answers(
        old(WORKING.history), old(WORKING.requests), old(WORKING.topics), Answer(Voices(AWAY, MODEL, ""), START)
    ),
    "broken": fresh(
        History([batch(4, rejected=UNREADABLE)], 17, [Training("promoted", 3, 7, metrics=UNREADABLE)], LOADED),
        REQUESTS,
        TOPICS,
        Voices(HEALTHS, MODEL, ""),
    ),
}


class Staged:
    """Stands for a Glance: what it answers goes by the state in the page's address."""

    def __init__(self, name: str) -> None:
        self._name = name

    def look(self) -> Any:
        """The answer in the state that `?state=` names."""
        return getattr(STATES[st.query_params["state"]], self._name)


def staged(settings: MonitorSettings) -> View:
    """A view that asks nobody."""
    answers: Any = {name: Staged(name) for name in Answers._fields}
    return replace(build(settings), **answers)


if __name__ == "__main__":
    server.PAGE = Path(__file__).with_name("staged_page.py")
    server.serve_page()
