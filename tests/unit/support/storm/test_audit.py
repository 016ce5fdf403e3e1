"""The audit after a storm detects every kind of difference."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from support.listings import api_rows
from support.storm.api import RecordingApi, ServedBatch
from support.storm.audit import (
    BatchRow,
    Check,
    Decision,
    Deletion,
    Kills,
    StoredPrediction,
    SystemState,
    TopicEvent,
    Version,
    audit_checks,
    table,
)
from support.storm.client import DISCONNECTED, NO_ANSWER, Response
from support.storm.expected_rows import canonical, clean_numbers, verdict
from support.storm.faults import DISKS, PAUSE_SECONDS, SECONDS, WEIGHTS, plan
from veleta.dataset import load_dataset

DATASET = load_dataset("real_estate")
FIRST, SECOND, LOST = (1, 0), (1, 1), (1, 2)
GOOD = Response(
    "storm-0-0",
    sent=10.0,
    ended=10.1,
    status=200,
    items=2,
    body={"request_id": "a", "model": {"version": 1}, "predictions": [{"price": 5.0}, {"price": 6.0}]},
)
BUSY = Response("storm-0-1", 11.0, 11.1, 503, 1, "application/problem+json", {"detail": "mysql: gone away"})
KILLED = 20.0
KILLS = {"inference": [KILLED], "poller": [1.0]}


def _served_batches() -> list[ServedBatch]:
    """Two batches that differ clearly, and one that never arrived. One row of the first is rejected."""
    first = api_rows(0, 30, seed=1)
    first[3]["price"] = 1.0
    return [
        ServedBatch(1, number, [*rows], requested_at=0.0 if number == 2 else 100.0)
        for number, rows in enumerate((first, api_rows(5, 40, seed=2), api_rows(1, 20, seed=3)))
    ]


SERVED = _served_batches()


def _event(what: str, kind: str, number: int, **value: object) -> TopicEvent:
    return TopicEvent(f"real_estate/1/{number}/{what}", kind, {"epoch": 1, "number": number, **value})


def _end(number: int, kind: str) -> TopicEvent:
    request = f"real_estate/1/{number}/retrain"
    return TopicEvent(f"{request}/{kind}", f"training.{kind}", {"request_id": request})


def _intact_state() -> SystemState:
    """The state when nothing went wrong: one training for both requests, one version, one champion."""
    lines = {batch.batch_id: [canonical(row) for row in batch.rows] for batch in SERVED[:2]}
    raw = {batch_id: list(enumerate(texts)) for batch_id, texts in lines.items()}
    clean = {FIRST: [pair for pair in raw[FIRST] if pair[0] != 3], SECOND: raw[SECOND]}
    requests = ["real_estate/1/0/retrain", "real_estate/1/1/retrain"]
    return SystemState(
        batches=[
            _event("closed", "batch.closed", 0, digest="d0"),
            _event("closed", "batch.closed", 1, digest="d1"),
            _event("missed", "batch.missed", 2),
        ],
        drift=[
            _event("assessed", "drift.assessed", 0, verdict="not enough data"),
            _event("assessed", "drift.assessed", 1, verdict="drift"),
        ],
        retrain=[_event("retrain", "retrain.requested", number) for number in (0, 1)],
        training=[_end(1, "started"), _end(0, "merged"), _end(1, "finished"), _end(1, "finished")],
        models=[
            TopicEvent("r/registered", "model.registered", {"version": 1}),
            TopicEvent("r/promoted", "model.promoted", {"seq": 1, "version": 1}),
        ],
        deadletter=[],
        rows=lines,
        batch_rows=[
            BatchRow(FIRST, "loaded", 30, 29, 1),
            BatchRow(SECOND, "loaded", 40, 40, 0),
            BatchRow(LOST, "missed"),
        ],
        raw=raw,
        clean=clean,
        reports=[(FIRST, "not enough data"), (SECOND, "drift")],
        trainings=[(requests[0], "merged", None), (requests[1], "finished", 1)],
        decisions=[Decision(1, 1, "promoted", requests[1], "there is no champion")],
        outbox=0,
        versions=[Version(1, "run", "FINISHED", champion=True)],
        running=[],
        served=1,
        requests=[StoredPrediction("a", 0, GOOD.name, 1, 5.0), StoredPrediction("a", 1, GOOD.name, 1, 6.0)],
    )


INTACT = _intact_state()
OTHER = Version(2, "other", "FINISHED", champion=True)


def _audit(
    state: SystemState = INTACT, responses: tuple[Response, ...] = (GOOD, BUSY), kills: Kills = KILLS
) -> list[Check]:
    return audit_checks(DATASET, SERVED, state, responses, kills)


def _wrong(counts: list[Check]) -> set[str]:
    return {each.what for each in counts if not each.ok}


def test_an_intact_state_passes() -> None:
    """Two records with one event id count as one event."""
    counts = _audit()
    assert _wrong(counts) == set()
    assert "NO" not in table(counts)


def _without(rows: dict[Any, list[Any]]) -> dict[Any, list[Any]]:
    return {**rows, SECOND: rows[SECOND][:-1]}


def _doubled(rows: dict[Any, list[Any]]) -> dict[Any, list[Any]]:
    return {**rows, SECOND: [*rows[SECOND], rows[SECOND][0]]}


def _altered(rows: dict[Any, list[Any]]) -> dict[Any, list[Any]]:
    number, text = rows[SECOND][0]
    return {**rows, SECOND: [(number, text.replace("0", "1")), *rows[SECOND][1:]]}


RAW, CLEAN = "rows in RAW_DATA, as served", "rows in CLEAN_DATA, as cleaned by the test"
TOPIC = "rows in the topic, by the offsets of the manifests"
TABLE_VERDICTS, TOPIC_VERDICTS = (
    "verdicts in drift_reports, as computed with pandas",
    "verdicts in the topic, each id once",
)
ENDS = "final events in the topic, each request once"
VERSIONS = "versions in MLflow, one for each finished training"
CHAMPION = "versions with the alias champion: the last promoted"
DECISION_EVENTS = "decision events, each id once"
CLOSED_OR_MISSED = "served batches: closed, missed, or the last of an epoch"
NOT_CLOSED = "batches not closed, explained by a kill of the poller"
NEVER_SERVED = "batches closed or missed that were never served"

FAULTS: list[tuple[str, Callable[[SystemState], SystemState], str]] = [
    (
        "a batch is gone",
        lambda f: replace(f, batches=[f.batches[0], f.batches[2]], batch_rows=[f.batch_rows[0], f.batch_rows[2]]),
        CLOSED_OR_MISSED,
    ),
    (
        "a batch is missed that had arrived",
        lambda f: replace(f, batches=[f.batches[0], _event("missed", "batch.missed", 1), f.batches[2]]),
        NOT_CLOSED,
    ),
    (
        "a batch that was never served",
        lambda f: replace(f, batches=[*f.batches, _event("m", "batch.missed", 3)]),
        NEVER_SERVED,
    ),
    (
        "closed and missed",
        lambda f: replace(f, batches=[*f.batches, _event("m", "batch.missed", 1)]),
        "batches both closed and missed",
    ),
    (
        "closed with two contents",
        lambda f: replace(f, batches=[*f.batches, _event("closed", "batch.closed", 1, digest="other")]),
        "manifests: one content for each closed batch",
    ),
    (
        "a response refused",
        lambda f: replace(f, batches=[*f.batches, _event("x", "batch.refused", 3)]),
        "responses refused",
    ),
    (
        "not loaded",
        lambda f: replace(f, batch_rows=[f.batch_rows[0], replace(f.batch_rows[1], state="refused"), f.batch_rows[2]]),
        "closed batches that are loaded",
    ),
    (
        "missed and called open",
        lambda f: replace(f, batch_rows=[*f.batch_rows[:2], BatchRow(LOST, "open")]),
        "missed batches that the batch table marks as missed",
    ),
    ("two rows", lambda f: replace(f, batch_rows=[*f.batch_rows, f.batch_rows[0]]), "rows in the batch table"),
    ("no row", lambda f: replace(f, batch_rows=f.batch_rows[1:]), "rows in the batch table"),
    ("an event left in the outbox", lambda f: replace(f, outbox=1), "events left in the outbox"),
    ("a row lost in the topic", lambda f: replace(f, rows=_without(f.rows)), TOPIC),
    ("a row doubled in the topic", lambda f: replace(f, rows=_doubled(f.rows)), TOPIC),
    ("a raw row lost", lambda f: replace(f, raw=_without(f.raw)), RAW),
    ("a raw row doubled", lambda f: replace(f, raw=_doubled(f.raw)), RAW),
    ("a raw row altered", lambda f: replace(f, raw=_altered(f.raw)), RAW),
    ("raw rows of a batch that is missed", lambda f: replace(f, raw={**f.raw, LOST: [(0, "{}")]}), RAW),
    ("a clean row lost", lambda f: replace(f, clean=_without(f.clean)), CLEAN),
    ("a clean row doubled", lambda f: replace(f, clean=_doubled(f.clean)), CLEAN),
    ("a rejected row in CLEAN_DATA", lambda f: replace(f, clean=f.raw), CLEAN),
    (
        "a wrong cleaned count",
        lambda f: replace(f, batch_rows=[BatchRow(FIRST, "loaded", 30, 30, 0), *f.batch_rows[1:]]),
        "batches with their received and cleaned counts in the batch table",
    ),
    (
        "a rejection not counted",
        lambda f: replace(f, batch_rows=[BatchRow(FIRST, "loaded", 30, 29, 0), *f.batch_rows[1:]]),
        "batch rows where cleaned + rejected = received",
    ),
    ("no verdict", lambda f: replace(f, reports=f.reports[:1]), TABLE_VERDICTS),
    ("two verdicts", lambda f: replace(f, reports=[*f.reports, f.reports[1]]), TABLE_VERDICTS),
    ("a wrong verdict", lambda f: replace(f, reports=[f.reports[0], (SECOND, "no drift")]), TABLE_VERDICTS),
    (
        "two verdicts in the topic",
        lambda f: replace(f, drift=[*f.drift, _event("again", "drift.assessed", 1, verdict="drift")]),
        TOPIC_VERDICTS,
    ),
    (
        "a wrong verdict in the topic",
        lambda f: replace(f, drift=[f.drift[0], _event("assessed", "drift.assessed", 1, verdict="no drift")]),
        TOPIC_VERDICTS,
    ),
    ("a request lost", lambda f: replace(f, retrain=f.retrain[:1]), "training requests, each id once"),
    (
        "a request asked for twice",
        lambda f: replace(f, retrain=[*f.retrain, _event("again", "retrain.requested", 1)]),
        "training requests, each id once",
    ),
    ("a request without a row", lambda f: replace(f, trainings=f.trainings[1:]), "requests in trainings"),
    (
        "a request that never ended",
        lambda f: replace(f, trainings=[("real_estate/1/0/retrain", "waiting", None), f.trainings[1]]),
        "training requests that ended, by the table",
    ),
    ("no final event in the topic", lambda f: replace(f, training=f.training[:2]), ENDS),
    ("two final events", lambda f: replace(f, training=[*f.training, _end(0, "failed")]), ENDS),
    (
        "another final state in the table",
        lambda f: replace(f, trainings=[("real_estate/1/0/retrain", "skipped", None), f.trainings[1]]),
        "final events in the topic, equal to the table",
    ),
    (
        "no start event",
        lambda f: replace(f, training=f.training[1:]),
        "finished trainings with a start event",
    ),
    (
        "two versions of a training",
        lambda f: replace(f, versions=[*f.versions, replace(OTHER, champion=False)]),
        VERSIONS,
    ),
    ("no version", lambda f: replace(f, versions=[]), VERSIONS),
    (
        "two versions of a run",
        lambda f: replace(f, versions=[*f.versions, replace(OTHER, run_id="run")]),
        "runs of versions, each its own",
    ),
    (
        "a run that failed",
        lambda f: replace(f, versions=[replace(f.versions[0], run_status="KILLED")]),
        "versions whose run is FINISHED",
    ),
    ("a run that runs", lambda f: replace(f, running=["run"]), "runs that are still RUNNING"),
    (
        "a gap in seq",
        lambda f: replace(f, decisions=[replace(f.decisions[0], seq=2)]),
        "decisions: seq from 1 without a gap",
    ),
    (
        "two decisions on a training",
        lambda f: replace(f, decisions=[*f.decisions, replace(f.decisions[0], seq=2)]),
        "decisions, one for each finished training",
    ),
    (
        "two decision events",
        lambda f: replace(f, models=[*f.models, TopicEvent("x", "model.promoted", {"seq": 1, "version": 1})]),
        DECISION_EVENTS,
    ),
    ("no decision event", lambda f: replace(f, models=f.models[:1]), DECISION_EVENTS),
    ("no registered event", lambda f: replace(f, models=f.models[1:]), "registered events, each id once"),
    ("two champions", lambda f: replace(f, versions=[*f.versions, OTHER]), CHAMPION),
    ("no champion", lambda f: replace(f, versions=[replace(f.versions[0], champion=False)]), CHAMPION),
    ("another is served", lambda f: replace(f, served=2), "the version that inference serves"),
]


@pytest.mark.parametrize(("fault", "what"), [each[1:] for each in FAULTS], ids=[each[0] for each in FAULTS])
def test_every_fault_is_detected(fault: Callable[[SystemState], SystemState], what: str) -> None:
    """The check that it violates fails."""
    counts = _audit(fault(INTACT))
    assert what in _wrong(counts)
    assert "NO" in table(counts)


STORED = "predictions answered with 200: stored once, same version and price"


@pytest.mark.parametrize(
    ("stored", "what"),
    [
        (INTACT.requests[:1], STORED),
        ([*INTACT.requests, INTACT.requests[0]], STORED),
        ([replace(INTACT.requests[0], version=2), INTACT.requests[1]], STORED),
        ([replace(INTACT.requests[0], price=5.5), INTACT.requests[1]], STORED),
        ([*INTACT.requests, StoredPrediction("b", 0, GOOD.name, 1, 5.0)], "requests stored more than once"),
        ([*INTACT.requests, StoredPrediction("b", 0, "another client", 1, 5.0)], "stored requests that no client sent"),
    ],
    ids=["lost", "doubled", "another version", "another price", "stored twice under two ids", "of no client"],
)
def test_a_wrongly_stored_request_is_detected(stored: list[StoredPrediction], what: str) -> None:
    """By item, and by the client's own request id."""
    assert what in _wrong(_audit(replace(INTACT, requests=stored)))


