"""The audit after a storm sees every kind of wrong count: a check that cannot fail is none."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from support.listings import api_rows
from support.storm.api import Handed, RememberingApi
from support.storm.audit import BatchRow, Count, Decision, Found, Kept, Kills, Said, Version, judge, table
from support.storm.client import CUT, NO_ANSWER, Reply
from support.storm.faults import AWAY, GAP, plan
from support.storm.rows import clean_numbers, line, verdict
from veleta.dataset import load_dataset

DATASET = load_dataset("real_estate")
FIRST, SECOND, LOST = (1, 0), (1, 1), (1, 2)
GOOD = Reply(
    "storm-0-0",
    sent=10.0,
    ended=10.1,
    status=200,
    items=2,
    body={"request_id": "a", "model": {"version": 1}, "predictions": [{"price": 5.0}, {"price": 6.0}]},
)
BUSY = Reply("storm-0-1", 11.0, 11.1, 503, 1, "application/problem+json", {"detail": "mysql: gone away"})
KILLED = 20.0
KILLS = {"inference": [KILLED], "poller": [1.0]}


def _handed() -> list[Handed]:
    """Two batches that differ by far, and one that never arrived; a row of the first is not clean."""
    first = api_rows(0, 30, seed=1)
    first[3]["price"] = 1.0
    return [
        Handed(1, number, [*rows], asked=0.0 if number == 2 else 100.0)
        for number, rows in enumerate((first, api_rows(5, 40, seed=2), api_rows(1, 20, seed=3)))
    ]


HANDED = _handed()


def _said(what: str, kind: str, number: int, **value: object) -> Said:
    return Said(f"real_estate/1/{number}/{what}", kind, {"epoch": 1, "number": number, **value})


def _end(number: int, kind: str) -> Said:
    request = f"real_estate/1/{number}/retrain"
    return Said(f"{request}/{kind}", f"training.{kind}", {"request_id": request})


def _found() -> Found:
    """What is found when nothing went wrong: one training for both requests, one version, one champion."""
    lines = {batch.place: [line(row) for row in batch.rows] for batch in HANDED[:2]}
    raw = {place: list(enumerate(texts)) for place, texts in lines.items()}
    clean = {FIRST: [pair for pair in raw[FIRST] if pair[0] != 3], SECOND: raw[SECOND]}
    requests = ["real_estate/1/0/retrain", "real_estate/1/1/retrain"]
    return Found(
        batches=[
            _said("closed", "batch.closed", 0, digest="d0"),
            _said("closed", "batch.closed", 1, digest="d1"),
            _said("missed", "batch.missed", 2),
        ],
        drift=[
            _said("assessed", "drift.assessed", 0, verdict="not enough data"),
            _said("assessed", "drift.assessed", 1, verdict="drift"),
        ],
        retrain=[_said("retrain", "retrain.requested", number) for number in (0, 1)],
        training=[_end(1, "started"), _end(0, "merged"), _end(1, "finished"), _end(1, "finished")],
        models=[
            Said("r/registered", "model.registered", {"version": 1}),
            Said("r/promoted", "model.promoted", {"seq": 1, "version": 1}),
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
        decisions=[Decision(1, 1, "promoted", requests[1])],
        outbox=0,
        versions=[Version(1, "run", "FINISHED", champion=True)],
        running=[],
        served=1,
        requests=[Kept("a", 0, GOOD.name, 1, 5.0), Kept("a", 1, GOOD.name, 1, 6.0)],
    )


FOUND = _found()
OTHER = Version(2, "other", "FINISHED", champion=True)


def _judged(found: Found = FOUND, replies: tuple[Reply, ...] = (GOOD, BUSY), kills: Kills = KILLS) -> list[Count]:
    return judge(DATASET, HANDED, found, replies, kills)


def _wrong(counts: list[Count]) -> set[str]:
    return {each.what for each in counts if not each.ok}


def test_a_storm_that_did_no_harm_passes() -> None:
    """An event that lies in a topic twice under one id is one event."""
    counts = _judged()
    assert _wrong(counts) == set()
    assert "NO" not in table(counts)


def _without(rows: dict[Any, list[Any]]) -> dict[Any, list[Any]]:
    return {**rows, SECOND: rows[SECOND][:-1]}


def _doubled(rows: dict[Any, list[Any]]) -> dict[Any, list[Any]]:
    return {**rows, SECOND: [*rows[SECOND], rows[SECOND][0]]}


def _altered(rows: dict[Any, list[Any]]) -> dict[Any, list[Any]]:
    number, text = rows[SECOND][0]
    return {**rows, SECOND: [(number, text.replace("0", "1")), *rows[SECOND][1:]]}


RAW, CLEAN = "rows in RAW_DATA, as handed out", "rows in CLEAN_DATA, as cleaned here"
TOPIC = "rows in the topic, by the offsets of the manifests"
TABLE_VERDICTS, TOPIC_VERDICTS = (
    "verdicts in drift_reports, as pandas gives them",
    "verdicts in the topic, each id once",
)
ENDS = "ends in the topic, each request once"
VERSIONS = "versions in MLflow, one for each finished training"
CHAMPION = "versions with the alias champion: the last promoted"
SAID_DECISIONS = "decisions said in the topic, each id once"
SAID_OF = "batches handed out: closed, missed, or the last of an epoch"
UNHEARD = "batches not closed, as a kill of the poller explains"
NEVER_HANDED = "batches closed or missed that were never handed out"

HARM: list[tuple[str, Callable[[Found], Found], str]] = [
    (
        "a batch is gone",
        lambda f: replace(f, batches=[f.batches[0], f.batches[2]], batch_rows=[f.batch_rows[0], f.batch_rows[2]]),
        SAID_OF,
    ),
    (
        "a batch is missed that had arrived",
        lambda f: replace(f, batches=[f.batches[0], _said("missed", "batch.missed", 1), f.batches[2]]),
        UNHEARD,
    ),
    ("a batch nobody gave", lambda f: replace(f, batches=[*f.batches, _said("m", "batch.missed", 3)]), NEVER_HANDED),
    (
        "closed and missed",
        lambda f: replace(f, batches=[*f.batches, _said("m", "batch.missed", 1)]),
        "batches both closed and missed",
    ),
    (
        "closed with two contents",
        lambda f: replace(f, batches=[*f.batches, _said("closed", "batch.closed", 1, digest="other")]),
        "manifests: one content for each closed batch",
    ),
    (
        "an answer refused",
        lambda f: replace(f, batches=[*f.batches, _said("x", "batch.refused", 3)]),
        "answers refused",
    ),
    (
        "not loaded",
        lambda f: replace(f, batch_rows=[f.batch_rows[0], replace(f.batch_rows[1], state="refused"), f.batch_rows[2]]),
        "closed batches that are loaded",
    ),
    (
        "missed and called open",
        lambda f: replace(f, batch_rows=[*f.batch_rows[:2], BatchRow(LOST, "open")]),
        "missed batches that the ledger calls so",
    ),
    ("two lines", lambda f: replace(f, batch_rows=[*f.batch_rows, f.batch_rows[0]]), "lines in the ledger"),
    ("no line", lambda f: replace(f, batch_rows=f.batch_rows[1:]), "lines in the ledger"),
    ("an event unsent", lambda f: replace(f, outbox=1), "events that wait in the outbox"),
    ("a row lost in the topic", lambda f: replace(f, rows=_without(f.rows)), TOPIC),
    ("a row doubled in the topic", lambda f: replace(f, rows=_doubled(f.rows)), TOPIC),
    ("a raw row lost", lambda f: replace(f, raw=_without(f.raw)), RAW),
    ("a raw row doubled", lambda f: replace(f, raw=_doubled(f.raw)), RAW),
    ("a raw row altered", lambda f: replace(f, raw=_altered(f.raw)), RAW),
    ("raw rows of a batch that is missed", lambda f: replace(f, raw={**f.raw, LOST: [(0, "{}")]}), RAW),
    ("a clean row lost", lambda f: replace(f, clean=_without(f.clean)), CLEAN),
    ("a clean row doubled", lambda f: replace(f, clean=_doubled(f.clean)), CLEAN),
    ("an unclean row kept", lambda f: replace(f, clean=f.raw), CLEAN),
    (
        "cleaned told wrong",
        lambda f: replace(f, batch_rows=[BatchRow(FIRST, "loaded", 30, 30, 0), *f.batch_rows[1:]]),
        "batches whose ledger tells received and cleaned",
    ),
    (
        "a rejection not counted",
        lambda f: replace(f, batch_rows=[BatchRow(FIRST, "loaded", 30, 29, 0), *f.batch_rows[1:]]),
        "lines where cleaned + rejected = received",
    ),
    ("no verdict", lambda f: replace(f, reports=f.reports[:1]), TABLE_VERDICTS),
    ("two verdicts", lambda f: replace(f, reports=[*f.reports, f.reports[1]]), TABLE_VERDICTS),
    ("a wrong verdict", lambda f: replace(f, reports=[f.reports[0], (SECOND, "no drift")]), TABLE_VERDICTS),
    (
        "two verdicts in the topic",
        lambda f: replace(f, drift=[*f.drift, _said("again", "drift.assessed", 1, verdict="drift")]),
        TOPIC_VERDICTS,
    ),
    (
        "a wrong verdict in the topic",
        lambda f: replace(f, drift=[f.drift[0], _said("assessed", "drift.assessed", 1, verdict="no drift")]),
        TOPIC_VERDICTS,
    ),
    ("a request lost", lambda f: replace(f, retrain=f.retrain[:1]), "requests to train, each id once"),
    (
        "a request asked for twice",
        lambda f: replace(f, retrain=[*f.retrain, _said("again", "retrain.requested", 1)]),
        "requests to train, each id once",
    ),
    ("a request without a line", lambda f: replace(f, trainings=f.trainings[1:]), "requests in trainings"),
    (
        "a request that never ended",
        lambda f: replace(f, trainings=[("real_estate/1/0/retrain", "waiting", None), f.trainings[1]]),
        "requests that ended, by their table",
    ),
    ("no end in the topic", lambda f: replace(f, training=f.training[:2]), ENDS),
    ("two ends", lambda f: replace(f, training=[*f.training, _end(0, "failed")]), ENDS),
    (
        "another end in the table",
        lambda f: replace(f, trainings=[("real_estate/1/0/retrain", "skipped", None), f.trainings[1]]),
        "ends in the topic as in the table",
    ),
    (
        "never said to start",
        lambda f: replace(f, training=f.training[1:]),
        "trainings finished that were said to start",
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
        "a decision said twice",
        lambda f: replace(f, models=[*f.models, Said("x", "model.promoted", {"seq": 1, "version": 1})]),
        SAID_DECISIONS,
    ),
    ("a decision never said", lambda f: replace(f, models=f.models[:1]), SAID_DECISIONS),
    ("a version never said", lambda f: replace(f, models=f.models[1:]), "versions said to be registered, each id once"),
    ("two champions", lambda f: replace(f, versions=[*f.versions, OTHER]), CHAMPION),
    ("no champion", lambda f: replace(f, versions=[replace(f.versions[0], champion=False)]), CHAMPION),
    ("another is served", lambda f: replace(f, served=2), "the version that inference serves"),
]


@pytest.mark.parametrize(("harm", "what"), [each[1:] for each in HARM], ids=[each[0] for each in HARM])
def test_every_harm_is_found(harm: Callable[[Found], Found], what: str) -> None:
    """The count that it falsifies says so."""
    counts = _judged(harm(FOUND))
    assert what in _wrong(counts)
    assert "NO" in table(counts)


KEPT = "predictions answered 200: kept once, same version and price"


@pytest.mark.parametrize(
    ("kept", "what"),
    [
        (FOUND.requests[:1], KEPT),
        ([*FOUND.requests, FOUND.requests[0]], KEPT),
        ([replace(FOUND.requests[0], version=2), FOUND.requests[1]], KEPT),
        ([replace(FOUND.requests[0], price=5.5), FOUND.requests[1]], KEPT),
        ([*FOUND.requests, Kept("b", 0, GOOD.name, 1, 5.0)], "requests kept more than once"),
        ([*FOUND.requests, Kept("b", 0, "somebody", 1, 5.0)], "requests kept that no client sent"),
    ],
    ids=["lost", "doubled", "another version", "another price", "kept twice under two ids", "of nobody"],
)
def test_a_request_that_is_not_kept_once_and_right_is_found(kept: list[Kept], what: str) -> None:
    """Item by item, and by the client's own name."""
    assert what in _wrong(_judged(replace(FOUND, requests=kept)))


