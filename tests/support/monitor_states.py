"""Generated states of the monitor's page; `python -m support.monitor_states` serves them at `/?state=...`."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import streamlit as st

from veleta.clock import utc_now
from veleta_monitor import server
from veleta_monitor.adapters.database import History, RequestSummary
from veleta_monitor.adapters.services import ServiceStatuses
from veleta_monitor.adapters.topics import TopicSummary
from veleta_monitor.background_cache import CachedValue
from veleta_monitor.bootstrap import Monitor, build
from veleta_monitor.command_sender import CommandStatus
from veleta_monitor.domain.batches import Batch
from veleta_monitor.domain.market import LevelUpdate, parse_market
from veleta_monitor.domain.retrains import JudgedRetrain
from veleta_monitor.domain.stages import STAGES, LastActivity, ServiceStatus
from veleta_monitor.domain.training_progress import TrainingProgress
from veleta_monitor.domain.versions import ServedModel, Training
from veleta_monitor.settings import MonitorSettings
from veleta_monitor.snapshot import Snapshot

T = TypeVar("T")
START = utc_now()
DRIFT_REASON = "median bathrooms 2 -> 3 (+50 %, limit 15 %), and 2 more"
METRICS = {"mae": 61_234.2, "mape": 0.142, "r2": 0.777}


def ago(seconds: float) -> datetime:
    """The time that many seconds before START."""
    return START - timedelta(seconds=seconds)


def batch(number: int, verdict: str = "", reason: str = "", at: float = 0, **more: Any) -> Batch:
    """A loaded batch of the third epoch."""
    counts = {"received": 361_457, "cleaned": 361_103, "rejected": {"price below 1,000": 312, "no city": 42}}
    return Batch(3, number, "loaded", verdict=verdict, reason=reason, updated_at=ago(at), **{**counts, **more})


POLICIES = {"evidence": "no drift", "seed": "drift", "sequential": "no drift"}
KNOWN_ROWS = "the champion's errors and the rows are as in its training"
BATCHES = [
    batch(4, "drift", DRIFT_REASON, 1),
    batch(3, "no drift", KNOWN_ROWS, 240, policy="evidence", verdicts=POLICIES),
    Batch(3, 2, "refused", finding="refused: the answer is no JSON (status 200)", updated_at=ago(390)),
    batch(1, "drift", DRIFT_REASON, 600),
    batch(0, "not enough data", "first batch of the epoch", 720),
]
JUDGED = JudgedRetrain(3, 2, "3/3", "harmed", 0.041, ago(230))
PROMOTED = Training(
    "promoted",
    3,
    7,
    METRICS,
    "MAE 61,234 against 64,870 of version 2",
    DRIFT_REASON,
    "3/1",
    ago(540),
    effect=JUDGED.summary,
)
RETRAINS = {"helped": 9, "no difference": 2, "harmed": 1}
TRAININGS = [
    Training("planned", request_reason=DRIFT_REASON, batch="3/4", updated_at=ago(60)),
    PROMOTED,
    Training(
        "rejected", 2, 6, {"mae": 66_120.0}, "MAE 66,120 against 64,870 of version 1", DRIFT_REASON, "2/3", ago(4_000)
    ),
    Training(
        "failed",
        reason="gave up after 3 attempts: the child process exited with -9",
        batch="2/1",
        updated_at=ago(7_300),
    ),
]
CURVE = tuple((25 * step, 0.29 + 0.65 / (1 + step)) for step in range(1, 12))
RUNNING = TrainingProgress("real_estate/3/4/retrain", ago(0), ago(33), "fitting", 25, 275, 500, CURVE)
FINISHED = TrainingProgress(
    "real_estate/3/4/retrain", ago(20), ago(33), "fitting", 25, 500, 500, CURVE, "version 3 was promoted"
)
ACTIVITIES = {
    "source": "serving 5 batches",
    "poller": "published batch 3/4 (8021 rows); next request in 41 s",
    "loader": "waiting for events",
    "drift": "waiting for batches",
    "trainer": "training for real_estate/3/4/retrain: fitting 275 of 500",
    "inference": "serving version 3",
}
SERVICES = {name: ServiceStatus(ready=True, activity=activity) for name, activity in ACTIVITIES.items()}
IDLE = {**SERVICES, "trainer": ServiceStatus(ready=True, activity="waiting for requests")}
LAST_EVENTS = {
    "poller": LastActivity("batch.closed", "real_estate/3/4/closed", ago(110), (3, 4)),
    "drift": LastActivity("retrain.requested", "real_estate/3/4/retrain", ago(75)),
    "trainer": LastActivity("training.progress", "real_estate/3/4/retrain/progress/fitting/275", ago(1)),
}
LOADED = {"loader": LastActivity("batch loaded", "real_estate/3/4", ago(90))}
CAUSES = {
    "reason": DRIFT_REASON,
    "batches": ["real_estate/3/0", "real_estate/3/1"],
    "report": "real_estate/3/1/assessed",
    "request": "real_estate/3/1/retrain",
}
ESTIMATE = {"rows": 1_000, "expected_error": 0.143, "outside": 0.031, "outside_of_holdout": 0.024}
FEW_ROWS = {"reason": "12 rows were predicted since the version was loaded, and 100 are needed"}
MODEL = ServedModel(3, 7, ago(500), ago(540), METRICS, CAUSES, estimate=ESTIMATE)

INDEX = (1, 1.006, 1.011, 1.004, 0.998, 0.991, 0.987, 0.994, 1.012, 1.035, 1.058, 1.07, 1.074)
MARKET_BODY: Mapping[str, Any] = {
    "time": "date",
    "every": "month",
    "method": "trend",
    "since": "2014-05",
    "as_of": "2015-05-27",
    "factor": 1.074,
    "error": 0.011,
    "level_seq": 3,
    "pinned": False,
    "first": "2014-05-02",
    "waiting": None,
    "periods": [
        {"period": f"{2014 + month // 12}-{month % 12 + 1:02}-01", "factor": factor, "error": 0.006 + 0.0004 * month}
        for month, factor in enumerate(INDEX, 4)
    ],
}
"""`market` of GET /model."""
LEVELS = [
    LevelUpdate(
        4, 3, date(2015, 5, 1), 1.074, 0.011, 1_204, "waiting", "it would move the prices by +45.2 %", "", ago(9)
    ),
    LevelUpdate(3, 3, date(2015, 5, 1), 1.074, 0.011, 0, "accepted", "level +0.4 %", "ada", ago(400)),
    LevelUpdate(2, 3, date(2015, 4, 1), 1.07, 0.008, 2_231, "moved", "level +1.1 %", "", ago(4_000)),
    LevelUpdate(1, 2, date(2015, 3, 1), 1.058, 0.008, 12, "held", "a person pinned the level", "", ago(9_000)),
]

TOPICS = TopicSummary(LAST_EVENTS, {"loader": 0, "drift": 0, "trainer": 1}, 2, RUNNING)
NO_LAG = {"loader": 0, "drift": 0, "trainer": 0}
REQUESTS = RequestSummary(12_408, ago(4))
UNREADABLE = {"no city": float("nan")}
"""Counts that only the tables cannot write."""


def fresh(history: History, requests: RequestSummary, topics: TopicSummary, statuses: ServiceStatuses) -> Snapshot:
    """All values from START."""
    return Snapshot(
        START,
        CachedValue(history, START),
        CachedValue(requests, START),
        CachedValue(topics, START),
        CachedValue(statuses, START),
        CommandStatus(),
    )


def stale(cached: CachedValue[T]) -> CachedValue[T]:
    """The value of a source that is unavailable for a while."""
    return CachedValue(cached.value, ago(95), "is unavailable: connection refused")


WORKING = fresh(History(BATCHES, 17, TRAININGS, LOADED), REQUESTS, TOPICS, ServiceStatuses(SERVICES, MODEL, ""))
UNAVAILABLE = {
    **SERVICES,
    "loader": ServiceStatus(activity="waiting", unavailable={"mysql": "Can't connect to MySQL server on '127.0.0.1'"}),
    "trainer": ServiceStatus(error="cannot connect"),
}
LEFT_OUT = '{} of 400 rows are left out ({} %): price: no value {} (row 0: "POA")'
WITHOUT_ROWS = {
    **IDLE,
    "poller": ServiceStatus(
        activity="refused a response: GET /data answered 404 Not Found: is API_URL right?; next request in 20 s",
        unavailable={"api": "GET /data answered 404 Not Found: is API_URL right?"},
    ),
    "loader": ServiceStatus(
        ready=True, activity="waiting for events",
        warnings={"rows": f"batch 3/4 has no clean row: {LEFT_OUT.format(400, 100, 400)}"},
    ),
    "inference": ServiceStatus(
        activity="waiting for a model", unavailable={"model": "no model yet: training 3/4 is at tree 120 of 500"}
    ),
}  # fmt: skip
STATES: Mapping[str, Snapshot] = {
    "empty": fresh(
        History([], 0, []),
        RequestSummary(0, None),
        TopicSummary({}, NO_LAG, 0, None),
        ServiceStatuses(
            {name: ServiceStatus(ready=True, activity="waiting") for name in STAGES},
            None,
            "no version was promoted yet",
        ),
    ),
    "loading": Snapshot(START, CachedValue(), CachedValue(), CachedValue(), CachedValue(), CommandStatus()),
    "working": WORKING,
    "calm": fresh(
        History(BATCHES[1:], 16, [PROMOTED], LOADED, [JUDGED], RETRAINS),
        REQUESTS,
        TopicSummary({}, NO_LAG, 0, FINISHED),
        ServiceStatuses(IDLE, replace(MODEL, estimate=FEW_ROWS), ""),
    ),
    "market": fresh(
        History(BATCHES[1:], 16, [PROMOTED], LOADED, levels=LEVELS),
        REQUESTS,
        TopicSummary({}, NO_LAG, 0, FINISHED),
        ServiceStatuses(IDLE, replace(MODEL, market=parse_market({**MARKET_BODY, "waiting": 1.56})), ""),
    ),
    "stale": Snapshot(
        START,
        stale(WORKING.history),
        stale(WORKING.requests),
        stale(WORKING.topics),
        CachedValue(ServiceStatuses(UNAVAILABLE, MODEL, ""), START),
        CommandStatus("poll: the next batch is fetched now, if there is one", "good"),
    ),
    "without rows": fresh(
        History(
            [
                batch(
                    4,
                    "not enough data",
                    "no statistic can be compared: this batch has no number",
                    30,
                    received=400,
                    cleaned=0,
                    rejected={"price: no value": 400},
                    finding=LEFT_OUT.format(400, 100, 400),
                ),
                batch(
                    3,
                    "no drift",
                    "no statistic changed by more than 15 %",
                    90,
                    received=400,
                    cleaned=88,
                    rejected={"price: no value": 312},
                    finding=LEFT_OUT.format(312, 78, 312),
                ),
                BATCHES[2],
                BATCHES[4],
            ],
            17,
            [],
            LOADED,
        ),
        REQUESTS,
        TopicSummary({}, NO_LAG, 0, RUNNING),
        ServiceStatuses(WITHOUT_ROWS, None, "no model yet: training 3/4 is at tree 120 of 500"),
    ),
    "broken": fresh(
        History([batch(4, rejected=UNREADABLE)], 17, [Training("promoted", 3, 7, metrics=UNREADABLE)], LOADED),
        REQUESTS,
        TOPICS,
        ServiceStatuses(SERVICES, MODEL, ""),
    ),
}


def staged(settings: MonitorSettings) -> Monitor:
    """A monitor whose snapshots are the state that `?state=` names."""
    return replace(build(settings), snapshot=lambda: replace(STATES[st.query_params["state"]], now=utc_now()))


if __name__ == "__main__":
    server.PAGE = Path(__file__).with_name("staged_page.py")
    server.serve_page()