@pytest.mark.parametrize(
    ("response", "what"),
    [
        (replace(BUSY, status=500), "responses with another status"),
        (replace(BUSY, status=422), "responses with another status"),
        (replace(BUSY, status=NO_ANSWER), "responses with another status"),
        (replace(BUSY, body={}), "responses 503 with a reason"),
        (replace(BUSY, media="text/plain"), "responses 503 with a reason"),
        (replace(BUSY, status=DISCONNECTED), "disconnections explained by a kill"),
        (replace(BUSY, status=DISCONNECTED, sent=500.0, ended=500.0), "disconnections explained by a kill"),
        (replace(GOOD, body={**GOOD.body, "predictions": []}), "responses 200 with a price for each item"),
    ],
    ids=[
        "500",
        "422",
        "silence",
        "503 without a word",
        "503 of another kind",
        "cut before",
        "cut long after",
        "no price",
    ],
)
def test_a_response_that_is_not_allowed_is_detected(response: Response, what: str) -> None:
    """Allowed: 200, 503 with a reason, and a disconnection after a kill."""
    assert what in _wrong(_audit(responses=(GOOD, BUSY, response)))


def test_a_request_without_a_price_may_be_stored_or_not() -> None:
    """A disconnected client and one with a 503 cannot know. It is never stored twice."""
    cut = replace(BUSY, name="storm-0-2", status=DISCONNECTED, sent=KILLED - 0.1, ended=KILLED + 0.1)
    stored = [*INTACT.requests, StoredPrediction("b", 0, cut.name, 1, 5.0), StoredPrediction("c", 0, BUSY.name, 1, 5.0)]
    assert _wrong(_audit(replace(INTACT, requests=stored), (GOOD, BUSY, cut))) == set()