@pytest.mark.parametrize(
    ("reply", "what"),
    [
        (replace(BUSY, status=500), "answers with another status"),
        (replace(BUSY, status=422), "answers with another status"),
        (replace(BUSY, status=NO_ANSWER), "answers with another status"),
        (replace(BUSY, body={}), "answers 503 that say what is missing"),
        (replace(BUSY, media="text/plain"), "answers 503 that say what is missing"),
        (replace(BUSY, status=CUT), "connections cut that a kill explains"),
        (replace(BUSY, status=CUT, sent=500.0, ended=500.0), "connections cut that a kill explains"),
        (replace(GOOD, body={**GOOD.body, "predictions": []}), "answers 200 with a price for each item"),
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
def test_an_answer_that_is_not_allowed_is_found(reply: Reply, what: str) -> None:
    """Allowed are 200, 503 with its reason, and a connection that a kill cut."""
    assert what in _wrong(_judged(replies=(GOOD, BUSY, reply)))


def test_a_cut_connection_and_a_503_may_be_kept_or_not() -> None:
    """The client was not told, so nobody can say; but never twice."""
    cut = replace(BUSY, name="storm-0-2", status=CUT, sent=KILLED - 0.1, ended=KILLED + 0.1)
    kept = [*FOUND.requests, Kept("b", 0, cut.name, 1, 5.0), Kept("c", 0, BUSY.name, 1, 5.0)]
    assert _wrong(_judged(replace(FOUND, requests=kept), (GOOD, BUSY, cut))) == set()


def test_the_last_batch_of_an_epoch_may_go_unheard() -> None:
    """Only a kill of the poller explains it: nothing else comes between the API and the inbox."""
    unheard = replace(FOUND, batches=FOUND.batches[:2], batch_rows=FOUND.batch_rows[:2])
    assert _wrong(_judged(unheard)) == set()
    assert _wrong(_judged(unheard, kills={**KILLS, "poller": []})) == {UNHEARD}


def test_cleaning_is_worked_out_from_the_dataset_file() -> None:
    """A value of its kind in every column, numbers within the bounds, both included."""
    row = dict(DATASET.example)
    spoilt = [{**row, "price": 1.0}, {**row, "bed": None}, {**row, "bath": "two"}, {**row, "prev_sold_date": "1999"}]
    edge = [{**row, "price": 10_000.0}, {**row, "price": 10_000_000.0}]
    missing = {name: value for name, value in row.items() if name != "city"}
    assert clean_numbers(DATASET, [row, *spoilt, *edge, missing]) == [0, 5, 6]


def test_the_verdict_is_that_of_describe() -> None:
    """Above 15 % in one figure is drift; the first of an epoch has nothing to be compared with."""
    rows = api_rows(0, 200, seed=4)
    level = [{**row, "price": float(row["price"]) * 1.14} for row in rows]
    above = [{**row, "price": float(row["price"]) * 1.16} for row in rows]
    assert verdict(DATASET, None, rows) == "not enough data"
    assert verdict(DATASET, rows, level) == "no drift"
    assert verdict(DATASET, rows, above) == "drift"


def test_a_plan_is_repeated_by_its_seed_and_full_of_faults() -> None:
    """At least 150 in half an hour, of every kind, each part killed ten times; what is away or frozen is left alone."""
    backing, services = ("kafka", "mysql", "mlflow"), ("poller", "loader", "drift", "trainer", "inference", "monitor")
    faults = plan(1, 1800, backing, services)
    assert faults == plan(1, 1800, backing, services)
    assert faults != plan(2, 1800, backing, services)
    assert len(faults) >= 1800 / GAP[1] >= 150
    killed = Counter(fault.parts[0] for fault in faults if fault.kind == "killed")
    assert set(killed) == {*backing, *services}
    assert min(killed.values()) >= 10
    assert {fault.kind for fault in faults} == {"killed", "child killed", "away", "frozen"}
    assert {len(fault.parts) for fault in faults if fault.kind == "away"} == {1, 2}
    assert all(fault.seconds <= AWAY[1] for fault in faults)
    for one in (fault for fault in faults if fault.seconds):
        during = [each for each in faults if one.at < each.at <= one.at + one.seconds and each.kind != "child killed"]
        assert not {part for each in during for part in each.parts} & set(one.parts)


async def test_a_batch_is_asked_for_before_its_rows_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """A poller that is killed while the API makes them was killed after its question."""
    made: list[float] = []

    def rows(_api: RememberingApi, _chance: object) -> list[dict[str, Any]]:
        made.append(time.monotonic())
        return []

    monkeypatch.setattr(RememberingApi, "_rows", rows)
    api = RememberingApi(1, seed=1)
    await api.data(make_mocked_request("GET", "/data"))
    assert api.handed[0].asked < made[0]