def test_the_last_batch_of_an_epoch_may_be_undelivered() -> None:
    """Only a kill of the poller explains it."""
    undelivered = replace(INTACT, batches=INTACT.batches[:2], batch_rows=INTACT.batch_rows[:2])
    assert _wrong(_audit(undelivered)) == set()
    assert _wrong(_audit(undelivered, kills={**KILLS, "poller": []})) == {NOT_CLOSED}


RECORDED, SHOWN, EXPLAINED = (
    "deleted champions that were shown, each recorded once",
    "deleted champions that the trainer showed or replaced",
    "decisions after the first, each compared or explained",
)
RECORD = Decision(2, 1, "deleted", None, "version 1 was deleted in the registry")


def _deleted(outcome: str = "shown", *more: Decision) -> list[Check]:
    """The audit after the only champion was deleted."""
    state = replace(INTACT, versions=[], decisions=[*INTACT.decisions, *more])
    return audit_checks(DATASET, SERVED, state, (GOOD, BUSY), KILLS, [Deletion(1, outcome)])


def test_a_deleted_champion_is_recorded_and_shown() -> None:
    """Then its version and its alias are gone, and it is served."""
    assert _wrong(_deleted("shown", RECORD)) == set()
    assert _wrong(_deleted("replaced", RECORD)) == _wrong(_deleted("replaced")) == set()
    assert _wrong(_deleted("shown")) == {RECORDED}
    assert _wrong(_deleted("", RECORD)) == {SHOWN}
    assert RECORDED in _wrong(_audit(replace(INTACT, decisions=[*INTACT.decisions, RECORD])))


def test_only_the_first_version_has_no_champion_before_it() -> None:
    """Every later decision was compared, or says why it was not."""
    again = Decision(2, 2, "promoted", "x", "there is no champion")
    assert EXPLAINED in _wrong(_audit(replace(INTACT, decisions=[*INTACT.decisions, again])))


def test_cleaning_follows_the_dataset_file() -> None:
    """A value of the right kind in every column; numbers within the bounds, inclusive."""
    row = dict(DATASET.example)
    rejected = [{**row, "price": 1.0}, {**row, "bed": None}, {**row, "bath": "two"}, {**row, "prev_sold_date": "1999"}]
    edge = [{**row, "price": 10_000.0}, {**row, "price": 10_000_000.0}]
    missing = {name: value for name, value in row.items() if name != "city"}
    assert clean_numbers(DATASET, [row, *rejected, *edge, missing]) == [0, 5, 6]


def test_the_verdict_follows_describe() -> None:
    """More than 15 % in one statistic is drift. The first batch of an epoch has no previous batch."""
    rows = api_rows(0, 200, seed=4)
    level = [{**row, "price": float(row["price"]) * 1.14} for row in rows]
    above = [{**row, "price": float(row["price"]) * 1.16} for row in rows]
    assert verdict(DATASET, None, rows) == "not enough data"
    assert verdict(DATASET, rows, level) == "no drift"
    assert verdict(DATASET, rows, above) == "drift"


def test_a_seed_repeats_its_plan() -> None:
    """At least 150 faults in half an hour, of every kind; each part is killed five times, each disk fills."""
    backing, services = ("kafka", "mysql", "mlflow"), ("poller", "loader", "drift", "trainer", "inference", "monitor")
    faults = plan(1, 1800, backing, services)
    assert faults == plan(1, 1800, backing, services)
    assert faults != plan(2, 1800, backing, services)
    assert len(faults) >= 1800 / PAUSE_SECONDS[1] >= 150
    killed = Counter(fault.parts[0] for fault in faults if fault.kind == "killed")
    assert set(killed) == {*backing, *services}
    assert min(killed.values()) >= 5
    assert {fault.kind for fault in faults} == set(WEIGHTS)
    assert {len(fault.parts) for fault in faults if fault.kind == "stopped"} == {1, 2}
    frozen = [fault for fault in faults if fault.kind == "frozen"]
    assert {fault.parts[0] for fault in frozen} == {*backing, *services}
    assert 60 < max(fault.seconds for fault in frozen) <= 90
    full = [fault for seed in range(5) for fault in plan(seed, 1800, backing, services) if fault.what]
    assert {(fault.what, fault.parts) for fault in full} == {(disk, (part,)) for disk, part in DISKS.items()}


def test_a_part_has_one_lasting_fault_at_a_time() -> None:
    """Each lasts as long as its kind may. Only the trainer's children are killed meanwhile."""
    faults = plan(1, 1800, ("kafka", "mysql", "mlflow"), ("poller", "trainer", "inference"))
    for one in (fault for fault in faults if fault.seconds):
        shortest, longest = SECONDS[one.kind]
        assert shortest <= one.seconds <= longest
        during = [each for each in faults if one.at < each.at <= one.at + one.seconds and each.kind != "child killed"]
        assert not {part for each in during for part in each.parts} & set(one.parts)


def test_the_clock_jumps_two_hours_both_ways() -> None:
    """It is never further off than two hours."""
    jumps = [fault.jump for fault in plan(1, 1800, ("kafka",), ("trainer",)) if fault.kind == "clock jump"]
    assert set(jumps) == {7200, -7200}
    assert {*accumulate(jumps)} == {-7200, 0, 7200}


async def test_the_request_time_is_taken_before_the_rows_are_generated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A poller that is killed while the API generates them was killed after its request."""
    made: list[float] = []

    def rows(_api: RecordingApi, _chance: object) -> list[dict[str, Any]]:
        made.append(time.monotonic())
        return []

    monkeypatch.setattr(RecordingApi, "_rows", rows)
    api = RecordingApi(1, seed=1)
    await api.data(make_mocked_request("GET", "/data"))
    assert api.served[0].requested_at < made[0]
